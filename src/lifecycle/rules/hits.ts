// Every rule asked of every row of the past, with windows and lists as of each row's time: which rows each rule fired on.
import type { FeaturePlan } from "../../features/plan.ts";
import { replayRows } from "../../features/replay.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Reporter } from "../../ports/ports.ts";
import { FIRED, type RuleProgram, UNREADY } from "../../rules/program.ts";
import { tableAsker } from "../../rules/table.ts";
import { replayInput } from "../data/vectors.ts";
import type { Past } from "./past.ts";

export interface RuleHits {
  /** Rows in the order of time, on which the rule fired. */
  readonly rows: Int32Array;
  /** Rows on which it could not be asked. */
  readonly unready: number;
}

/** One result a rule of the program. A window is known once the past reaches back as far as it does. */
export function hitsOf(
  past: Past,
  on: {
    readonly program: RuleProgram;
    readonly plan: FeaturePlan | null;
    readonly pipeline: Pipeline;
    readonly report: Reporter;
    /** Rows before it only fill the windows. */
    readonly from: number;
    readonly to: number;
  },
): readonly RuleHits[] {
  const { program, plan, pipeline, report, from, to } = on;
  const { table, times } = past;
  const ask = tableAsker(program, { table, times, model: past.model });
  const count = program.rules.length;
  const hits = new Uint8Array(count);
  const fired = Array.from({ length: count }, () => new Rows());
  const unready = new Float64Array(count);
  const visit = (row: number, windows: Float64Array | null): void => {
    const time = times[row];
    if (time < from || time > to) return;
    ask(row, windows, plan === null ? Number.POSITIVE_INFINITY : time - past.from, hits);
    for (let i = 0; i < count; i++) {
      if (hits[i] === FIRED) fired[i].push(row);
      else if (hits[i] === UNREADY) unready[i]++;
    }
  };
  if (plan === null) for (const row of inTime(times)) visit(row, null);
  else replayRows(replayInput(table, { plan, pipeline, report }), visit);
  return fired.map((rows, i) => ({ rows: rows.done(), unready: unready[i] }));
}

function inTime(times: Float64Array): Int32Array {
  const order = Int32Array.from(times, (_, row) => row);
  let isSorted = true;
  for (let i = 1; i < times.length && isSorted; i++) isSorted = times[i] >= times[i - 1];
  return isSorted ? order : order.sort((a, b) => times[a] - times[b] || a - b);
}

/** A list of rows that grows without an object per row. */
class Rows {
  private values = new Int32Array(64);
  private length = 0;

  push(row: number): void {
    if (this.length === this.values.length) {
      const more = new Int32Array(this.length * 2);
      more.set(this.values);
      this.values = more;
    }
    this.values[this.length++] = row;
  }

  done(): Int32Array {
    return this.values.slice(0, this.length);
  }
}
