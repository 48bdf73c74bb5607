// JSON bodies of MLflow's scoring protocol: dataframe_split, dataframe_records, instances or inputs become transactions.
import type { SentinelError } from "../../core/errors.ts";
import { checkNames, rowsOf } from "../../online/columns.ts";
import { invalidRequest } from "../../online/faults.ts";

const KINDS = ["dataframe_split", "dataframe_records", "instances", "inputs"] as const;

/** The transactions of a document, as clients wrote them. Throws `request.invalid`. */
export function readFrame(document: unknown): unknown {
  const frame = recordOf(document, "the document");
  const given = KINDS.filter((kind) => Object.hasOwn(frame, kind));
  if (given.length !== 1) {
    throw fault(
      "the document",
      `must have exactly one of ${KINDS.join(", ")}; it has ${given.join(" and ") || "none"}`,
    );
  }
  // Parameters that do nothing would promise something.
  if (Object.keys(recordOf(frame.params ?? {}, "params")).length > 0)
    throw fault("params", "must be empty: there are none");
  const [kind] = given;
  const value = frame[kind];
  if (kind === "dataframe_split") return splitRows(recordOf(value, kind));
  if (kind !== "inputs") return recordsOf(value, kind);
  return Array.isArray(value) ? recordsOf(value, kind) : columnRows(recordOf(value, kind));
}

/**
 * JSON as Python writes it, for a strict reader: NaN, which is a missing number of a data frame there, becomes null. Infinity is no number that
 * is missing, and stays the fault that it is.
 */
export function withoutNaN(text: string): string {
  if (!text.includes("NaN")) return text;
  let made = "";
  for (let from = 0; ; ) {
    const quote = text.indexOf('"', from);
    made += text.slice(from, quote < 0 ? text.length : quote).replace(NOT_A_NUMBER, "null");
    if (quote < 0) return made;
    from = endOfText(text, quote);
    made += text.slice(quote, from);
  }
}

const NOT_A_NUMBER = /(?<![\w.+-])NaN(?![\w.])/g;

/** Where a text that begins with a quote is over. */
function endOfText(text: string, quote: number): number {
  for (let at = quote + 1; ; at++) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let marks = 0;
    while (text[at - 1 - marks] === "\\") marks++;
    if (marks % 2 === 0) return at + 1;
  }
}

function splitRows({ columns, data }: Readonly<Record<string, unknown>>): unknown {
  if (!Array.isArray(columns) || !columns.every((name) => typeof name === "string")) {
    throw fault("dataframe_split/columns", "must be an array of texts");
  }
  if (!Array.isArray(data)) throw fault("dataframe_split/data", "must be an array of rows");
  checkNames(columns);
  return data.map((row: unknown, index) => {
    if (!Array.isArray(row) || row.length !== columns.length) {
      throw fault(`dataframe_split/data/${index}`, `must be an array of ${columns.length} values, one a column`);
    }
    const record = Object.create(null) as Record<string, unknown>;
    // A frame has a cell in every row: one that is missing is null.
    columns.forEach((name: string, column) => {
      if (row[column] !== null) record[name] = row[column];
    });
    return record;
  });
}

/** Objects as they are; a null is a missing cell here too. */
function recordsOf(value: unknown, kind: string): unknown {
  if (!Array.isArray(value)) throw fault(kind, "must be an array of objects");
  return value.map((row: unknown, index) => {
    const record = Object.create(null) as Record<string, unknown>;
    for (const [name, cell] of Object.entries(recordOf(row, `${kind}/${index}`))) {
      if (cell !== null) record[name] = cell;
    }
    return record;
  });
}

/** Columns of equal length, [n] or [n, 1]; or one transaction, a value a field. */
function columnRows(columns: Readonly<Record<string, unknown>>): unknown {
  const entries = Object.entries(columns);
  if (!entries.some(([, cells]) => Array.isArray(cells))) return recordsOf([columns], "inputs");
  return rowsOf(
    entries.map(([name, cells]) => {
      if (!Array.isArray(cells)) throw fault(`inputs/${name}`, "must be an array, as the other columns are");
      return { name, cells: cells.map(cellOf) };
    }),
  );
}

function cellOf(value: unknown): unknown {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  return one === null ? undefined : one;
}

function recordOf(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw fault(field, "must be a JSON object");
  return value as Readonly<Record<string, unknown>>;
}

function fault(field: string, message: string): SentinelError {
  return invalidRequest([{ field, message }], "the request");
}
