// Pictures of checks: what was observed against what is required, over the column's own distribution where there is one.
import { type Axis, type Chart, chart, gauge, heightAxis, nameBars, type Part } from "../core/chart.ts";
import { DAY_MS } from "../core/duration.ts";
import { isoText, parseInstant } from "./cells.ts";
import type { ExpectationResult } from "./result.ts";
import type { ColumnSketch } from "./sketch.ts";

/** Bars of a distribution. */
const BINS = 40;
const NAMES_SHOWN = 12;
/** More days than this are drawn by the week or longer. */
const DAYS_SHOWN = 120;
/** Part of a distribution that is drawn; a single huge value would leave one bar. */
const TAIL_SHARE = 0.001;
/** Part of the width that is drawn beyond a limit. */
const BEYOND_SHARE = 0.15;

type Kwargs = Readonly<Record<string, unknown>>;

/** The figures of a check; empty where it has none that a picture would tell better than a number. */
export function pictureOf(one: ExpectationResult, sketches: ReadonlyMap<string, ColumnSketch>): string {
  if (one.exception_info.raised_exception) return "";
  const { type, kwargs } = one.expectation_config;
  const sketch = typeof kwargs.column === "string" ? sketches.get(kwargs.column) : undefined;
  const share = shareGauge(one);
  if (type === "sentinel_volume" && sketch !== undefined) return grid(volume(one, sketch));
  if (type.includes("kl_divergence")) return grid(divergence(one), ownGauge(one));
  if (sketch === undefined || kwargs.row_condition !== undefined) return grid(share, ownGauge(one));
  if (isSetCheck(type) && sketch.values !== null && sketch.values.size > 0) return grid(valueBars(one, sketch), share);
  if (sketch.histogram !== null && ofValues(type)) return grid(distribution(one, sketch), share);
  return grid(share, ownGauge(one));
}

function grid(...pictures: readonly string[]): string {
  const drawn = pictures.filter((picture) => picture !== "");
  return drawn.length === 0 ? "" : `<div class="charts">${drawn.join("")}</div>`;
}

/** Checks about where numbers of a column lie. */
function ofValues(type: string): boolean {
  return /_(values_to_be|min_to_be|max_to_be|mean_to_be|median_to_be|stdev_to_be|quantile_values_to_be)_between$|z_scores/.test(
    type,
  );
}

function isSetCheck(type: string): boolean {
  return /_in_set$|_equal_set$|_contain_set$/.test(type) && !type.includes("pair");
}

/** Share of unexpected rows against the share that `mostly` allows. */
function shareGauge({ success, result, expectation_config: { kwargs } }: ExpectationResult): string {
  const unexpected = result.unexpected_percent;
  if (typeof unexpected !== "number") return "";
  const allowed = 1 - (typeof kwargs.mostly === "number" ? kwargs.mostly : 1);
  const to = Math.min(1, Math.max(unexpected / 100, allowed, 0.005) * 1.3);
  return gauge({
    title: "Unexpected rows",
    axis: { label: "share of the rows that count", from: 0, to, format: "percent" },
    allowed: { from: 0, to: allowed },
    observed: { value: unexpected / 100, shown: `${short(unexpected)} %, allowed ${short(100 * allowed)} %` },
    good: success,
  });
}

/** One observed number against its limits. */
function ownGauge({ success, result, expectation_config: { type, kwargs } }: ExpectationResult): string {
  const observed = result.observed_value;
  if (typeof observed !== "number" || !Number.isFinite(observed)) return "";
  const [low, high] = limitsOf(kwargs);
  if (low === null && high === null) return "";
  const known = [observed, ...(low === null ? [] : [low]), ...(high === null ? [] : [high])];
  const span = Math.max(...known) - Math.min(...known) || Math.abs(observed) || 1;
  const from = Math.min(...known) >= 0 ? Math.max(0, Math.min(...known) - 0.2 * span) : Math.min(...known) - 0.2 * span;
  const isShare = /proportion|label_rate/.test(type);
  return gauge({
    title: "Observed against required",
    axis: {
      label: type.replace(/^(expect|sentinel)_/, "").replaceAll("_", " "),
      from,
      to: Math.max(...known) + 0.2 * span,
      ...(isShare ? { format: "percent" as const } : {}),
    },
    allowed: { from: low ?? Number.NEGATIVE_INFINITY, to: high ?? Number.POSITIVE_INFINITY },
    observed: { value: observed, shown: isShare ? `${short(100 * observed)} %` : short(observed) },
    good: success,
  });
}

/** Lower and upper limit, whatever the arguments are called. */
function limitsOf(kwargs: Kwargs): readonly [number | null, number | null] {
  const numeric = (value: unknown): number | null => {
    if (typeof value === "number") return value;
    const instant = typeof value === "string" ? parseInstant(value) : Number.NaN;
    return Number.isNaN(instant) ? null : instant;
  };
  if (typeof kwargs.value === "number") return [kwargs.value, kwargs.value];
  return [numeric(kwargs.min_value), numeric(kwargs.max_value) ?? numeric(kwargs.threshold)];
}

