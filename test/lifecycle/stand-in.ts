// An engine inside the test: shuffles, sorts and cuts rows as Spark does, and runs the workers' code on each partition, through frames.
import { decodeFrame, encodeFrame, type FrameColumn } from "../../src/core/frame.ts";
import { Random } from "../../src/core/random.ts";
import { type Column, type Table, takeRows, textAt } from "../../src/core/table.ts";
import { type WorkerTask, workOn } from "../../src/lifecycle/partitioned.ts";
import type { Engine, EngineIds, EngineStage } from "../../src/ports/engine.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { standInBoost } from "./stand-in-boost.ts";

export interface StandInOptions {
  readonly packageVersion: string;
  /** Rows of the frames that a worker is given. */
  readonly frameRows?: number;
  /** Decides which partition a value goes to, and the order in which partitions run. */
  readonly seed?: number;
  /** Runs every partition of a stage twice, as a cluster does after a failure or to be quicker. */
  readonly twice?: boolean;
}

/** Engine as the port says; nothing of a cluster but its order of doing things. */
export function standInEngine(ports: Ports, options: StandInOptions): Engine {
  const { packageVersion, frameRows = 1000, seed = 1, twice = false } = options;
  const random = new Random(seed);
  const salt = Math.floor(random.next() * 1000);
  const work = async (stage: EngineStage, rows: Table, ids: EngineIds | null | undefined): Promise<Table> => {
    const task = JSON.parse(JSON.stringify({ ...stage.task, ids })) as WorkerTask;
    async function* frames(): AsyncGenerator<Table> {
      for (let from = 0; from < rows.rows; from += frameRows) {
        const count = Math.min(frameRows, rows.rows - from);
        const part = takeRows(
          rows,
          Int32Array.from({ length: count }, (_, i) => from + i),
        );
        yield decodeFrame(encodeFrame(part, task.input), task.input);
      }
    }
    const out: Table[] = [];
    const given = { frames: frames(), dataset: () => ports.dataset(), packageVersion, workspace: "/" };
    for await (const table of workOn(task, given)) {
      out.push(decodeFrame(encodeFrame(table, stage.columns), stage.columns));
    }
    return joined(out, stage.columns);
  };
  const stageOf = async (
    stage: EngineStage,
    parts: readonly Table[],
    given: { readonly partitions: number; readonly ids?: EngineIds | null; readonly input: readonly FrameColumn[] },
  ): Promise<readonly Table[]> => {
    const { partitions, ids, input } = given;
    const { shuffle } = stage;
    const all = shuffle === undefined ? null : joined(parts, input);
    const cut =
      shuffle === undefined || all === null
        ? parts
        : Array.from({ length: partitions }, (_, at) => {
            const by = numbers(all, shuffle.by);
            const rows = Array.from(by.keys()).filter((row) => (by[row] + salt) % partitions === at);
            return takeRows(all, Int32Array.from(sorted(rows, all, shuffle.sort)));
          });
    const done: Table[] = new Array<Table>(cut.length);
    const order = Array.from(cut.keys()).sort(() => random.next() - 0.5);
    for (const at of order) {
      const part = cut[at];
      if (twice) await work(stage, part, ids);
      done[at] = part.rows === 0 ? joined([], stage.columns) : await work(stage, part, ids);
    }
    return done;
  };
  return {
    close: async () => {},
    boost: (job) => standInBoost(ports, job),
    async run(job) {
      const { partitions } = job;
      const input: readonly FrameColumn[] = [{ name: "split", type: "text" }];
      const splits = job.splits.map((text): Table => {
        const column: Column = { kind: "text", codes: Int32Array.of(0), dictionary: [text] };
        return { rows: 1, columns: new Map([["split", column]]) };
      });
      let ids: EngineIds | null = null;
      if (job.ids !== null) {
        const found = await stageOf(job.ids, splits, { partitions, input });
        ids = idsOf(joined(found, job.ids.columns));
        if (ids.twice !== null) return { ids, result: null, engine: "stand-in" };
      }
      let parts: readonly Table[] = splits;
      let columns = input;
      for (const stage of job.stages) {
        parts = await stageOf(stage, parts, { partitions, ids, input: columns });
        columns = stage.columns;
      }
      return { ids, result: joined(parts, columns), engine: "stand-in" };
    },
  };
}

function sorted(rows: readonly number[], table: Table, by: readonly string[]): number[] {
  const columns = by.map((name) => numbers(table, name));
  return [...rows].sort((a, b) => {
    for (const column of columns) if (column[a] !== column[b]) return column[a] - column[b];
    throw new Error("the columns that sort a partition tell all rows apart");
  });
}

function idsOf(table: Table): EngineIds {
  const rowsOf = new Map<string, number[]>();
  const id = table.columns.get("id")!;
  const row = numbers(table, "row");
  for (let at = 0; at < table.rows; at++) {
    const text = textAt(id, at)!;
    rowsOf.set(
      text,
      [...(rowsOf.get(text) ?? []), row[at]].sort((a, b) => a - b),
    );
  }
  const twice = [...rowsOf].filter(([, rows]) => rows.length > 1).sort(([, a], [, b]) => a[1] - b[1]);
  return {
    rows: table.rows,
    whole: numbers(table, "whole").every((one) => one === 1),
    twice: twice.length === 0 ? null : { id: twice[0][0], rows: [twice[0][1][0], twice[0][1][1]] },
  };
}

function numbers(table: Table, name: string): Float64Array {
  const column = table.columns.get(name);
  if (column === undefined || column.kind === "text") throw new Error(`${name} holds numbers`);
  return column.values;
}

function joined(tables: readonly Table[], columns: readonly FrameColumn[]): Table {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const cells = columns.map(({ name, type, kind = "number", boolean }): [string, Column] => {
    const parts = tables.map((table) => table.columns.get(name)!);
    if (type === "text") {
      const dictionary: string[] = [];
      const codes = parts.flatMap((part, i) =>
        Array.from({ length: tables[i].rows }, (_, row) => {
          const text = textAt(part, row);
          return text === null ? -1 : dictionary.push(text) - 1;
        }),
      );
      return [name, { kind: "text", codes: Int32Array.from(codes), dictionary }];
    }
    const values = Float64Array.from(parts.flatMap((part) => (part.kind === "text" ? [] : [...part.values])));
    if (kind === "time") return [name, { kind, values }];
    return [name, boolean === true ? { kind: "number", values, boolean } : { kind: "number", values }];
  });
  return { rows, columns: new Map(cells) };
}
