// Writes the features of the test world's payments and their labels as CSV, for foreign.py to train on (needs dist/).
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const built = (file) => import(path.join(ROOT, "dist", "src", file));
const { simulateDays } = await built("lifecycle/simulate/days.js");
const { init } = await built("lifecycle/init.js");
const { loadPipeline } = await built("pipeline/pipeline.js");
const { loadSpec } = await built("lifecycle/data/spec-file.js");
const { compileSpec } = await built("features/plan.js");
const { labelsOf, readSource } = await built("lifecycle/data/source.js");
const { columnsOfPlan, vectorsOf } = await built("lifecycle/data/vectors.js");
const { datasetDuckdb } = await built("drivers/dataset/duckdb/driver.js");

const dir = mkdtempSync(path.join(tmpdir(), "sentinel-vectors-"));
init({ dir, packageRoot: ROOT });
const pipeline = loadPipeline(dir, "card");
const plan = compileSpec(await loadSpec(pipeline));
const dataset = await datasetDuckdb();
// The world of test/journeys/traffic.ts.
await dataset.write(pipeline.source, simulateDays({ customers: 600, terminals: 900, days: 60, seed: 11 }));
const source = await readSource(dataset, pipeline, {
  path: pipeline.source,
  wanted: columnsOfPlan(plan),
  labelled: true,
});
const { x } = vectorsOf(source.table, { plan, pipeline, report: { line() {}, progress() {} } });
const labels = labelsOf(source.table, pipeline);
const lines = [[...x.names, "is_fraud"].join(",")];
for (let row = 0; row < x.rows; row++) {
  const values = x.names.map((_, c) => x.values[c * x.rows + row]);
  lines.push([...values.map((value) => (Number.isNaN(value) ? "" : value)), labels[row]].join(","));
}
writeFileSync(process.argv[2], `${lines.join("\n")}\n`);
rmSync(dir, { recursive: true, force: true });
