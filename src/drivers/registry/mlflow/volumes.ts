// Where the journal stands on an MLflow server: in volumes, each a run with so many entries, so that its end is read without all the rest.
import { SentinelError } from "../../../core/errors.ts";
import { journalHash, verifyJournal } from "../../../core/journal.ts";
import type { JournalEntry, StoreFault } from "../../../ports/registry.ts";
import type { Copied } from "../journal-copy.ts";
import type { MlflowClient } from "./client.ts";
import { parsed, placeOf } from "./entries.ts";
import { isRefusal } from "./errors.ts";
import { findExperiment, makeExperiment } from "./experiments.ts";
import { activeRun, startRun } from "./runs.ts";
import { type Experiment, pairsOf } from "./schema.ts";

/** Holds the runs of every model's journal; a run's parameters are the entries. */
const JOURNALS = "sentinel.journal";
/** `sentinel.journal/<model>` names the first run: of two who make one, MLflow lets one have the name. */
const RUN_TAG = "sentinel.journal.run";
/** The later ones, by the index of their first entry. Where to look first, no more: what counts is NEXT_PARAM. */
const LATER_TAG = /^sentinel\.journal\.run\.(\d{8})$/;
/** Where the files of the first run go, from the second volume on. */
const FILES_TAG = "sentinel.journal.files";
/** Of a later volume's run: the run before it, and the index of its first entry. */
const BEFORE_TAG = "sentinel.journal.before";
const FIRST_TAG = "sentinel.journal.first";
/** Index of the last entry whose alias is known to have moved. */
export const SETTLED_TAG = "sentinel.journal.settled";
/** The run that goes on where this one is full. A parameter is written once: of two who go on, one run counts. */
const NEXT_PARAM = "next";
/** Entries of a volume. MLflow gives a run's parameters all at once, about ten a millisecond. */
const VOLUME = 500;
/** 50 million entries: more is a ring. */
const VOLUMES_MAX = 100_000;
/** Files of volumes asked for at once. */
const FILES_AT_ONCE = 6;
const FILE_BYTES_MAX = 16_000_000;

/** The volume that is being written. */
export interface Journal {
  readonly model: string;
  readonly runId: string;
  /** Index of its first entry. */
  readonly first: number;
  /** Where files of the journal go. */
  readonly files: string;
  readonly settled: number;
  /** Its entries; those of the volume before it when it has none yet. */
  readonly entries: readonly JournalEntry[];
  readonly pointer: Experiment;
}

interface Volume {
  readonly runId: string;
  readonly first: number;
  readonly before: string | undefined;
  readonly next: string | undefined;
  readonly files: string;
  readonly settled: number;
  /** As stored, by place. */
  readonly values: ReadonlyMap<number, string>;
}

/** Where full volumes may be had faster than from the server's database, and who hears of it when that was not what was written. */
interface Reading {
  readonly copy?: () => Promise<Copied>;
  readonly doubt?: (what: string) => void;
}

/**
 * Oldest first, sealed by the newest entry that the server has. Full volumes come from `copy` (entries as this machine has them) or
 * from their files, which is much faster; when the chain says that those are not what was written, every entry is read where it
 * stands.
 */
export async function readJournal(
  client: MlflowClient,
  model: string,
  { copy, doubt }: Reading = {},
): Promise<readonly JournalEntry[]> {
  // The copy is read while the server prepares its answer.
  const [tail, copied] = await Promise.all([openJournal(client, model), copy?.()]);
  return tail === null ? [] : entriesUpTo(client, tail, { copied, doubt });
}

/** Like {@link readJournal}, of a journal whose end was just read. */
export async function entriesUpTo(
  client: MlflowClient,
  tail: Journal,
  { copied, doubt }: { readonly copied?: Copied; readonly doubt?: Reading["doubt"] } = {},
): Promise<readonly JournalEntry[]> {
  if (tail.first === 0) return tail.entries;
  const byCopy = copied === undefined ? null : sealedBy(tail, copied.entries);
  if (byCopy !== null) return byCopy;
  const doubtful: string[] = [];
  // One that merely ends early is no wonder: others move aliases, too.
  if (copied !== undefined && (copied.gap || reaches(tail, copied.entries)))
    doubtful.push(`the journal's copy on this machine (${copied.where})`);
  const filed = await fromFiles(client, tail);
  const byFiles = sealedBy(tail, filed.entries);
  if (byFiles === null && filed.complete) doubtful.push("the files of its full runs on the server");
  const journal = byFiles ?? (await readEveryEntry(client, tail.model));
  // When the server's own entries do not hold, they are at fault and not what was compared with them.
  if (doubt !== undefined && doubtful.length > 0 && verifyJournal(journal).ok)
    doubt(doubted(doubtful, byFiles === null ? "every entry on the server" : "the server's files"));
  return journal;
}

