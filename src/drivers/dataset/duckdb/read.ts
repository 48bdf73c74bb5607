// Fills typed-array columns from DuckDB's vectors, chunk by chunk.
import type { DuckDBVector } from "@duckdb/node-api";
import { Codes } from "../../../core/codes.ts";
import { assert } from "../../../core/errors.ts";
import type { Column, Table } from "../../../core/table.ts";
import { type Connection, identifier } from "./connection.ts";
import type { Plan, PlannedColumn } from "./plan.ts";

/** A column being filled. */
interface Filler {
  readonly column: Column;
  fill(vector: DuckDBVector, offset: number, count: number): void;
}

export async function fillTable(connection: Connection, plan: Plan): Promise<Table> {
  if (plan.columns.length === 0) return { rows: plan.rows, columns: new Map() };
  const list = plan.columns.map(selected).join(", ");
  const result = await connection.stream(`SELECT ${list} FROM ${plan.source}`);
  const fillers = plan.columns.map((column) => fillerOf(column, plan.rows));
  let rows = 0;
  for await (const chunk of result) {
    const count = chunk.rowCount;
    assert(rows + count <= plan.rows, "the file has as many rows as were counted");
    for (let i = 0; i < fillers.length; i++) fillers[i].fill(chunk.getColumnVector(i), rows, count);
    rows += count;
  }
  assert(rows === plan.rows, "the file has as many rows as were counted");
  return { rows, columns: new Map(plan.columns.map(({ name }, i) => [name, fillers[i].column])) };
}

/** The table without its rows. */
export function emptyTable(plan: Plan): Table {
  return { rows: 0, columns: new Map(plan.columns.map((column) => [column.name, fillerOf(column, 0).column])) };
}

/**
 * The table in batches of about so many rows; texts of a batch are dictionary-encoded on their own. A batch stands until the next one is asked
 * for: arrays of numbers are filled again, because making and freeing them takes longer than reading them.
 */
export async function* readBatches(connection: Connection, plan: Plan, batchRows: number): AsyncGenerator<Table> {
  const list = plan.columns.map(selected).join(", ");
  // Rows are counted where no column is wanted.
  const result = await connection.stream(`SELECT ${list === "" ? "1" : list} FROM ${plan.source}`);
  let fillers = plan.columns.map((column) => fillerOf(column, batchRows));
  let rows = 0;
  const batch = (): Table => {
    const columns = new Map(plan.columns.map(({ name }, i) => [name, cut(fillers[i].column, rows)]));
    const table = { rows, columns };
    fillers = fillers.map((filler, i) =>
      filler.column.kind === "text" ? fillerOf(plan.columns[i], batchRows) : filler,
    );
    rows = 0;
    return table;
  };
  for await (const chunk of result) {
    const count = chunk.rowCount;
    if (rows + count > batchRows) yield batch();
    assert(count <= batchRows, "a batch holds a chunk");
    for (let i = 0; i < fillers.length; i++) fillers[i].fill(chunk.getColumnVector(i), rows, count);
    rows += count;
  }
  if (rows > 0) yield batch();
}

function cut(column: Column, rows: number): Column {
  if (column.kind === "text") return { ...column, codes: column.codes.subarray(0, rows) };
  return { ...column, values: column.values.subarray(0, rows) };
}

function fillerOf(planned: PlannedColumn, rows: number): Filler {
  if (planned.type === "text" || planned.type === "other") return textFiller(rows, planned);
  const values = new Float64Array(rows);
  const kind = planned.type === "time" ? "time" : "number";
  const column: Column = planned.type === "boolean" ? { kind: "number", values, boolean: true } : { kind, values };
  return { column, fill: (vector, offset, count) => fillNumbers(vector, values, offset, count) };
}

function textFiller(rows: number, { tokens, emptyMissing }: Pick<PlannedColumn, "tokens" | "emptyMissing">): Filler {
  const codes = new Int32Array(rows);
  const dictionary: string[] = [];
  const known = new Codes<string>();
  /** Codes of tokens as they stand in the file: two tokens may be one text. */
  const ofToken = new Codes<string>();
  const codeOf = (text: string): number => {
    let code = known.get(text);
    if (code === undefined) {
      code = emptyMissing === true && text === "" ? -1 : dictionary.push(text) - 1;
      known.set(text, code);
    }
    return code;
  };
  const codeOfToken = (token: string): number => {
    let code = ofToken.get(token);
    if (code === undefined) {
      const text = textOfToken(token);
      code = text === null ? -1 : codeOf(text);
      ofToken.set(token, code);
    }
    return code;
  };
  const toCode = tokens === true ? codeOfToken : codeOf;
  return {
    column: { kind: "text", codes, dictionary },
    fill(vector, offset, count) {
      for (let i = 0; i < count; i++) {
        const value = vector.getItem(i);
        codes[offset + i] = typeof value === "string" ? toCode(value) : -1;
      }
    },
  };
}

/** A missing number comes as NaN, so that no vector of numbers has gaps. */
function selected({ expression, name, type, tokens }: PlannedColumn): string {
  const isText = type === "text" || type === "other";
  const whole = tokens === true ? expression : withMark(expression);
  return `${isText ? whole : `coalesce(${expression}, 'NaN'::DOUBLE)`} AS ${identifier(name)}`;
}

/** Node's decoder takes the byte order mark at the beginning of every text away, so that two keys would be one: where there is one it gets a second. */
function withMark(expression: string): string {
  return `CASE WHEN starts_with(${expression}, chr(65279)) THEN chr(65279) || (${expression}) ELSE ${expression} END`;
}

function fillNumbers(vector: DuckDBVector, values: Float64Array, offset: number, count: number): void {
  const all = doublesOf(vector);
  if (all !== null && all.length >= count) {
    values.set(all.subarray(0, count), offset);
    return;
  }
  for (let i = 0; i < count; i++) {
    const value = vector.getItem(i);
    values[offset + i] = typeof value === "number" ? value : Number.NaN;
  }
}

/** The array behind a vector of doubles. The library's types hide it: where it has none, cells are read one by one, which takes ten times as long. */
function doublesOf(vector: DuckDBVector): Float64Array | null {
  const { items } = vector as unknown as { readonly items?: unknown };
  return items instanceof Float64Array ? items : null;
}

/** A JSON token as a server would spell it: texts as they are, whole numbers in digits, others as JavaScript writes them. */
function textOfToken(token: string): string | null {
  if (token.startsWith('"')) return JSON.parse(token) as string;
  if (token === "null") return null;
  if (/^-?\d+$/.test(token)) return token === "-0" ? "0" : token;
  const number = Number(token);
  return Number.isNaN(number) ? token : String(number);
}
