// How many rules a tenant may have in all its pipelines together: counted within the change itself, by whichever way it came.
import { SentinelError } from "../../../core/errors.ts";
import { PIPELINES_MAX, type TenantQuotas } from "../../../ports/store.ts";
import { raise } from "./counters.ts";
import { type Database, patiently } from "./database.ts";
import type { SetsMove } from "./rule-states.ts";
import type { SqlTransaction } from "./tables.ts";

/** Null: as many as the store holds. */
export async function rulesMaxOf({ vendor, clock, tenant }: Database): Promise<number | null> {
  // Tenants are nobody's own rows.
  const row = await patiently({ vendor, clock }, "read", () =>
    vendor.read((sql) => sql.selectFrom("tenants").select("quotas").where("name", "=", tenant).executeTakeFirst(), {
      tenant: null,
    }),
  );
  return row === undefined ? null : (JSON.parse(row.quotas) as TenantQuotas).rules;
}

/** A change that brings no more rules always has room, also where the limit is lower by now. Errors: tenant.limit. */
export async function checkRoom(
  sql: SqlTransaction,
  of: {
    readonly pipeline: string;
    readonly limit: number;
    readonly live: SetsMove;
    /** Rules that another pipeline has. */
    readonly countOf: (pipeline: string) => Promise<number>;
  },
): Promise<void> {
  const { pipeline, limit, live, countOf } = of;
  const [before, after] = [live.from?.rules.length ?? 0, live.to?.rules.length ?? 0];
  if (after <= before) return;
  // Whoever raises the counter counts alone until the end: two changes do not find the same room.
  await raise(sql, "rule_numbers", 0);
  const stopped = await sql
    .selectFrom("pipelines")
    .select("slug")
    .where("status", "=", "stopped")
    .limit(PIPELINES_MAX)
    .execute();
  const gone = new Set([pipeline, ...stopped.map(({ slug }) => slug)]);
  const all = await sql.selectFrom("rule_journal").select("pipeline").distinct().limit(PIPELINES_MAX).execute();
  let others = 0;
  for (const one of all) if (!gone.has(one.pipeline)) others += await countOf(one.pipeline);
  if (others + after <= limit) return;
  throw new SentinelError(
    "tenant.limit",
    `this tenant has ${others + before} rules, may have ${limit}, and would have ${others + after}`,
    { hint: "remove rules that nobody needs, or ask whoever runs the server for a higher limit (rules)" },
  );
}
