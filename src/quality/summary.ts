// The SUMMARY result of expectations that judge row by row: counts, percentages, and a sample of the rows at fault.
import type { CellValue } from "./cells.ts";
import { isNoFlags } from "./columns.ts";
import type { Outcome, Running, ShownValue } from "./definition.ts";
import type { Rows } from "./rows.ts";
import { FaultSample, FIRST_ROWS } from "./sample.ts";

/** What one batch of rows came to. */
export interface Judged {
  /** 1 where a row is not as expected; rows that do not count are 0. */
  readonly faults: Uint8Array;
  /** Rows left out because they are missing; null for the nullity expectations, which report no such fields. */
  readonly missing: number | null;
  readonly valueAt: (row: number) => ShownValue;
}

/** A check that judges every batch on its own. */
export function rowByRow(mostly: number, judge: (rows: Rows) => Judged): Running {
  const tally = new FaultTally();
  return {
    push: (rows) => tally.add(rows, judge(rows)),
    finish: () => tally.outcome(mostly),
  };
}

/** Counts rows at fault over all batches. */
class FaultTally {
  private count = 0;
  private missing: number | null = 0;
  private readonly values: ShownValue[] = [];
  private readonly sample = new FaultSample();

  add(rows: Rows, { faults, missing, valueAt }: Judged): void {
    this.count += rows.count;
    this.missing = missing === null || this.missing === null ? null : this.missing + missing;
    if (isNoFlags(faults)) return;
    // Mostly there are few, and looking for one is quicker than asking row by row.
    for (let row = faults.indexOf(1); row >= 0; row = faults.indexOf(1, row + 1)) {
      if (this.values.length < FIRST_ROWS) this.values.push(valueAt(row));
      this.sample.add(rows.sourceRow(row));
    }
  }

  outcome(mostly: number): Outcome {
    const { count, missing, values } = this;
    return summaryOutcome({ count, missing, mostly, values, sample: this.sample });
  }
}

/**
 * Success when (judged − unexpected) / judged ≥ mostly in plain doubles, as Great Expectations computes it; with nothing
 * to judge it succeeds. Counts by value cover the first rows only, as in Great Expectations.
 */
export function summaryOutcome(of: {
  readonly count: number;
  readonly missing: number | null;
  readonly mostly: number;
  /** Of the first rows at fault. */
  readonly values: readonly ShownValue[];
  readonly sample: FaultSample;
}): Outcome {
  const { count, missing, mostly, values } = of;
  const faults = of.sample.rows();
  const unexpected = faults.count;
  const judged = count - (missing ?? 0);
  const result = {
    element_count: count,
    unexpected_count: unexpected,
    unexpected_percent: percent(unexpected, judged),
    partial_unexpected_list: values,
    ...(missing === null
      ? {}
      : {
          missing_count: missing,
          missing_percent: percent(missing, count),
          unexpected_percent_total: percent(unexpected, count),
          unexpected_percent_nonmissing: percent(unexpected, judged),
        }),
    partial_unexpected_counts: countValues(values),
    partial_unexpected_index_list: faults.first,
  };
  return { success: judged === 0 || (judged - unexpected) / judged >= mostly, result, faults };
}

export function countMissing(isMissing: Uint8Array): number {
  if (isNoFlags(isMissing)) return 0;
  let missing = 0;
  for (let row = isMissing.indexOf(1); row >= 0 && row < isMissing.length; row++) missing += isMissing[row];
  return missing;
}

function percent(part: number, whole: number): number | null {
  return whole === 0 ? null : (part / whole) * 100;
}

interface ValueCount {
  readonly value: CellValue | readonly CellValue[];
  readonly count: number;
}

/** How often each value occurs: the most frequent first, then by value. */
function countValues(values: readonly ShownValue[]): readonly ValueCount[] {
  const counts = new Map<string, ValueCount>();
  for (const shown of values) {
    const value = isRecord(shown) ? Object.values(shown) : shown;
    const key = JSON.stringify(value);
    counts.set(key, { value, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || compareShown(a.value, b.value));
}

function isRecord(value: ShownValue): value is Readonly<Record<string, CellValue>> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function compareShown(a: ValueCount["value"], b: ValueCount["value"]): number {
  const left = Array.isArray(a) ? a : [a];
  const right = Array.isArray(b) ? b : [b];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compareCells(left[i], right[i]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Missing first; numbers before texts, so that the order is total whatever a column holds. */
function compareCells(a: CellValue, b: CellValue): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : 1;
}