function doubted(what: readonly string[], instead: string): string {
  const lacks = what.length > 1 ? "lack something or were changed" : "lacks something or was changed";
  return `not believed: ${what.join(" and ")} ${lacks}; read instead: ${instead}. \`sentinel registry verify\` names the place`;
}

/** Whether there are as many entries as the volumes before have. */
function reaches({ first, entries }: Journal, older: readonly JournalEntry[]): boolean {
  return older.length >= Math.min(first, entries.at(0)?.index ?? first);
}

/** The journal whose beginning these entries are; null when the chain up to the server's newest entry does not hold. */
function sealedBy(tail: Journal, older: readonly JournalEntry[]): readonly JournalEntry[] | null {
  if (!reaches(tail, older)) return null;
  const { first, entries } = tail;
  const start = Math.min(first, entries.at(0)?.index ?? first);
  // Frozen, so that whoever checks the chain again need not compute it again.
  const journal = Object.freeze([...older.slice(0, start), ...entries].map((entry) => Object.freeze(entry)));
  return verifyJournal(journal).ok ? journal : null;
}

/** Oldest first, each exactly as stored in its own place: what was tampered with must reach the check of the chain. */
export async function readEveryEntry(client: MlflowClient, model: string): Promise<readonly JournalEntry[]> {
  const pointer = await pointerOf(client, model);
  const entries: JournalEntry[] = [];
  let runId: string | undefined = pointer?.runId;
  for (let count = 0; runId !== undefined && count < VOLUMES_MAX; count++) {
    const volume: Volume = await readVolume(client, model, runId);
    entries.push(...entriesOf(volume));
    runId = volume.next;
  }
  return entries.sort((a, b) => a.index - b.index);
}

/** The volume that is being written; null before the first entry. */
export async function openJournal(client: MlflowClient, model: string): Promise<Journal | null> {
  const pointer = await pointerOf(client, model);
  if (pointer === null) return null;
  let volume = await readVolume(client, model, pointer.later.at(-1)?.runId ?? pointer.runId);
  for (let count = 0; volume.next !== undefined && count < VOLUMES_MAX; count++)
    volume = await readVolume(client, model, volume.next);
  const { runId, first, before } = volume;
  const newest = volume.values.size > 0 || before === undefined ? volume : await readVolume(client, model, before);
  const files = pointer.files ?? (first === 0 ? volume.files : (await readVolume(client, model, pointer.runId)).files);
  const settled = Math.max(volume.settled, newest.settled);
  return { model, runId, first, files, settled, entries: entriesOf(newest), pointer: pointer.experiment };
}

/** Entries of the newest volume, and of those before it as far as this index. */
export async function entriesSince(
  client: MlflowClient,
  journal: Journal,
  index: number,
): Promise<readonly JournalEntry[]> {
  const reaches = journal.first === 0 || (journal.entries.at(0)?.index ?? 0) <= index;
  return reaches ? journal.entries : readEveryEntry(client, journal.model);
}

/** Two at once make two runs; the name decides which one is the journal, and the other is deleted. */
export async function makeJournal(
  client: MlflowClient,
  by: { readonly model: string; readonly actor: string; readonly at: number },
  newId: () => string,
): Promise<Journal> {
  const { model } = by;
  const runId = await makeRun(client, { ...by, tags: {} }, newId);
  await makeExperiment(client, `${JOURNALS}/${model}`, [{ key: RUN_TAG, value: runId }]);
  const journal = await openJournal(client, model);
  if (journal === null) throw lost(model, `experiment ${JOURNALS}/${model}`);
  if (journal.pointer.tags?.find(({ key }) => key === RUN_TAG)?.value !== runId) await discard(client, runId);
  return journal;
}

