// Section `archive`: where every decided transaction is kept as Parquet, and how often files are written.
import { duration, flag, text, whole } from "./kind.ts";
import { key, section } from "./section.ts";

/** Rows that DuckDB handles at once; a row group is made of these. */
const VECTOR_ROWS = 2048;

export const ARCHIVE = section(
  {
    to: key(text, {
      means:
        "A folder, relative to the workspace, or `s3://bucket/prefix`; the files of a pipeline stand in a folder of its name below it. Nothing is archived where neither this nor `SENTINEL_ARCHIVE_URL`, which comes first, names a place. See [the archive](archive.md).",
    }),
    every: key(duration({ from: "1s", to: "1d" }), {
      default: "1m",
      means: "How often what was decided since is written: one file per day that it falls on.",
    }),
    row_group: key(whole({ from: VECTOR_ROWS, to: 1_048_576 }), {
      default: 122_880,
      means: "Rows of a Parquet row group, a multiple of 2048, and the most that one batch holds.",
    }),
    compact: key(flag, {
      default: true,
      means:
        "Whether a server makes one file per day of the many small ones, and puts the labels in that came since, once per day.",
    }),
    vectors: key(flag, {
      default: true,
      means: "Whether the feature vectors that were scored are archived too; they take about half of the bytes.",
    }),
  },
  {
    settle(archive, { refuse }) {
      if (archive.rowGroup % VECTOR_ROWS === 0) return archive;
      const below = archive.rowGroup - (archive.rowGroup % VECTOR_ROWS);
      return refuse("row_group", `${archive.rowGroup} is no multiple of ${VECTOR_ROWS}`, `write ${below}`);
    },
  },
);
