// Tenants: whose pipelines, rules, alerts, cases and keys something is; a tenant's name is a type of its own, so that no other text stands for one.
import { SentinelError } from "./errors.ts";

declare const ofTenant: unique symbol;
/** The name of a tenant, checked. */
export type Tenant = string & { readonly [ofTenant]: true };

/** Whose everything is where nobody made another tenant. */
export const DEFAULT_TENANT = "default" as Tenant;
/** Tenants of one store, removed ones included: each may have engines in every server. */
export const TENANTS_MAX = 1000;
/** Characters of a name: it is part of the names of logs, folders and metrics. */
export const TENANT_LENGTH_MAX = 40;

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** Errors: tenant.invalid. */
export function parseTenant(text: string): Tenant {
  if (text.length <= TENANT_LENGTH_MAX && NAME.test(text)) return text as Tenant;
  throw new SentinelError("tenant.invalid", `${JSON.stringify(text.slice(0, 100))} names no tenant`, {
    hint: `lower-case letters, digits and -, at most ${TENANT_LENGTH_MAX}, beginning and ending with a letter or a digit`,
  });
}

/** What a tenant's pipeline is called where pipelines of all tenants lie side by side (PostgreSQL, Redis); no pipeline's own name has a slash. */
export function nameAmongAll(tenant: Tenant, pipeline: string): string {
  return tenant === DEFAULT_TENANT ? pipeline : `${tenant}/${pipeline}`;
}

/** Before the names of tenants in a cluster's topics; the first tenant's own never begin so. */
export const TENANT_TOPICS = "_tenants.";

/** What a tenant's topic, group or writer is called in a cluster of all; a tenant's name has no dot, so that no two are alike. */
export function nameInCluster(tenant: Tenant, name: string): string {
  return tenant === DEFAULT_TENANT ? name : `${TENANT_TOPICS}${tenant}.${name}`;
}

/** The folder of a tenant's pipeline in an archive; no pipeline's own name begins with an underscore. */
export function archiveFolder(tenant: Tenant, pipeline: string): string {
  return tenant === DEFAULT_TENANT ? pipeline : `_tenants/${tenant}/${pipeline}`;
}
