// `sentinel db migrate|status`: the tables of the store; an embedded store migrates by itself, PostgreSQL only by this command.
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { migrateStore } from "../lifecycle/db.ts";
import { storeTables } from "../wiring.ts";
import type { Verb, VerbContext, VerbResult } from "./verb.ts";

export const verb: Verb = {
  args: "<what>",
  options: [],
  run(context, { args: [what] }) {
    if (what === "migrate") return migrate(context);
    if (what === "status") return status(context);
    throw new SentinelError("cli.usage", `db ${JSON.stringify(what)} is none of migrate, status`, {
      hint: "see `sentinel db --help`",
    });
  },
};

async function migrate({ config, output }: VerbContext): Promise<VerbResult> {
  const result = await migrateStore(await storeTables(config));
  const { where, from, to, applied } = result;
  output.line(visible(where));
  for (const name of applied) output.line(`  applied ${name}`);
  output.line(from === to ? `nothing to do: version ${to}` : `version ${from} → ${to}`);
  return { yes: true, json: result };
}

/** Exit 1 where something is to be migrated, so that a deployment can ask. */
async function status({ config, output }: VerbContext): Promise<VerbResult> {
  const tables = await storeTables(config);
  const schema = await tables.schema();
  output.line(`${visible(tables.where)}: version ${schema.version}, this Sentinel knows ${schema.known}`);
  for (const name of schema.pending) output.line(`  not applied yet: ${name}`);
  if (schema.pending.length > 0) output.line("  run `sentinel db migrate`");
  return { yes: schema.version === schema.known, json: { where: tables.where, kind: tables.kind, ...schema } };
}
