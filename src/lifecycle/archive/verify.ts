// Is the archive what the log said? Counts and hashes per day: of its files, of its marks, and of what the log still has.
import { archiveDay } from "../../core/archive-names.ts";
import type { Archive, ArchiveColumn, ArchiveRows } from "../../ports/archive.ts";
import type { Ports } from "../../ports/ports.ts";
import { type ArchiveTable, addTallies, archiveTable, type Tally, tallyOf, uncounted } from "./columns.ts";
import { type DayFile, daysIn } from "./days.ts";
import { daysOf, doneMarks, erasedTallies, expiredBefore, positionsOf } from "./marks.ts";
import { type ArchiveInput, archiveOf } from "./write.ts";

export interface DayVerdict {
  readonly day: string;
  readonly files: number;
  readonly bytes: number;
  /** Rows in the files; null where the files were not read. */
  readonly rows: number | null;
  /** Rows that were archived, by the marks. */
  readonly marked: number;
  /** Rows that the log still has; null where nothing was compared with it. */
  readonly logged: number | null;
  /** Null: all is well. */
  readonly fault: string | null;
}

export interface ArchiveVerdict {
  readonly where: string;
  readonly days: readonly DayVerdict[];
  /** Everything in the log up to it is archived. */
  readonly position: number;
  readonly last: number;
  /** Files that others have taken the place of, and files that are about to take theirs: `compact` ends that. */
  readonly unsettled: number;
  readonly faults: number;
}

/** What there is, by names and marks alone: no file is read. */
export async function listArchive(ports: Ports, input: ArchiveInput): Promise<ArchiveVerdict> {
  return await look(ports, input, null);
}

/**
 * Reads every file of the archive and compares each day with the marks of what was written, and with the log as far as the log still reaches. Errors:
 * archive.*, log.*.
 */
export async function verifyArchive(ports: Ports, input: ArchiveInput): Promise<ArchiveVerdict> {
  return await look(ports, input, archiveTable(input.pipeline, input.schema));
}

async function look(ports: Ports, { pipeline }: ArchiveInput, table: ArchiveTable | null): Promise<ArchiveVerdict> {
  const archive = await archiveOf(ports, pipeline);
  const { objects } = archive;
  const log = await ports.log();
  const [identity, { sequence: last }, { through }] = [await log.identity(), await log.last(), await log.begin()];
  const done = await doneMarks(objects);
  const position = positionsOf(done.map((mark) => ({ ...mark, key: "" }))).get(identity) ?? 0;
  const marked = daysOf(done);
  const erased = await erasedTallies(objects);
  const expired = await expiredBefore(objects);
  const days = new Map((await daysIn(objects)).map((day) => [day.day, day]));
  const logged = table === null ? null : await loggedDays(ports, table, { from: through + 1, to: position });
  const names = [...new Set([...days.keys(), ...Object.keys(marked), ...(logged?.keys() ?? [])])].sort();
  const verdicts: DayVerdict[] = [];
  let unsettled = 0;
  for (const [at, day] of names.entries()) {
    ports.report.progress("days", at, names.length);
    const { files = [], superseded = [] } = days.get(day) ?? {};
    unsettled += superseded.length + files.filter(({ name }) => name.next).length;
    if (files.length === 0 && day < expired) continue;
    const read =
      table === null ? null : await filesOf(archive, { files, table, after: { log: identity, sequence: through } });
    verdicts.push({
      day,
      files: files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      rows: read?.all.rows ?? null,
      marked: marked[day]?.rows ?? 0,
      logged: logged === null ? null : (logged.get(day)?.rows ?? 0),
      fault:
        read === null || day < expired
          ? null
          : faultOf(read, { marked: addTallies(marked[day], erased.get(day)), logged: logged!.get(day) }),
    });
  }
  ports.report.progress("days", names.length, names.length);
  const faults = verdicts.filter(({ fault }) => fault !== null).length;
  return { where: objects.where, days: verdicts, position, last, unsettled, faults };
}

