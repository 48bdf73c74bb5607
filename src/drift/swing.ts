// Natural swing: how far windows of the reference's own period lie from all of it, beyond what as many independent rows would do.
import { HOUR_MS } from "../core/duration.ts";
import { chiSquareQuantile } from "./chi-square.ts";
import { binFinder, type FeatureReference, type Reference, type Values } from "./reference.ts";
import { Repeats } from "./repeats.ts";

/**
 * Per length of window. `cards`: rows per independent row, because rows of one card, or of one terminal, repeat each other (one-stage cluster
 * variance; of all that rows belong to, the largest). `natural`:
 * what days, weeks and paydays add, as variance per degree of freedom of the chi-square distance: more rows do not help against it. `ordered`:
 * the same of the distance of distribution functions, which a swing in one direction moves more.
 */
export interface ColumnSwing {
  readonly cards: readonly number[];
  readonly natural: readonly number[];
  readonly ordered: readonly number[];
}

/** Rows that count as one: for tests on bins, and for tests on distribution functions. */
export interface DesignEffects {
  readonly bins: number;
  readonly ordered: number;
}

/** JSON-serialisable; travels in the bundle as swing.json. */
export interface Swing {
  readonly format: 1;
  /** Rising lengths of windows that the reference's period has enough of. */
  readonly hours: readonly number[];
  /** By feature, in the reference's order. */
  readonly features: readonly ColumnSwing[];
  readonly score: ColumnSwing;
  readonly alerts: ColumnSwing;
  /** Share of rows that repeat one of the last few thousand. */
  readonly duplicates: number;
}

const LENGTHS_HOURS: readonly number[] = [1, 3, 6, 12, 24, 48, 96, 168, 336, 672];
/** A length is measured where the period has so many windows of it that do not overlap. */
const WINDOWS_MIN = 3;
/** Moving windows start a quarter of their length apart. */
const STEPS = 4;
/** Of the shortest lengths, windows at even steps over the whole period. */
const WINDOWS_MAX = 400;
const ROWS_MIN = 50;
/** A window in twenty lies further away than this share of them. */
const QUANTILE = 0.95;
/** Of the Kolmogorov distribution. */
const KOLMOGOROV_QUANTILE = 1.358;
/** About so many rows are looked at: of more, all rows of some cards (single rows, where cards are unknown). */
const ROWS_MAX = 200_000;

export interface SwingInput {
  readonly reference: Reference;
  readonly columns: readonly Values[];
  readonly scores: Values;
  /** Score from which a row is an alert. */
  readonly review: number;
  /** Event times, epoch ms. */
  readonly times: Float64Array;
  /** What a row belongs to (its card, its terminal), as codes, each in its own way; none where rows stand alone. */
  readonly owners: readonly Int32Array[];
}

/** Moving blocks of the reference's rows against all of them; the rows of an owner within a window stay together. */
export function buildSwing(input: SwingInput): Swing {
  const { reference, times } = input;
  const all = Int32Array.from(times.keys())
    .filter((row) => Number.isFinite(times[row]))
    .sort((a, b) => times[a] - times[b]);
  const { order, every } = thinned(all, input.owners);
  const first = order.length === 0 ? 0 : times[order[0]];
  const spanMs = order.length === 0 ? 0 : times[order[order.length - 1]] - first;
  const hours = LENGTHS_HOURS.filter((length) => spanMs >= WINDOWS_MIN * length * HOUR_MS);
  const plans = hours.map((length) => planOf(order, input, { lengthMs: length * HOUR_MS, every }));
  const swingOf = (bins: Uint8Array, width: number): ColumnSwing => {
    const binned = inOrder(bins, width, order);
    const columns = plans.map((plan) => columnSwing(binned, plan));
    return {
      cards: columns.map(({ cards }) => round(cards)),
      natural: columns.map(({ natural }) => round(natural)),
      ordered: columns.map(({ ordered }) => round(ordered)),
    };
  };
  const swingOfFeature = (feature: FeatureReference, values: Values): ColumnSwing =>
    swingOf(...binsOf(feature, values));
  return {
    format: 1,
    hours,
    features: reference.features.map((feature, i) => swingOfFeature(feature, input.columns[i])),
    score: swingOfFeature(reference.score, input.scores),
    alerts: swingOf(
      Uint8Array.from(input.scores, (score) => (score >= input.review ? 1 : 0)),
      2,
    ),
    duplicates: round(repeatedShare(all, input)),
  };
}

