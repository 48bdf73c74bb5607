// Experiments of the embedded registry, in MLflow's tables.
import { SentinelError } from "../../../core/errors.ts";
import type { Sql } from "./sql.ts";

/** Names of the experiments, MLflow's own empty one left out. */
export function listExperiments(sql: Sql): string[] {
  const rows = sql.all(
    `SELECT name FROM experiments WHERE lifecycle_stage = 'active' AND ${sql.scope("experiments")}
       AND EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id) ORDER BY experiment_id`,
  );
  return rows.map(({ name }) => String(name));
}

export function experimentTags(sql: Sql, name: string): Record<string, string> {
  const rows = sql.all(
    `SELECT t."key", t.value FROM experiment_tags t JOIN experiments USING (experiment_id)
     WHERE experiments.name = ? AND lifecycle_stage = 'active' AND ${sql.scope("experiments")} ORDER BY t."key"`,
    name,
  );
  return Object.fromEntries(rows.map(({ key, value }) => [String(key), String(value ?? "")]));
}

/** The experiment's id; it is made when there is none. Throws registry.conflict for one that was deleted. */
export function experimentOf(sql: Sql, input: { readonly experiment: string; readonly startedAt: number }): number {
  const find = `SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ? AND ${sql.scope("experiments")}`;
  const [found] = sql.all(find, input.experiment);
  if (found?.lifecycle_stage === "deleted") {
    throw new SentinelError("registry.conflict", `the experiment ${input.experiment} was deleted in MLflow`, {
      hint: `\`mlflow experiments restore -x ${found.experiment_id}\` brings it back; or give the experiment another name`,
    });
  }
  if (found !== undefined) return Number(found.experiment_id);
  sql.run(
    "INSERT INTO experiments(name, lifecycle_stage, creation_time, last_update_time) VALUES (?, 'active', ?, ?)",
    input.experiment,
    input.startedAt,
    input.startedAt,
  );
  const id = Number(sql.all(find, input.experiment)[0].experiment_id);
  sql.run("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", `./artifacts/${id}`, id);
  return id;
}