function distribution(one: ExpectationResult, sketch: ColumnSketch): string {
  const { type, kwargs } = one.expectation_config;
  const histogram = sketch.histogram!;
  if (histogram.total === 0) return "";
  const isTime = sketch.kind === "time";
  const ofCells = type.includes("values_to_be_between");
  const isStdev = type.includes("stdev") || type.includes("z_scores");
  const [low, high]: readonly [number | null, number | null] = isStdev ? [null, null] : limitsOf(kwargs);
  const [from, to] = drawnRange(sketch, [low, high]);
  const { counts, below, above } = histogram.between(from, to, BINS);
  const width = (to - from) / BINS;
  const bars = Array.from(counts, (value, i) => ({ from: from + i * width, to: from + (i + 1) * width, value }));
  const outside = (bar: (typeof bars)[number]): boolean => {
    const middle = (bar.from + bar.to) / 2;
    return ofCells && ((low !== null && middle < low) || (high !== null && middle > high));
  };
  const shown = (value: number): string => (isTime ? isoText(value, "T").slice(0, 10) : short(value));
  const parts: Part[] = [
    ...(low === null && high === null ? [] : [{ kind: "allowed" as const, from: low ?? from, to: high ?? to }]),
    { kind: "bars", bars: bars.filter((bar) => !outside(bar)), tone: "one" },
    { kind: "bars", bars: bars.filter(outside), tone: "bad" },
    ...(low === null ? [] : [limit(low, `min ${shown(low)}`)]),
    ...(high === null ? [] : [limit(high, `max ${shown(high)}`)]),
    ...observedLines(one, { isTime, isStdev }),
  ];
  const x: Axis = {
    label: `${sketch.name}${isTime ? ", day (UTC)" : ""}`,
    from,
    to,
    ...(isTime ? { format: "day" as const } : {}),
  };
  const away = below + above;
  const given: Chart = {
    title: `Distribution of ${sketch.name}`,
    x,
    y: heightAxis("rows", counts),
    parts,
    note:
      away === 0
        ? undefined
        : `${grouped(away)} rows lie outside what is drawn: values go from ${shown(sketch.min)} to ${shown(sketch.max)}.`,
  };
  return chart(given);
}

function limit(at: number, label: string): Part {
  return { kind: "limit", axis: "x", at, label, tone: "good" };
}

/** Where the observed figure lies, for figures that are a place on the column's axis. */
function observedLines(
  { result, success, expectation_config: { type } }: ExpectationResult,
  { isTime, isStdev }: { readonly isTime: boolean; readonly isStdev: boolean },
): readonly Part[] {
  const tone = success ? "two" : "bad";
  const observed = result.observed_value;
  if (type.includes("quantile") && typeof observed === "object" && observed !== null) {
    const { quantiles, values } = observed as {
      readonly quantiles: readonly number[];
      readonly values: readonly unknown[];
    };
    return values.flatMap((at, i) =>
      typeof at === "number"
        ? [
            {
              kind: "limit" as const,
              axis: "x" as const,
              at,
              label: `${short(100 * quantiles[i])} %: ${short(at)}`,
              tone: "two" as const,
            },
          ]
        : [],
    );
  }
  if (isStdev) return [];
  const at = isTime && typeof observed === "string" ? parseInstant(observed) : observed;
  if (typeof at !== "number" || !Number.isFinite(at)) return [];
  return [
    { kind: "limit", axis: "x", at, label: `observed ${isTime ? String(observed).slice(0, 10) : short(at)}`, tone },
  ];
}

/** Without the outermost thousandth on each side where that makes the picture much narrower; with the limits in any case. */
function drawnRange(sketch: ColumnSketch, limits: readonly [number | null, number | null]): readonly [number, number] {
  const histogram = sketch.histogram!;
  const finite = (value: number, share: number): number => (Number.isFinite(value) ? value : histogram.quantile(share));
  let [from, to] = [finite(sketch.min, 0), finite(sketch.max, 1)];
  const [near, far] = [histogram.quantile(TAIL_SHARE), histogram.quantile(1 - TAIL_SHARE)];
  if (to - from > 3 * (far - near) && far > near) [from, to] = [Math.min(near, from < 0 ? near : from), far];
  const [low, high] = limits;
  const span = to - from;
  // A limit far away would squeeze all bars into one.
  if (low !== null && Number.isFinite(low) && low < from && from - low <= 2 * span) from = low;
  if (high !== null && Number.isFinite(high) && high > to && high - to <= 2 * span) to = high;
  // Something of what lies beyond a limit is drawn.
  if (low !== null && sketch.min < low)
    from = Math.min(from, Math.max(finite(sketch.min, 0), low - BEYOND_SHARE * span));
  if (high !== null && sketch.max > high)
    to = Math.max(to, Math.min(finite(sketch.max, 1), high + BEYOND_SHARE * span));
  return to > from ? [from, to] : [from - 0.5, from + 0.5];
}

