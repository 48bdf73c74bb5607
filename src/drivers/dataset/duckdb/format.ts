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

/** Raises dataset.format-unknown for any other ending. */
export function formatOf(file: string): DatasetFormat {
  const ending = /\.[^./\\]*$/.exec(file)?.[0].toLowerCase() ?? "";
  if (Object.hasOwn(FORMATS, ending)) return FORMATS[ending];
  const what = ending === "" ? "has no ending" : `ends in ${ending}`;
  throw new SentinelError("dataset.format-unknown", `${file} ${what}, which names no known format`, {
    hint: `known endings: ${Object.keys(FORMATS).join(", ")}`,
  });
}
