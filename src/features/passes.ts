// Passes: what is read from one key's state, laid out so that one sweep backwards through its entries serves many features.
import type { Aggregate, NeighbourMeasure } from "./definition.ts";
import { columnOfIdentity, identityColumn } from "./distinct.ts";
import type { FraudRunStep, ScanStep } from "./scans.ts";

/** All that is read from one key's state; `features` lists every slot of the vector it fills. */
export interface KeySteps {
  readonly features: Int32Array;
  readonly passes: readonly Pass[];
  readonly elapsed: readonly ElapsedStep[];
  readonly sinceFraud: readonly SinceFraudStep[];
  readonly multiples: readonly MultipleStep[];
  readonly scans: readonly ScanStep[];
  /** Columns whose value says the key to read, in place of the series' own: see `History`. Null: its own. */
  readonly readBy: readonly string[] | null;
  /** How many facts the passes find out. */
  readonly factCount: number;
  readonly outputs: FactOutputs;
}

/**
 * Which facts become features. A pass finds out everything about its windows, asked for or not, into one array at places that the plan
 * fixes: a dozen numbers more cost less than one branch that the processor guesses wrong, and what a spec asks for is then one plain copy.
 */
export interface FactOutputs {
  /** Two numbers an output: the fact, the feature it fills. */
  readonly of: Int32Array;
  /** Outputs with a value of their own where the fact is not defined: the feature, the fact that counts, the least it must count. */
  readonly checked: Int32Array;
  /** That value, by checked output. */
  readonly empty: Float64Array;
}

/** Numbers of an output, and of a checked one. */
export const OUTPUT_FIELDS = 2;
export const CHECKED_FIELDS = 3;

/** Windows that end at the same instant, shortest first, so that one sweep serves them all. */
export interface Pass {
  readonly delayMs: number;
  /** Of the windows, in ms. */
  readonly lengths: Float64Array;
  /** Where the counts of its first window stand among the facts. */
  readonly facts: number;
  /** Whether any window asks for labels. */
  readonly frauds: boolean;
  readonly genuine: boolean;
  readonly columns: readonly PassColumn[];
}

/** The facts of a window: transactions without the one that is read and with it, known labels of each kind, frauds ÷ transactions. */
export const COUNT_FACT = {
  before: 0,
  after: 1,
  frauds: 2,
  genuine: 3,
  rateBefore: 4,
  rateAfter: 5,
  count: 6,
} as const;

/** The facts of a column in a window, without the transaction that is read; as many with it follow. */
export const VALUE_FACT = { count: 0, sum: 1, mean: 2, std: 3, min: 4, max: 5, each: 6 } as const;

export interface PassColumn {
  /** Index into the series' columns. */
  readonly column: number;
  /** Whether identities are counted, not numbers added up; then only `count` is a fact. */
  readonly distinct: boolean;
  /** Whether any window asks for a deviation, or for the smallest or largest: else these are no facts. */
  readonly spread: boolean;
  readonly extremes: boolean;
  /** Two numbers a window that asks for this column: its place in the pass's windows, where its facts begin. */
  readonly windows: Int32Array;
}

/** Numbers of a column's window. */
export const WINDOW_FIELDS = 2;

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
  /** Where the facts of the column over the usual stand, without the transaction that is read. */
  readonly kept: number;
  /** Whether the largest is one of these facts. */
  readonly keptLargest: boolean;
  readonly usualMs: number;
  readonly current: boolean;
  /** The longest window, within the usual. */
  readonly longestMs: number;
  /** By output: the feature, how many times the mean, how far back. */
  readonly features: Int32Array;
  readonly times: Float64Array;
  readonly windowMs: Float64Array;
}

/** What the features of one key ask for, before it is put in order. */
export interface KeyDraft {
  readonly features: readonly number[];
  readonly windows: readonly WindowDraft[];
  readonly elapsed: readonly ElapsedStep[];
  readonly sinceFraud: readonly SinceFraudStep[];
  readonly multiples: readonly MultipleDraft[];
  readonly scans: readonly ScanDraft[];
  readonly readBy: readonly string[] | null;
}

