// `sentinel backup`: everything that a workspace keeps in models/ into one folder, while servers run; and what has to be saved elsewhere.
import path from "node:path";
import { TENANTS_FOLDER } from "../config.ts";
import { SentinelError } from "../core/errors.ts";
import { DEFAULT_TENANT } from "../core/tenant.ts";
import { backUp } from "../lifecycle/backup.ts";
import { databaseCopier } from "../wiring.ts";
import { textOption } from "./options.ts";
import type { Verb, VerbContext } from "./verb.ts";

export const verb: Verb = {
  options: [["--to <folder>", "a new folder for it"]],
  async run(context, { options }) {
    const to = textOption(options, "to");
    if (to === undefined) {
      throw new SentinelError("cli.usage", "backup needs --to FOLDER", {
        hint: "sentinel backup --to backups/2026-11-30",
      });
    }
    const { config, output } = context;
    const elsewhere = elsewhereOf(config);
    const manifest = await backUp(
      { ...backedUp(config), folder: path.resolve(to) },
      { at: context.ports().clock.now(), elsewhere, copyDatabase: await databaseCopier() },
    );
    const bytes = manifest.files.reduce((sum, one) => sum + one.bytes, 0);
    output.line(`${manifest.files.length} files, ${(bytes / 1e6).toFixed(1)} MB → ${to} (as of ${manifest.at})`);
    for (const one of elsewhere) output.warn(`not in it: ${one}`);
    return { yes: true, json: { to, at: manifest.at, files: manifest.files.length, bytes, elsewhere } };
  },
};

/** The first tenant's backup has everybody's, as its store does. */
export function backedUp({ registryDir, root, tenant }: VerbContext["config"]) {
  const tenants = tenant === DEFAULT_TENANT ? path.join(root, TENANTS_FOLDER) : null;
  return { models: registryDir, tenant, tenants };
}

/** What the environment keeps outside the workspace. */
export function elsewhereOf(config: VerbContext["config"]): readonly string[] {
  const all: string[] = [];
  if (config.tenant !== DEFAULT_TENANT && config.database === null) {
    const file = path.join(config.root, "models", "state", "store.db");
    all.push(
      `rules, pipelines, alerts, cases and audit: rows of ${file}, which a backup without --tenant has, for all tenants together`,
    );
  }
  if (config.mlflow !== null) all.push("the registry: the database and the artifacts of the MLflow server");
  if (config.database !== null)
    all.push("the store (rules, pipelines, alerts, audit) and the prediction logs: pg_dump of PostgreSQL");
  if (config.ledger !== null) all.push("the ledger of gateways: pg_dump of PostgreSQL");
  if (config.redis !== null)
    all.push("the feature state in Redis, which is filled again from training's snapshot and the log");
  if (config.archiveUrl !== null) all.push(`the archive at ${config.archiveUrl}`);
  if (config.kafka !== null) all.push("topics and committed positions in Kafka");
  return all;
}
