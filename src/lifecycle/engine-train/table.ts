// The feature table that an engine made, as the machine that asks reads it: cut by time, the rows that judge, and those that the forest draws.
import { assert, SentinelError } from "../../core/errors.ts";
import type { Column, Table } from "../../core/table.ts";
import { textAt } from "../../core/table.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { type Matrix, sharedValues } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Dataset } from "../../ports/dataset.ts";
import { HEAD, tableMetadata } from "../data/feature-table.ts";
import { type SplitBounds, spanBounds } from "../train.ts";

/** What vectors may take on the machine that asks: those of the slices that calibrate and judge, and those that the forest is grown on. */
export const VECTOR_BYTES_MAX = 2 ** 32;

const [ID, TIME, LABEL] = HEAD;

export interface FeatureTable {
  readonly folder: string;
  readonly plan: FeaturePlan;
  readonly files: readonly TableFile[];
  readonly rows: number;
}

interface TableFile {
  readonly place: string;
  readonly rows: number;
}

/** Errors: dataset.*; cli.usage for a folder that holds other features, or those of other data. */
export async function openFeatureTable(
  dataset: Dataset,
  folder: string,
  of: { readonly plan: FeaturePlan; readonly pipeline: Pipeline; readonly dataHash: string },
): Promise<FeatureTable> {
  const { files, rows } = await dataset.describe(folder);
  const wanted = tableMetadata({ ...of, packageVersion: "" });
  for (const { place } of [files[0], files[files.length - 1]]) {
    const { metadata } = await dataset.describe(place);
    const odd = COMPARED.find((key) => metadata[key] !== wanted[key]);
    if (odd === undefined) continue;
    throw new SentinelError(
      "cli.usage",
      `${folder} is no feature table of this pipeline and this data: ${odd} is ${shown(metadata[odd])} in ${place}, and should be ${shown(wanted[odd])}`,
      { hint: "name a folder that is not there yet, or remove this one: the table is made again" },
    );
  }
  return { folder, plan: of.plan, files, rows };
}

/** Another version of the package makes the same numbers, or another hash of the features. */
const COMPARED = ["sentinel.features.hash", "sentinel.data.hash", "sentinel.labels.delay_ms"] as const;

function shown(text: string | undefined): string {
  return text === undefined ? "absent" : JSON.stringify(text.slice(0, 16));
}

/** Which rows are at hand, by their place in the table: its first ones, and all from some time on. */
export interface Kept {
  readonly head: number;
  readonly from: number;
  /** How many they are. */
  readonly rows: number;
}

/** How a table is cut, with what was counted on the way. */
export interface Cut {
  /** All of the table. */
  readonly rows: number;
  readonly span: { readonly first: number; readonly last: number };
  readonly bounds: SplitBounds;
  /** Labelled rows to learn from. */
  readonly learned: { readonly count: number; readonly frauds: number };
  readonly unlabelled: number;
  /** Rows later than the time that was asked about. */
  readonly ahead: number;
  readonly kept: Kept;
  /** Time of the last of the first rows. */
  readonly headTo: number;
  readonly files: readonly FileCut[];
}

interface FileCut extends TableFile {
  /** Its first row's place in the table, and the place after its last. */
  readonly begin: number;
  readonly end: number;
  /** The same among the rows to learn from. */
  readonly learnedBegin: number;
  readonly learnedEnd: number;
  readonly last: number;
}

/** Reads times and labels of the whole table. Errors: dataset.*, lifecycle.not-enough-data. */
export async function cutTable(
  dataset: Dataset,
  table: FeatureTable,
  given: {
    readonly pipeline: Pipeline;
    /** So many first rows are kept, and of the end so much time at least. */
    readonly head: number;
    readonly tailMs: number;
    readonly laterThan: number;
  },
): Promise<Cut> {
  const { pipeline, laterThan } = given;
  const { files } = table;
  const span = {
    first: (await timesOf(dataset, files[0].place))[0],
    last: (await timesOf(dataset, files[files.length - 1].place)).at(-1)!,
  };
  const bounds = spanBounds(span, pipeline);
  const head = Math.min(given.head, table.rows);
  const from = Math.min(bounds.calibrate.from, span.last - given.tailMs);
  const counted = { count: 0, frauds: 0, unlabelled: 0, ahead: 0, kept: 0, row: 0, headTo: span.first };
  const cuts: FileCut[] = [];
  const counts: { begin: number; learnedBegin: number } = { begin: 0, learnedBegin: 0 };
  let last = Number.NEGATIVE_INFINITY;
  for await (const batch of batchesOf(dataset, table, { files, columns: [TIME, LABEL] })) {
    const times = numbers(batch, TIME);
    const labels = numbers(batch, LABEL);
    for (let i = 0; i < batch.rows; i++) {
      const time = times[i];
      const isKnown = !Number.isNaN(labels[i]);
      if (!isKnown) counted.unlabelled++;
      if (time > laterThan) counted.ahead++;
      if (counted.row < head) counted.headTo = time;
      if (counted.row < head || time >= from) counted.kept++;
      counted.row++;
      last = time;
      if (time >= bounds.train.from && time < bounds.train.to && (isKnown || pipeline.labels.unreportedIsGenuine)) {
        counted.count++;
        if (labels[i] === 1) counted.frauds++;
      }
      const file = files[cuts.length];
      if (counted.row < counts.begin + file.rows) continue;
      cuts.push({ ...file, ...counts, end: counted.row, learnedEnd: counted.count, last });
      counts.begin = counted.row;
      counts.learnedBegin = counted.count;
    }
  }
  assert(cuts.length === files.length, "the table has as many rows as its files");
  const { count, frauds, unlabelled, ahead, kept, headTo } = counted;
  return {
    rows: table.rows,
    span,
    bounds,
    learned: { count, frauds },
    unlabelled,
    ahead,
    kept: { head, from, rows: kept },
    headTo,
    files: cuts,
  };
}

