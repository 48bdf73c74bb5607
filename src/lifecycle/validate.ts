// Validate: the data gate over a pipeline's table, in batches; GX result JSON, an HTML report, and the rows at fault.
import { messageOf } from "../core/errors.ts";
import type { Table } from "../core/table.ts";
import type { TimeRule } from "../core/time.ts";
import type { FeaturePlan } from "../features/plan.ts";
import type { InputReport } from "../features/trained-inputs.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { Batches } from "../quality/evaluate.ts";
import { type DataGateResult, dataGate, dataGateOfBatches, type Requirements } from "../quality/gate.ts";
import { type ProposedSuite, proposeSuite } from "../quality/profile.ts";
import { htmlReport } from "../quality/report.ts";
import { shapesOf } from "../quality/shape.ts";
import { Sketcher } from "../quality/sketch.ts";
import { TallyPool } from "../quality/tally-pool.ts";
import { type FaultExport, faultExport } from "./data/fault-rows.ts";
import { lackingText } from "./data/plausible.ts";
import { withScratch } from "./data/scratch.ts";
import { inputsOfTable, servedReport } from "./data/served.ts";
import { type OpenSource, openSource, readSource } from "./data/source.ts";
import { readingPlan } from "./data/spec-table.ts";
import { readSuite } from "./data/suite-file.ts";

export interface ValidateResult extends DataGateResult {
  readonly source: Pick<OpenSource, "path" | "hash" | "rows">;
  /** How the log's newest transactions look beside this table; null where nothing was served yet, or the table is too long. */
  readonly served: InputReport | null;
  /** A self-contained page. */
  readonly html: string;
  /** The rows at fault; null where no check names any. */
  readonly failures: FaultExport | null;
}

/** Rows of a table whose keys are compared with those that were served: they are held in memory for it. */
const SERVED_ROWS_MAX = 5_000_000;

/** Errors: dataset.*, quality.suite-invalid, workspace.unwritable. */
export async function validate(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly path: string },
): Promise<ValidateResult> {
  const { pipeline, path } = input;
  const suite = readSuite(pipeline);
  const { source, plan } = await openTable(ports, input);
  const lacking = lackingText({ path, table: source.empty }, plan);
  if (lacking !== null) ports.report.line(lacking);
  const sketcher = new Sketcher(shapesOf(source.empty));
  const gate = await withScratch((scratch) =>
    dataGateOfBatches({
      batches: batchesOf(ports, source, "validate"),
      suite,
      requirements: requirementsOf(pipeline),
      pool: new TallyPool({ scratch }),
      onlooker: sketcher,
    }),
  );
  const failures = await faultExport(source, gate);
  const served = await servedBeside(ports, { pipeline, plan, source });
  return {
    ...gate,
    served,
    source: { path, hash: source.hash, rows: source.rows },
    html: htmlReport(gate.result, {
      title: `${pipeline.name}: ${path}`,
      sketches: sketcher.sketches(),
      ...(failures === null ? {} : { sampled: failures.sampled }),
      failures: failures?.csv ?? null,
    }),
    failures,
  };
}

/** A suite proposed from a table, to be edited and kept. Errors: dataset.*, workspace.unwritable. */
export async function profile(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly path: string },
): Promise<ProposedSuite & { readonly rows: number }> {
  const { pipeline, path } = input;
  const { source } = await openTable(ports, input);
  const shapes = shapesOf(source.empty);
  const proposed = await withScratch((scratch) =>
    proposeSuite(batchesOf(ports, source, "profile"), {
      name: pipeline.name,
      roles: pipeline.columns,
      shapes,
      pool: new TallyPool({ scratch }),
      origin: `${path}, ${source.rows} rows, sha256 ${source.hash}`,
    }),
  );
  return { ...proposed, rows: source.rows };
}

/** The pipeline's suite and Sentinel's own requirements over a table with canonical names. */
export function gateOf(pipeline: Pipeline, table: Table): DataGateResult {
  return dataGate({ table, suite: readSuite(pipeline), requirements: requirementsOf(pipeline) });
}

/** The same of a table that need not fit into memory, with its hash. Errors: dataset.*, quality.suite-invalid, workspace.unwritable. */
export async function gateOfTable(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly path: string },
): Promise<{ readonly gate: DataGateResult; readonly hash: string }> {
  const { pipeline } = input;
  const suite = readSuite(pipeline);
  const { source } = await openTable(ports, input);
  const gate = await withScratch((scratch) =>
    dataGateOfBatches({
      batches: batchesOf(ports, source, "validate"),
      suite,
      requirements: requirementsOf(pipeline),
      pool: new TallyPool({ scratch }),
    }),
  );
  return { gate, hash: source.hash };
}

async function openTable(
  ports: Ports,
  { pipeline, path }: { readonly pipeline: Pipeline; readonly path: string },
): Promise<{ readonly source: OpenSource; readonly plan: FeaturePlan }> {
  const dataset = await ports.dataset();
  const plan = await readingPlan(ports, pipeline, path);
  return { plan, source: await openSource(dataset, pipeline, { path, plans: [plan], labelled: true, all: true }) };
}

function batchesOf(ports: Ports, source: OpenSource, label: string): Batches {
  return {
    columns: shapesOf(source.empty),
    async *read(columns) {
      let rows = 0;
      for await (const batch of source.batches(columns)) {
        yield batch;
        rows += batch.rows;
        ports.report.progress(label, rows, source.rows);
      }
    },
  };
}

function requirementsOf({ columns, gates, times }: Pipeline): Requirements {
  const { id, time, amount, label } = columns;
  const [min, max] = gates.data.labelRate;
  return {
    columns: { [id]: "key", [time]: "time", ...(amount === null ? {} : { [amount]: "number" }), [label]: "number" },
    ...(isCoarse(times) ? {} : { volume: { column: time, severity: "warning" as const } }),
    labelRate: { column: label, min, max },
  };
}

/** A table is judged without a log too. */
async function servedBeside(
  ports: Ports,
  given: { readonly pipeline: Pipeline; readonly plan: FeaturePlan; readonly source: OpenSource },
): Promise<InputReport | null> {
  const { pipeline, plan, source } = given;
  try {
    if ((await (await ports.log()).recent(1)).length === 0) return null;
    if (source.rows > SERVED_ROWS_MAX) {
      const rows = SERVED_ROWS_MAX.toLocaleString("en");
      ports.report.line(`  served keys are not compared with this table's: it has more than ${rows} rows`);
      return null;
    }
    const { path } = source;
    const { table, hash } = await readSource(await ports.dataset(), pipeline, { path, plans: [plan], labelled: true });
    const trained = inputsOfTable(table, { pipeline, plan, dataHash: hash });
    const served = await servedReport(ports, { pipeline, plan, trained });
    return served.rows === 0 ? null : served;
  } catch (error) {
    ports.report.line(`  served keys are not looked at: ${messageOf(error)}`);
    return null;
  }
}

/** Whether times count weeks, months or several days: then most days have no row, and no day is to be compared with the others. */
function isCoarse({ unit, count = 1, format }: TimeRule): boolean {
  return format === undefined && (unit === "month" || unit === "w" || (unit === "d" && count > 1));
}
