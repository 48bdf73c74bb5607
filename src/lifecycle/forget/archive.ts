// A person is erased from an archive: Parquet files and files of labels are made again without the person, each put in place of the one before.
import path from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { dayFolder, parseArchiveFile } from "../../core/archive-names.ts";
import type { Erased, Eraser } from "../../core/erasure.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Archive, ArchiveCell, ArchiveColumn, ArchiveRows } from "../../ports/archive.ts";
import { archiveTable, tallyOf, uncounted } from "../archive/columns.ts";
import { daysIn, settleDay } from "../archive/days.ts";
import { noteErased } from "../archive/marks.ts";
import { type ArchiveInput, metadataOf } from "../archive/write.ts";

/** Rows of one file are of one day, whose name the file does not have. */
const DAY = "day";

/** Counts rows of Parquet files and lines of label files. Errors: archive.*. */
export async function eraseFromArchive(
  archive: Archive,
  input: ArchiveInput & { readonly eraser: Eraser; readonly write: boolean },
): Promise<readonly Erased[]> {
  let [rows, labels] = [0, 0];
  // A file whose place another has taken would be counted twice.
  if (input.write) for (const day of await daysIn(archive.objects)) await settleDay(archive.objects, day);
  for (const { key } of await archive.objects.list("")) {
    const file = key.slice(key.lastIndexOf("/") + 1);
    if (parseArchiveFile(file) !== null) rows += await eraseRows(archive, key, input);
    else if (key.endsWith(".ndjson.gz")) labels += await eraseLabels(archive, key, input);
  }
  return [
    { what: "transactions", found: rows },
    { what: "labels", found: labels },
  ];
}

async function eraseRows(
  { objects, files }: Archive,
  key: string,
  input: ArchiveInput & { readonly eraser: Eraser; readonly write: boolean },
): Promise<number> {
  const { pipeline, eraser, write } = input;
  const name = parseArchiveFile(key.slice(key.lastIndexOf("/") + 1))!;
  const day = key.slice(0, Math.max(0, key.lastIndexOf("/")));
  const table = archiveTable(pipeline, input.schema);
  const without = uncounted(table);
  return await objects.scratch(async (folder) => {
    const file = await objects.file(key, folder);
    const found = { rows: 0, before: 0n, after: 0n };
    let columns: readonly ArchiveColumn[] = [];
    // First only looked at: nearly every file has nothing of the person.
    for await (const chunk of files.read([file])) {
      columns = chunk.columns;
      const { changed } = erasedRows(chunk.columns, chunk.rows, { eraser, pipeline });
      found.rows += changed;
    }
    if (found.rows === 0 || !write) return found.rows;
    const to = path.join(folder, "erased.parquet");
    async function* batches(): AsyncGenerator<ArchiveRows & { readonly days: readonly string[] }> {
      for await (const chunk of files.read([file])) {
        const { rows } = erasedRows(chunk.columns, chunk.rows, { eraser, pipeline });
        found.before += BigInt(`0x${tallyOf(chunk.columns, chunk.rows, without).sum}`);
        found.after += BigInt(`0x${tallyOf(chunk.columns, rows, without).sum}`);
        yield { ...rows, days: new Array<string>(rows.rows).fill(DAY) };
      }
    }
    await files.write(batches(), {
      columns,
      rowGroupRows: pipeline.archive.rowGroup,
      metadata: metadataOf(pipeline, name),
      fileOf: () => to,
    });
    // The note first: it says the same however often it is written, and the file that takes its place is then the one it speaks of.
    if (day.startsWith(dayFolder("")))
      await noteErased(objects, { day: day.slice(dayFolder("").length), file: key, ...found });
    await objects.replace(key, { file: to });
    return found.rows;
  });
}

