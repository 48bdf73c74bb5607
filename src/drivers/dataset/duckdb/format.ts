// Which format a file has, told by its ending.
import { SentinelError } from "../../../core/errors.ts";
import type { DatasetDescription } from "../../../ports/dataset.ts";

export type DatasetFormat = DatasetDescription["format"];

const FORMATS: Readonly<Record<string, DatasetFormat>> = {
  ".csv": "csv",
  ".parquet": "parquet",
  ".ndjson": "ndjson",
  ".jsonl": "ndjson",
};
/** Texts that may be read compressed; Parquet compresses inside. */
const COMPRESSED = /(\.(?:csv|ndjson|jsonl))\.gz$/i;

/** Raises dataset.format-unknown for any other ending. */
export function formatOf(file: string): DatasetFormat {
  const ending = endingOf(file);
  if (Object.hasOwn(FORMATS, ending)) return FORMATS[ending];
  const what = ending === "" ? "has no ending" : `ends in ${ending}`;
  throw new SentinelError("dataset.format-unknown", `${file} ${what}, which names no known format`, {
    hint: `known endings: ${Object.keys(FORMATS).join(", ")}; to read, .csv.gz and .ndjson.gz too`,
  });
}

/** The same of a file to read, which may be compressed by gzip. */
export function readFormatOf(file: string): DatasetFormat {
  return formatOf(file.replace(COMPRESSED, "$1"));
}

export function isCompressed(file: string): boolean {
  return COMPRESSED.test(file);
}

/** Whether the ending names a format. */
export function isKnown(file: string): boolean {
  return Object.hasOwn(FORMATS, endingOf(file.replace(COMPRESSED, "$1")));
}

function endingOf(file: string): string {
  return /\.[^./\\]*$/.exec(file)?.[0].toLowerCase() ?? "";
}
