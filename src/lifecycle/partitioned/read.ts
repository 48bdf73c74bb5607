// The first stage: files are read as the whole table would be, and each row gets its number, its day and the hashes of its keys.
import { DAY_MS } from "../../core/duration.ts";
import type { Column, Table } from "../../core/table.ts";
import { textAt } from "../../core/table.ts";
import {
  ID_COLUMN,
  type KeyPass,
  KNOWN_COLUMN,
  keyPasses,
  LABEL_COLUMN,
  ROW_COLUMN,
  TIME_COLUMN,
} from "../../features/by-key.ts";
import { hashId } from "../../features/labels.ts";
import { compileSpec } from "../../features/plan.ts";
import { labelsOf } from "../../features/replay.ts";
import { joinKey } from "../../features/state.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Dataset } from "../../ports/dataset.ts";
import { areWhole } from "../data/feature-table.ts";
import { openPart } from "../data/source.ts";
import { LABEL_KNOWN_AT } from "../data/vectors.ts";
import { DAY_COLUMN, hashColumn, IDS_COLUMNS, type ReadTask, type Split } from "./task.ts";

/** The rows of the splits, in their order. Errors: those of reading a table. */
export async function* readSplits(
  dataset: Dataset,
  task: ReadTask,
  given: { readonly pipeline: Pipeline; readonly splits: AsyncIterable<Table> },
): AsyncGenerator<Table> {
  const { pipeline } = given;
  const plan = compileSpec(task.spec);
  const passes = keyPasses(plan);
  const empty: Table = { rows: 0, columns: new Map(task.columns.map((column) => [column.name, emptyColumn(column)])) };
  const wanted = task.kind === "ids" ? [pipeline.columns.id] : task.columns.map(({ name }) => name);
  for await (const split of textsOf(given.splits)) {
    for (const { place, before } of (JSON.parse(split) as Split).files) {
      const part = { path: place, before, whole: task.whole, isArchive: task.isArchive, empty };
      const opened = await openPart(dataset, pipeline, { path: place, plans: [plan], labelled: true, part });
      let row = before;
      for await (const table of opened.batches(wanted)) {
        yield task.kind === "ids" ? idsOf(table, row, pipeline) : rowsOf(table, row, { pipeline, passes });
        row += table.rows;
      }
    }
  }
}

async function* textsOf(frames: AsyncIterable<Table>): AsyncGenerator<string> {
  for await (const frame of frames) {
    const column = frame.columns.get("split")!;
    for (let row = 0; row < frame.rows; row++) yield textAt(column, row) ?? "";
  }
}

function emptyColumn({ kind = "number", boolean }: ReadTask["columns"][number]): Column {
  if (kind === "text") return { kind, codes: new Int32Array(0), dictionary: [] };
  const values = new Float64Array(0);
  if (kind === "time") return { kind, values };
  return boolean === true ? { kind, values, boolean } : { kind, values };
}

function idsOf(table: Table, before: number, { columns }: Pipeline): Table {
  const id = table.columns.get(columns.id)!;
  const dictionary = Array.from({ length: table.rows }, (_, row) => textAt(id, row) ?? "");
  const cells: readonly Column[] = [
    { kind: "text", codes: Int32Array.from(dictionary, (_, row) => row), dictionary },
    rowNumbers(table.rows, before),
    { kind: "number", values: new Float64Array(table.rows).fill(areWhole(id) ? 1 : 0) },
  ];
  return { rows: table.rows, columns: new Map(IDS_COLUMNS.map(({ name }, i) => [name, cells[i]])) };
}

function rowsOf(
  table: Table,
  before: number,
  { pipeline, passes }: { readonly pipeline: Pipeline; readonly passes: readonly KeyPass[] },
): Table {
  const { id, time, label } = pipeline.columns;
  const times = table.columns.get(time)!;
  const instants = times.kind === "text" ? new Float64Array(table.rows) : times.values;
  const { knownAt } = labelsOf(
    {
      table,
      columns: { id, time, label, labelKnownAt: table.columns.has(LABEL_KNOWN_AT) ? LABEL_KNOWN_AT : undefined },
      labelDelayMs: pipeline.labels.delayMs,
    },
    instants,
  );
  const cells = new Map(table.columns);
  cells.set(ROW_COLUMN, rowNumbers(table.rows, before));
  cells.set(TIME_COLUMN, { kind: "time", values: instants });
  cells.set(ID_COLUMN, table.columns.get(id)!);
  cells.set(LABEL_COLUMN, table.columns.get(label)!);
  cells.set(KNOWN_COLUMN, { kind: "time", values: knownAt });
  cells.set(DAY_COLUMN, { kind: "number", values: instants.map((instant) => Math.floor(instant / DAY_MS)) });
  passes.forEach(({ key }, pass) => {
    cells.set(hashColumn(pass), { kind: "number", values: hashesOf(table, key ?? [], before) });
  });
  return { rows: table.rows, columns: cells };
}

function rowNumbers(rows: number, before: number): Column {
  const values = new Float64Array(rows);
  for (let row = 0; row < rows; row++) values[row] = before + row;
  return { kind: "number", values };
}

/** Rows without the key need not be together: they go wherever their number says. */
function hashesOf(table: Table, key: readonly string[], before: number): Float64Array {
  const columns = key.map((name) => table.columns.get(name));
  const hashes = new Float64Array(table.rows);
  for (let row = 0; row < table.rows; row++) {
    const texts = columns.map((column) => (column === undefined ? null : textAt(column, row)));
    const text = texts.length === 0 ? null : joinKey(texts);
    hashes[row] = hashId(text ?? String(before + row));
  }
  return hashes;
}
