// Tenants made, changed and removed by whoever runs the server; a new one begins with a key for its first administrator.
import { SentinelError } from "../core/errors.ts";
import type { Tenant } from "../core/tenant.ts";
import type { Clock } from "../ports/ports.ts";
import type { TenantQuotas, TenantRecord, TenantStore } from "../ports/store.ts";
import { addKey, type KeyPorts, type KeyShown } from "./keys.ts";

/** What tenants are made with. */
export interface TenantPorts {
  readonly clock: Pick<Clock, "now">;
  tenants(): Promise<TenantStore>;
  /** Where a tenant's keys are kept. */
  keysOf(tenant: Tenant): KeyPorts;
}

/** As much as the store holds. */
export const NO_QUOTAS: TenantQuotas = { requestsPerSecond: null, pipelines: null, rules: null, alerts: null };

export interface NewTenant {
  readonly name: Tenant;
  readonly title: string;
  readonly quotas: TenantQuotas;
  readonly actor: string;
  readonly random: (bytes: number) => Uint8Array;
}

/** Makes a tenant and the key of its first administrator, which is shown this once. Errors: tenant.exists, tenant.limit, store.*. */
export async function addTenant(
  ports: TenantPorts,
  { name, title, quotas, actor, random }: NewTenant,
): Promise<{ readonly tenant: TenantRecord; readonly key: string; readonly record: KeyShown }> {
  const by = { actor, at: ports.clock.now() };
  const tenant = await (await ports.tenants()).create({ name, title, quotas }, by);
  const made = await addKey(ports.keysOf(name), {
    role: "admin",
    name: "admin",
    actor,
    validMs: null,
    rate: null,
    random,
  });
  return { tenant, ...made };
}

/** Changes title or limits. Errors: tenant.missing (removed ones too), tenant.invalid, store.*. */
export async function setTenant(
  ports: TenantPorts,
  of: {
    readonly name: Tenant;
    readonly title?: string;
    readonly quotas?: Partial<TenantQuotas>;
    readonly actor: string;
  },
): Promise<TenantRecord> {
  const { name, title, quotas, actor } = of;
  const store = await ports.tenants();
  const { quotas: before } = await knownTenant(store, name);
  const named = Object.fromEntries(Object.entries(quotas ?? {}).filter(([, value]) => value !== undefined));
  const patch = { ...(title === undefined ? {} : { title }), quotas: { ...before, ...named } };
  return store.update(name, patch, { actor, at: ports.clock.now() });
}

/**
 * From then on its keys open nothing and its pipelines are closed; what it had stays where it lies, and its name is not given again. Errors:
 * tenant.missing, tenant.invalid, store.*.
 */
export async function removeTenant(
  ports: TenantPorts,
  { name, actor, reason }: { readonly name: Tenant; readonly actor: string; readonly reason: string },
): Promise<TenantRecord> {
  const store = await ports.tenants();
  await knownTenant(store, name);
  return store.update(name, { status: "removed" }, { actor, at: ports.clock.now(), reason });
}

/** A tenant that there is. Errors: tenant.missing. */
export async function knownTenant(store: TenantStore, name: Tenant): Promise<TenantRecord> {
  const found = await store.find(name);
  if (found?.status === "active") return found;
  throw new SentinelError(
    "tenant.missing",
    found === null ? `there is no tenant ${name}` : `the tenant ${name} was removed`,
    { hint: "`sentinel tenants list` shows the tenants" },
  );
}
