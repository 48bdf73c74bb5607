// The feature plan: a spec compiled to the state it needs and the steps that fill a vector from it.
import { DAY_MS, HOUR_MS, parseDuration } from "../core/duration.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import type { Aggregate, FeatureDef, FeatureKind, FeatureSpec } from "./definition.ts";
import { columnOfIdentity, identityColumn } from "./distinct.ts";
import { compileFeature } from "./expression.ts";
import { specHash } from "./spec.ts";

/** The state one key needs: which columns' values (or their identities: distinct.ts), which labels, and how far back (ms, lateness not included). */
export interface SeriesNeed {
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly frauds: boolean;
  readonly genuine: boolean;
  readonly retentionMs: number;
}

/** What a state keeps: one series a key, in the order of their keys. */
export interface StateLayout {
  readonly series: readonly SeriesNeed[];
}

/** A compiled spec. `hash` names the spec, `layoutHash` the state it needs. */
export interface FeaturePlan {
  readonly spec: FeatureSpec;
  readonly hash: string;
  readonly layoutHash: string;
  readonly names: readonly string[];
  readonly width: number;
  readonly series: readonly SeriesNeed[];
  readonly steps: PlanSteps;
}

export interface PlanSteps {
  /** One a series, in the plan's order of series. */
  readonly keys: readonly KeySteps[];
  /** Number columns and the value each fills: a feature, or from the plan's width on, what only an expression reads. */
  readonly columns: readonly { readonly value: number; readonly column: string }[];
  /** Text columns that expressions read. */
  readonly texts: readonly string[];
  /** Parts of the time and arithmetic on earlier values, in order. */
  readonly rows: readonly RowStep[];
  /** Values computed: the vector's, then those that expressions read besides. */
  readonly values: number;
}

/** All that is read from one key's state; `features` lists every slot of the vector it fills. */
export interface KeySteps {
  readonly features: readonly number[];
  readonly passes: readonly Pass[];
  readonly elapsed: readonly ElapsedStep[];
  readonly sinceFraud: readonly SinceFraudStep[];
  readonly multiples: readonly MultipleStep[];
}

/** Windows that end at the same instant, shortest first, so that one sweep backwards serves them all. */
export interface Pass {
  readonly delayMs: number;
  readonly windows: readonly PassWindow[];
  /** Their lengths, and whether any asks for labels. */
  readonly lengths: Float64Array;
  readonly frauds: boolean;
  readonly genuine: boolean;
  readonly columns: readonly PassColumn[];
}

export interface PassWindow {
  readonly ms: number;
  readonly counts: readonly CountOutput[];
  readonly frauds: readonly CountOutput[];
  readonly genuine: readonly CountOutput[];
  readonly rates: readonly CountOutput[];
}

/** Where a count or rate goes; `current` when the transaction itself counts. */
export interface CountOutput {
  readonly feature: number;
  readonly current: boolean;
  readonly empty: number;
}

export interface PassColumn {
  /** Index into the series' columns. */
  readonly column: number;
  /** Whether identities are counted, not numbers added up. */
  readonly distinct: boolean;
  /** Whether any window asks for a deviation, or for the smallest or largest. */
  readonly spread: boolean;
  readonly extremes: boolean;
  readonly windows: readonly {
    /** Index into the pass's windows. */
    readonly window: number;
    /** Where count and sum are kept for multiples with this window as their usual; −1 when nobody asks. */
    readonly keep: number;
    /** Aggregates without the transaction itself, and with it. */
    readonly before: readonly ValueOutput[];
    readonly after: readonly ValueOutput[];
  }[];
}

export interface ValueOutput {
  readonly feature: number;
  readonly aggregate: Aggregate;
  readonly empty: number;
}

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
  /** Where a pass kept count and sum over the usual; −1 when no window has that length. */
  readonly kept: number;
  readonly usualMs: number;
  readonly current: boolean;
  readonly outputs: readonly { readonly feature: number; readonly times: number; readonly windowMs: number }[];
}

/** `texts` holds the plan's text columns, in its order. */
export type RowStep = (time: number, values: Float64Array, texts: readonly (string | null)[]) => void;

