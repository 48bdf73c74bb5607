// Passes: what is read from one key's state, laid out so that one sweep backwards through its entries serves many features.
import type { Aggregate } from "./definition.ts";
import { columnOfIdentity } from "./distinct.ts";

/** All that is read from one key's state; `features` lists every slot of the vector it fills. */
export interface KeySteps {
  readonly features: Int32Array;
  readonly passes: readonly Pass[];
  readonly elapsed: readonly ElapsedStep[];
  readonly sinceFraud: readonly SinceFraudStep[];
  readonly multiples: readonly MultipleStep[];
}

/** Windows that end at the same instant, shortest first, so that one sweep serves them all. */
export interface Pass {
  readonly delayMs: number;
  /** Of the windows, in ms. */
  readonly lengths: Float64Array;
  /** Whether any window asks for labels. */
  readonly frauds: boolean;
  readonly genuine: boolean;
  readonly counts: CountOutputs;
  readonly columns: readonly PassColumn[];
}

/** What a count output holds. */
export const COUNT_OF = { transactions: 0, frauds: 1, genuine: 2, "fraud-rate": 3 } as const;

/**
 * Counts and where they go. Numbers that are read together lie together: a loop over one array costs half of one over four, because the
 * engine checks each array at each turn.
 */
export interface CountOutputs {
  /** Four numbers an output: what is counted, in which of the pass's windows, 1 if the transaction itself counts, the feature it fills. */
  readonly of: Int32Array;
  /** By output: the value of a rate when nothing is in the window. */
  readonly empty: Float64Array;
}

/** Numbers of a count output. */
export const COUNT_FIELDS = 4;

export interface PassColumn {
  /** Index into the series' columns. */
  readonly column: number;
  /** Whether identities are counted, not numbers added up. */
  readonly distinct: boolean;
  /** Whether any window asks for a deviation, or for the smallest or largest. */
  readonly spread: boolean;
  readonly extremes: boolean;
  /** The windows that ask for this column. */
  readonly windows: readonly ColumnWindow[];
}

export interface ColumnWindow {
  /** Index into the pass's windows. */
  readonly window: number;
  /** Where count, sum and largest are kept for multiples with this window as their usual; −1 when nobody asks. */
  readonly keep: number;
  /** Aggregates without the transaction itself, and with it. */
  readonly before: ValueOutputs;
  readonly after: ValueOutputs;
}

/** Aggregates as numbers, for loops that choose by them. */
export const AGGREGATE = { count: 0, sum: 1, mean: 2, std: 3, min: 4, max: 5, distinct: 6 } as const satisfies Readonly<
  Record<Aggregate, number>
>;

/** Aggregates and where they go. */
export interface ValueOutputs {
  /** Two numbers an output: the aggregate, the feature it fills. */
  readonly of: Int32Array;
  /** By output: the value where the aggregate is not defined. */
  readonly empty: Float64Array;
}

/** Numbers of a value output. */
export const VALUE_FIELDS = 2;

export interface ElapsedStep {
  readonly feature: number;
  readonly of: "transaction" | "fraud";
  readonly last: boolean;
  readonly withinMs: number;
  readonly unitMs: number;
}

export interface SinceFraudStep {
  readonly feature: number;
  readonly withinMs: number;
  readonly delayMs: number;
}

/** Counts over multiples of one usual mean, which is computed once for all of them. */
export interface MultipleStep {
  readonly column: number;
  /** Where a pass kept count, sum and largest over the usual; −1 when no window has that length. */
  readonly kept: number;
  readonly usualMs: number;
  readonly current: boolean;
  /** The longest window, within the usual. */
  readonly longestMs: number;
  readonly outputs: readonly { readonly feature: number; readonly times: number; readonly windowMs: number }[];
}

/** What the features of one key ask for, before it is put in order. */
export interface KeyDraft {
  readonly features: readonly number[];
  readonly windows: readonly WindowDraft[];
  readonly elapsed: readonly ElapsedStep[];
  readonly sinceFraud: readonly SinceFraudStep[];
  readonly multiples: readonly MultipleDraft[];
}

export interface WindowDraft {
  readonly feature: number;
  readonly over: string;
  readonly aggregate: Aggregate;
  readonly ms: number;
  readonly delayMs: number;
  readonly current: boolean;
  readonly empty: number;
}

