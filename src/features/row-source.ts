// Row source: turns rows of a table into a state's rows, with each key's text looked up once.
import type { Column, Table } from "../core/table.ts";
import { textAt } from "../core/table.ts";
import { columnOfIdentity, identityOf } from "./distinct.ts";
import { SLOT_MISSING, SLOT_UNKNOWN } from "./key-table.ts";
import type { EventRow, FeatureState } from "./state.ts";
import { finiteNumber, joinKey } from "./state.ts";

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
  /** Null for a column of texts, which are no numbers. */
  private readonly numbers: readonly (Float64Array | null)[];
  private readonly words: readonly Column[];
  private readonly keys: readonly KeyCodes[];

  constructor(state: FeatureState, table: Table, columnOf: (table: Table, name: string) => Column) {
    this.state = state;
    this.numbers = state.numbers.map((name) => {
      const identity = columnOfIdentity(name);
      if (identity !== null) return identitiesOf(columnOf(table, identity));
      const column = columnOf(table, name);
      return column.kind === "text" ? null : column.values;
    });
    this.words = state.words.map((name) => columnOf(table, name));
    this.keys = state.layout.series.map(({ key }) => {
      const { codes, texts } = codesOf(
        key.map((name) => columnOf(table, name)),
        table.rows,
      );
      return { codes, texts, slots: new Int32Array(texts.length).fill(SLOT_UNKNOWN), epoch: -1 };
    });
  }

  /** Makes `row` the table's row `at`, all but its id and time. */
  fill(row: EventRow, at: number): void {
    if (row.numbers.length !== this.numbers.length) row.numbers = new Float64Array(this.numbers.length);
    for (let i = 0; i < this.numbers.length; i++) {
      const values = this.numbers[i];
      row.numbers[i] = values === null ? Number.NaN : finiteNumber(values[at]);
    }
    for (let i = 0; i < this.words.length; i++) row.words[i] = textAt(this.words[i], at);
    this.fillKeys(row, at);
  }

  /** Only the row's keys: all that a label needs. */
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
      if (key.slots[code] === SLOT_UNKNOWN) key.slots[code] = table.find(key.texts[code]);
      row.slots[s] = key.slots[code];
      row.texts[s] = key.texts[code];
    }
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

function codesOf(columns: readonly Column[], rows: number): { codes: Int32Array; texts: string[] } {
  if (columns.length === 1 && columns[0].kind === "text") {
    return { codes: columns[0].codes, texts: [...columns[0].dictionary] };
  }
  const codes = new Int32Array(rows);
  const texts: string[] = [];
  const seen = new Map<number | string, number>();
  const [first] = columns;
  for (let r = 0; r < rows; r++) {
    const plain = columns.length === 1 && first.kind !== "text";
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
