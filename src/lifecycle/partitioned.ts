// Partitioned: the feature table of a dataset that one machine need not hold, made by an engine in as many processes as it has.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { assert, SentinelError } from "../core/errors.ts";
import { type FrameColumn, frameColumnsOf } from "../core/frame.ts";
import { type Column, numberAt, type Table, textAt } from "../core/table.ts";
import { ID_COLUMN, KNOWN_COLUMN, keyPasses, LABEL_COLUMN, ROW_COLUMN, TIME_COLUMN } from "../features/by-key.ts";
import { carriedColumn, type FeaturePlan } from "../features/plan.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { DatasetDescription } from "../ports/dataset.ts";
import type { Engine, EngineStage } from "../ports/engine.ts";
import type { Ports } from "../ports/ports.ts";
import { checkNames, tableMetadata } from "./data/feature-table.ts";
import { lackingText } from "./data/plausible.ts";
import { openSource, repeatedId } from "./data/source.ts";
import { LABEL_KNOWN_AT } from "./data/vectors.ts";
import {
  DAY_COLUMN,
  hashColumn,
  IDS_COLUMNS,
  type KeyTask,
  type ReadTask,
  SPLIT_COLUMNS,
  type Split,
  type WorkerTask,
  WRITTEN_COLUMNS,
  type WriteTask,
} from "./partitioned/task.ts";

export { mergeStates } from "./partitioned/state.ts";
export type { WorkerTask } from "./partitioned/task.ts";
export { workOn } from "./partitioned/work.ts";

/** Rows of a partition where nobody says how many partitions there are. */
const PARTITION_ROWS = 2_000_000;
const PARTITIONS_MIN = 2;
export const PARTITIONS_MAX = 20_000;
/** What the feature state of one process may take: see docs/spark.md. */
export const STATE_BYTES_MAX = 2 ** 30;

export interface PartitionedInput {
  readonly engine: Engine;
  readonly plan: FeaturePlan;
  readonly pipeline: Pipeline;
  /** The labelled table. */
  readonly path: string;
  /** The folder to write. */
  readonly out: string;
  readonly packageVersion: string;
  /** Absent: as many as the rows ask for. */
  readonly partitions?: number;
  readonly stateBytesMax?: number;
  /** SHA-256 of the table, where it is known already. */
  readonly dataHash?: string;
  /** A folder that is not there yet, for what is known of each key at the end of the data: see {@link mergeStates}. Absent: nothing is kept. */
  readonly stateFolder?: string;
}

export interface PartitionedResult {
  readonly rows: number;
  /** Times of the first row and the last. */
  readonly span: { readonly first: number; readonly last: number };
  readonly files: number;
  readonly partitions: number;
  readonly dataHash: string;
  readonly engine: string;
}

/**
 * Writes what `featurise` writes, to the last bit, as a folder with a folder per UTC day: the rows of a day in time order, ties as in the table.
 * The folder appears whole or not at all. Errors: cli.usage (the folder is there already), dataset.*, features.*, engine.*.
 */
