// The feature plan: a spec compiled to the state it needs and the steps that fill a vector from it.
import { DAY_MS, parseDuration } from "../core/duration.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import type { FeatureDef, FeatureKind, FeatureSpec } from "./definition.ts";
import { derivedColumn, derivedOf } from "./derived.ts";
import { columnOfIdentity, identityColumn } from "./distinct.ts";
import { compileFeature } from "./expression.ts";
import { hopColumn, hopOf } from "./hops.ts";
import { fineTileMs, STATE_LIMITS } from "./limits.ts";
import type { ElapsedStep, KeySteps, MultipleDraft, ScanDraft, SinceFraudStep, WindowDraft } from "./passes.ts";
import { keySteps } from "./passes.ts";
import type { RowDraft, RowExpression, RowSteps } from "./row-steps.ts";
import { differenceStep, expressionStep, ratioStep, rowSteps, timeStep } from "./row-steps.ts";
import { specHash } from "./spec.ts";

/** The state one key needs: which columns' values (or their identities: distinct.ts), which labels, and how far back (ms, lateness not included). */
export interface SeriesNeed {
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly frauds: boolean;
  readonly genuine: boolean;
  readonly retentionMs: number;
  /** Columns whose value each known fraud keeps; absent where there are none. */
  readonly labelled?: readonly string[];
  /** Other columns whose values are looked for among the keys; absent where there are none. */
  readonly readBy?: readonly (readonly string[])[];
  /** Length of its tiles (ms) where they are finer than the state's own; absent where they are not. */
  readonly tileMs?: number;
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
  /** One per series, in the plan's order of series. */
  readonly keys: readonly KeySteps[];
  /** Number columns and the value each fills: a feature, or from the plan's width on, what only an expression reads. */
  readonly columns: readonly { readonly value: number; readonly column: string }[];
  /** Text columns that expressions read. */
  readonly texts: readonly string[];
  /** Parts of the time and arithmetic on earlier values, in order. */
  readonly rows: RowSteps;
  /** Values computed: the vector's, then those that expressions read besides. */
  readonly values: number;
}

/** In front of a feature's name: its value, found by a pass before this one. No table can have such a name. */
const CARRIED = "\u0002";

/** The name of the column that carries a feature from one pass to the next: see by-key.ts. */
export function carriedColumn(feature: string): string {
  return CARRIED + feature;
}

export function isCarried(column: string): boolean {
  return column.startsWith(CARRIED);
}

/** The columns a plan reads. */
export function columnsOfPlan(plan: FeaturePlan): string[] {
  const names = plan.series.flatMap((series) => [
    ...series.key,
    ...(series.readBy ?? []).flat(),
    ...keptColumns(series).flatMap(sourcesOf),
  ]);
  return [...new Set([...names, ...plan.steps.columns.map(({ column }) => column), ...plan.steps.texts])];
}

/** What a series keeps of transactions or of known frauds. */
export function keptColumns({ columns, labelled = [] }: SeriesNeed): readonly string[] {
  return [...columns, ...labelled];
}

/** The columns of a transaction that a state's column is made of. */
export function sourcesOf(name: string): readonly string[] {
  const hop = hopOf(name);
  if (hop !== null) return hop.key;
  const derived = derivedOf(name);
  if (derived === null) return [columnOfIdentity(name) ?? name];
  return Object.keys(derived.columns).filter((column) => derived.columns[column] !== "time");
}

/**
 * Compiles a checked spec. With `fine` a busy key is kept as finely as its shortest window needs: who counts the last five minutes means five
 * minutes. A model's features are kept as they were when it learned from them.
 */
export function compileSpec(spec: FeatureSpec, { fine = false }: { readonly fine?: boolean } = {}): FeaturePlan {
  const names = spec.features.map((feature) => feature.name);
  const draft: Draft = { names, series: [], columns: [], texts: [], rows: [], values: names.length };
  spec.features.forEach((def, feature) => {
    (COMPILE[def.kind] as (def: FeatureDef, feature: number, draft: Draft) => void)(def, feature, draft);
  });
  draft.series.sort((a, b) => (seriesId(a) < seriesId(b) ? -1 : 1));
  const series = draft.series.map((one) => (fine ? { ...needOf(one), ...tilesOf(one) } : needOf(one)));
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
      rows: rowSteps(draft.rows),
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
    ...labelledByBoth(a, b),
    ...readByBoth(a, b),
    ...finerTiles(a, b),
  };
}

function finerTiles({ tileMs: a }: SeriesNeed, { tileMs: b }: SeriesNeed): Pick<SeriesNeed, "tileMs"> {
  if (a === undefined && b === undefined) return {};
  return { tileMs: Math.min(a ?? STATE_LIMITS.tileMs, b ?? STATE_LIMITS.tileMs) };
}

