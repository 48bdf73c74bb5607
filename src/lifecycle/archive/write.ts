// Writing an archive: what the log has and the archive has not, batch after batch, so that a crash at any place loses nothing and doubles nothing.
import path from "node:path";
import { archiveDay, archiveFile, dayFolder } from "../../core/archive-names.ts";
import { SentinelError } from "../../core/errors.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Archive, ArchiveCell, ArchiveRows } from "../../ports/archive.ts";
import type { PredictionLog } from "../../ports/log.ts";
import type { Ports } from "../../ports/ports.ts";
import { type ArchiveTable, addTallies, archiveTable, type Tally, tallyOf, uncounted } from "./columns.ts";
import { type LabelLine, labelLine, writeLabels } from "./labels.ts";
import { claim, type DoneMark, markDone, marksIn, positionsOf } from "./marks.ts";

export interface ArchiveInput {
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction; null where the workspace has none. */
  readonly schema: object | null;
}

export interface ArchiveRun {
  readonly rows: number;
  readonly labels: number;
  readonly files: number;
  /** Everything up to it is in the archive. */
  readonly position: number;
  /** The log's last position when the run ended. */
  readonly last: number;
  /** Positions that the log had forgotten before they could be archived. */
  readonly missed: number;
}

/** Rows that are handed over at once. */
const CHUNK_ROWS = 2048;

/** Characters of a pipeline's name that a lock's name has room for; of longer ones two may wait for each other. */
const LOCK_NAME_MAX = 80;

/** The lock of whoever does this to a pipeline's archive. */
export function archiveLock(what: "write" | "compact", { name }: Pipeline): string {
  return `archive-${what}-${name.toLowerCase().slice(0, LOCK_NAME_MAX)}`;
}

/** The archive of a pipeline. Errors: config.invalid where it has none. */
export async function archiveOf(ports: Ports, pipeline: Pipeline): Promise<Archive> {
  const archive = (await ports.archive?.()) ?? null;
  if (archive !== null) return archive;
  throw new SentinelError("config.invalid", `pipeline ${pipeline.name} has no archive`, {
    hint: `write archive: {to: data/archive} into ${pipeline.file}, or set SENTINEL_ARCHIVE_URL`,
  });
}

/**
 * Archives what the log has beyond what is archived, and tells the log. For each batch: (1) a claim says how far it goes, (2) its files are made
 * under names that follow from the log's positions, (3) a mark says that it is done. Whoever finds a claim without its mark does the batch again: the
 * log has the same rows for the same positions, so that each file is the one that is there or the one that is missing. `more` is asked between
 * batches. Errors: archive.*, log.*.
 */
export async function archiveNow(
  ports: Ports,
  input: ArchiveInput,
  options: {
    readonly more?: () => boolean;
    readonly onBatch?: (mark: DoneMark) => void;
    /** Asked for each row: once it says so, what is written is left as a crash would leave it, with an error. */
    readonly abandoned?: () => boolean;
  } = {},
): Promise<ArchiveRun> {
  const { more = () => true, onBatch, abandoned = () => false } = options;
  const { pipeline, schema } = input;
  const archive = await archiveOf(ports, pipeline);
  const log = await ports.log();
  const identity = await log.identity();
  const table = archiveTable(pipeline, schema);
  const marks = await marksIn(archive.objects, identity);
  let position = positionsOf(marks).get(identity) ?? 0;
  let { sequence: last } = await log.last();
  if (last < position) throw foreign(log, archive, { last, position });
  const { through } = await log.begin();
  const missed = Math.max(0, through - position);
  position = Math.max(position, through);
  const sums = { rows: 0, labels: 0, files: 0 };
  // A log that knows less than the archive: the process was killed before it could tell.
  await log.archived(position);
  while (position < last && more()) {
    const from = position + 1;
    const to = await claim(archive.objects, {
      log: identity,
      from,
      to: Math.min(last, position + pipeline.archive.rowGroup),
    });
    if (to > last) throw foreign(log, archive, { last, position: to });
    const mark = await writeBatch({ archive, log, table, pipeline, abandoned }, { log: identity, from, to });
    await markDone(archive.objects, mark);
    await log.archived(to);
    for (const { rows } of Object.values(mark.days)) sums.rows += rows;
    sums.labels += mark.labels;
    sums.files += Object.keys(mark.days).length + (mark.labels > 0 ? 1 : 0);
    position = to;
    onBatch?.(mark);
    ({ sequence: last } = await log.last());
  }
  return { ...sums, position, last, missed };
}

