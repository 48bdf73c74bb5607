// Files of an archive: what is written is read again, whichever columns repeat their values, and from when on they do not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { archiveDuckDb } from "../../../src/drivers/archive/duckdb/driver.ts";
import type { ArchiveCell, ArchiveColumn, ArchiveRows } from "../../../src/ports/archive.ts";

const COLUMNS: readonly ArchiveColumn[] = [
  { name: "id", type: "text" },
  { name: "country", type: "text" },
  { name: "nothing", type: "text" },
  { name: "fired", type: "texts" },
  { name: "none", type: "texts" },
  { name: "vector", type: "floats" },
  { name: "score", type: "number" },
  { name: "count", type: "integer" },
  { name: "late", type: "boolean" },
];
const ROWS = 3_000;
const FIRST = 2_048;
const LISTS = [["r1"], [], ["r1", "r2 ü'\\"], ["r1"]];

/** Countries repeat in the first batch and are all different in the second; every seventh is missing, some are empty. */
function rowOf(i: number): readonly ArchiveCell[] {
  const country = i < FIRST ? (i % 5 === 0 ? "" : `c'${i % 5}`) : `other-${i}`;
  return [
    `id-${i}`,
    i % 7 === 0 ? null : country,
    null,
    i % 3 === 0 ? null : LISTS[i % LISTS.length],
    null,
    i % 11 === 0 ? null : Float32Array.of(i, Number.NaN, 0.1),
    i % 13 === 0 ? null : i / 3,
    i,
    i % 2 === 0,
  ];
}

function batch(from: number, to: number): ArchiveRows & { readonly days: readonly string[] } {
  const rows = Array.from({ length: to - from }, (_, at) => rowOf(from + at));
  const days = rows.map((_, at) => ((from + at) % 2 === 0 ? "2026-01-01" : "2026-01-02"));
  return { rows: rows.length, cells: COLUMNS.map((_, c) => rows.map((row) => row[c])), days };
}

test("values that repeat and values that do not come back as they were, day by day and in their order", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-archive-files-"));
  try {
    const files = archiveDuckDb();
    const fileOf = (day: string): string => path.join(dir, `${day}.parquet`);
    const format = { columns: COLUMNS, fileOf, rowGroupRows: 1_000, metadata: { a: "b" } };
    const batches = async function* () {
      yield batch(0, FIRST);
      yield batch(FIRST, ROWS);
    };
    const days = await files.write(batches(), format);
    expect([...days]).toEqual([
      ["2026-01-01", ROWS / 2],
      ["2026-01-02", ROWS / 2],
    ]);
    for (const [first, day] of [...days.keys()].entries()) {
      const found: ArchiveCell[][] = [];
      for await (const { columns, rows } of files.read([fileOf(day)])) {
        expect(columns).toEqual(COLUMNS);
        for (let row = 0; row < rows.rows; row++) found.push(rows.cells.map((cells) => cells[row]));
      }
      expect(found).toEqual(Array.from({ length: ROWS / 2 }, (_, at) => rowOf(first + 2 * at)));
    }
    const none = async function* (): AsyncGenerator<ArchiveRows & { readonly days: readonly string[] }> {};
    expect([...(await files.write(none(), format))]).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
