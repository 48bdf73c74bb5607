// Vectors of a whole table: a spec's columns read, replayed through the one state machine, as a matrix for learning.
import { assert } from "../../core/errors.ts";
import { type Column, isBoolean, type Table, textAt } from "../../core/table.ts";
import { emptyFields, type Transaction } from "../../core/transaction.ts";
import { encodeAndLearn, learnArrival } from "../../features/encode.ts";
import { columnsOfPlan, type FeaturePlan, layoutOf } from "../../features/plan.ts";
import { labelsOf, type ReplayInput, replay, replayBlocks, timesOf, type VectorBlock } from "../../features/replay.ts";
import { FeatureState } from "../../features/state.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Reporter } from "../../ports/ports.ts";

/** When a label became known, where a table has this column. */
export const LABEL_KNOWN_AT = "label_known_at";

interface Given {
  readonly plan: FeaturePlan;
  readonly pipeline: Pipeline;
  readonly report: Reporter;
}

/** Replays a table; columns that the file lacks are missing in every row. */
export function vectorsOf(table: Table, given: Given): { readonly x: Matrix; readonly state: FeatureState } {
  const result = replay(replayInput(table, given));
  return { x: { rows: result.rows, names: result.names, values: result.values }, state: result.state };
}

/** The same vectors block after block in time order, for a table whose vectors do not fit into memory. */
export function vectorBlocks(
  table: Table,
  given: Given & { readonly blockRows: number },
): Generator<VectorBlock, void, undefined> {
  return replayBlocks(replayInput(table, given), given);
}

/** What a replay of a table is given; columns that the file lacks are missing in every row. */
export function replayInput(table: Table, { plan, pipeline, report }: Given): ReplayInput {
  const filled = withMissingColumns(table, columnsOfPlan(plan));
  return {
    spec: plan,
    ...labelInput(filled, pipeline),
    onProgress: (done, total) => report.progress("features", done, total),
  };
}

function labelInput(table: Table, pipeline: Pipeline): Pick<ReplayInput, "table" | "columns" | "labelDelayMs"> {
  const { id, time, label } = pipeline.columns;
  return {
    table,
    columns: {
      id,
      time,
      label: table.columns.has(label) ? label : undefined,
      labelKnownAt: table.columns.has(LABEL_KNOWN_AT) ? LABEL_KNOWN_AT : undefined,
    },
    labelDelayMs: pipeline.labels.delayMs,
  };
}

/**
 * Encodes the first rows of a table one by one, as the server does, and compares with the replayed matrix. Returns the
 * first difference in words, or null.
 */
export function parityFault(
  table: Table,
  x: Matrix,
  given: {
    readonly plan: FeaturePlan;
    readonly pipeline: Pipeline;
    readonly order: Int32Array;
    readonly rowsMax: number;
  },
): { readonly fault: string | null; readonly rows: number } {
  const { plan, pipeline, order } = given;
  const state = new FeatureState(layoutOf([plan]));
  const rows = Math.min(given.rowsMax, order.length);
  const labels = labelsOf(labelInput(table, pipeline), timesOf(table, pipeline.columns.time));
  for (let i = 0; i < rows; i++) {
    const row = order[i];
    const transaction = transactionAt(table, row, pipeline);
    for (; labels.next < labels.order.length; labels.next++) {
      const about = labels.order[labels.next];
      if (labels.knownAt[about] > transaction.time) break;
      const fraud = labels.fraud[about] === 1;
      const knownAt = labels.knownAt[about];
      learnArrival(state, { kind: "label", transaction: transactionAt(table, about, pipeline), fraud, knownAt });
    }
    const { vector } = encodeAndLearn(state, plan, transaction);
    for (let c = 0; c < plan.width; c++) {
      if (!Object.is(vector[c], x.values[c * x.rows + row])) {
        const what = `${plan.names[c]} of transaction ${transaction.id}: ${vector[c]} online, ${x.values[c * x.rows + row]} replayed`;
        return { fault: what, rows };
      }
    }
  }
  return { fault: null, rows };
}

/** One row of a table as the transaction a server would have parsed. */
export function transactionAt(table: Table, row: number, pipeline: Pipeline): Transaction {
  const fields = emptyFields();
  for (const [name, column] of table.columns) {
    if (
      name === pipeline.columns.id ||
      name === pipeline.columns.time ||
      name === pipeline.columns.label ||
      name === LABEL_KNOWN_AT
    )
      continue;
    if (column.kind === "text" || isBoolean(column)) fields[name] = wordAt(column, row);
    else fields[name] = Number.isNaN(column.values[row]) ? null : column.values[row];
  }
  const time = table.columns.get(pipeline.columns.time)!;
  assert(time.kind !== "text", "times were read when the table was");
  return { id: textAt(table.columns.get(pipeline.columns.id)!, row) ?? "", time: time.values[row], fields };
}

/** A text, or the truth that a column of truths holds. */
function wordAt(column: Column, row: number): string | boolean | null {
  const text = textAt(column, row);
  return text === null || column.kind === "text" ? text : text === "true";
}

/** With the named columns, those that it lacks missing in every row. */
export function withMissingColumns(table: Table, names: readonly string[]): Table {
  const lacking = names.filter((name) => !table.columns.has(name));
  if (lacking.length === 0) return table;
  const missing: Column = { kind: "number", values: new Float64Array(table.rows).fill(Number.NaN) };
  return { rows: table.rows, columns: new Map([...table.columns, ...lacking.map((name) => [name, missing] as const)]) };
}
