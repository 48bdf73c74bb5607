// Row source: turns rows of a table into a state's rows, with each key's text looked up once.
import { Codes } from "../core/codes.ts";
import type { Column, Table } from "../core/table.ts";
import { isBoolean, textAt } from "../core/table.ts";
import { columnOfIdentity, identityOf } from "./distinct.ts";
import { hopOf } from "./hops.ts";
import { SLOT_MISSING, SLOT_UNKNOWN } from "./key-table.ts";
import { isCarried } from "./plan.ts";
import type { EventRow, FeatureState } from "./state.ts";
import { joinKey } from "./state.ts";

/** Whole numbers are distinguished by a table of places, a little longer than the rows. */
const DENSE_SHARE = 1;
const DENSE_MIN = 65_536;

/** One key column or pair as codes per row (−1 missing) and a text per code. */
interface KeyCodes {
  readonly codes: Int32Array;
  readonly texts: readonly string[];
  /** Slot by code, as last seen; void when the table's epoch moves. */
  readonly slots: Int32Array;
  epoch: number;
}

/** Fills event rows from a table; the same state code then reads and learns them. */
export class RowSource {
  private readonly state: FeatureState;
  /** Null for a column of texts, which are no numbers, and for what the state finds out when it learns a row. */
  private readonly numbers: readonly (Float64Array | null)[];
  /** Of these, the values of features, which are taken as they are. */
  private readonly carried: readonly boolean[];
  private readonly words: readonly Column[];
  private readonly keys: readonly KeyCodes[];
  /** As `keys`, of the state's roles. */
  private readonly roles: readonly KeyCodes[];

  constructor(
    state: FeatureState,
    table: Table,
    { columnOf, times }: { readonly columnOf: (table: Table, name: string) => Column; readonly times: Float64Array },
  ) {
    this.state = state;
    this.numbers = state.numbers.map((name, at) => {
      const derived = state.derived.find((one) => one.at === at);
      if (derived !== undefined) return derived.derived.ofTable(table, times);
      const identity = columnOfIdentity(name);
      if (identity !== null) return identitiesOf(columnOf(table, identity));
      if (hopOf(name) !== null) return null;
      const column = columnOf(table, name);
      return column.kind === "text" ? null : column.values;
    });
    this.carried = state.numbers.map(isCarried);
    this.words = state.words.map((name) => columnOf(table, name));
    const keyCodes = (key: readonly string[]): KeyCodes => {
      const { codes, texts } = codesOf(
        key.map((name) => columnOf(table, name)),
        table.rows,
      );
      return { codes, texts, slots: new Int32Array(texts.length).fill(SLOT_UNKNOWN), epoch: -1 };
    };
    this.keys = state.layout.series.map(({ key }) => keyCodes(key));
    this.roles = state.roles.map(({ key }) => keyCodes(key));
  }

  /** Makes `row` the table's row `at`, all but its id and time. */
  fill(row: EventRow, at: number): void {
    if (row.numbers.length !== this.numbers.length) row.numbers = new Float64Array(this.numbers.length);
    for (let i = 0; i < this.numbers.length; i++) row.numbers[i] = this.numberAt(i, at);
    for (let i = 0; i < this.words.length; i++) row.words[i] = textAt(this.words[i], at);
    this.fillKeys(row, at);
    if (row.roleSlots.length !== this.roles.length) row.roleSlots = new Int32Array(this.roles.length);
    for (let r = 0; r < this.roles.length; r++) row.roleSlots[r] = this.roleSlot(r, at);
  }

  private roleSlot(role: number, at: number): number {
    const key = this.roles[role];
    const code = key.codes[at];
    if (code < 0) return SLOT_MISSING;
    const table = this.state.tables[this.state.roles[role].series];
    if (key.epoch !== table.epoch) {
      key.slots.fill(SLOT_UNKNOWN);
      key.epoch = table.epoch;
    }
    if (key.slots[code] === SLOT_UNKNOWN) key.slots[code] = table.find(key.texts[code]);
    return key.slots[code];
  }

  /** The numbers that the state's known frauds keep. */
  fillLabelled(row: EventRow, at: number): void {
    if (row.numbers.length !== this.numbers.length) row.numbers = new Float64Array(this.numbers.length);
    for (const places of this.state.labelledAt)
      for (const place of places) row.numbers[place] = this.numberAt(place, at);
  }

