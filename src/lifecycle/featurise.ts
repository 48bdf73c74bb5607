// Featurise: a table's feature vectors as a Parquet file of their own, for people who train elsewhere.
import { realpathSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../core/private.ts";
import { spanOf } from "../core/stats.ts";
import { type Column, type Table, takeRows } from "../core/table.ts";
import { isOpen } from "../features/open.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import { timesOf, type VectorBlock } from "../features/replay.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { areWhole, BATCH_ROWS, checkNames, headOf, integersOf, tableMetadata } from "./data/feature-table.ts";
import { lackingText } from "./data/plausible.ts";
import { writeResults } from "./data/result-files.ts";
import { checkUniqueIds, readSource } from "./data/source.ts";
import { loadOpenSpec } from "./data/spec-file.ts";
import { vectorBlocks } from "./data/vectors.ts";
import { featurisePartitioned, type PartitionedInput, type PartitionedResult } from "./partitioned.ts";
import { learnedSpec, type SplitBounds, splitBounds } from "./train.ts";

export interface FeaturiseInput {
  readonly pipeline: Pipeline;
  /** The labelled table. */
  readonly path: string;
  /** The Parquet file to write; with an engine, the folder. */
  readonly out: string;
  readonly packageVersion: string;
  /** Absent: this process. */
  readonly by?: EngineChoice;
}

/** Who computes, and in how many parts. */
export type EngineChoice = Pick<PartitionedInput, "engine" | "partitions" | "stateBytesMax">;

export interface FeaturiseResult {
  readonly out: string;
  readonly rows: number;
  readonly features: number;
  /** Where the spec stands with what it left open, for `features:` and imports; null when it left nothing open. */
  readonly specFile: string | null;
  /** Hash of the feature spec, as in a bundle, and SHA-256 of the data file. */
  readonly featureHash: string;
  readonly dataHash: string;
  /** Where `train` would cut the table, by time in milliseconds: a model that is trained elsewhere must learn from `train` alone; null for a table too short. */
  readonly split: SplitBounds | null;
  /** What an engine says of its run; absent where this process computed. */
  readonly run?: Pick<PartitionedResult, "engine" | "partitions" | "files">;
}

/**
 * Writes one row a transaction, in time order: transaction_id, time, label (1, 0, or null where not known), then the vector that `train` learns
 * from, Float32 bit for bit, NaN as null. The whole input columns that the features read are in memory, the vectors never. The file says
 * in its metadata which features and data it was made of. Errors: cli.usage, dataset.*, features.spec-invalid.
 */
export async function featurise(ports: Ports, input: FeaturiseInput): Promise<FeaturiseResult> {
  const { pipeline, out } = input;
  if (input.by === undefined) checkOut(input);
  const isLearned = isOpen(await loadOpenSpec(pipeline));
  const plan = compileSpec(await learnedSpec(ports, pipeline, input.path));
  if (input.by !== undefined) {
    const { rows, dataHash, span, ...run } = await featurisePartitioned(ports, { ...input, ...input.by, plan });
    const specFile = isLearned ? writeSpec(out, plan) : null;
    const split = splitBounds(span, pipeline);
    return { out, rows, specFile, features: plan.width, featureHash: plan.hash, dataHash, split, run };
  }
  checkNames(plan);
  const dataset = await ports.dataset();
  const source = await readSource(dataset, pipeline, { path: input.path, plans: [plan], labelled: true });
  checkUniqueIds(source, pipeline);
  const lacking = lackingText(source, plan);
  if (lacking !== null) ports.report.line(lacking);
  const { report } = ports;
  const blocks = vectorBlocks(source.table, { plan, pipeline, report, blockRows: BATCH_ROWS });
  const head = headOf(source.table, pipeline.columns);
  const { rows } = await dataset.write(out, batches(blocks, { head, names: plan.names }), {
    integers: integersOf(areWhole(head.columns.get("transaction_id")!)),
    floats: plan.names,
    metadata: tableMetadata({ plan, pipeline, dataHash: source.hash, packageVersion: input.packageVersion }),
  });
  const specFile = isLearned ? writeSpec(out, plan) : null;
  const split = splitBounds(spanOf(timesOf(source.table, pipeline.columns.time)), pipeline);
  return { out, rows, specFile, features: plan.width, featureHash: plan.hash, dataHash: source.hash, split };
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
