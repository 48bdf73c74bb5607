// Sketches: what the columns of a table look like, in bounded memory: for pictures of a report, and for a suite that is proposed.
import type { Column, Table } from "../core/table.ts";
import type { Onlooker } from "./evaluate.ts";
import { GrowingHistogram } from "./histogram.ts";
import type { ColumnShape } from "./shape.ts";

/** Different values of a column that are counted one by one; a column with more of them is no set. */
export const VALUES_MAX = 1000;
/** Longer texts are not shown. */
const TEXT_LENGTH_MAX = 200;

/** What one column looks like. */
export interface ColumnSketch {
  readonly name: string;
  readonly kind: Column["kind"];
  readonly boolean: boolean;
  readonly rows: number;
  readonly missing: number;
  /** Whether all numbers are whole, as far as there are any. */
  readonly whole: boolean;
  /** Of numbers and times; NaN without any. */
  readonly min: number;
  readonly max: number;
  /** Counts of numbers and times in equal bins; null for texts. */
  readonly histogram: GrowingHistogram | null;
  /** Values and how often they occur; null where there are more than {@link VALUES_MAX}. */
  readonly values: ReadonlyMap<string | number, number> | null;
  /** Shortest and longest text, in UTF-16 units; NaN without any. */
  readonly lengths: readonly [number, number];
  /** Whether every value stands above the one before it (`strict`), or not below. */
  readonly ascending: boolean;
  readonly strict: boolean;
}

/** Draws a sketch of each column while a table passes by. */
export class Sketcher implements Onlooker {
  readonly columns: readonly string[];
  private readonly drafts: readonly Draft[];

  constructor(columns: readonly ColumnShape[]) {
    this.columns = columns.map(({ name }) => name);
    this.drafts = columns.map((shape) => new Draft(shape));
  }

  push(batch: Table): void {
    for (const draft of this.drafts) draft.push(batch.columns.get(draft.shape.name)!);
  }

  sketches(): ReadonlyMap<string, ColumnSketch> {
    return new Map(this.drafts.map((draft) => [draft.shape.name, draft.sketch()]));
  }
}

class Draft {
  readonly shape: ColumnShape;
  private rows = 0;
  private missing = 0;
  private whole = true;
  private min = Number.NaN;
  private max = Number.NaN;
  private shortest = Number.NaN;
  private longest = Number.NaN;
  private readonly histogram: GrowingHistogram | null;
  private values: Map<string | number, number> | null = new Map();
  private last: number | string | null = null;
  private ascending = true;
  private strict = true;

  constructor(shape: ColumnShape) {
    this.shape = shape;
    this.histogram = shape.kind === "text" ? null : new GrowingHistogram();
  }

  push(column: Column): void {
    if (column.kind === "text") this.pushTexts(column.codes, column.dictionary);
    else this.pushNumbers(column.values);
  }

  sketch(): ColumnSketch {
    const { rows, missing, whole, min, max, histogram, values, ascending, strict } = this;
    const { name, kind, boolean } = this.shape;
    return {
      ...{ name, kind, boolean, rows, missing, whole, min, max, histogram, values },
      ...{ lengths: [this.shortest, this.longest], ascending, strict },
    };
  }

  private pushNumbers(values: Float64Array): void {
    this.rows += values.length;
    this.histogram!.add(values);
    let last = typeof this.last === "number" ? this.last : Number.NEGATIVE_INFINITY;
    for (let row = 0; row < values.length; row++) {
      const value = values[row];
      if (Number.isNaN(value)) {
        this.missing++;
        continue;
      }
      if (!(value >= this.min)) this.min = value;
      if (!(value <= this.max)) this.max = value;
      if (this.whole && !Number.isSafeInteger(value)) this.whole = false;
      if (value < last) this.ascending = false;
      if (!(value > last)) this.strict = false;
      last = value;
    }
    this.last = last;
    if (this.values !== null)
      for (let row = 0; row < values.length && this.values !== null; row++) this.count(values[row]);
  }

  private pushTexts(codes: Int32Array, dictionary: readonly string[]): void {
    this.rows += codes.length;
    const counts = new Int32Array(dictionary.length);
    for (let row = 0; row < codes.length; row++) {
      const code = codes[row];
      if (code < 0) {
        this.missing++;
        continue;
      }
      counts[code]++;
      if (!this.ascending) continue;
      const text = dictionary[code];
      if (this.last !== null && text < this.last) this.ascending = false;
      if (this.last !== null && text <= this.last) this.strict = false;
      this.last = text;
    }
    if (!this.ascending) this.strict = false;
    for (let code = 0; code < dictionary.length; code++) {
      if (counts[code] === 0) continue;
      const { length } = dictionary[code];
      if (!(length >= this.shortest)) this.shortest = length;
      if (!(length <= this.longest)) this.longest = length;
      if (this.values !== null) this.count(dictionary[code].slice(0, TEXT_LENGTH_MAX), counts[code]);
    }
  }

  private count(value: string | number, times = 1): void {
    if (typeof value === "number" && Number.isNaN(value)) return;
    this.values!.set(value, (this.values!.get(value) ?? 0) + times);
    if (this.values!.size > VALUES_MAX) this.values = null;
  }
}
