// The journal on an MLflow server, and moves of aliases that go through it: parameters of a run, because those are written once.
import { SentinelError } from "../../../core/errors.ts";
import { canonicalJson, sha256 } from "../../../core/hash.ts";
import { type AliasMove, journalHash, movesOf, nextEntry } from "../../../core/journal.ts";
import type { JournalEntry } from "../../../ports/registry.ts";
import type { JournalStep } from "../journal-step.ts";
import type { MlflowClient } from "./client.ts";
import { keyOf, stored, VALUE_MAX } from "./entries.ts";
import { isRefusal } from "./errors.ts";
import { aliasesOf, readVersion, unknownVersion, writeAlias } from "./versions.ts";
import { entriesSince, type Journal, makeJournal, openJournal, roomIn, SETTLED_TAG, turnVolume } from "./volumes.ts";

/** Others may take the next place this often before a mover gives up. */
const TURNS_MAX = 20;
const DOCUMENT_BYTES_MAX = 64_000_000;

/**
 * The entry comes first and decides: its place in the chain is a parameter that the server writes once, so that of two movers one
 * gets it. It names every alias of the step; then they follow. A mover that dies in between leaves an entry that is not settled;
 * `recover` and the next mover complete it.
 */
export async function moveAlias(
  client: MlflowClient,
  step: JournalStep,
  { newId, document }: { readonly newId: () => string; readonly document?: string },
): Promise<JournalEntry> {
  const { model } = step;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    // The journal before the aliases: a move that happens in between then takes the place that this one wants.
    let journal = await openJournal(client, model);
    const last = journal?.entries.at(-1) ?? null;
    if (journal !== null && last !== null && isOpen(journal, last)) {
      await settle(client, { journal, entry: last });
      if (isSameStep(last, step)) return last;
    }
    await checkPlaces(client, step);
    journal ??= await makeJournal(client, step, newId);
    if (roomIn(journal, last) === 0) journal = await turnVolume(client, { journal, ...step }, newId);
    // Before the entry that names it: an entry never points at what is not there.
    if (document !== undefined) await keepDocument(client, journal, document);
    const entry = nextEntry(step, last);
    if (!(await append(client, { journal, entry, nonce: newId() }))) continue;
    const gone = await settle(client, { journal, entry });
    if (gone === null) return entry;
    throw unknownVersion(model, gone);
  }
  throw new SentinelError("registry.conflict", `others moved aliases of ${model} ${TURNS_MAX} times meanwhile`, {
    hint: "look at `sentinel registry history`, then decide again",
  });
}

/** Completes the newest entry when nobody has said that its aliases have followed. See {@link Registry}. */
export async function recover(client: MlflowClient, model: string): Promise<JournalEntry | null> {
  const journal = await openJournal(client, model);
  const entry = journal?.entries.at(-1);
  if (journal === null || entry === undefined || !isOpen(journal, entry)) return null;
  // A damaged entry moves nothing: `registry verify` names it.
  if (entry.hash !== journalHash(entry)) return null;
  await settle(client, { journal, entry });
  return entry;
}

/** Each alias is where the caller saw it, and each version it goes to is there. */
async function checkPlaces(client: MlflowClient, step: JournalStep): Promise<void> {
  const aliases = await aliasesOf(client, step.model);
  for (const move of movesOf(step)) {
    const current = Object.hasOwn(aliases, move.alias) ? aliases[move.alias] : null;
    if (current !== move.from) throw conflict(step.model, move, current);
  }
  for (const { to } of movesOf(step)) if (to !== null) await readVersion(client, step.model, to);
}

/** Throws registry.invalid when MLflow would cut the entry. */
export function checkEntryLength(step: JournalStep): void {
  const { length } = stored({ ...step, index: 0, previous: "0".repeat(64), hash: "0".repeat(64) }, "0".repeat(40));
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
 * Puts each alias of an entry where the newest entry of that alias says, until it is the newest even after the alias was written: a
 * slow mover then does not undo a faster one. Gives a version that was deleted, so that there is nothing to point at; else null.
 */
export async function settle(
  client: MlflowClient,
  { journal, entry }: { readonly journal: Journal; readonly entry: JournalEntry },
): Promise<string | null> {
  const { model, index } = entry;
  const written = new Map(movesOf(entry).map(({ alias, to }) => [alias, { index, to }]));
  let gone: string | null = null;
  let settled = journal.settled;
  try {
    let pending = [...written.keys()];
    for (let turn = 0; turn < TURNS_MAX && pending.length > 0; turn++) {
      for (const alias of pending) {
        const { to } = written.get(alias)!;
        const followed = await follow(client, { model, alias, to });
        if (!followed && to !== null) gone = to;
      }
      const now = await openJournal(client, model);
      settled = now?.settled ?? settled;
      const newest = newestOf(now === null ? [] : await entriesSince(client, now, index));
      pending = [...written.keys()].filter((alias) => (newest.get(alias)?.index ?? -1) > written.get(alias)!.index);
      for (const alias of pending) written.set(alias, newest.get(alias)!);
    }
    // This entry, though aliases may follow a newer one: that one's other aliases are its own mover's.
    const tag = { run_id: journal.runId, key: SETTLED_TAG, value: String(index) };
    if (index > settled) await client.send("POST", "/runs/set-tag", tag);
    return gone;
  } catch (cause) {
    if (!(cause instanceof SentinelError) || cause.code !== "registry.unreachable") throw cause;
    const aliases = [...written.keys()].join(", ");
    throw new SentinelError(
      "registry.unreachable",
      `${cause.message}; entry ${index} is in the journal of ${model}, but not every alias it names may have moved yet (${aliases})`,
      { hint: "do the same again when the server is back: it completes this move", cause },
    );
  }
}

/** Where the newest entries put each alias. A pushed entry is history, and moves none by itself. */
function newestOf(
  entries: readonly JournalEntry[],
): Map<string, { readonly index: number; readonly to: string | null }> {
  const newest = new Map<string, { readonly index: number; readonly to: string | null }>();
  for (const entry of entries) {
    if (entry.origin !== undefined) continue;
    for (const { alias, to } of movesOf(entry)) newest.set(alias, { index: entry.index, to });
  }
  return newest;
}

/** True when nobody has yet said that the entry's aliases have followed. A pushed entry is history: whoever brought it moves the aliases. */
export function isOpen(journal: Journal, entry: JournalEntry): boolean {
  return entry.index > journal.settled && entry.origin === undefined;
}

/** False when the version was deleted. */
export async function follow(
  client: MlflowClient,
  { model, alias, to }: { readonly model: string; readonly alias: string; readonly to: string | null },
): Promise<boolean> {
  try {
    await writeAlias(client, { model, alias, to });
    return true;
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST")) return false;
    throw error;
  }
}

/** The same decision, made again after its first try was cut off; only the time may differ. */
function isSameStep(entry: JournalEntry, step: JournalStep): boolean {
  const same = ["alias", "from", "to", "also", "actor", "verb", "verdict", "evidence", "reason"] as const;
  return same.every((field) => canonicalJson(entry[field] ?? null) === canonicalJson(step[field] ?? null));
}

function conflict(model: string, { alias, from }: AliasMove, current: string | null): SentinelError {
  const where = (version: string | null) => (version === null ? "at no version" : `at version ${version}`);
  return new SentinelError(
    "registry.conflict",
    `the alias ${alias} of ${model} is ${where(current)}, not ${where(from)}`,
    { hint: "somebody moved it meanwhile: look at `sentinel registry history`, then decide again" },
  );
}