export interface MultipleDraft {
  readonly feature: number;
  readonly over: string;
  readonly times: number;
  readonly windowMs: number;
  readonly usualMs: number;
  readonly current: boolean;
}

/** Steps over a series that keeps `columns`. */
export function keySteps(draft: KeyDraft, columns: readonly string[]): KeySteps {
  const multiples = multiplesOf(draft, columns);
  const delays = [...new Set(draft.windows.map(({ delayMs }) => delayMs))].sort((a, b) => a - b);
  const passes = delays.map((delayMs) =>
    passOf(
      draft.windows.filter((window) => window.delayMs === delayMs),
      columns,
      delayMs === 0 ? multiples : [],
    ),
  );
  const { features, elapsed, sinceFraud } = draft;
  return { features: Int32Array.from(features), elapsed, sinceFraud, multiples, passes };
}

function multiplesOf(draft: KeyDraft, columns: readonly string[]): MultipleStep[] {
  const groups = new Map<string, MultipleDraft[]>();
  for (const one of draft.multiples) {
    const id = JSON.stringify([one.over, one.usualMs, one.current]);
    groups.set(id, [...(groups.get(id) ?? []), one]);
  }
  const lists = [...groups.values()];
  return lists.map((group) => {
    const { over, usualMs, current } = group[0];
    // A multiple that includes the current transaction and one that does not share the same kept totals.
    const at = lists.findIndex(([one]) => one.over === over && one.usualMs === usualMs);
    const swept = draft.windows.some((one) => one.over === over && one.ms === usualMs && one.delayMs === 0);
    return {
      column: columns.indexOf(over),
      kept: swept ? at : -1,
      usualMs,
      current,
      longestMs: Math.min(usualMs, Math.max(...group.map(({ windowMs }) => windowMs))),
      outputs: group.map(({ feature, times, windowMs }) => ({ feature, times, windowMs })),
    };
  });
}

function passOf(list: readonly WindowDraft[], names: readonly string[], multiples: readonly MultipleStep[]): Pass {
  const lengths = [...new Set(list.map(({ ms }) => ms))].sort((a, b) => a - b);
  const columns = names.map((name, column): PassColumn => {
    const perWindow = lengths.map((ms, window): ColumnWindow => {
      const here = list.filter((one) => one.ms === ms && one.over === name);
      const keep = multiples.findIndex((one) => one.column === column && one.usualMs === ms);
      return { window, keep, before: valueOutputs(here, false), after: valueOutputs(here, true) };
    });
    const asked = list.filter((one) => one.over === name).map(({ aggregate }) => aggregate);
    return {
      column,
      distinct: columnOfIdentity(name) !== null,
      spread: asked.includes("std"),
      extremes: asked.includes("min") || asked.includes("max"),
      windows: perWindow.filter(({ before, after }) => before.of.length + after.of.length > 0),
    };
  });
  return {
    delayMs: list[0].delayMs,
    lengths: Float64Array.from(lengths),
    frauds: list.some(({ over }) => over === "frauds" || over === "fraud-rate"),
    genuine: list.some(({ over }) => over === "genuine"),
    counts: countOutputs(list, lengths),
    columns: columns.filter((one) => one.windows.length > 0),
  };
}

function countOutputs(list: readonly WindowDraft[], lengths: readonly number[]): CountOutputs {
  const words: Readonly<Record<string, number>> = COUNT_OF;
  const counts = list.filter(({ over }) => Object.hasOwn(words, over));
  return {
    of: Int32Array.from(
      counts.flatMap(({ over, ms, current, feature }) => [words[over], lengths.indexOf(ms), current ? 1 : 0, feature]),
    ),
    empty: Float64Array.from(counts, ({ empty }) => empty),
  };
}

function valueOutputs(list: readonly WindowDraft[], current: boolean): ValueOutputs {
  const outputs = list.filter((window) => window.current === current);
  return {
    of: Int32Array.from(outputs.flatMap(({ aggregate, feature }) => [AGGREGATE[aggregate], feature])),
    empty: Float64Array.from(outputs, ({ empty }) => empty),
  };
}