/** One row in `every`: all rows of some of the first owners. */
function thinned(
  rows: Int32Array,
  owners: readonly Int32Array[],
): { readonly order: Int32Array; readonly every: number } {
  const every = Math.ceil(rows.length / ROWS_MAX);
  if (every <= 1) return { order: rows, every: 1 };
  const cards = owners.length === 0 ? null : owners[0];
  const order = rows.filter((row) => (Math.imul(cards === null ? row : cards[row], 0x9e3779b1) >>> 0) % every === 0);
  return { order, every };
}

function repeatedShare(order: Int32Array, { columns, scores, times }: SwingInput): number {
  const repeats = new Repeats();
  const vector = new Float64Array(columns.length);
  let repeated = 0;
  for (const row of order) {
    for (let c = 0; c < columns.length; c++) vector[c] = columns[c][row];
    if (repeats.seen({ time: times[row], score: scores[row], vector })) repeated++;
  }
  return order.length === 0 ? 0 : repeated / order.length;
}

/** Rows per independent row in a window of `rows` rows and `ms`, against a reference of `referenceRows`; at least 1. */
export function designEffectOf(
  swing: { readonly hours: readonly number[]; readonly column: ColumnSwing } | null,
  window: { readonly ms: number; readonly rows: number; readonly referenceRows: number },
): DesignEffects {
  if (swing === null || swing.hours.length === 0 || window.rows === 0) return { bins: 1, ordered: 1 };
  const { hours, column } = swing;
  // The next shorter length that was measured: it swings more, if anything.
  let at = 0;
  while (at + 1 < hours.length && hours[at + 1] * HOUR_MS <= window.ms) at++;
  // Rows of one card pile up with the length: the next longer one, if there is one.
  const exact = hours[at] * HOUR_MS >= window.ms;
  const cards = column.cards[exact ? at : Math.min(at + 1, hours.length - 1)];
  const chance = 1 / window.rows + 1 / window.referenceRows;
  // The reference is a window of its period itself: five days of a week are not the week. It swings as its longest measured windows do, at most.
  const both = (natural: readonly number[]): number => natural[at] + natural[natural.length - 1];
  return {
    bins: Math.max(1, cards + both(column.natural) / chance),
    ordered: Math.max(1, cards + both(column.ordered) / chance),
  };
}

/** Coarse bin of every row; missing is the last. */
function binsOf(feature: FeatureReference, values: Values): [Uint8Array, number] {
  const width = feature.counts.length + 1;
  const bins = new Uint8Array(values.length);
  const binOf = binFinder(feature);
  for (let row = 0; row < values.length; row++) bins[row] = Number.isNaN(values[row]) ? width - 1 : binOf(values[row]);
  return [bins, width];
}

interface Plan {
  /** Moving windows, as stretches of `order`. */
  readonly windows: readonly (readonly [number, number])[];
  readonly clusterings: readonly Clustering[];
}

/** `order` split into clusters: rows of one owner in one window of a partition without overlap. */
interface Clustering {
  readonly clusters: Int32Array;
  /** Rows of each cluster. */
  readonly sizes: Float64Array;
  /** Of an owner's rows one in so many is there. */
  readonly every: number;
}

function planOf(
  order: Int32Array,
  { times, owners }: SwingInput,
  { lengthMs, every }: { readonly lengthMs: number; readonly every: number },
): Plan {
  const from = times[order[0]];
  const to = times[order[order.length - 1]];
  const possible = Math.max(1, Math.floor((to - from - lengthMs) / (lengthMs / STEPS)) + 1);
  const count = Math.min(possible, WINDOWS_MAX);
  const windows: [number, number][] = [];
  for (let w = 0; w < count; w++) {
    const start = from + ((to - from - lengthMs) * w) / Math.max(1, count - 1);
    windows.push([lowerBound(order, times, start), lowerBound(order, times, start + lengthMs)]);
  }
  const clusterings = owners.map((codes, at) => ({
    ...clusteringOf(order, codes, (row) => Math.floor((times[row] - from) / lengthMs)),
    // Of the first owners that are there, all rows are.
    every: at === 0 ? 1 : every,
  }));
  return { windows, clusterings };
}

