// Featurise: a table's feature vectors as a Parquet file of their own, for people who train elsewhere.
import { realpathSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { canonicalJson } from "../core/hash.ts";
import { PRIVATE_FILE_MODE } from "../core/private.ts";
import { type Column, type Table, takeRows } from "../core/table.ts";
import { isOpen } from "../features/open.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import type { VectorBlock } from "../features/replay.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { lackingText } from "./data/plausible.ts";
import { writeResults } from "./data/result-files.ts";
import { checkUniqueIds, readSource } from "./data/source.ts";
import { loadOpenSpec } from "./data/spec-file.ts";
import { vectorBlocks } from "./data/vectors.ts";
import { learnedSpec } from "./train.ts";

/** The columns before the features. */
const HEAD = ["transaction_id", "time", "label"] as const;
/** Rows of a batch: whole chunks of a Parquet row group; with a hundred features it takes 100 MB on its way. */
const BATCH_ROWS = 61_440;

export interface FeaturiseInput {
  readonly pipeline: Pipeline;
  /** The labelled table. */
  readonly path: string;
  /** The Parquet file to write. */
  readonly out: string;
  readonly packageVersion: string;
}

export interface FeaturiseResult {
  readonly out: string;
  readonly rows: number;
  readonly features: number;
  /** Where the spec stands with what it left open, for `features:` and imports; null when it left nothing open. */
  readonly specFile: string | null;
  /** Hash of the feature spec, as in a bundle, and SHA-256 of the data file. */
  readonly featureHash: string;
  readonly dataHash: string;
}

/**
 * Writes one row a transaction, in time order: transaction_id, time, label (1, 0, or null where not known), then the vector that `train` learns
 * from, Float32 bit for bit, NaN as null. The whole input columns that the features read are in memory, the vectors never. The file says
 * in its metadata which features and data it was made of. Errors: cli.usage, dataset.*, features.spec-invalid.
 */
export async function featurise(ports: Ports, input: FeaturiseInput): Promise<FeaturiseResult> {
  const { pipeline, out } = input;
  checkOut(input);
  const isLearned = isOpen(await loadOpenSpec(pipeline));
  const plan = compileSpec(await learnedSpec(ports, pipeline, input.path));
  checkNames(plan);
  const dataset = await ports.dataset();
  const source = await readSource(dataset, pipeline, { path: input.path, plans: [plan], labelled: true });
  checkUniqueIds(source, pipeline);
  const lacking = lackingText(source, plan);
  if (lacking !== null) ports.report.line(lacking);
  const { report } = ports;
  const blocks = vectorBlocks(source.table, { plan, pipeline, report, blockRows: BATCH_ROWS });
  const head = headOf(source.table, pipeline);
  const { rows } = await dataset.write(out, batches(blocks, { head, names: plan.names }), {
    integers: integersOf(head),
    floats: plan.names,
    metadata: {
      "sentinel.version": input.packageVersion,
      "sentinel.pipeline": pipeline.name,
      "sentinel.features": canonicalJson(plan.spec),
      "sentinel.features.hash": plan.hash,
      "sentinel.data.hash": source.hash,
      "sentinel.labels.delay_ms": String(pipeline.labels.delayMs),
    },
  });
  const specFile = isLearned ? writeSpec(out, plan) : null;
  return { out, rows, specFile, features: plan.width, featureHash: plan.hash, dataHash: source.hash };
}

/** Beside the table: t.parquet and t.spec.json. */
function writeSpec(out: string, { spec }: FeaturePlan): string {
  const name = `${path.basename(out, path.extname(out))}.spec.json`;
  writeResults(path.dirname(out), { [name]: `${JSON.stringify(spec, null, 2)}\n` }, { mode: PRIVATE_FILE_MODE });
  return path.join(path.dirname(out), name);
}

function checkOut({ out, path: data }: FeaturiseInput): void {
  if (path.extname(out).toLowerCase() !== ".parquet") {
    throw new SentinelError("cli.usage", `--out ${out} is no Parquet file`, {
      hint: "name a file that ends in .parquet: only Parquet keeps the features as the 32-bit numbers that they are",
    });
  }
  if (placeOf(out) !== placeOf(data)) return;
  throw new SentinelError("cli.usage", `--out ${out} is the data file itself`, {
    hint: "name another file: the transactions would be lost",
  });
}

/** The file that a path leads to, through links where it is there. */
function placeOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return path.resolve(file);
  }
}

/** DuckDB, Spark and pandas on Arrow tell columns apart without regard to case, or fail on those that differ by it alone. */
function checkNames(plan: FeaturePlan): void {
  const seen = new Map<string, string>(HEAD.map((name) => [name, name]));
  for (const name of plan.names) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw new SentinelError(
        "features.spec-invalid",
        `the feature table of ${plan.spec.name} cannot hold the columns ${other} and ${name} side by side`,
        { hint: `give the feature ${name} a name that differs by more than case; ${HEAD.join(", ")} are taken` },
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

/** The columns before the features, for the whole table. */
function headOf(table: Table, { columns }: Pipeline): Table {
  const time = table.columns.get(columns.time)!;
  const asTime: Column = time.kind === "text" ? time : { kind: "time", values: time.values };
  const cells = [table.columns.get(columns.id)!, asTime, table.columns.get(columns.label)!];
  return { rows: table.rows, columns: new Map(HEAD.map((name, i) => [name, cells[i]])) };
}

/** Ids that are whole numbers stay such; the label is 0 or 1. */
function integersOf(head: Table): string[] {
  const id = head.columns.get("transaction_id")!;
  const whole = id.kind === "number" && id.values.every((value) => Number.isNaN(value) || Number.isSafeInteger(value));
  return whole ? ["transaction_id", "label"] : ["label"];
}

function* batches(
  blocks: Iterable<VectorBlock>,
  given: { readonly head: Table; readonly names: readonly string[] },
): Generator<Table, void, undefined> {
  const { head, names } = given;
  for (const { rows, vectors, step } of blocks) {
    const columns = new Map<string, Column>(takeRows(head, rows).columns);
    names.forEach((name, c) => {
      const values = new Float64Array(rows.length);
      for (let i = 0; i < rows.length; i++) values[i] = vectors[i + c * step];
      columns.set(name, { kind: "number", values });
    });
    yield { rows: rows.length, columns };
  }
}