/** Rows with the person's cells replaced; a column of numbers cannot hold a pseudonym, which then stands among the misfits. */
function erasedRows(
  columns: readonly ArchiveColumn[],
  { rows, cells }: ArchiveRows,
  { eraser, pipeline }: { readonly eraser: Eraser; readonly pipeline: Pipeline },
): { readonly rows: ArchiveRows; readonly changed: number } {
  const misfits = columns.findIndex(({ name }) => name === "misfits" || name === "sentinel_misfits");
  const ownNames = new Set([pipeline.columns.id]);
  const after: ArchiveCell[][] = cells.map((column) => [...column]);
  let changed = 0;
  for (let row = 0; row < rows; row++) {
    const record: Record<string, unknown> = {};
    for (const [i, { name, type }] of columns.entries()) {
      const cell = cells[i][row];
      if (cell !== null && (type === "text" || type === "number" || type === "integer")) record[name] = cell;
    }
    const owned = eraser.owns(record) || ownsJson(columns, cells, { row, eraser });
    let isChanged = false;
    for (const [i, { name, type }] of columns.entries()) {
      const cell = cells[i][row];
      if (cell === null) continue;
      const next = cellAfter({ name, type, cell }, { eraser, owned, isId: ownNames.has(name) });
      if (next === undefined) continue;
      isChanged = true;
      const fits = type === "text" || type === "texts" || next === null;
      after[i][row] = fits ? (next as ArchiveCell) : null;
      if (fits || misfits < 0) continue;
      const others = after[misfits][row];
      const kept = others === null ? {} : (JSON.parse(String(others)) as Record<string, unknown>);
      after[misfits][row] = JSON.stringify({ ...kept, [name]: next });
    }
    if (isChanged) changed++;
  }
  return { rows: { rows, cells: after }, changed };
}

function ownsJson(
  columns: readonly ArchiveColumn[],
  cells: ArchiveRows["cells"],
  { row, eraser }: { readonly row: number; readonly eraser: Eraser },
): boolean {
  return columns.some(({ name }, i) => {
    const cell = cells[i][row];
    if (typeof cell !== "string" || !JSON_COLUMNS.test(name)) return false;
    try {
      return eraser.owns(JSON.parse(cell) as Readonly<Record<string, unknown>>);
    } catch {
      return false;
    }
  });
}

const JSON_COLUMNS = /^(sentinel_)?(extra|misfits)$/;

/** Undefined: it stays. */
function cellAfter(
  { name, type, cell }: ArchiveColumn & { readonly cell: Exclude<ArchiveCell, null> },
  { eraser, owned, isId }: { readonly eraser: Eraser; readonly owned: boolean; readonly isId: boolean },
): ArchiveCell | undefined {
  if (type === "texts") {
    const texts = (cell as readonly string[]).map((text) => eraser.text(text) ?? text);
    return texts.some((text, i) => text !== (cell as readonly string[])[i]) ? texts : undefined;
  }
  if (typeof cell !== "string" && typeof cell !== "number") return undefined;
  if (typeof cell === "string" && JSON_COLUMNS.test(name)) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(cell);
    } catch {
      return eraser.json(cell) ?? undefined;
    }
    const after = eraser.record(parsed as Readonly<Record<string, unknown>>, owned);
    return after === null ? undefined : JSON.stringify(after);
  }
  if (isId) return eraser.text(String(cell)) ?? undefined;
  const after = eraser.record({ [name]: cell }, owned);
  return after === null ? undefined : ((after[name] ?? null) as ArchiveCell);
}

async function eraseLabels(
  { objects }: Archive,
  key: string,
  { eraser, write }: { readonly eraser: Eraser; readonly write: boolean },
): Promise<number> {
  const bytes = await objects.read(key);
  if (bytes === null) return 0;
  const text = (await promisify(gunzip)(bytes)).toString("utf8");
  let found = 0;
  const after = text.split("\n").map((line) => {
    const next = line === "" ? null : eraser.json(line);
    if (next !== null) found++;
    return next ?? line;
  });
  if (found > 0 && write) await objects.replace(key, { bytes: await promisify(gzip)(after.join("\n")) });
  return found;
}