/** Compiles a checked spec. */
export function compileSpec(spec: FeatureSpec): FeaturePlan {
  const names = spec.features.map((feature) => feature.name);
  const draft: Draft = { names, series: [], columns: [], texts: [], rows: [], values: names.length };
  spec.features.forEach((def, feature) => {
    (COMPILE[def.kind] as (def: FeatureDef, feature: number, draft: Draft) => void)(def, feature, draft);
  });
  draft.series.sort((a, b) => (keyId(a.key) < keyId(b.key) ? -1 : 1));
  const series = draft.series.map(needOf);
  return {
    spec,
    hash: specHash(spec),
    layoutHash: sha256(canonicalJson(series)),
    names: draft.names,
    width: draft.names.length,
    series,
    steps: {
      keys: draft.series.map((one, i) => keySteps(one, series[i])),
      columns: draft.columns,
      texts: draft.texts,
      rows: draft.rows,
      values: draft.values,
    },
  };
}

/** The state that serves all the plans: the union of their series. */
export function layoutOf(plans: readonly { readonly series: readonly SeriesNeed[] }[]): StateLayout {
  const byKey = new Map<string, SeriesNeed>();
  for (const need of plans.flatMap((plan) => plan.series)) {
    const kept = byKey.get(keyId(need.key));
    byKey.set(keyId(need.key), kept === undefined ? need : unionOf(kept, need));
  }
  const ids = [...byKey.keys()].sort();
  return { series: ids.map((id) => byKey.get(id)!) };
}

/** Whether a state of this layout holds all that the plan reads. */
export function covers(layout: StateLayout, plan: { readonly series: readonly SeriesNeed[] }): boolean {
  return plan.series.every((need) => {
    const kept = layout.series.find((one) => keyId(one.key) === keyId(need.key));
    return kept !== undefined && canonicalJson(unionOf(kept, need)) === canonicalJson(unionOf(kept, kept));
  });
}

/** A key's columns as one text; equal keys give equal texts. */
export function keyId(key: readonly string[]): string {
  return JSON.stringify(key);
}

function unionOf(a: SeriesNeed, b: SeriesNeed): SeriesNeed {
  return {
    key: a.key,
    columns: [...new Set([...a.columns, ...b.columns])].sort(),
    frauds: a.frauds || b.frauds,
    genuine: a.genuine || b.genuine,
    retentionMs: Math.max(a.retentionMs, b.retentionMs),
  };
}

// ---------------------------------------------------------------------------------------------- from kinds to steps

interface WindowDraft {
  readonly feature: number;
  readonly over: string;
  readonly aggregate: Aggregate;
  readonly ms: number;
  readonly delayMs: number;
  readonly current: boolean;
  readonly empty: number;
}

interface SeriesDraft {
  readonly key: readonly string[];
  readonly features: number[];
  readonly columns: Set<string>;
  frauds: boolean;
  genuine: boolean;
  retentionMs: number;
  readonly windows: WindowDraft[];
  readonly elapsed: ElapsedStep[];
  readonly sinceFraud: SinceFraudStep[];
  readonly multiples: MultipleDraft[];
}

interface MultipleDraft {
  readonly feature: number;
  readonly over: string;
  readonly times: number;
  readonly windowMs: number;
  readonly usualMs: number;
  readonly current: boolean;
}

interface Draft {
  readonly names: readonly string[];
  readonly series: SeriesDraft[];
  readonly columns: { readonly value: number; readonly column: string }[];
  readonly texts: string[];
  readonly rows: RowStep[];
  values: number;
}