function labelledByBoth(
  { labelled: a = [] }: SeriesNeed,
  { labelled: b = [] }: SeriesNeed,
): Pick<SeriesNeed, "labelled"> {
  const columns = new Set([...a, ...b]);
  return columns.size === 0 ? {} : { labelled: [...columns].sort() };
}

function readByBoth({ readBy: a = [] }: SeriesNeed, { readBy: b = [] }: SeriesNeed): Pick<SeriesNeed, "readBy"> {
  const keys = new Map([...a, ...b].map((key) => [keyId(key), key]));
  return keys.size === 0 ? {} : { readBy: [...keys.keys()].sort().map((id) => keys.get(id)!) };
}

// ---------------------------------------------------------------------------------------------- from kinds to steps

interface SeriesDraft {
  readonly key: readonly string[];
  readonly readBy: readonly string[] | null;
  readonly features: number[];
  readonly columns: Set<string>;
  readonly labelled: Set<string>;
  frauds: boolean;
  genuine: boolean;
  retentionMs: number;
  readonly windows: WindowDraft[];
  readonly elapsed: ElapsedStep[];
  readonly sinceFraud: SinceFraudStep[];
  readonly multiples: MultipleDraft[];
  readonly scans: ScanDraft[];
}

interface Draft {
  readonly names: readonly string[];
  readonly series: SeriesDraft[];
  readonly columns: { readonly value: number; readonly column: string }[];
  readonly texts: string[];
  readonly rows: RowDraft[];
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
    const run: RowExpression = (values, texts) => {
      const text = texts[at];
      values[feature] = text === null ? Number.NaN : (places.get(text) ?? places.size);
    };
    draft.rows.push(expressionStep(feature, run));
  },
  time: (def, feature, draft) => {
    draft.rows.push(timeStep(feature, def.part));
  },
  window: (def, feature, draft) => {
    const ms = parseDuration(def.window);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def, { feature, reachMs: ms + delayMs });
    const { empty = Number.NaN } = def;
    const plain = def.aggregate === "distinct" ? identityColumn(def.over) : def.over;
    const over = def.derived === undefined ? plain : derivedColumn(def.derived);
    if (over === "frauds" || over === "fraud-rate") series.frauds = true;
    else if (over === "genuine") series.genuine = true;
    else if (over !== "transactions") series.columns.add(over);
    const aggregate = def.aggregate ?? "count";
    const current = delayMs === 0 && def.current !== false && def.history === undefined;
    series.windows.push({ feature, over, aggregate, ms, delayMs, current, empty });
  },
  elapsed: (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    const of = def.since.endsWith("fraud") ? "fraud" : "transaction";
    if (of === "fraud") series.frauds = true;
    const last = def.since.startsWith("last");
    series.elapsed.push({ feature, of, last, withinMs, unitMs: def.unit === "days" ? DAY_MS : 1000 });
  },
  "since-fraud": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def, { feature, reachMs: withinMs + delayMs });
    series.frauds = true;
    series.sinceFraud.push({ feature, withinMs, delayMs });
  },
  neighbours: (def, feature, draft) => {
    const ms = parseDuration(def.window);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def, { feature, reachMs: ms + delayMs });
    const identities = identityColumn(def.column);
    series.columns.add(identities);
    if (def.measure !== "count") {
      series.frauds = true;
      series.labelled.add(identities);
    }
    const { kind, column: over, measure, empty = Number.NaN } = def;
    series.scans.push({ kind, feature, over, measure, ms, delayMs, empty });
  },
  "two-hops": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const ms = parseDuration(def.window);
    const delayMs = parseDuration(def.delay ?? "0s");
    // Its labels are read when a transaction is learned: no feature of a vector is that key's.
    seriesOf(draft, { key: def.through }, { feature: null, reachMs: withinMs }).frauds = true;
    const series = seriesOf(draft, def, { feature, reachMs: ms + delayMs });
    const over = hopColumn({ key: def.through, withinMs });
    series.columns.add(over);
    const { aggregate, empty = Number.NaN } = def;
    series.windows.push({ feature, over, aggregate, ms, delayMs, current: false, empty });
  },
  "fraud-value": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    series.frauds = true;
    series.labelled.add(def.over);
    series.scans.push({ kind: def.kind, feature, over: def.over, largest: def.aggregate === "max", withinMs });
  },
  "fraud-run": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    series.frauds = true;
    const unitMs = def.measure === "count" ? null : def.measure === "days" ? DAY_MS : 1000;
    series.scans.push({ kind: def.kind, feature, unitMs, withinMs, delayMs: parseDuration(def.delay ?? "0s") });
  },
  multiple: (def, feature, draft) => {
    const usualMs = parseDuration(def.usual);
    const series = seriesOf(draft, def, { feature, reachMs: usualMs });
    series.columns.add(def.over);
    const { over, times, current = true } = def;
    series.multiples.push({ feature, over, times, windowMs: parseDuration(def.window), usualMs, current });
  },
  percentile: (def, feature, draft) => {
    const ms = parseDuration(def.window);
    const delayMs = parseDuration(def.delay ?? "0s");
    const series = seriesOf(draft, def, { feature, reachMs: ms + delayMs });
    series.columns.add(def.over);
    const { over, percent, empty = Number.NaN } = def;
    const current = delayMs === 0 && def.current !== false;
    series.scans.push({ kind: def.kind, feature, over, percent, ms, delayMs, current, empty });
  },
  "first-seen": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    series.columns.add(identityColumn(def.column));
    series.scans.push({ kind: def.kind, feature, over: def.column, withinMs });
  },
  "new-values": (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    series.columns.add(identityColumn(def.column));
    const { kind, column: over, current = true } = def;
    series.scans.push({ kind, feature, over, ms: parseDuration(def.window), withinMs, current });
  },
  movement: (def, feature, draft) => {
    const withinMs = parseDuration(def.within);
    const series = seriesOf(draft, def, { feature, reachMs: withinMs });
    const { kind, latitude, longitude } = def;
    for (const column of [latitude, longitude]) series.columns.add(column);
    series.scans.push({ kind, feature, latitude, longitude, withinMs, isSpeed: def.measure === "speed" });
  },
  ratio: (def, feature, draft) => {
    draft.rows.push(ratioStep(feature, draft.names.indexOf(def.numerator), draft.names.indexOf(def.denominator)));
  },
  difference: (def, feature, draft) => {
    draft.rows.push(differenceStep(feature, draft.names.indexOf(def.of), draft.names.indexOf(def.minus)));
  },
  expression: (def, feature, draft) => {
    const { compiled, places } = compileFeature(def, draft.names.slice(0, feature));
    const { numbers, texts, result, run } = compiled;
    const fromValues: { readonly to: number; readonly at: number }[] = [];
    const fromTexts: { readonly to: number; readonly at: number }[] = [];
    const fromTime: number[] = [];
    places.forEach(({ from, name }, to) => {
      if (from === "time") fromTime.push(to);
      else if (from === "text") fromTexts.push({ to, at: textPlace(draft, name) });
      else fromValues.push({ to, at: from === "feature" ? draft.names.indexOf(name) : extraValue(draft, name) });
    });
    const runOn: RowExpression = (values, rowTexts, time) => {
      for (const to of fromTime) numbers[to] = time;
      for (const { to, at } of fromValues) numbers[to] = Number.isFinite(values[at]) ? values[at] : Number.NaN;
      for (const { to, at } of fromTexts) texts[to] = rowTexts[at];
      run();
      values[feature] = numbers[result];
    };
    draft.rows.push(expressionStep(feature, runOn));
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

function seriesOf(
  draft: Draft,
  def: { readonly key: readonly string[]; readonly history?: readonly string[] },
  need: { readonly feature: number | null; readonly reachMs: number },
): SeriesDraft {
  const of = { key: def.history ?? def.key, readBy: def.history === undefined ? null : def.key };
  let series = draft.series.find((one) => seriesId(one) === seriesId(of));
  if (series === undefined) {
    const empty = { frauds: false, genuine: false, retentionMs: 0, features: [] };
    const names = { columns: new Set<string>(), labelled: new Set<string>() };
    series = { ...of, ...empty, ...names, windows: [], elapsed: [], sinceFraud: [], multiples: [], scans: [] };
    draft.series.push(series);
  }
  if (need.feature !== null) series.features.push(need.feature);
  series.retentionMs = Math.max(series.retentionMs, need.reachMs);
  return series;
}

/** A key read by other columns is a series of the plan by itself; the state keeps both as one. */
function seriesId({ key, readBy }: Pick<SeriesDraft, "key" | "readBy">): string {
  return readBy === null ? keyId(key) : `${keyId(key)} ${keyId(readBy)}`;
}

function tilesOf({ windows, retentionMs }: SeriesDraft): Pick<SeriesNeed, "tileMs"> {
  const tileMs = fineTileMs({ shortestMs: Math.min(...windows.map(({ ms }) => ms)), retentionMs });
  return tileMs < STATE_LIMITS.tileMs ? { tileMs } : {};
}

function needOf(draft: SeriesDraft): SeriesNeed {
  const { key, frauds, genuine, retentionMs, readBy } = draft;
  const labelled = draft.labelled.size === 0 ? {} : { labelled: [...draft.labelled].sort() };
  const need = { key, columns: [...draft.columns].sort(), frauds, genuine, retentionMs, ...labelled };
  return readBy === null ? need : { ...need, readBy: [readBy] };
}