function clusteringOf(
  order: Int32Array,
  codes: Int32Array,
  windowOf: (row: number) => number,
): Pick<Clustering, "clusters" | "sizes"> {
  const numbers = new Map<number, number>();
  const clusters = Int32Array.from(order, (row) => {
    const key = windowOf(row) * 2 ** 31 + codes[row];
    let cluster = numbers.get(key);
    if (cluster === undefined) {
      cluster = numbers.size;
      numbers.set(key, cluster);
    }
    return cluster;
  });
  const sizes = new Float64Array(numbers.size);
  for (const cluster of clusters) sizes[cluster]++;
  return { clusters, sizes };
}

function lowerBound(order: Int32Array, times: Float64Array, time: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[order[middle]] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A column's bins in the order of time, with the share of each and the degrees of freedom. */
interface Binned {
  readonly bins: Uint8Array;
  readonly shares: Float64Array;
  readonly df: number;
}

function inOrder(bins: Uint8Array, width: number, order: Int32Array): Binned {
  const ordered = new Uint8Array(order.length);
  const total = new Float64Array(width);
  for (let i = 0; i < order.length; i++) {
    ordered[i] = bins[order[i]];
    total[ordered[i]]++;
  }
  const shares = total.map((count) => count / order.length);
  return { bins: ordered, shares, df: shares.reduce((filled, share) => filled + (share > 0 ? 1 : 0), 0) - 1 };
}

function columnSwing(
  column: Binned,
  plan: Plan,
): { readonly cards: number; readonly natural: number; readonly ordered: number } {
  const { bins, shares, df } = column;
  const m = bins.length;
  const width = shares.length;
  if (df < 1) return { cards: 1, natural: 0, ordered: 0 };
  const cards = plan.clusterings.reduce((most, owners) => Math.max(most, clusterEffect(column, owners)), 1);
  const excess: number[] = [];
  const distances: number[] = [];
  const steps: number[] = [];
  const counts = new Float64Array(width);
  const surprise = chiSquareQuantile(1 - QUANTILE, df) / df;
  let counted = 0;
  let left = 0;
  for (const [from, to] of plan.windows) {
    // Windows move on and overlap: rows that come are added, rows that go are taken off.
    if (from >= counted) {
      counts.fill(0);
      counted = from;
      left = from;
    }
    for (; counted < to; counted++) counts[bins[counted]]++;
    for (; left < from; left++) counts[bins[left]]--;
    const n = to - from;
    if (n < ROWS_MIN || n >= m) continue;
    let distance = 0;
    let below = 0;
    let step = 0;
    for (let b = 0; b < width; b++) {
      const apart = counts[b] / n - shares[b];
      if (shares[b] > 0) distance += apart ** 2 / shares[b];
      below += apart;
      step = Math.max(step, Math.abs(below));
    }
    // Without swing the mean is cards × (1/n − 1/m): the window is part of the whole.
    const chance = cards * (1 / n - 1 / m);
    excess.push(distance / df - chance);
    distances.push(distance / df / surprise - chance);
    steps.push((step / KOLMOGOROV_QUANTILE) ** 2 - chance);
  }
  if (excess.length === 0) return { cards, natural: 0, ordered: 0 };
  const mean = excess.reduce((sum, value) => sum + value, 0) / excess.length;
  return { cards, natural: Math.max(0, mean, high(distances)), ordered: Math.max(0, high(steps)) };
}

/** What a window in twenty exceeds; of few windows the largest. */
function high(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.ceil(QUANTILE * values.length) - 1)];
}

/** Σ over clusters of (their deviation from the expected counts)², over what as many independent rows would give. */
function clusterEffect({ bins, shares, df }: Binned, { clusters, sizes, every }: Clustering): number {
  // A bin's counts lie together, as they are summed.
  const counts = new Float32Array(shares.length * sizes.length);
  for (let i = 0; i < bins.length; i++) counts[bins[i] * sizes.length + clusters[i]]++;
  let sum = 0;
  for (const [b, share] of shares.entries()) {
    if (share === 0) continue;
    const from = b * sizes.length;
    for (let c = 0; c < sizes.length; c++) sum += (counts[from + c] - share * sizes[c]) ** 2 / share;
  }
  // What rows of one owner have in common grows with how many of them there are.
  return 1 + (sum / (bins.length * df) - 1) * every;
}

function round(value: number): number {
  return Number(value.toPrecision(6));
}