/** One entry a kind: what it adds to the draft. */
const COMPILE: {
  readonly [K in FeatureKind]: (def: Extract<FeatureDef, { kind: K }>, feature: number, draft: Draft) => void;
} = {
  column: (def, feature, draft) => {
    draft.columns.push({ value: feature, column: def.column });
  },
  category: (def, feature, draft) => {
    const at = textPlace(draft, def.column);
    const places = new Map(def.values.map((value, place) => [value, place]));
    draft.rows.push((_, values, texts) => {
      const text = texts[at];
      values[feature] = text === null ? Number.NaN : (places.get(text) ?? places.size);
    });
  },
  time: (def, feature, draft) => {
    const part = TIME_PART[def.part];
    draft.rows.push((time, values) => {
      values[feature] = part(time);
    });
  },
  window: (def, feature, draft) => {
    const ms = parseDuration(def.window);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def.key, { feature, reachMs: ms + delayMs });
    const { empty = Number.NaN } = def;
    const over = def.aggregate === "distinct" ? identityColumn(def.over) : def.over;
    if (over === "frauds" || over === "fraud-rate") series.frauds = true;
    else if (over === "genuine") series.genuine = true;
    else if (over !== "transactions") series.columns.add(over);
    const aggregate = def.aggregate ?? "count";
    const current = delayMs === 0 && def.current !== false;
    series.windows.push({ feature, over, aggregate, ms, delayMs, current, empty });
  },
  elapsed: (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def.key, { feature, reachMs: withinMs });
    const of = def.since.endsWith("fraud") ? "fraud" : "transaction";
    if (of === "fraud") series.frauds = true;
    const last = def.since.startsWith("last");
    series.elapsed.push({ feature, of, last, withinMs, unitMs: def.unit === "days" ? DAY_MS : 1000 });
  },
  "since-fraud": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def.key, { feature, reachMs: withinMs + delayMs });
    series.frauds = true;
    series.sinceFraud.push({ feature, withinMs, delayMs });
  },
  multiple: (def, feature, draft) => {
    const usualMs = parseDuration(def.usual);
    const series = seriesOf(draft, def.key, { feature, reachMs: usualMs });
    series.columns.add(def.over);
    const { over, times, current = true } = def;
    series.multiples.push({ feature, over, times, windowMs: parseDuration(def.window), usualMs, current });
  },
  ratio: (def, feature, draft) => {
    const over = draft.names.indexOf(def.numerator);
    const under = draft.names.indexOf(def.denominator);
    draft.rows.push((_, values) => {
      values[feature] = values[under] === 0 ? Number.NaN : values[over] / values[under];
    });
  },
  difference: (def, feature, draft) => {
    const of = draft.names.indexOf(def.of);
    const minus = draft.names.indexOf(def.minus);
    draft.rows.push((_, values) => {
      values[feature] = values[of] - values[minus];
    });
  },
  expression: (def, feature, draft) => {
    const { compiled, places } = compileFeature(def, draft.names.slice(0, feature));
    const { numbers, texts, result, run } = compiled;
    const fromValues: { readonly to: number; readonly at: number }[] = [];
    const fromTexts: { readonly to: number; readonly at: number }[] = [];
    places.forEach(({ from, name }, to) => {
      if (from === "text") fromTexts.push({ to, at: textPlace(draft, name) });
      else fromValues.push({ to, at: from === "feature" ? draft.names.indexOf(name) : extraValue(draft, name) });
    });
    draft.rows.push((_, values, rowTexts) => {
      for (const { to, at } of fromValues) numbers[to] = Number.isFinite(values[at]) ? values[at] : Number.NaN;
      for (const { to, at } of fromTexts) texts[to] = rowTexts[at];
      run();
      values[feature] = numbers[result];
    });
  },
};

/** The value that a number column fills for expressions: a place behind the features. */
function extraValue(draft: Draft, column: string): number {
  const known = draft.columns.find((one) => one.column === column && one.value >= draft.names.length);
  if (known !== undefined) return known.value;
  const value = draft.values++;
  draft.columns.push({ value, column });
  return value;
}

function textPlace(draft: Draft, column: string): number {
  const known = draft.texts.indexOf(column);
  return known >= 0 ? known : draft.texts.push(column) - 1;
}

/** UTC parts of a time in whole ms; 1970-01-01 was a Thursday. Night and weekend as in the Handbook, chapter 3. */
const TIME_PART: Readonly<Record<string, (time: number) => number>> = {
  hour: hourOf,
  dayOfWeek: dayOfWeek,
  weekend: (time) => (dayOfWeek(time) >= 6 ? 1 : 0),
  night: (time) => (hourOf(time) <= 6 ? 1 : 0),
};

