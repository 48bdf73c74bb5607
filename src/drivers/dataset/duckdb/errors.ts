// What goes wrong with files of tables, as errors that name the file, the line and the next step.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { repeatedKey } from "../../../core/json-keys.ts";
import { type DatasetFormat, isCompressed } from "./format.ts";

const HINTS: Readonly<Record<DatasetFormat, string>> = {
  csv: "write it as UTF-8 with a header, fields with commas, quotes or line breaks in double quotes, one kind of line end, the same number of fields in each row",
  parquet: "the file is damaged or not Parquet; write or download it again",
  ndjson: "write one JSON object a line",
};
const DETAIL_MAX = 200;

export function empty(file: string, what: string, hint: string): SentinelError {
  return new SentinelError("dataset.empty", `${file} ${what}`, { hint });
}

/** Nothing is there. */
export function missing(asked: string, lookedAt: string): SentinelError {
  return new SentinelError("dataset.missing", `there is no file ${asked}`, {
    hint: `check the path; it was looked for at ${lookedAt}`,
  });
}

/** Files that are no one table. */
export function differ(asked: string, what: string): SentinelError {
  return new SentinelError("dataset.unreadable", `${asked}: ${what}`, {
    hint: "the files of one table have one format and the same columns: name those that belong together",
  });
}

export function tooLarge(file: string, what: string): SentinelError {
  return new SentinelError("dataset.too-large", `${file} ${what}`, {
    hint: "read fewer rows: split the file by time, or raise the limit if the machine has the memory",
  });
}

export function columnsMissing(file: string, missing: readonly string[], found: readonly string[]): SentinelError {
  return new SentinelError("dataset.columns-missing", `${file} has no column ${missing.join(", ")}`, {
    hint: `it has ${found.join(", ")}`,
  });
}

/** A header that is no UTF-8, or has NUL in it. */
export function notText(file: string): SentinelError {
  return new SentinelError("dataset.unreadable", `${file} line 1 is no UTF-8 text`, {
    hint: "is it another format with the ending of CSV, or UTF-16? write it as UTF-8",
  });
}

/** A second column of the same name; DuckDB would rename it silently. */
export function columnTwice(file: string, [name, other]: readonly [string, string]): SentinelError {
  const both = name === other ? name : `${name} and ${other}`;
  return new SentinelError("dataset.unreadable", `${file}: two columns are named ${both}`, {
    hint: "give every column its own name (upper and lower case count as the same)",
  });
}

/** The error of an object that has one key twice: DuckDB takes one of them without a word. Null where no line of the file has one. */
export async function fieldTwice(file: string): Promise<SentinelError | null> {
  const twice = await inLines(file, (line, number) => {
    const field = isObject(line) ? repeatedKey(line) : null;
    return field === null ? null : { field, number };
  });
  if (twice === null) return null;
  const { field, number } = twice;
  return new SentinelError("dataset.unreadable", `${file} line ${number} has ${JSON.stringify(field)} twice`, {
    hint: "write each field of a row once: of two values either would be a guess",
  });
}

/** dataset.unreadable with the line where it is known; `format` is null when the file could not even be opened. */
export async function unreadable(file: string, format: DatasetFormat | null, cause: unknown): Promise<SentinelError> {
  if (format === null) {
    return new SentinelError("dataset.unreadable", `${file} cannot be opened: ${messageOf(cause)}`, {
      hint: "check the permissions of the file and of its folder",
      cause,
    });
  }
  const line = format === "ndjson" ? await badJsonLine(file) : lineOf(messageOf(cause));
  if (line === "blank") return empty(file, "has blank lines only", HINTS.ndjson);
  const other = format === "csv" && line === null ? await otherLineEnd(file) : null;
  if (other !== null) {
    const what = `line ${other.line} ends with ${other.name}, the lines before it do not`;
    return new SentinelError("dataset.unreadable", `${file} cannot be read as CSV: ${what}`, {
      hint: "write one kind of line end, for example with dos2unix; files of two systems were put together",
      cause,
    });
  }
  const where = line === null ? file : `${file} line ${line}`;
  const message = `${where} cannot be read as ${format.toUpperCase()}: ${detail(messageOf(cause))}`;
  return new SentinelError("dataset.unreadable", message, { hint: HINTS[format], cause });
}

function lineOf(message: string): number | null {
  const found = /CSV Error on Line: (\d+)/.exec(message);
  return found === null ? null : Number(found[1]);
}

/** The sentence of DuckDB's message that says what is wrong, without its advice about its own options. */
function detail(message: string): string {
  const lines = message
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(CSV Error on Line|Original Line|Invalid Input Error: CSV Error)/.test(line));
  const telling = lines.find((line) => /expected|unterminated|unicode|maximum line/i.test(line)) ?? lines[0] ?? message;
  return telling.replace(/^(Invalid Input|Conversion|IO|Binder) Error: /, "").slice(0, DETAIL_MAX);
}

/** Line ends by the bytes that they are. */
const LINE_ENDS = new Map([
  ["\r\n", "CR LF (Windows)"],
  ["\n", "LF (Unix)"],
  ["\r", "CR (old Mac)"],
]);

/** The first line, outside of quotes, that ends otherwise than the first one does; null where all end alike or the file cannot be read. */
async function otherLineEnd(file: string): Promise<{ readonly line: number; readonly name: string } | null> {
  const bytes = createReadStream(file);
  const pieces = (isCompressed(file) ? bytes.pipe(createGunzip()) : bytes).setEncoding("latin1");
  let quoted = false;
  let first = "";
  let line = 1;
  let rest = "";
  try {
    for await (const piece of pieces) {
      const text = `${rest}${piece as string}`;
      // Whether it is the first half of CR LF only the next piece tells.
      rest = text.endsWith("\r") ? "\r" : "";
      for (const [mark] of text.slice(0, text.length - rest.length).matchAll(/"|\r\n|\r|\n/g)) {
        if (mark === '"') {
          quoted = !quoted;
          continue;
        }
        if (!quoted && first === "") first = mark;
        else if (!quoted && mark !== first) return { line, name: LINE_ENDS.get(mark) ?? mark };
        line++;
      }
    }
  } catch {
    // The file went away: then there is no line to name.
  } finally {
    bytes.destroy();
  }
  return null;
}

/** DuckDB counts lines from its own buffers, so the first bad line is looked for here; read as a stream. */
async function badJsonLine(file: string): Promise<number | "blank" | null> {
  let blank = true;
  try {
    const bad = await inLines(file, (line, number) => {
      if (line.trim() === "") return null;
      if (!isObject(line)) return number;
      blank = false;
      return null;
    });
    return bad ?? (blank ? "blank" : null);
  } catch {
    // The file went away or is no text: then there is no line to name.
    return null;
  }
}

/** The first answer that a line gives; lines count from 1. */
async function inLines<T>(file: string, of: (line: string, number: number) => T | null): Promise<T | null> {
  let number = 0;
  const bytes = createReadStream(file);
  for await (const line of createInterface({
    input: isCompressed(file) ? bytes.pipe(createGunzip()) : bytes,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    const found = of(line, ++number);
    if (found !== null) return found;
  }
  return null;
}

function isObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line.replace(/^\ufeff/, "").replace(/-?\b(NaN|Infinity)\b/g, "0"));
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