/** How many more entries this volume takes. Never more than 500 per run: the same index would then exist in two runs. */
export function roomIn({ first }: Journal, last: JournalEntry | null): number {
  return Math.max(0, first + VOLUME - (last === null ? 0 : last.index + 1));
}

/**
 * The volume after a full one: made here, or by another client meanwhile. Whatever it dies after, the next mover goes on: the file
 * and the tags only make reading faster.
 */
export async function turnVolume(
  client: MlflowClient,
  { journal, actor, at }: { readonly journal: Journal; readonly actor: string; readonly at: number },
  newId: () => string,
): Promise<Journal> {
  const { model } = journal;
  const full = await readVolume(client, model, journal.runId);
  const first = Math.max(-1, ...full.values.keys()) + 1;
  await keepFile(client, journal, full);
  const tags = { [BEFORE_TAG]: full.runId, [FIRST_TAG]: String(first) };
  let runId = full.next ?? (await makeRun(client, { model, actor, at, tags }, newId));
  try {
    const param = { run_id: full.runId, key: NEXT_PARAM, value: runId };
    await client.send("POST", "/runs/log-parameter", param);
  } catch (error) {
    if (!isRefusal(error) || !/Changing param values/.test(error.message)) throw error;
    await discard(client, runId);
    const { next } = await readVolume(client, model, full.runId);
    if (next === undefined) throw lost(model, `what follows run ${full.runId}`);
    runId = next;
  }
  const name = (index: number): string => `${RUN_TAG}.${String(index).padStart(8, "0")}`;
  const ours = { [FILES_TAG]: journal.files, [name(first)]: runId };
  // The full one's own tag again: whoever began it may have died before that.
  const known = full.first === 0 ? ours : { ...ours, [name(full.first)]: full.runId };
  for (const tag of pairsOf(known)) {
    const body = { experiment_id: journal.pointer.experiment_id, ...tag };
    await client.send("POST", "/experiments/set-experiment-tag", body);
  }
  return { ...journal, runId, first };
}

/** The experiment that names the journal's runs; null when there is none. */
async function pointerOf(client: MlflowClient, model: string) {
  const experiment = await findExperiment(client, `${JOURNALS}/${model}`);
  if (experiment === null) return null;
  const tags = experiment.tags ?? [];
  const runId = tags.find(({ key }) => key === RUN_TAG)?.value;
  if (runId === undefined || experiment.lifecycle_stage === "deleted")
    throw lost(model, `experiment ${JOURNALS}/${model}`);
  return { experiment, runId, later: laterOf(experiment), files: tags.find(({ key }) => key === FILES_TAG)?.value };
}

function laterOf({ tags = [] }: Experiment): { readonly first: number; readonly runId: string }[] {
  return tags
    .flatMap(({ key, value }) => {
      const first = LATER_TAG.exec(key)?.[1];
      return first === undefined ? [] : [{ first: Number(first), runId: value }];
    })
    .sort((a, b) => a.first - b.first);
}

async function readVolume(client: MlflowClient, model: string, runId: string): Promise<Volume> {
  const run = await activeRun(client, runId).catch((error: unknown) => {
    throw error instanceof SentinelError && error.code === "registry.missing" ? lost(model, `run ${runId}`) : error;
  });
  const values = new Map<number, string>();
  let next: string | undefined;
  for (const { key, value } of run.data?.params ?? []) {
    const place = placeOf(key);
    if (place !== null) values.set(place, value);
    else if (key === NEXT_PARAM) next = value;
  }
  const tags = new Map((run.data?.tags ?? []).map(({ key, value }) => [key, value]));
  return {
    runId,
    first: Number(tags.get(FIRST_TAG) ?? 0),
    before: tags.get(BEFORE_TAG),
    next,
    files: run.info.artifact_uri ?? "",
    settled: Number(tags.get(SETTLED_TAG) ?? -1),
    values,
  };
}

function entriesOf({ values }: Volume): JournalEntry[] {
  return [...values].map(([place, value]) => parsed(value, place)).sort((a, b) => a.index - b.index);
}

async function makeRun(
  client: MlflowClient,
  given: {
    readonly model: string;
    readonly actor: string;
    readonly at: number;
    readonly tags: Readonly<Record<string, string>>;
  },
  newId: () => string,
): Promise<string> {
  const { model, actor, at, tags } = given;
  const input = { experiment: JOURNALS, name: model, startedAt: at, user: actor.slice(0, 250), tags };
  const runId = await startRun(client, input, newId());
  await client.send("POST", "/runs/update", { run_id: runId, status: "FINISHED", end_time: at });
  return runId;
}