  private numberAt(place: number, at: number): number {
    const values = this.numbers[place];
    const value = values === null ? Number.NaN : values[at];
    return Number.isFinite(value) || this.carried[place] ? value : Number.NaN;
  }

  /** Only the row's keys: all that a label needs, where known frauds keep nothing else. */
  fillKeys(row: EventRow, at: number): void {
    for (let s = 0; s < this.keys.length; s++) {
      const key = this.keys[s];
      const code = key.codes[at];
      if (code < 0) {
        row.slots[s] = SLOT_MISSING;
        continue;
      }
      const table = this.state.tables[s];
      if (key.epoch !== table.epoch) {
        key.slots.fill(SLOT_UNKNOWN);
        key.epoch = table.epoch;
      }
      let slot = key.slots[code];
      if (slot === SLOT_UNKNOWN) {
        // Only then is the text asked for: to find the key, or to make it.
        const text = key.texts[code];
        slot = table.find(text);
        key.slots[code] = slot;
        row.texts[s] = text;
      }
      row.slots[s] = slot;
    }
  }

  /** Brings what the state holds of the row's keys into the cache, as far as their slots are known; see `Timelines.touch`. */
  touch(at: number): number {
    let sum = 0;
    for (let s = 0; s < this.keys.length; s++) {
      const { codes, slots } = this.keys[s];
      const code = codes[at];
      if (code >= 0) sum += this.state.tables[s].touch(slots[code]);
    }
    return sum;
  }

  /** Remembers the slots that learning a row made. */
  keep(row: EventRow, at: number): void {
    for (let s = 0; s < this.keys.length; s++) {
      const key = this.keys[s];
      if (row.slots[s] >= 0 && key.epoch === this.state.tables[s].epoch) key.slots[key.codes[at]] = row.slots[s];
    }
  }
}

function identitiesOf(column: Column): Float64Array {
  if (column.kind !== "text") return column.values.map((_, row) => identityOf(textAt(column, row)));
  const ofCode = column.dictionary.map(identityOf);
  return Float64Array.from(column.codes, (code) => (code < 0 ? Number.NaN : ofCode[code]));
}

/** Codes for whole numbers from 0 on, as most ids are, without a lookup by hash: a place for each number up to the largest; null for others. */
function denseCodes({ values }: { readonly values: Float64Array }): { codes: Int32Array; texts: string[] } | null {
  let largest = -1;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    if (!(value >= 0 && value < DENSE_SHARE * values.length + DENSE_MIN && Number.isInteger(value))) return null;
    if (value > largest) largest = value;
  }
  const codes = new Int32Array(values.length);
  const texts: string[] = [];
  const codeOf = new Int32Array(largest + 1).fill(-1);
  for (let r = 0; r < codes.length; r++) {
    const value = values[r];
    if (Number.isNaN(value)) {
      codes[r] = -1;
      continue;
    }
    if (codeOf[value] < 0) codeOf[value] = texts.push(String(value)) - 1;
    codes[r] = codeOf[value];
  }
  return { codes, texts };
}

function codesOf(columns: readonly Column[], rows: number): { codes: Int32Array; texts: string[] } {
  if (columns.length === 1 && columns[0].kind === "text") {
    return { codes: columns[0].codes, texts: [...columns[0].dictionary] };
  }
  if (columns.length === 1 && columns[0].kind !== "text" && !isBoolean(columns[0])) {
    const dense = denseCodes(columns[0]);
    if (dense !== null) return dense;
  }
  const codes = new Int32Array(rows);
  const texts: string[] = [];
  const seen = new Codes<number | string>();
  const [first] = columns;
  for (let r = 0; r < rows; r++) {
    const plain = columns.length === 1 && first.kind !== "text" && !isBoolean(first);
    const value = plain ? first.values[r] : joinKey(columns.map((column) => textAt(column, r)));
    if (value === null || Number.isNaN(value)) {
      codes[r] = -1;
      continue;
    }
    let code = seen.get(value);
    if (code === undefined) {
      code = texts.push(String(value)) - 1;
      seen.set(value, code);
    }
    codes[r] = code;
  }
  return { codes, texts };
}
