// The journal on an MLflow server, and moves of aliases that go through it: parameters of a run, because those are written once.
import { SentinelError } from "../../../core/errors.ts";
import { sha256 } from "../../../core/hash.ts";
import { nextEntry } from "../../../core/journal.ts";
import type { JournalEntry, Registry } from "../../../ports/registry.ts";
import type { MlflowClient } from "./client.ts";
import { keyOf, stored, VALUE_MAX } from "./entries.ts";
import { isRefusal } from "./errors.ts";
import { aliasesOf, readVersion, unknownVersion, writeAlias } from "./versions.ts";
import { entriesSince, type Journal, makeJournal, openJournal, roomIn, SETTLED_TAG, turnVolume } from "./volumes.ts";

/** Others may take the next place this often before a mover gives up. */
const TURNS_MAX = 20;
const DOCUMENT_BYTES_MAX = 64_000_000;

type Move = Omit<JournalEntry, "index" | "previous" | "hash">;

/**
 * The entry comes first and decides: its place in the chain is a parameter that the server writes once, so that of two movers one
 * gets it. Then the alias follows. A mover that dies in between leaves an entry that is not settled; the next one completes it.
 */
export async function moveAlias(
  client: MlflowClient,
  move: Move,
  { newId, document }: { readonly newId: () => string; readonly document?: string },
): Promise<JournalEntry> {
  const { model, alias, from, to } = move;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    // The journal before the alias: a move that happens in between then takes the place that this one wants.
    let journal = await openJournal(client, model);
    const last = journal?.entries.at(-1) ?? null;
    if (journal !== null && last !== null && isOpen(journal, last)) {
      await settle(client, { journal, entry: last });
      if (isSameMove(last, move)) return last;
    }
    const aliases = await aliasesOf(client, model);
    const current = Object.hasOwn(aliases, alias) ? aliases[alias] : null;
    if (current !== from) throw conflict(move, current);
    if (to !== null) await readVersion(client, model, to);
    journal ??= await makeJournal(client, move, newId);
    if (roomIn(journal, last) === 0) journal = await turnVolume(client, { journal, ...move }, newId);
    // Before the entry that names it: an entry never points at what is not there.
    if (document !== undefined) await keepDocument(client, journal, document);
    const entry = nextEntry(move, last);
    if (!(await append(client, { journal, entry, nonce: newId() }))) continue;
    if (await settle(client, { journal, entry })) return entry;
    throw unknownVersion(model, String(to));
  }
  throw new SentinelError("registry.conflict", `others moved aliases of ${model} ${TURNS_MAX} times meanwhile`, {
    hint: "look at `sentinel registry history`, then decide again",
  });
}

/** Throws registry.invalid when MLflow would cut the entry. */
export function checkEntryLength(move: Move): void {
  const { length } = stored({ ...move, index: 0, previous: "0".repeat(64), hash: "0".repeat(64) }, "0".repeat(40));
  if (length <= VALUE_MAX) return;
  throw new SentinelError(
    "registry.invalid",
    `the journal's entry has ${length} characters; MLflow takes ${VALUE_MAX}`,
    {
      hint: "give a shorter reason; the long one can go into the evidence",
    },
  );
}

/** Where the files of a model's journal are; null before its first entry. */
export async function journalFiles(client: MlflowClient, model: string): Promise<string | null> {
  return (await openJournal(client, model))?.files ?? null;
}

/** The evidence kept under this hash, as it is found. */
export async function readDocument(client: MlflowClient, files: string, hash: string): Promise<string | null> {
  if (!/^[0-9a-f]{64}$/.test(hash)) return null;
  try {
    const { bytes } = await client.download(documentAt(files, hash), { bytesMax: DOCUMENT_BYTES_MAX });
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")) return null;
    if (error instanceof SentinelError && error.code === "registry.corrupt") return "";
    throw error;
  }
}

export async function keepDocument(client: MlflowClient, { files }: Journal, text: string): Promise<void> {
  await client.upload(documentAt(files, sha256(text)), new TextEncoder().encode(text));
}

function documentAt(files: string, hash: string): string {
  return `${files}/evidence/${hash}.json`;
}

/** False when another client has that place. The nonce tells our own entry, repeated, from the same words of another. */
export async function append(
  client: MlflowClient,
  { journal, entry, nonce }: { readonly journal: Journal; readonly entry: JournalEntry; readonly nonce: string },
): Promise<boolean> {
  const key = keyOf(entry);
  try {
    const body = { run_id: journal.runId, key, value: stored(entry, nonce) };
    await client.send("POST", "/runs/log-parameter", body);
    return true;
  } catch (error) {
    if (isRefusal(error) && /Changing param values/.test(error.message)) return false;
    throw error;
  }
}

/**
 * Puts the alias where the newest entry of that alias says, until it is the newest even after the alias was written: a slow mover
 * then does not undo a faster one. False when the version was deleted, so that there is nothing to point at.
 */
export async function settle(
  client: MlflowClient,
  { journal, entry }: { readonly journal: Journal; readonly entry: JournalEntry },
): Promise<boolean> {
  let written = entry;
  let there = true;
  try {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      there = await follow(client, written);
      const now = await openJournal(client, entry.model);
      const entries = now === null ? [] : await entriesSince(client, now, written.index);
      const newest = entries.findLast(({ alias, origin }) => alias === entry.alias && origin === undefined);
      if (newest === undefined || newest.hash === written.hash || newest.index < written.index) break;
      written = newest;
    }
    const tag = { run_id: journal.runId, key: SETTLED_TAG, value: String(written.index) };
    await client.send("POST", "/runs/set-tag", tag);
    return there;
  } catch (cause) {
    if (!(cause instanceof SentinelError) || cause.code !== "registry.unreachable") throw cause;
    throw new SentinelError(
      "registry.unreachable",
      `${cause.message}; entry ${entry.index} is in the journal of ${entry.model}, but the alias ${entry.alias} may not have moved yet`,
      { hint: "do the same again when the server is back: it completes this move", cause },
    );
  }
}

/** True when nobody has yet said that the alias has followed. A pushed entry is history: whoever brought it moves the aliases. */
export function isOpen(journal: Journal, entry: JournalEntry): boolean {
  return entry.index > journal.settled && entry.origin === undefined;
}

export async function follow(client: MlflowClient, { model, alias, to }: JournalEntry): Promise<boolean> {
  try {
    await writeAlias(client, { model, alias, to });
    return true;
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST")) return false;
    throw error;
  }
}

/** The same decision, made again after its first try was cut off; only the time may differ. */
function isSameMove(entry: JournalEntry, move: Move): boolean {
  const same = ["alias", "from", "to", "actor", "verb", "verdict", "evidence", "reason"] as const;
  return same.every((field) => entry[field] === move[field]);
}

function conflict({ model, alias, from }: Move, current: string | null): SentinelError {
  const where = (version: string | null) => (version === null ? "at no version" : `at version ${version}`);
  return new SentinelError(
    "registry.conflict",
    `the alias ${alias} of ${model} is ${where(current)}, not ${where(from)}`,
    { hint: "somebody moved it meanwhile: look at `sentinel registry history`, then decide again" },
  );
}

/** Only what a move has, in the entry's own order of fields. */
export function moveOf(input: Parameters<Registry["moveAlias"]>[0]): Move {
  const { model, alias, from, to, entry } = input;
  const { at, actor, verb, verdict, evidence, reason } = entry;
  return { model, alias, from, to, at, actor, verb, verdict, evidence, reason };
}