async function discard(client: MlflowClient, runId: string): Promise<void> {
  await client.send("POST", "/runs/delete", { run_id: runId }).catch(() => {});
}

/** A line an entry, as it stands in the run's parameters. Best effort: without it, reading asks the run. */
async function keepFile(client: MlflowClient, { files }: Journal, { first, values }: Volume): Promise<void> {
  const lines = [...values].sort(([a], [b]) => a - b).map(([, value]) => `${value}\n`);
  await client.upload(fileAt(files, first), new TextEncoder().encode(lines.join(""))).catch(() => {});
}

/** What the files of the volumes before this one hold; `complete` when none is missing. The chain says whether it is what was written. */
async function fromFiles(
  client: MlflowClient,
  { files, first, pointer }: Journal,
): Promise<{ readonly entries: readonly JournalEntry[]; readonly complete: boolean }> {
  const starts = [0, ...laterOf(pointer).map((volume) => volume.first)].filter((start) => start < first);
  const texts: string[] = [];
  for (let at = 0; at < starts.length; at += FILES_AT_ONCE) {
    const some = starts.slice(at, at + FILES_AT_ONCE);
    const read = await Promise.all(some.map((start) => readFile(client, fileAt(files, start))));
    texts.push(...read.map((text) => text ?? ""));
  }
  const complete = texts.every((text) => text !== "");
  try {
    const lines = texts.join("").split("\n").slice(0, -1);
    return { complete, entries: lines.map((line) => (JSON.parse(line) as { readonly entry: JournalEntry }).entry) };
  } catch {
    return { complete, entries: [] };
  }
}

/**
 * Files of full volumes that are not what stands in the database, by the first entry where they differ. One that is missing is no
 * fault: it is kept as well as it goes, and reading is slower without it. Nor is one that is sound where the database is not.
 */
export async function faultsOfFiles(client: MlflowClient, model: string): Promise<readonly StoreFault[]> {
  const pointer = await pointerOf(client, model);
  const faults: StoreFault[] = [];
  if (pointer?.files === undefined) return faults;
  let volume = await readVolume(client, model, pointer.runId);
  for (let count = 0; volume.next !== undefined && count < VOLUMES_MAX; count++) {
    const [text, next] = await Promise.all([
      readFile(client, fileAt(pointer.files, volume.first)),
      readVolume(client, model, volume.next),
    ]);
    const entry = text === null ? null : differsAt(volume, { text, end: next.first });
    const file = fileAt("", volume.first).slice(1);
    const message = `${file}, the file of a full run: entry ${entry} is not what was written there`;
    if (entry !== null) faults.push({ file, entry, message });
    volume = next;
  }
  return faults;
}

/** The first entry whose line was changed, is missing, or stands there beyond the last; null when there is none. */
function differsAt(
  { first, values }: Volume,
  { text, end }: { readonly text: string; readonly end: number },
): number | null {
  const lines = text.split("\n");
  for (let place = first; place < end; place++) {
    const line = lines[place - first] ?? "";
    const value = values.get(place);
    if (line !== value && !(isSound(line, place) && (value === undefined || !isSound(value, place)))) return place;
  }
  return lines.length === end - first + 1 && lines.at(-1) === "" ? null : end;
}

function isSound(value: string, place: number): boolean {
  const entry = parsed(value, place);
  return entry.hash === journalHash(entry);
}

/** Null where there is none; "" for one much longer than a volume is. */
async function readFile(client: MlflowClient, location: string): Promise<string | null> {
  try {
    const { bytes } = await client.download(location, { bytesMax: FILE_BYTES_MAX });
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (isRefusal(error)) return null;
    if (error instanceof SentinelError && error.code === "registry.corrupt") return "";
    throw error;
  }
}

function fileAt(files: string, first: number): string {
  return `${files}/volumes/${String(first).padStart(8, "0")}.ndjson`;
}

function lost(model: string, what: string): SentinelError {
  return new SentinelError("registry.corrupt", `the journal of ${model} was deleted in MLflow: ${what}`, {
    hint: "restore it there (`mlflow runs restore`, `mlflow experiments restore`); Sentinel starts no second one",
  });
}
