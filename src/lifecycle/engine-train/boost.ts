// Boosting by an engine: what it is asked, and what its answer must agree with.
import path from "node:path";
import { SentinelError } from "../../core/errors.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Boosted, Engine } from "../../ports/engine.ts";
import type { Ports } from "../../ports/ports.ts";
import { HEAD } from "../data/feature-table.ts";
import type { BoostedModel } from "../import.ts";
import type { Slices } from "./slices.ts";
import type { Cut, FeatureTable } from "./table.ts";
import type { Asked } from "./xgboost.ts";

/** Vectors of the judged days that XGBoost is asked about. */
const PROBE_ROWS = 1000;
/** Fewer rows than this per process cost more in exchange than they save. */
const WORKER_ROWS = 5000;

/** Errors: engine.*; engine.failed where it learned from other rows than the table has. */
export async function boostOn(
  ports: Pick<Ports, "report">,
  engine: Engine,
  on: { readonly table: FeatureTable; readonly slices: Slices; readonly pipeline: Pipeline; readonly asked: Asked },
): Promise<{ readonly boosted: Boosted; readonly model: BoostedModel }> {
  const { table, slices, pipeline, asked } = on;
  const { cut, split } = slices;
  const { plan } = table;
  const [id, time, label] = HEAD;
  const probe = probeOf(slices.x, split.evaluate.rows);
  const boosted = await engine.boost(
    {
      files: table.files.map(({ place }) => path.resolve(place)),
      columns: { id, time, label, features: plan.names },
      isGenuine: pipeline.labels.unreportedIsGenuine,
      train: wholeMs(cut.bounds.train),
      validation: wholeMs(cut.bounds.calibrate),
      parameters: asked.parameters,
      workersMax: Math.max(1, Math.floor(cut.learned.count / WORKER_ROWS)),
      probe: { rows: probe.rows, columns: new Map(plan.names.map((name, c) => [name, columnOf(probe, c)])) },
    },
    ({ stage, done, total }) => ports.report.progress(stage, done, total),
  );
  checkLearned(boosted, cut);
  const { library, workers, rows, frauds } = boosted;
  const processes = `${workers} ${workers === 1 ? "process" : "processes"}`;
  const how = `Trained by ${library} on ${boosted.engine} in ${processes}, with ${JSON.stringify(asked.parameters)}.`;
  const model: BoostedModel = {
    bytes: boosted.model,
    plan,
    probe: { x: probe, scores: boosted.scores },
    curve: boosted.curve,
    learned: { ...cut.bounds.train, rows, frauds },
    notes: [how, ...asked.notes],
  };
  return { boosted, model };
}

function wholeMs({ from, to }: { readonly from: number; readonly to: number }): {
  readonly from: number;
  readonly to: number;
} {
  return { from: Math.ceil(from), to: Math.ceil(to) };
}

/** Rows spread over the judged days. */
function probeOf(x: Matrix, rows: Int32Array): Matrix {
  const count = Math.min(PROBE_ROWS, rows.length);
  return takeMatrixRows(
    x,
    Int32Array.from({ length: count }, (_, i) => rows[Math.floor((i * rows.length) / count)]),
  );
}

function columnOf({ rows, values }: Matrix, c: number): { readonly kind: "number"; readonly values: Float64Array } {
  return { kind: "number", values: Float64Array.from(values.subarray(c * rows, (c + 1) * rows)) };
}

/** The engine must have learned from the very rows that were counted here. */
function checkLearned({ rows, frauds, engine }: Boosted, { learned }: Cut): void {
  if (rows === learned.count && frauds === learned.frauds) return;
  throw new SentinelError(
    "engine.failed",
    `${engine} learned from ${rows} transactions with ${frauds} frauds, and the feature table has ${learned.count} with ${learned.frauds} to learn from`,
    { hint: "do all machines see the same feature table? --table must be on a file system that they share" },
  );
}