export interface Taken {
  /** Vectors of the rows that are kept, in the table's order, and their ids. */
  readonly x: Matrix;
  readonly ids: readonly string[];
  /** Vectors of the rows that were drawn, in the order of their numbers. */
  readonly drawn: Matrix;
}

/**
 * Reads the vectors of the rows that are kept, and of those to learn from whose numbers are in `drawn` (ascending, among the rows to learn from).
 * Files without any of them are not opened. Errors: dataset.*; dataset.too-large where they take more than {@link VECTOR_BYTES_MAX}.
 */
export async function takeVectors(
  dataset: Dataset,
  table: FeatureTable,
  given: { readonly cut: Cut; readonly pipeline: Pipeline; readonly drawn: Int32Array },
): Promise<Taken> {
  const { cut, pipeline, drawn } = given;
  const { kept, bounds } = cut;
  const { names, width } = table.plan;
  checkSize({ rows: kept.rows + drawn.length, width, pipeline });
  const x: Matrix = { rows: kept.rows, names, values: sharedValues(kept.rows * width) };
  const forest: Matrix = { rows: drawn.length, names, values: sharedValues(drawn.length * width) };
  const ids: string[] = [];
  let nextDrawn = 0;
  const wanted = cut.files.filter((file) => {
    const isDrawn = nextAtLeast(drawn, file.learnedBegin) < file.learnedEnd;
    return isDrawn || file.begin < kept.head || file.last >= kept.from;
  });
  let at = 0;
  let row = wanted[0]?.begin ?? 0;
  let learned = wanted[0]?.learnedBegin ?? 0;
  for await (const batch of batchesOf(dataset, table, { files: wanted, columns: [ID, TIME, LABEL, ...names] })) {
    const times = numbers(batch, TIME);
    const labels = numbers(batch, LABEL);
    const id = batch.columns.get(ID)!;
    const columns = names.map((name) => numbers(batch, name));
    for (let i = 0; i < batch.rows; i++) {
      if (row < kept.head || times[i] >= kept.from) {
        for (let c = 0; c < width; c++) x.values[c * x.rows + ids.length] = columns[c][i];
        ids.push(textAt(id, i) ?? "");
      }
      const isKnown = !Number.isNaN(labels[i]) || pipeline.labels.unreportedIsGenuine;
      if (times[i] >= bounds.train.from && times[i] < bounds.train.to && isKnown && learned++ === drawn[nextDrawn]) {
        for (let c = 0; c < width; c++) forest.values[c * forest.rows + nextDrawn] = columns[c][i];
        nextDrawn++;
      }
      if (++row < wanted[at].end) continue;
      at++;
      row = wanted[at]?.begin ?? row;
      learned = wanted[at]?.learnedBegin ?? learned;
    }
  }
  assert(ids.length === kept.rows && nextDrawn === drawn.length, "the table is what it was when it was cut");
  return { x, ids, drawn: forest };
}

function checkSize(of: { readonly rows: number; readonly width: number; readonly pipeline: Pipeline }): void {
  const bytes = of.rows * of.width * Float32Array.BYTES_PER_ELEMENT;
  if (bytes <= VECTOR_BYTES_MAX) return;
  const gb = (value: number): string => `${(value / 2 ** 30).toFixed(1)} GB`;
  throw new SentinelError(
    "dataset.too-large",
    `the rows that calibrate and judge are ${of.rows.toLocaleString("en")} vectors of ${of.width} features, ${gb(bytes)}: the machine that asks takes ${gb(VECTOR_BYTES_MAX)}`,
    {
      hint: `lower split.calibrate and split.evaluate in ${of.pipeline.file}: of a long table a small share has frauds enough`,
    },
  );
}

async function timesOf(dataset: Dataset, place: string): Promise<Float64Array> {
  const times = (await dataset.read(place, { columns: [TIME] })).columns.get(TIME);
  assert(times !== undefined && times.kind !== "text", "a feature table has times");
  return times.values;
}

/** The named files one after the other, in one go where their names can stand in a list. */
async function* batchesOf(
  dataset: Dataset,
  table: FeatureTable,
  { files, columns }: { readonly files: readonly TableFile[]; readonly columns: readonly string[] },
): AsyncGenerator<Table> {
  if (files.length === 0) return;
  const places = files.map(({ place }) => place);
  const asked =
    files.length === table.files.length
      ? [table.folder]
      : places.some((place) => place.includes(","))
        ? places
        : [places.join(",")];
  for (const place of asked) {
    const scan = await dataset.scan(place, { columns });
    yield* scan.batches(columns);
  }
}

/** The first of ascending numbers that is no less; infinity where all are. */
function nextAtLeast(numbers: Int32Array, least: number): number {
  let [from, to] = [0, numbers.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (numbers[middle] < least) from = middle + 1;
    else to = middle;
  }
  return numbers[from] ?? Number.POSITIVE_INFINITY;
}

function numbers(batch: Table, name: string): Float64Array {
  const column: Column | undefined = batch.columns.get(name);
  assert(column !== undefined && column.kind !== "text", `a feature table has the numbers ${name}`);
  return column.values;
}
