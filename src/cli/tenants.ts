// `sentinel tenants add|list|set|remove`: teams or customers that share a server and must not see each other.
import { randomBytes } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import { parseTenant, type Tenant } from "../core/tenant.ts";
import { visible } from "../core/visible.ts";
import { addTenant, NO_QUOTAS, removeTenant, setTenant, type TenantPorts } from "../lifecycle/tenants.ts";
import type { TenantQuotas, TenantRecord } from "../ports/store.ts";
import { openTenants } from "../wiring.ts";
import { textOption } from "./options.ts";
import type { Verb, VerbContext, VerbInput, VerbOptions, VerbResult } from "./verb.ts";

const QUOTA_MAX = 1_000_000_000;
const ACTS = { add, list, set, remove } as const;

export const verb: Verb = {
  args: "<what> [name]",
  options: [
    ["--title <text>", "with add and set: as people call it (default: its name)"],
    ["--requests <n>", "with add and set: requests a second of all its keys together, or none (default: no limit)"],
    ["--pipelines <n>", "with add and set: pipelines that it may have, or none"],
    ["--rules <n>", "with add and set: rules of all its pipelines together, or none"],
    ["--alerts <n>", "with add and set: alerts that are kept, or none"],
    ["--reason <text>", "with remove: why, for its audit"],
  ],
  async run(context, input) {
    const [what] = input.args;
    if (what === undefined || !Object.hasOwn(ACTS, what)) {
      throw new SentinelError(
        "cli.usage",
        `tenants ${JSON.stringify(what)} is none of ${Object.keys(ACTS).join(", ")}`,
        {
          hint: "see `sentinel tenants --help`",
        },
      );
    }
    const { ports, close } = openTenants(context.config, { report: context.output });
    try {
      return await ACTS[what as keyof typeof ACTS](context, ports, input);
    } finally {
      await close();
    }
  },
};

async function add(context: VerbContext, ports: TenantPorts, { args, options }: VerbInput): Promise<VerbResult> {
  const name = nameIn(args);
  const made = await addTenant(ports, {
    name,
    title: textOption(options, "title") ?? name,
    quotas: { ...NO_QUOTAS, ...quotasIn(options) },
    actor: context.config.actor,
    random: randomBytes,
  });
  const { tenant, key, record } = made;
  context.output.line(`tenant ${name} (${visible(tenant.title)}): ${limitsOf(tenant)}`);
  context.output.line(`key ${record.id} for its first administrator; it is shown this once:\n\n  ${key}\n`);
  context.output.line("  a running server takes both within some seconds");
  return { yes: true, json: made };
}

async function list(context: VerbContext, ports: TenantPorts): Promise<VerbResult> {
  const tenants = await (await ports.tenants()).list();
  context.output.table([
    ["name", "title", "status", "limits"],
    ...tenants.map((tenant) => [tenant.name, visible(tenant.title), tenant.status, limitsOf(tenant)]),
  ]);
  return { yes: true, json: { tenants } };
}

async function set(context: VerbContext, ports: TenantPorts, { args, options }: VerbInput): Promise<VerbResult> {
  const tenant = await setTenant(ports, {
    name: nameIn(args),
    title: textOption(options, "title"),
    quotas: quotasIn(options),
    actor: context.config.actor,
  });
  context.output.line(`tenant ${tenant.name} (${visible(tenant.title)}): ${limitsOf(tenant)}`);
  return { yes: true, json: { tenant } };
}

async function remove(context: VerbContext, ports: TenantPorts, { args, options }: VerbInput): Promise<VerbResult> {
  const reason = textOption(options, "reason") ?? "";
  const tenant = await removeTenant(ports, { name: nameIn(args), actor: context.config.actor, reason });
  context.output.line(
    `tenant ${tenant.name} is removed: its keys open nothing, and its pipelines close within some seconds`,
  );
  context.output.line("  what it had stays where it lies");
  return { yes: true, json: { tenant } };
}

function nameIn([what, name]: readonly string[]): Tenant {
  if (name !== undefined) return parseTenant(name);
  throw new SentinelError("cli.usage", `tenants ${what} needs a name`, { hint: `sentinel tenants ${what} north` });
}

/** Those that are named; "none" lifts a limit. */
function quotasIn(options: VerbOptions): Partial<TenantQuotas> {
  const one = (option: string): number | null | undefined => {
    const text = textOption(options, option);
    if (text === undefined) return undefined;
    if (text === "none") return null;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value <= QUOTA_MAX) return value;
    throw new SentinelError("cli.usage", `--${option} ${text} is no limit`, {
      hint: `a whole number from 0 to ${QUOTA_MAX}, or none`,
    });
  };
  const given = {
    requestsPerSecond: one("requests"),
    pipelines: one("pipelines"),
    rules: one("rules"),
    alerts: one("alerts"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function limitsOf({ quotas }: TenantRecord): string {
  const { requestsPerSecond, pipelines, rules, alerts } = quotas;
  const parts = [
    requestsPerSecond === null ? null : `${requestsPerSecond} requests a second`,
    pipelines === null ? null : `${pipelines} pipelines`,
    rules === null ? null : `${rules} rules`,
    alerts === null ? null : `${alerts} alerts`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? "no limits" : `at most ${parts.join(", ")}`;
}