interface Read {
  readonly all: Tally;
  /** Those that the log still has. */
  readonly recent: Tally;
  /** Whether the files have the columns that the log's rows would get today: else only the number of rows can be compared with it. */
  readonly alike: boolean;
}

function faultOf(
  { all, recent, alike }: Read,
  {
    marked = addTallies(),
    logged = addTallies(),
  }: { readonly marked: Tally | undefined; readonly logged: Tally | undefined },
): string | null {
  if (all.rows < marked.rows) return `${marked.rows - all.rows} of ${marked.rows} rows that were archived are missing`;
  if (all.rows > marked.rows) return `${all.rows - marked.rows} rows more than the ${marked.rows} that were archived`;
  if (all.sum !== marked.sum) return "the rows are not those that were archived";
  if (recent.rows !== logged.rows) return `the log has ${logged.rows} of these rows, the archive ${recent.rows}`;
  return recent.sum === logged.sum || !alike ? null : "the rows are not those of the log";
}

async function filesOf(
  archive: Archive,
  of: {
    readonly files: readonly DayFile[];
    readonly table: ArchiveTable;
    readonly after: { readonly log: string; readonly sequence: number };
  },
): Promise<Read> {
  const { files, table, after } = of;
  const without = uncounted(table);
  const form = (columns: readonly ArchiveColumn[]): string =>
    columns
      .map(({ name, type }) => `${type} ${name}`)
      .sort()
      .join("\n");
  const today = form(table.columns);
  let [all, recent, alike] = [addTallies(), addTallies(), true];
  await archive.objects.scratch(async (folder) => {
    for (const { key, name } of files) {
      const file = await archive.objects.file(key, folder);
      for await (const { columns, rows } of archive.files.read([file])) {
        all = addTallies(all, tallyOf(columns, rows, without));
        alike &&= form(columns) === today;
        if (name.log !== after.log || name.to <= after.sequence) continue;
        recent = addTallies(recent, tallyOf(columns, later(columns, rows, { by: table.sequence, ...after }), without));
      }
    }
  });
  return { all, recent, alike };
}

/** The rows beyond a position. */
function later(
  columns: readonly ArchiveColumn[],
  { rows, cells }: ArchiveRows,
  { by, sequence }: { readonly by: string; readonly sequence: number },
): ArchiveRows {
  const place = columns.findIndex(({ name }) => name === by);
  const kept: number[] = [];
  for (let row = 0; row < rows; row++) if (Number(cells[place]?.[row]) > sequence) kept.push(row);
  if (kept.length === rows) return { rows, cells };
  return { rows: kept.length, cells: cells.map((column) => kept.map((row) => column[row])) };
}

/** Rows at a time. */
const CHUNK_ROWS = 2048;

async function loggedDays(
  ports: Ports,
  table: ArchiveTable,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<ReadonlyMap<string, Tally>> {
  const without = uncounted(table);
  const tallies = new Map<string, Tally>();
  const open = new Map<string, (readonly ArchiveRows["cells"][number][number][])[]>();
  const close = (day: string): void => {
    const rows = open.get(day) ?? [];
    const cells = table.columns.map((_, i) => rows.map((row) => row[i]));
    tallies.set(day, addTallies(tallies.get(day), tallyOf(table.columns, { rows: rows.length, cells }, without)));
    open.set(day, []);
  };
  for await (const entry of (await ports.log()).scan(from)) {
    if (entry.record.sequence > to) break;
    if (entry.kind === "label") continue;
    const day = archiveDay(entry.record.time);
    const rows = open.get(day) ?? [];
    open.set(day, rows);
    rows.push(table.cellsOf(entry.record));
    if (rows.length === CHUNK_ROWS) close(day);
  }
  for (const day of open.keys()) close(day);
  return tallies;
}
