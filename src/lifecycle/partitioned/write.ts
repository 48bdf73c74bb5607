// The last stage: rows of whole days, in time order, become the files of the feature table.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { archiveDay, dayFolder } from "../../core/archive-names.ts";
import { DAY_MS } from "../../core/duration.ts";
import type { Column, Table } from "../../core/table.ts";
import { numberAt, sliceRows } from "../../core/table.ts";
import { ID_COLUMN, LABEL_COLUMN, TIME_COLUMN } from "../../features/by-key.ts";
import { compileSpec } from "../../features/plan.ts";
import type { Dataset } from "../../ports/dataset.ts";
import { headOf, integersOf } from "../data/feature-table.ts";
import { DAY_COLUMN, WRITTEN_COLUMNS, type WriteTask } from "./task.ts";

/** Rows of a file; a day with more has several. */
export const FILE_ROWS_MAX = 4_000_000;

const HEAD_COLUMNS = { id: ID_COLUMN, time: TIME_COLUMN, label: LABEL_COLUMN };

/**
 * One row per file written. A file is there whole or not at all and holds nothing but its day's rows: whoever writes it a second time, for a
 * stage that was retried, writes the same bytes. Errors: dataset.unwritable.
 */
export async function* writeDays(
  dataset: Dataset,
  task: WriteTask,
  frames: AsyncIterable<Table>,
): AsyncGenerator<Table> {
  const { names } = compileSpec(task.spec);
  const source = frames[Symbol.asyncIterator]();
  const next = async (): Promise<Table | null> => {
    const { done, value } = await source.next();
    return done === true ? null : value;
  };
  let rest = await next();
  let part = 0;
  let dayBefore = Number.NaN;
  while (rest !== null) {
    if (rest.rows === 0) {
      rest = await next();
      continue;
    }
    const day = dayOf(rest, 0);
    part = day === dayBefore ? part + 1 : 0;
    dayBefore = day;
    const first = timeOf(rest, 0);
    let last = first;
    async function* ofFile(): AsyncGenerator<Table> {
      let room = FILE_ROWS_MAX;
      while (rest !== null && room > 0) {
        let end = 0;
        while (end < rest.rows && end < room && dayOf(rest, end) === day) end++;
        const isWhole: boolean = end === rest.rows;
        if (end > 0) last = timeOf(rest, end - 1);
        if (end > 0) yield featureRows(isWhole ? rest : sliceRows(rest, 0, end), names);
        room -= end;
        if (!isWhole) {
          rest = sliceRows(rest, end, rest.rows);
          return;
        }
        rest = await next();
      }
    }
    const name = `${dayFolder(archiveDay(day * DAY_MS))}/part-${String(part).padStart(5, "0")}.parquet`;
    const file = path.join(task.folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    const { rows } = await dataset.write(file, ofFile(), {
      integers: integersOf(task.ids?.whole === true),
      floats: names,
      metadata: task.metadata,
    });
    const cells: readonly Column[] = [
      { kind: "text", codes: Int32Array.of(0), dictionary: [name] },
      ...[rows, first, last].map((value): Column => ({ kind: "number", values: Float64Array.of(value) })),
    ];
    yield { rows: 1, columns: new Map(WRITTEN_COLUMNS.map((column, i) => [column.name, cells[i]])) };
  }
}

function featureRows(table: Table, names: readonly string[]): Table {
  const head = headOf(table, HEAD_COLUMNS);
  return {
    rows: table.rows,
    columns: new Map([...head.columns, ...names.map((name) => [name, table.columns.get(name)!] as const)]),
  };
}

function dayOf(table: Table, row: number): number {
  return numberAt(table.columns.get(DAY_COLUMN)!, row);
}

function timeOf(table: Table, row: number): number {
  return numberAt(table.columns.get(TIME_COLUMN)!, row);
}
