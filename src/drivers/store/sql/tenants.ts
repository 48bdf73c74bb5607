// Tenants in the store: made, changed and removed, each change with an entry in the audit of the tenant itself.
import { SentinelError } from "../../../core/errors.ts";
import { DEFAULT_TENANT, TENANTS_MAX, type Tenant } from "../../../core/tenant.ts";
import type { Clock } from "../../../ports/ports.ts";
import {
  type ChangedBy,
  TENANT_STATUSES,
  type TenantQuotas,
  type TenantRecord,
  type TenantStore,
} from "../../../ports/store.ts";
import { auditChange } from "./audit.ts";
import { COUNTERS } from "./counters.ts";
import { patiently, type Vendor } from "./database.ts";
import { checkText, whole } from "./limits.ts";
import type { SqlTransaction, TenantRow } from "./tables.ts";
import { scoped } from "./tenant-scope.ts";
import { stored, storedJson, unstored } from "./text.ts";

/** No quota is larger: what is beyond is none. */
const QUOTA_MAX = 1_000_000_000;

export function tenantsOf(vendor: Vendor, clock: Pick<Clock, "elapsed">): TenantStore {
  const at = { vendor, clock };
  const write = <T>(tenant: Tenant, change: (sql: SqlTransaction) => Promise<T>): Promise<T> =>
    patiently(at, "write", () => vendor.transaction(change, { durable: true, tenant }));
  return {
    async list() {
      const rows = await patiently(at, "read", () =>
        vendor.read((sql) => sql.selectFrom("tenants").selectAll().orderBy("name").limit(TENANTS_MAX).execute(), {
          tenant: null,
        }),
      );
      const first = ({ name }: TenantRecord): number => (name === DEFAULT_TENANT ? 0 : 1);
      return rows.map(recordOf).sort((one, other) => first(one) - first(other));
    },
    async find(name) {
      const row = await patiently(at, "read", () => vendor.read((sql) => rowOf(sql, name), { tenant: null }));
      return row === undefined ? null : recordOf(row);
    },
    async create(fields, by) {
      const { name, title, quotas } = fields;
      checkText("the title of a tenant", title);
      checkQuotas(quotas);
      const time = whole("the time of a change", by.at);
      const record: TenantRecord = { name, title, quotas, status: "active", createdAt: time, changedAt: time };
      const count = await patiently(at, "read", () =>
        vendor.read((sql) => sql.selectFrom("tenants").select("name").limit(TENANTS_MAX).execute(), { tenant: null }),
      );
      if (count.length >= TENANTS_MAX) {
        throw new SentinelError("tenant.limit", `there are ${TENANTS_MAX} tenants, the most that a store has`, {
          hint: "removed ones count too; begin another store",
        });
      }
      try {
        return await write(name, async (sql) => {
          await sql.insertInto("tenants").values(rowFor(record)).execute();
          const own = scoped(sql, name);
          await own
            .insertInto("counters")
            .values(COUNTERS.map((counter) => ({ name: counter, value: 0 })))
            .execute();
          await audit(own, { action: "tenant.create", before: null, after: record, by });
          return record;
        });
      } catch (error) {
        if (vendor.faultOf(error) !== "taken") throw error;
        throw new SentinelError("tenant.exists", `there is, or was, a tenant ${name}`, {
          hint: "take another name: that of a removed tenant is not given again",
          cause: error,
        });
      }
    },
    update: (name, patch, by) =>
      write(name, async (sql) => {
        const row = await rowOf(sql, name);
        if (row === undefined) {
          throw new SentinelError("tenant.missing", `there is no tenant ${name}`, {
            hint: "`sentinel tenants list` shows the tenants",
          });
        }
        const before = recordOf(row);
        const named = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
        const after: TenantRecord = { ...before, ...named, changedAt: whole("the time of a change", by.at) };
        checkText("the title of a tenant", after.title);
        checkQuotas(after.quotas);
        if (name === DEFAULT_TENANT && after.status !== "active") {
          throw new SentinelError("tenant.invalid", `the tenant ${name} cannot be removed`, {
            hint: "it is whose everything is that belongs to nobody else; remove its keys and pipelines",
          });
        }
        const { name: _, ...columns } = rowFor(after);
        await sql.updateTable("tenants").set(columns).where("name", "=", name).execute();
        const action = after.status === before.status ? "tenant.update" : `tenant.${after.status}`;
        await audit(scoped(sql, name), { action, before, after, by });
        return after;
      }),
  };
}

function rowOf(sql: Pick<SqlTransaction, "selectFrom">, name: Tenant): Promise<TenantRow | undefined> {
  return sql.selectFrom("tenants").selectAll().where("name", "=", name).executeTakeFirst();
}

async function audit(
  sql: SqlTransaction,
  entry: {
    readonly action: string;
    readonly before: TenantRecord | null;
    readonly after: TenantRecord;
    readonly by: ChangedBy;
  },
): Promise<void> {
  const { action, after } = entry;
  const about = { action, subject: "tenant", subjectId: after.name, pipeline: null };
  await auditChange(sql, about, entry);
}

/** Errors: tenant.invalid. */
function checkQuotas(quotas: TenantQuotas): void {
  for (const [what, value] of Object.entries(quotas)) {
    if (value === null || (Number.isSafeInteger(value) && value >= 0 && value <= QUOTA_MAX)) continue;
    throw new SentinelError("tenant.invalid", `the limit ${what} is ${value}`, {
      hint: `a whole number from 0 to ${QUOTA_MAX}, or none`,
    });
  }
}

function recordOf(row: TenantRow): TenantRecord {
  const status = TENANT_STATUSES.find((known) => known === row.status) ?? "removed";
  return {
    name: row.name as Tenant,
    title: unstored(row.title),
    status,
    quotas: JSON.parse(row.quotas) as TenantQuotas,
    createdAt: Number(row.created_at),
    changedAt: Number(row.changed_at),
  };
}

function rowFor({ name, title, status, quotas, createdAt, changedAt }: TenantRecord): TenantRow {
  return {
    name,
    title: stored(title),
    status,
    quotas: storedJson(quotas),
    created_at: createdAt,
    changed_at: changedAt,
  };
}
