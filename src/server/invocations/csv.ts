// CSV bodies (RFC 4180): a header, then one transaction a line; a cell becomes what the pipeline's schema allows for its column.
import { SentinelError } from "../../core/errors.ts";
import { type TypesOf, typesIn } from "../../online/column-types.ts";
import { type Cell, checkNames } from "../../online/columns.ts";
import { schemaFields } from "../../online/fields.ts";
import { nameFolder } from "../../pipeline/names.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";

/**
 * Transactions of a CSV text. A cell is a number only where its column may be no text, because "0042" as a number is another customer; an
 * empty cell is a missing field. Throws `request.malformed` with the line, `request.invalid`.
 */
export function readCsv(
  text: string,
  { schema, pipeline }: { readonly schema: object; readonly pipeline: Pipeline },
): Record<string, unknown>[] {
  const [header, ...lines] = recordsOf(text);
  if (header === undefined) throw malformed("is empty", 1);
  const names = header.cells;
  checkNames(names);
  const nameOf = nameFolder(pipeline.canonical, schemaFields(schema).keys());
  const typesOf = typesIn(schema);
  const readers = names.map((name) => readerOf(nameOf(name), { typesOf, pipeline }));
  return lines.map(({ cells, line }) => {
    if (cells.length !== names.length) {
      throw malformed(`has ${cells.length} cells, and the header has ${names.length}`, line);
    }
    const record = Object.create(null) as Record<string, unknown>;
    cells.forEach((cell, index) => {
      const value = readers[index](cell);
      if (value !== undefined) record[names[index]] = value;
    });
    return record;
  });
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** How pandas writes a missing number where `na_rep` says so. */
const MISSING = new Set(["", "NaN", "nan"]);

function readerOf(
  column: string,
  { typesOf, pipeline }: { readonly typesOf: TypesOf; readonly pipeline: Pipeline },
): (cell: string) => Cell {
  const types = typesOf(column);
  const text = types.length === 0 || types.includes("string");
  const number = types.includes("number") || types.includes("integer");
  // A count, unless a format says how texts of digits are written.
  const counted = column === pipeline.columns.time && pipeline.times.format === undefined;
  if (counted && (number || types.length === 0)) return (cell) => (MISSING.has(cell) ? undefined : numberOf(cell));
  if (text) return (cell) => (cell === "" ? undefined : cell);
  if (number) return (cell) => (MISSING.has(cell) ? undefined : numberOf(cell));
  return (cell) => (cell === "" ? undefined : /^true$/i.test(cell) ? true : /^false$/i.test(cell) ? false : cell);
}

/** What is no number stays a text, so that the schema names the fault. */
function numberOf(cell: string): number | string {
  const value = NUMBER.test(cell) ? Number(cell) : Number.NaN;
  return Number.isFinite(value) ? value : cell;
}

interface CsvRecord {
  readonly cells: string[];
  /** Where it begins, counted from 1. */
  readonly line: number;
}

/** The records of a text; blank lines are none. */
function recordsOf(text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let at = text.startsWith("\uFEFF") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const begun = line;
    const cells: string[] = [];
    for (;;) {
      const cell = cellAt(text, at, line);
      cells.push(cell.value);
      line += cell.lines;
      at = cell.end;
      if (text[at] !== ",") break;
      at++;
    }
    if (text.startsWith("\r\n", at)) at += 2;
    else if (at < text.length) at++;
    line++;
    if (cells.length > 1 || cells[0] !== "") records.push({ cells, line: begun });
  }
  return records;
}

/** A cell from `at` on; `end` is at the comma, the line's end or the text's. */
function cellAt(
  text: string,
  at: number,
  line: number,
): { readonly value: string; readonly end: number; readonly lines: number } {
  if (text[at] !== '"') {
    let end = at;
    while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end++;
    return { value: text.slice(at, end), end, lines: 0 };
  }
  let value = "";
  let lines = 0;
  let from = at + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw malformed("opens a quote that nothing closes", line);
    value += text.slice(from, quote);
    from = quote + 1;
    if (text[from] !== '"') break;
    value += '"';
    from++;
  }
  for (const character of value) if (character === "\n") lines++;
  if (from < text.length && !",\r\n".includes(text[from]))
    throw malformed("goes on after a closing quote", line + lines);
  return { value, end: from, lines };
}

function malformed(what: string, line: number): SentinelError {
  return new SentinelError("request.malformed", `line ${line} of the CSV ${what}`, {
    hint: "send a header and one transaction a line, as RFC 4180 has it: commas, and quotes around cells that hold one",
  });
}