/** A scan by the names of columns, before they have places. */
export type ScanDraft =
  | {
      readonly kind: "percentile";
      readonly feature: number;
      readonly over: string;
      readonly percent: number;
      readonly ms: number;
      readonly delayMs: number;
      readonly current: boolean;
      readonly empty: number;
    }
  | { readonly kind: "first-seen"; readonly feature: number; readonly over: string; readonly withinMs: number }
  | {
      readonly kind: "new-values";
      readonly feature: number;
      readonly over: string;
      readonly ms: number;
      readonly withinMs: number;
      readonly current: boolean;
    }
  | {
      readonly kind: "movement";
      readonly feature: number;
      readonly latitude: string;
      readonly longitude: string;
      readonly withinMs: number;
      readonly isSpeed: boolean;
    }
  | {
      readonly kind: "neighbours";
      readonly feature: number;
      readonly over: string;
      readonly measure: NeighbourMeasure;
      readonly ms: number;
      readonly delayMs: number;
      readonly empty: number;
    }
  | {
      readonly kind: "fraud-value";
      readonly feature: number;
      readonly over: string;
      readonly largest: boolean;
      readonly withinMs: number;
    }
  | FraudRunStep;

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

/** Steps over a series that keeps `columns`, and of known frauds those of them that are `labelled`. */
export function keySteps(
  draft: KeyDraft,
  { columns, labelled = [] }: { readonly columns: readonly string[]; readonly labelled?: readonly string[] },
): KeySteps {
  const places: FactPlaces = { used: 0, counts: new Map(), values: new Map() };
  // What is usual is read from the facts of a window, whether or not a feature asks for that window.
  const usual = draft.multiples.map(({ over, usualMs }) => ({ over, ms: usualMs, delayMs: 0 }));
  const asked: readonly WindowAsked[] = [...draft.windows, ...usual];
  const delays = [...new Set(asked.map(({ delayMs }) => delayMs))].sort((a, b) => a - b);
  const passes = delays.map((delayMs) =>
    passOf(
      asked.filter((window) => window.delayMs === delayMs),
      columns,
      places,
    ),
  );
  const outputs = outputsOf(draft.windows, places);
  const multiples = multiplesOf(draft, { columns, passes, places });
  const { elapsed, sinceFraud, readBy } = draft;
  const features = Int32Array.from(draft.features);
  const scans = scansOf(draft.scans, { columns, labelled });
  const factCount = places.used;
  return { features, elapsed, sinceFraud, multiples, scans, readBy, passes, factCount, outputs };
}

/** Percentiles of one window are one scan, and so are neighbours. */
function scansOf(
  drafts: readonly ScanDraft[],
  { columns, labelled }: { readonly columns: readonly string[]; readonly labelled: readonly string[] },
): ScanStep[] {
  const steps: ScanStep[] = [];
  const percentiles = new Map<string, Extract<ScanDraft, { kind: "percentile" }>[]>();
  const neighbours = new Map<string, Extract<ScanDraft, { kind: "neighbours" }>[]>();
  for (const draft of drafts) {
    if (draft.kind === "percentile") {
      const { over, ms, delayMs, current } = draft;
      const id = JSON.stringify([over, ms, delayMs, current]);
      percentiles.set(id, [...(percentiles.get(id) ?? []), draft]);
    } else if (draft.kind === "neighbours") {
      const id = JSON.stringify([draft.over, draft.ms, draft.delayMs]);
      neighbours.set(id, [...(neighbours.get(id) ?? []), draft]);
    } else if (draft.kind === "fraud-value") {
      const { over, ...rest } = draft;
      steps.push({ ...rest, labelled: labelled.indexOf(over) });
    } else if (draft.kind === "fraud-run") {
      steps.push(draft);
    } else if (draft.kind === "movement") {
      const { latitude, longitude, ...rest } = draft;
      steps.push({ ...rest, latitude: columns.indexOf(latitude), longitude: columns.indexOf(longitude) });
    } else {
      const { over, ...rest } = draft;
      steps.push({ ...rest, column: columns.indexOf(identityColumn(over)) });
    }
  }
  for (const group of percentiles.values()) {
    const [{ over, ms, delayMs, current }] = group;
    const outputs = group.map(({ feature, percent, empty }) => ({ feature, percent, empty }));
    steps.push({ kind: "percentile", column: columns.indexOf(over), ms, delayMs, current, outputs });
  }
  for (const group of neighbours.values()) {
    const [{ kind, over, ms, delayMs }] = group;
    const identities = identityColumn(over);
    const outputs = group.map(({ feature, measure, empty }) => ({ feature, measure, empty }));
    const isCounted = outputs.every(({ measure }) => measure === "count");
    const place = isCounted ? null : labelled.indexOf(identities);
    steps.push({ kind, column: columns.indexOf(identities), labelled: place, ms, delayMs, outputs });
  }
  return steps;
}

/** A window that a pass must cover; a mean is all that is asked of it when nothing is said. */
type WindowAsked = Pick<WindowDraft, "over" | "ms" | "delayMs"> & Partial<Pick<WindowDraft, "aggregate">>;

/** Where facts stand, by window (and column): see {@link windowId}. */
interface FactPlaces {
  used: number;
  readonly counts: Map<string, number>;
  readonly values: Map<string, number>;
}

