// Mining: short conditions that part frauds from genuine rows, found by a beam over thresholds, one condition more at a time.

/** A column to look at; NaN is missing. */
export interface MinedColumn {
  /** As a rule names it. */
  readonly sql: string;
  readonly values: ArrayLike<number>;
  /** Where others split it already: splits of a model's trees. */
  readonly splits: readonly number[];
}

export interface MinedRule {
  readonly when: string;
  readonly frauds: number;
  readonly genuine: number;
}

export interface MiningOptions {
  readonly columns: readonly MinedColumn[];
  /** 1 fraud, 0 genuine, of the rows of the columns. */
  readonly labels: Uint8Array;
  /** How many genuine rows each genuine row of the sample stands for. */
  readonly genuineWeight: number;
  /** What a rule must reach; what it misses of it costs. */
  readonly precisionMin: number;
  readonly rulesMax: number;
  readonly partsMax?: number;
}

/** Thresholds per column, and conditions that go on from one part to the next. */
const THRESHOLDS_MAX = 24;
const BEAM = 12;
/** Frauds below which a condition is chance. */
const FRAUDS_MIN = 8;

interface Part {
  readonly column: number;
  readonly sql: string;
  readonly bits: Int32Array;
}

interface Found {
  readonly parts: readonly Part[];
  readonly bits: Int32Array;
  readonly frauds: number;
  readonly genuine: number;
  readonly gain: number;
}

/**
 * Rules in the order in which they were found: each is the best beside those before, whose frauds no longer count. So do the paths of shallow trees grow, but
 * that several are followed at once (Clark and Niblett's CN2, 1989); `gain` is frauds caught less what false alarms cost at the precision wanted.
 */
export function mineRules(options: MiningOptions): readonly MinedRule[] {
  const { columns, labels, rulesMax, partsMax = 3 } = options;
  const parts = columns.flatMap((column, index) => partsOf(column, { index, labels }));
  const fraudBits = bitsWhere(labels.length, (row) => labels[row] === 1);
  const genuineBits = bitsWhere(labels.length, (row) => labels[row] !== 1);
  const cost = (options.precisionMin / (1 - options.precisionMin)) * options.genuineWeight;
  const found: MinedRule[] = [];
  const open = Int32Array.from(fraudBits);
  const measure = (own: readonly Part[], bits: Int32Array): Found => {
    const frauds = countBoth(bits, open);
    const genuine = countBoth(bits, genuineBits);
    return { parts: own, bits, frauds, genuine, gain: frauds - cost * genuine };
  };
  while (found.length < rulesMax) {
    const best = search(parts, { measure, partsMax });
    if (best === null || best.gain <= 0 || best.frauds < FRAUDS_MIN) break;
    const when = [...best.parts].sort((a, b) => a.column - b.column).map(({ sql }) => sql);
    found.push({
      when: when.join(" AND "),
      frauds: best.frauds,
      genuine: Math.round(best.genuine * options.genuineWeight),
    });
    for (let i = 0; i < open.length; i++) open[i] &= ~best.bits[i];
  }
  return found;
}

function search(
  parts: readonly Part[],
  on: { readonly measure: (own: readonly Part[], bits: Int32Array) => Found; readonly partsMax: number },
): Found | null {
  let best: Found | null = null;
  let beam: Found[] = [];
  for (let length = 1; length <= on.partsMax; length++) {
    const next: Found[] = [];
    const from: readonly (Found | null)[] = length === 1 ? [null] : beam;
    for (const start of from) {
      for (const part of parts) {
        if (start?.parts.some(({ sql, column }) => sql === part.sql || (column === part.column && length > 2)))
          continue;
        const bits = start === null ? part.bits : andOf(start.bits, part.bits);
        const one = on.measure([...(start?.parts ?? []), part], bits);
        if (one.frauds < FRAUDS_MIN || (start !== null && one.genuine >= start.genuine)) continue;
        next.push(one);
      }
    }
    if (next.length === 0) break;
    // While a condition can still be narrowed, the frauds it holds count more than what it lets in beside them.
    const promise = ({ frauds, genuine }: Found): number => frauds / Math.sqrt(frauds + genuine + 1);
    for (const one of next) if (best === null || one.gain > best.gain) best = one;
    beam = next.sort((a, b) => promise(b) - promise(a)).slice(0, BEAM);
  }
  return best;
}

/** Conditions column >= t and column < t, at round numbers near quantiles of the frauds and of all, and near the splits. */
function partsOf(column: MinedColumn, on: { readonly index: number; readonly labels: Uint8Array }): Part[] {
  const { values, splits, sql } = column;
  const present: number[] = [];
  const ofFrauds: number[] = [];
  for (let row = 0; row < values.length; row++) {
    if (Number.isNaN(values[row])) continue;
    present.push(values[row]);
    if (on.labels[row] === 1) ofFrauds.push(values[row]);
  }
  const candidates = new Set<number>();
  for (const list of [present, ofFrauds]) {
    const sorted = Float64Array.from(list).sort();
    for (let i = 1; i < THRESHOLDS_MAX / 2; i++) {
      candidates.add(roundNumber(sorted[Math.floor((i * sorted.length) / (THRESHOLDS_MAX / 2))] ?? Number.NaN));
    }
  }
  for (const split of thin(splits)) candidates.add(roundNumber(split));
  return [...candidates].filter(Number.isFinite).flatMap((threshold) => [
    {
      column: on.index,
      sql: `${sql} >= ${written(threshold)}`,
      bits: bitsWhere(values.length, (row) => values[row] >= threshold),
    },
    {
      column: on.index,
      sql: `${sql} < ${written(threshold)}`,
      bits: bitsWhere(values.length, (row) => values[row] < threshold),
    },
  ]);
}

function thin(splits: readonly number[]): readonly number[] {
  const sorted = [...splits].sort((a, b) => a - b);
  const step = Math.max(1, Math.floor(sorted.length / (THRESHOLDS_MAX / 2)));
  return sorted.filter((_, at) => at % step === 0);
}

/** Two digits: an analyst reads 250, not 247.3125. */
export function roundNumber(value: number): number {
  return Number.isFinite(value) && value !== 0 ? Number(value.toPrecision(2)) : value;
}

/** As the language reads it: no exponent where none is needed. */
function written(value: number): string {
  return String(value);
}

function bitsWhere(rows: number, test: (row: number) => boolean): Int32Array {
  const bits = new Int32Array((rows >> 5) + 1);
  for (let row = 0; row < rows; row++) if (test(row)) bits[row >> 5] |= 1 << (row & 31);
  return bits;
}

function andOf(a: Int32Array, b: Int32Array): Int32Array {
  const both = new Int32Array(a.length);
  for (let i = 0; i < both.length; i++) both[i] = a[i] & b[i];
  return both;
}

function countBoth(a: Int32Array, b: Int32Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) {
    const both = a[i] & b[i];
    if (both !== 0) count += bitCount(both);
  }
  return count;
}

/** Bits set in a word (Hacker's Delight, chapter 5). */
export function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
