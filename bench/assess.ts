// Assessing a way to learn: trained and tested on folds of the Handbook's protocol, from vectors that one replay made.
import { DAY_MS } from "../src/core/duration.ts";
import { assert } from "../src/core/errors.ts";
import { type Table, textAt } from "../src/core/table.ts";
import { replay } from "../src/features/replay.ts";
import type { FeatureSpec } from "../src/features/spec.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams, type GbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { cutFold, type Labelled, type Quality, qualityOf } from "./protocol.ts";

/** A label arrives so long after its transaction. */
export const LABEL_DELAY_MS = 7 * DAY_MS;

/** The trees that `bench -- quality` chooses for the default features. */
export const CHOSEN_TREES = {
  trees: 100,
  learningRate: 0.1,
  depthMax: 3,
  minChildWeight: 5,
  rowSample: 1,
  columnSample: 0.7,
} as const;

export interface Choice
  extends Pick<GbdtParams, "trees" | "learningRate" | "depthMax" | "minChildWeight" | "rowSample" | "columnSample"> {
  /** Models whose margins are averaged, each trained with a seed of its own (Breiman 1996: bagging steadies deep trees). */
  readonly models: number;
}

export interface Task {
  readonly vectors: Matrix;
  readonly data: Labelled;
  readonly seed: number;
}

/** Cuts the folds once; the function it returns trains and tests one choice on each. */
export function assessor(task: Task, starts: readonly number[]): (choice: Choice) => Quality[] {
  const { vectors, data, seed } = task;
  const folds = starts.map((start) => {
    const { train, test } = cutFold(data, start);
    const y = Uint8Array.from(train, (row) => data.y[row]);
    return { y, test, trainX: takeMatrixRows(vectors, train), testX: takeMatrixRows(vectors, test) };
  });
  return (choice) =>
    folds.map(({ y, test, trainX, testX }) => {
      const { models, ...params } = choice;
      const margins = new Float64Array(test.length);
      for (let m = 0; m < models; m++) {
        const task = { x: trainX, y, params: { ...defaultGbdtParams, ...params }, seed: seed + m };
        scoreMatrix(trainGbdt(task).model, testX).forEach((margin, row) => {
          margins[row] += margin;
        });
      }
      return qualityOf(data, test, margins);
    });
}

/** Every row's vector as serving would have made it, by one replay of the whole table. */
export function vectorsOf(table: Table, spec: FeatureSpec): Matrix {
  const { values, names, rows } = replay({
    spec,
    table,
    columns: { id: "transaction_id", time: "time", label: "is_fraud" },
    labelDelayMs: LABEL_DELAY_MS,
  });
  return { values, names, rows };
}

export function labelledOf(table: Table): Labelled {
  const number = (name: string): Float64Array => {
    const column = table.columns.get(name);
    assert(column !== undefined && column.kind !== "text", `the table has numbers or times in ${name}`);
    return column.values;
  };
  const cards = table.columns.get("customer_id");
  assert(cards !== undefined, "the table has customer_id");
  const codes = new Map<string | null, number>();
  return {
    day: Int32Array.from(number("time"), (time) => Math.floor(time / DAY_MS)),
    y: Uint8Array.from(number("is_fraud")),
    card: Int32Array.from({ length: table.rows }, (_, row) => {
      const text = textAt(cards, row);
      if (!codes.has(text)) codes.set(text, codes.size);
      return codes.get(text)!;
    }),
  };
}

export function qualityText({ auc, ap, cp100 }: Quality): string {
  return `${auc.toFixed(4)} ${ap.toFixed(4)}  ${cp100.toFixed(4)}`;
}