function windowId({ ms, delayMs }: { readonly ms: number; readonly delayMs: number }, column = ""): string {
  return `${delayMs} ${ms} ${column}`;
}

function passOf(list: readonly WindowAsked[], names: readonly string[], places: FactPlaces): Pass {
  const { delayMs } = list[0];
  const lengths = [...new Set(list.map(({ ms }) => ms))].sort((a, b) => a - b);
  const facts = places.used;
  for (const ms of lengths) {
    places.counts.set(windowId({ ms, delayMs }), places.used);
    places.used += COUNT_FACT.count;
  }
  const columns = names.map((name, column): PassColumn => {
    const asking = list.filter((one) => one.over === name);
    const windows = lengths.flatMap((ms, window) => {
      if (!asking.some((one) => one.ms === ms)) return [];
      const at = places.used;
      places.values.set(windowId({ ms, delayMs }, name), at);
      places.used += 2 * VALUE_FACT.each;
      return [window, at];
    });
    const asked = asking.map(({ aggregate }) => aggregate);
    return {
      column,
      distinct: columnOfIdentity(name) !== null,
      spread: asked.includes("std"),
      extremes: asked.includes("min") || asked.includes("max"),
      windows: Int32Array.from(windows),
    };
  });
  return {
    delayMs,
    lengths: Float64Array.from(lengths),
    facts,
    frauds: list.some(({ over }) => over === "frauds" || over === "fraud-rate"),
    genuine: list.some(({ over }) => over === "genuine"),
    columns: columns.filter((one) => one.windows.length > 0),
  };
}

function outputsOf(windows: readonly WindowDraft[], places: FactPlaces): FactOutputs {
  const outputs = windows.map((window) => ({ ...factOf(window, places), window }));
  const checked = outputs.filter(({ least, window }) => least > 0 && !Number.isNaN(window.empty));
  return {
    of: Int32Array.from(outputs.flatMap(({ fact, window }) => [fact, window.feature])),
    checked: Int32Array.from(checked.flatMap(({ counted, least, window }) => [window.feature, counted, least])),
    empty: Float64Array.from(checked, ({ window }) => window.empty),
  };
}

interface FactPlace {
  readonly fact: number;
  /** The fact is defined where the fact `counted` is at least `least`. */
  readonly counted: number;
  readonly least: number;
}

function factOf(window: WindowDraft, places: FactPlaces): FactPlace {
  const { over, current, aggregate } = window;
  const counts = places.counts.get(windowId(window))!;
  const counted = counts + (current ? COUNT_FACT.after : COUNT_FACT.before);
  if (over === "transactions") return { fact: counted, counted, least: 0 };
  if (over === "frauds" || over === "genuine") return { fact: counts + COUNT_FACT[over], counted, least: 0 };
  if (over === "fraud-rate") {
    return { fact: counts + (current ? COUNT_FACT.rateAfter : COUNT_FACT.rateBefore), counted, least: 1 };
  }
  const values = places.values.get(windowId(window, over))! + (current ? VALUE_FACT.each : 0);
  if (aggregate === "distinct") return { fact: values + VALUE_FACT.count, counted: values, least: 0 };
  const least = { count: 0, sum: 0, mean: 1, std: 2, min: 1, max: 1 }[aggregate];
  return { fact: values + VALUE_FACT[aggregate], counted: values + VALUE_FACT.count, least };
}

function multiplesOf(
  draft: KeyDraft,
  on: { readonly columns: readonly string[]; readonly passes: readonly Pass[]; readonly places: FactPlaces },
): MultipleStep[] {
  const groups = new Map<string, MultipleDraft[]>();
  for (const one of draft.multiples) {
    const id = JSON.stringify([one.over, one.usualMs, one.current]);
    groups.set(id, [...(groups.get(id) ?? []), one]);
  }
  return [...groups.values()].map((group): MultipleStep => {
    const { over, usualMs, current } = group[0];
    const column = on.columns.indexOf(over);
    // A multiple that includes the current transaction and one that does not read the same facts.
    const kept = on.places.values.get(windowId({ ms: usualMs, delayMs: 0 }, over))!;
    const swept = on.passes.find(({ delayMs }) => delayMs === 0)?.columns.find((one) => one.column === column);
    return {
      column,
      kept,
      keptLargest: swept?.extremes ?? false,
      usualMs,
      current,
      longestMs: Math.min(usualMs, Math.max(...group.map(({ windowMs }) => windowMs))),
      features: Int32Array.from(group, ({ feature }) => feature),
      times: Float64Array.from(group, ({ times }) => times),
      windowMs: Float64Array.from(group, ({ windowMs }) => windowMs),
    };
  });
}