function valueBars({ result, expectation_config: { kwargs, type } }: ExpectationResult, sketch: ColumnSketch): string {
  const set = new Set(Array.isArray(kwargs.value_set) ? kwargs.value_set.map(String) : []);
  const wantsMember = !type.includes("not_be_in_set");
  const all = [...sketch.values!].sort(([a, m], [b, count]) => count - m || (String(a) < String(b) ? -1 : 1));
  const isOdd = (value: string | number): boolean => set.has(String(value)) !== wantsMember;
  // Unexpected values are shown before the many that are as they should be.
  const shown = [...all.filter(([value]) => isOdd(value)), ...all.filter(([value]) => !isOdd(value))].slice(
    0,
    NAMES_SHOWN,
  );
  const text = (value: string | number): string =>
    sketch.kind === "time" && typeof value === "number" ? isoText(value, "T") : String(value);
  const missing = Array.isArray(result.partial_missing_list) ? result.partial_missing_list.map(String) : [];
  const left = all.length - shown.length;
  return nameBars({
    title: `Values of ${sketch.name}`,
    label: "rows",
    bars: [
      ...shown.map(([value, count]) => ({
        name: text(value),
        value: count,
        shown: grouped(count),
        tone: isOdd(value) ? ("bad" as const) : ("one" as const),
      })),
      ...missing.map((name) => ({ name, value: 0, shown: "does not occur", tone: "bad" as const })),
    ],
    ...(left > 0 ? { note: `${grouped(left)} more values are not drawn.` } : {}),
  });
}

/** Rows by day, or by several days where there are many. */
function volume({ result, expectation_config: { kwargs } }: ExpectationResult, sketch: ColumnSketch): string {
  const { min, max, histogram } = sketch;
  if (histogram === null || !(max > min)) return "";
  const days = Math.max(1, Math.ceil((max - min) / DAY_MS));
  const step = Math.max(1, Math.ceil(days / DAYS_SHOWN));
  const from = Math.floor(min / DAY_MS) * DAY_MS;
  const bins = Math.ceil((max + 1 - from) / (step * DAY_MS));
  const { counts } = histogram.between(from, from + bins * step * DAY_MS, bins);
  const median = typeof result.observed_value === "number" ? result.observed_value * step : null;
  const ratio = (name: string, otherwise: number): number =>
    typeof kwargs[name] === "number" ? (kwargs[name] as number) : otherwise;
  const bars = Array.from(counts, (value, i) => ({
    from: from + i * step * DAY_MS,
    to: from + (i + 1) * step * DAY_MS,
    value,
  }));
  const limits: Part[] =
    median === null
      ? []
      : [
          {
            kind: "limit",
            axis: "y",
            at: median * ratio("max_ratio", 2),
            label: `at most ${short(median * ratio("max_ratio", 2))}`,
            tone: "good",
          },
          {
            kind: "limit",
            axis: "y",
            at: median * ratio("min_ratio", 0.5),
            label: `at least ${short(median * ratio("min_ratio", 0.5))}`,
            tone: "good",
          },
        ];
  const heights = [...counts, ...limits.map((part) => (part.kind === "limit" ? part.at : 0))];
  return chart({
    title: step === 1 ? "Rows by day" : `Rows by ${step} days`,
    x: { label: "day (UTC)", from, to: from + bins * step * DAY_MS, format: "day" },
    y: heightAxis("rows", heights),
    parts: [{ kind: "bars", bars, tone: "one" }, ...limits],
    note: "Drawn from a histogram of the times; the check itself counts whole days.",
  });
}

interface Weights {
  readonly values?: readonly unknown[];
  readonly bins?: readonly unknown[];
  readonly weights: readonly unknown[];
}

/** Expected and observed weights, value by value or bin by bin. */
function divergence({ result }: ExpectationResult): string {
  const details = result.details as
    | { readonly observed_partition: Weights; readonly expected_partition: Weights }
    | undefined;
  if (details === undefined) return "";
  const { observed_partition: seen, expected_partition: wanted } = details;
  const names =
    seen.values?.map(String) ?? (seen.bins ?? []).slice(1).map((to, i) => `${String(seen.bins![i])} … ${String(to)}`);
  const bars = names.slice(0, NAMES_SHOWN).flatMap((name, i) => [
    {
      name,
      value: Number(seen.weights[i]),
      shown: `${short(100 * Number(seen.weights[i]))} % observed`,
      tone: "one" as const,
    },
    {
      name: "",
      value: Number(wanted.weights[i]),
      shown: `${short(100 * Number(wanted.weights[i]))} % expected`,
      tone: "dim" as const,
    },
  ]);
  return nameBars({ title: "Observed and expected weights", label: "share of the rows", bars });
}

function short(value: number): string {
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