interface Writing {
  readonly archive: Archive;
  readonly log: PredictionLog;
  readonly table: ArchiveTable;
  readonly pipeline: Pipeline;
  readonly abandoned: () => boolean;
}

async function writeBatch(
  { archive: { objects, files }, log, table, pipeline, abandoned }: Writing,
  batch: { readonly log: string; readonly from: number; readonly to: number },
): Promise<DoneMark> {
  const days: Record<string, Tally> = {};
  const lines: LabelLine[] = [];
  await objects.scratch(async (folder) => {
    const written = await files.write(rowsOf(log, table, { ...batch, days, lines, abandoned }), {
      columns: table.columns,
      rowGroupRows: pipeline.archive.rowGroup,
      metadata: metadataOf(pipeline, batch),
      fileOf: (day) => path.join(folder, `${day}.partial`),
    });
    for (const day of written.keys()) {
      const name = archiveFile({ ...batch, labels: 0, next: false });
      await objects.create(`${dayFolder(day)}/${name}`, { file: path.join(folder, `${day}.partial`) });
    }
  });
  await writeLabels(objects, { ...batch, lines });
  return { ...batch, labels: lines.length, days };
}

export function metadataOf(
  pipeline: Pipeline,
  { log, from, to }: { readonly log: string; readonly from: number; readonly to: number },
): Readonly<Record<string, string>> {
  return { "sentinel.pipeline": pipeline.name, "sentinel.log": log, "sentinel.positions": `${from}-${to}` };
}

/** The predictions of some positions in chunks of one day each; labels and tallies are gathered on the way. */
async function* rowsOf(
  log: PredictionLog,
  table: ArchiveTable,
  into: {
    readonly from: number;
    readonly to: number;
    readonly days: Record<string, Tally>;
    readonly lines: LabelLine[];
    readonly abandoned: () => boolean;
  },
): AsyncGenerator<ArchiveRows & { readonly days: readonly string[] }> {
  const without = uncounted(table);
  const open = new Map<string, ArchiveCell[][]>();
  const chunkOf = (day: string): ArchiveCell[][] => {
    let chunk = open.get(day);
    if (chunk === undefined) {
      chunk = table.columns.map(() => []);
      open.set(day, chunk);
    }
    return chunk;
  };
  const close = (day: string, cells: ArchiveCell[][]): ArchiveRows & { readonly days: readonly string[] } => {
    open.delete(day);
    const rows = { rows: cells[0].length, cells };
    into.days[day] = addTallies(into.days[day], tallyOf(table.columns, rows, without));
    return { ...rows, days: new Array<string>(rows.rows).fill(day) };
  };
  for await (const entry of log.scan(into.from)) {
    if (entry.record.sequence > into.to) break;
    if (into.abandoned()) throw new Error("the batch is abandoned");
    if (entry.kind === "label") {
      into.lines.push(labelLine(entry));
      continue;
    }
    const day = archiveDay(entry.record.time);
    const chunk = chunkOf(day);
    const cells = table.cellsOf(entry.record);
    for (let i = 0; i < chunk.length; i++) chunk[i].push(cells[i]);
    if (chunk[0].length === CHUNK_ROWS) yield close(day, chunk);
  }
  for (const [day, chunk] of [...open]) yield close(day, chunk);
}

function foreign(
  log: PredictionLog,
  { objects }: Archive,
  { last, position }: { readonly last: number; readonly position: number },
): SentinelError {
  return new SentinelError(
    "archive.foreign",
    `${objects.where} holds this log up to position ${position}, and ${log.where} ends at ${last}: the log was put back from an older copy`,
    {
      hint: "archive to another place from now on (archive.to, SENTINEL_ARCHIVE_URL): positions that the old log used would be taken for archived",
    },
  );
}