export async function featurisePartitioned(ports: Ports, input: PartitionedInput): Promise<PartitionedResult> {
  const { plan, pipeline, out, engine } = input;
  checkOut(out);
  checkNames(plan, ["date"]);
  const dataset = await ports.dataset();
  const source = await openSource(dataset, pipeline, {
    path: input.path,
    plans: [plan],
    labelled: true,
    hash: input.dataHash,
  });
  const whole = await dataset.describe(input.path);
  const isArchive = (await dataset.archives(input.path)).length > 0;
  const lacking = lackingText({ path: input.path, table: source.empty }, plan);
  if (lacking !== null) ports.report.line(lacking);
  const partitions = input.partitions ?? partitionsOf(whole.rows);
  const making = partialFolder(out);
  rmSync(making, { recursive: true, force: true });
  try {
    const stages = stagesOf({ ...input, whole, isArchive, empty: source.empty });
    const splits = splitsOf(whole, partitions).map((split) => JSON.stringify(split));
    const dataHash = source.hash;
    const metadata = tableMetadata({ plan, pipeline, dataHash, packageVersion: input.packageVersion });
    const write = stages.write({ folder: path.resolve(making), metadata });
    const job = { splits, partitions, ids: stages.ids, stages: [...stages.rows, write] };
    const made = await engine.run(job, ({ stage, done, total }) => ports.report.progress(stage, done, total));
    if (made.ids !== null && made.ids.twice !== null) throw repeatedId(input.path, made.ids.twice);
    const written = filesOf(made.result);
    const rows = written.reduce((sum, file) => sum + file.rows, 0);
    if (rows !== whole.rows) throw lost(rows, whole.rows, made.engine);
    settle(making, written);
    if (input.stateFolder !== undefined && existsSync(input.stateFolder)) removeHidden(input.stateFolder);
    renameSync(making, out);
    const span = {
      first: written.reduce((least, { first }) => Math.min(least, first), Number.POSITIVE_INFINITY),
      last: written.reduce((most, { last }) => Math.max(most, last), Number.NEGATIVE_INFINITY),
    };
    return { rows, span, files: written.length, partitions, dataHash, engine: made.engine };
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function checkOut(out: string): void {
  if (!existsSync(out)) return;
  throw new SentinelError("cli.usage", `--out ${out} is there already`, {
    hint: "name a folder that is not there yet, or remove it: tables of several runs in one folder would be read as one",
  });
}

/** Hidden from whoever reads the folder beside it. */
function partialFolder(out: string): string {
  return path.join(path.dirname(path.resolve(out)), `.${path.basename(out)}.sentinel-part`);
}

function partitionsOf(rows: number): number {
  return Math.min(PARTITIONS_MAX, Math.max(PARTITIONS_MIN, Math.ceil(rows / PARTITION_ROWS)));
}

/** Whole files in their order, in about equal shares. */
function splitsOf({ files, rows }: DatasetDescription, partitions: number): Split[] {
  const share = rows / partitions;
  const splits: { files: { place: string; before: number }[] }[] = [];
  let before = 0;
  for (const file of files) {
    // By the middle of the file, so that shares are as equal as files allow.
    const at = Math.min(partitions - 1, Math.floor((before + file.rows / 2) / share));
    splits[at] ??= { files: [] };
    splits[at].files.push({ place: file.place, before });
    before += file.rows;
  }
  return splits.filter((split) => split !== undefined);
}

interface StagesInput extends PartitionedInput {
  readonly whole: DatasetDescription;
  readonly isArchive: boolean;
  readonly empty: Table;
}

/** The stages: reading, a pass per key, writing. */
function stagesOf(input: StagesInput): {
  readonly ids: EngineStage | null;
  readonly rows: readonly EngineStage[];
  write(more: Pick<WriteTask, "folder" | "metadata">): EngineStage;
} {
  const { plan, pipeline, whole, isArchive, empty, packageVersion, stateBytesMax = STATE_BYTES_MAX } = input;
  const stateFolder = input.stateFolder === undefined ? undefined : path.resolve(input.stateFolder);
  const passes = keyPasses(plan);
  const { id, time, label } = pipeline.columns;
  const canonical = frameColumnsOf(empty);
  const common = {
    packageVersion,
    pipeline: { name: pipeline.name, text: readFileSync(pipeline.file, "utf8"), file: pipeline.file },
    spec: plan.spec,
  };
  const wanted = new Set([id, time, label, LABEL_KNOWN_AT, ...passes.flatMap(({ inputs }) => inputs)]);
  const columns = canonical.filter(({ name }) => wanted.has(name));
  const number = (name: string): FrameColumn => ({ name, type: "f64" });
  const head: readonly FrameColumn[] = [
    number(ROW_COLUMN),
    { name: TIME_COLUMN, type: "f64", kind: "time" },
    { ...canonical.find(({ name }) => name === id)!, name: ID_COLUMN },
    number(LABEL_COLUMN),
    number(DAY_COLUMN),
  ];
  /** What the rows have before a pass: what it and those after it read, and what those before it found. */
  const before = (pass: number): FrameColumn[] => {
    const inputs = new Set(passes.slice(pass).flatMap((one) => one.inputs));
    const found = passes.slice(0, pass).flatMap(({ finds }) => [...finds]);
    return [
      ...head,
      { name: KNOWN_COLUMN, type: "f64", kind: "time" },
      ...passes.slice(pass).map((_, i) => number(hashColumn(pass + i))),
      ...columns.filter(({ name }) => inputs.has(name)),
      ...found.map((feature) => number(carriedColumn(plan.names[feature]))),
    ];
  };
  const finished: readonly FrameColumn[] = [...head, ...plan.names.map((name) => ({ name, type: "f32" as const }))];
  const stage = (name: string, task: WorkerTask, by?: string): EngineStage => ({
    name,
    task,
    columns: task.output,
    ...(by === undefined ? {} : { shuffle: { by, sort: [TIME_COLUMN, ROW_COLUMN] } }),
  });
  const reading: Omit<ReadTask, "kind" | "output"> = { ...common, whole, isArchive, columns, input: SPLIT_COLUMNS };
  const keys = passes.map((one, pass): EngineStage => {
    const output = one.isLast ? finished : before(pass + 1);
    const kept = stateFolder === undefined ? {} : { stateFolder };
    const task: KeyTask = { ...common, ...kept, kind: "key", pass, stateBytesMax, input: before(pass), output };
    return stage(one.key === null ? "features" : `features by ${one.key.join(", ")}`, task, hashColumn(pass));
  });
  return {
    // Ids that are made of the rows' numbers are all different.
    ids: pipeline.written.rowIds ? null : stage("ids", { ...reading, kind: "ids", output: IDS_COLUMNS }),
    rows: [stage("read", { ...reading, kind: "read", output: before(0) }), ...keys],
    write: (more) => {
      const task: WriteTask = { ...common, ...more, kind: "write", input: finished, output: WRITTEN_COLUMNS };
      return stage("write", task, DAY_COLUMN);
    },
  };
}

function lost(rows: number, of: number, engine: string): SentinelError {
  return new SentinelError("engine.failed", `${engine} handed over ${rows} of ${of} rows`, {
    hint: "did somebody write to the table meanwhile? run it again on a table that stands still",
  });
}

interface WrittenFile {
  readonly name: string;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

function filesOf(result: Table | null): WrittenFile[] {
  if (result === null) return [];
  const column = (name: string): Column => {
    const found = result.columns.get(name);
    assert(found !== undefined, `the stage that writes says ${name}`);
    return found;
  };
  const number = (name: string, row: number): number => numberAt(column(name), row);
  return Array.from({ length: result.rows }, (_, row) => ({
    name: textAt(column("file"), row) ?? "",
    rows: number("rows", row),
    first: number("first", row),
    last: number("last", row),
  }));
}

/** Removes what processes left behind that were ended in the middle, and sees that every file is there. */
function settle(folder: string, written: readonly { readonly name: string }[]): void {
  for (const { name } of written) {
    const file = path.join(folder, name);
    if (existsSync(file)) continue;
    throw new SentinelError("dataset.unwritable", `${file} was written on another machine and is not here`, {
      hint: "--out must be on a file system that all machines of the cluster share",
    });
  }
  for (const day of new Set(written.map(({ name }) => path.dirname(name)))) removeHidden(path.join(folder, day));
}

function removeHidden(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(".")) rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}