function hourOf(time: number): number {
  return Math.floor((time - Math.floor(time / DAY_MS) * DAY_MS) / HOUR_MS);
}

function dayOfWeek(time: number): number {
  const day = Math.floor(time / DAY_MS) + 3;
  return day - Math.floor(day / 7) * 7 + 1;
}

function seriesOf(
  draft: Draft,
  key: readonly string[],
  need: { readonly feature: number; readonly reachMs: number },
): SeriesDraft {
  let series = draft.series.find((one) => keyId(one.key) === keyId(key));
  if (series === undefined) {
    const empty = { frauds: false, genuine: false, retentionMs: 0, features: [], columns: new Set<string>() };
    series = { key, ...empty, windows: [], elapsed: [], sinceFraud: [], multiples: [] };
    draft.series.push(series);
  }
  series.features.push(need.feature);
  series.retentionMs = Math.max(series.retentionMs, need.reachMs);
  return series;
}

function needOf(draft: SeriesDraft): SeriesNeed {
  const { key, frauds, genuine, retentionMs } = draft;
  return { key, columns: [...draft.columns].sort(), frauds, genuine, retentionMs };
}

function keySteps(draft: SeriesDraft, need: SeriesNeed): KeySteps {
  const multiples = multiplesOf(draft, need);
  const delays = [...new Set(draft.windows.map(({ delayMs }) => delayMs))].sort((a, b) => a - b);
  const passes = delays.map((delayMs) =>
    passOf(
      draft.windows.filter((window) => window.delayMs === delayMs),
      need,
      delayMs === 0 ? multiples : [],
    ),
  );
  const { features, elapsed, sinceFraud } = draft;
  return { features, elapsed, sinceFraud, multiples, passes };
}

function multiplesOf(draft: SeriesDraft, need: SeriesNeed): MultipleStep[] {
  const groups = new Map<string, MultipleDraft[]>();
  for (const one of draft.multiples) {
    const id = JSON.stringify([one.over, one.usualMs, one.current]);
    groups.set(id, [...(groups.get(id) ?? []), one]);
  }
  const lists = [...groups.values()];
  return lists.map((group) => {
    const { over, usualMs, current } = group[0];
    // With and without the transaction itself share what the pass kept for the first of them.
    const at = lists.findIndex(([one]) => one.over === over && one.usualMs === usualMs);
    const swept = draft.windows.some((one) => one.over === over && one.ms === usualMs && one.delayMs === 0);
    return {
      column: need.columns.indexOf(over),
      kept: swept ? at : -1,
      usualMs,
      current,
      outputs: group.map(({ feature, times, windowMs }) => ({ feature, times, windowMs })),
    };
  });
}

function passOf(list: readonly WindowDraft[], need: SeriesNeed, multiples: readonly MultipleStep[]): Pass {
  const lengths = [...new Set(list.map(({ ms }) => ms))].sort((a, b) => a - b);
  const windows = lengths.map((ms): PassWindow => {
    const over = (word: string): CountOutput[] =>
      list
        .filter((window) => window.ms === ms && window.over === word)
        .map(({ feature, current, empty }) => ({ feature, current, empty }));
    return {
      ms,
      counts: over("transactions"),
      frauds: over("frauds"),
      genuine: over("genuine"),
      rates: over("fraud-rate"),
    };
  });
  const columns = need.columns.map((name, column): PassColumn => {
    const perWindow = lengths.map((ms, window) => {
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
      windows: perWindow.filter(({ before, after }) => before.length + after.length > 0),
    };
  });
  return {
    delayMs: list[0].delayMs,
    windows,
    lengths: Float64Array.from(lengths),
    frauds: windows.some(({ frauds, rates }) => frauds.length + rates.length > 0),
    genuine: windows.some(({ genuine }) => genuine.length > 0),
    columns: columns.filter((one) => one.windows.length > 0),
  };
}

function valueOutputs(list: readonly WindowDraft[], current: boolean): ValueOutput[] {
  return list
    .filter((window) => window.current === current)
    .map(({ feature, aggregate, empty }) => ({ feature, aggregate, empty }));
}
