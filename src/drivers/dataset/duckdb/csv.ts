// The header of a CSV file: its separator and its names, read before DuckDB sees the file.
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { isCompressed } from "./format.ts";

export interface CsvHeader {
  readonly separator: string;
  readonly names: readonly string[];
}

const HEADER_BYTES_MAX = 1 << 20;
const SEPARATORS = [",", ";", "\t", "|"];

export async function csvHeader(file: string): Promise<CsvHeader> {
  const bytes = createReadStream(file, isCompressed(file) ? {} : { end: HEADER_BYTES_MAX - 1 });
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of isCompressed(file) ? bytes.pipe(createGunzip()) : bytes) {
      pieces.push(piece as Buffer);
      length += pieces[pieces.length - 1].length;
      if (length >= HEADER_BYTES_MAX) break;
    }
  } finally {
    bytes.destroy();
  }
  return parseHeader(Buffer.concat(pieces).toString("utf8", 0, HEADER_BYTES_MAX));
}

/** The separator is the one that stands most often outside quotes in the first record. */
function parseHeader(text: string): CsvHeader {
  const record = firstRecord(text.replace(/^\ufeff/, ""));
  const bare = record.replace(/"[^"]*"/g, "");
  let separator = SEPARATORS[0];
  let most = 0;
  for (const candidate of SEPARATORS) {
    const count = bare.split(candidate).length - 1;
    if (count > most) {
      most = count;
      separator = candidate;
    }
  }
  return { separator, names: splitRecord(record, separator) };
}

/** Two names that differ in case only, or not at all, the later one first. */
export function nameTwice(names: readonly string[]): readonly [string, string] | null {
  const seen = new Map<string, string>();
  for (const name of names) {
    const key = name.toLowerCase();
    const other = seen.get(key);
    if (key !== "" && other !== undefined) return [name, other];
    seen.set(key, name);
  }
  return null;
}

function firstRecord(text: string): string {
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') quoted = !quoted;
    else if (!quoted && (text[i] === "\n" || text[i] === "\r")) return text.slice(0, i);
  }
  return text;
}

function splitRecord(record: string, separator: string): string[] {
  const fields: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i <= record.length; i++) {
    if (record[i] === '"') quoted = !quoted;
    if (i < record.length && (quoted || record[i] !== separator)) continue;
    fields.push(unquote(record.slice(start, i)));
    start = i + 1;
  }
  return fields;
}

function unquote(field: string): string {
  const quoted = /^"(.*)"$/s.exec(field);
  return quoted === null ? field : quoted[1].replaceAll('""', '"');
}
