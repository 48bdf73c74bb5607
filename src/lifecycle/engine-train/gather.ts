// Rows gathered from batches of a table, in the order in which they come: their cells are copied, because a batch stands until the next one.
import { Codes } from "../../core/codes.ts";
import { type Column, type Table, takeRows } from "../../core/table.ts";

/** Rows of batches that have the columns of `empty`. */
export class Gathered {
  rows = 0;
  private readonly empty: Table;
  private readonly parts = new Map<string, (Float64Array | Int32Array)[]>();
  private readonly texts = new Map<string, { readonly codes: Codes<string>; readonly dictionary: string[] }>();

  constructor(empty: Table) {
    this.empty = empty;
    for (const [name, { kind }] of empty.columns) {
      this.parts.set(name, []);
      if (kind === "text") this.texts.set(name, { codes: new Codes(), dictionary: [] });
    }
  }

  add(batch: Table, rows: Int32Array): void {
    if (rows.length === 0) return;
    this.rows += rows.length;
    for (const [name, column] of takeRows(batch, rows).columns) {
      this.parts.get(name)?.push(column.kind === "text" ? this.coded(name, column) : column.values);
    }
  }

  table(): Table {
    const columns = [...this.empty.columns].map(([name, like]): [string, Column] => {
      const parts = this.parts.get(name)!;
      if (like.kind === "text") {
        const { dictionary } = this.texts.get(name)!;
        return [name, { kind: "text", codes: joined(parts, new Int32Array(this.rows)), dictionary }];
      }
      return [name, { ...like, values: joined(parts, new Float64Array(this.rows)) }];
    });
    return { rows: this.rows, columns: new Map(columns) };
  }

  private coded(
    name: string,
    { codes, dictionary }: { readonly codes: Int32Array; readonly dictionary: readonly string[] },
  ): Int32Array {
    const own = this.texts.get(name)!;
    return codes.map((code) => {
      if (code < 0) return -1;
      const text = dictionary[code];
      const known = own.codes.get(text);
      if (known !== undefined) return known;
      own.codes.set(text, own.dictionary.length);
      return own.dictionary.push(text) - 1;
    });
  }
}

function joined<T extends Float64Array | Int32Array>(parts: readonly (Float64Array | Int32Array)[], to: T): T {
  let at = 0;
  for (const part of parts) {
    to.set(part, at);
    at += part.length;
  }
  return to;
}
