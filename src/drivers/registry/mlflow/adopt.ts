// The journal of another registry, appended to the one on a server: entry by entry in its chain, and the aliases put where it ends.

import { SentinelError } from "../../../core/errors.ts";
import { sha256 } from "../../../core/hash.ts";
import { type AliasMove, movesOf, movesOfAlias, nextEntry } from "../../../core/journal.ts";
import type { AdoptedEntry, JournalEntry, RegistryTarget } from "../../../ports/registry.ts";
import type { MlflowClient } from "./client.ts";
import { keyOf, stored, VALUE_MAX } from "./entries.ts";
import { isRefusal } from "./errors.ts";
import { append, follow, isOpen, keepDocument, settle } from "./journal.ts";
import { aliasesOf } from "./versions.ts";
import { entriesUpTo, type Journal, makeJournal, openJournal, roomIn, SETTLED_TAG, turnVolume } from "./volumes.ts";

type Adoption = Parameters<RegistryTarget["adopt"]>[0];

interface Adopter {
  readonly client: MlflowClient;
  readonly newId: () => string;
}

/** MLflow takes a batch whole or not at all: a hundred parameters, a million characters, in which quotes count twice. */
const BATCH = { entries: 100, text: 300_000 } as const;
/** Others may take the next place this often before we give up. */
const TURNS_MAX = 20;
/** An entry too long for MLflow keeps so much of each text; the whole entry becomes a document. */
const TEXT_KEPT = 400;

/** See {@link RegistryTarget}. */
export async function adopt(
  adopter: Adopter,
  input: Adoption,
): Promise<{ readonly added: number; readonly kept: readonly string[] }> {
  if (input.entries.length === 0) return { added: 0, kept: [] };
  const { client, newId } = adopter;
  const { model, actor, at } = input;
  const journal = (await openWhole(client, model)) ?? (await makeJournal(client, { model, actor, at }, newId));
  const added = await appendMissing(adopter, journal, input);
  const kept: string[] = [];
  for (const alias of new Set(input.entries.flatMap(movesOf).map((move) => move.alias))) {
    if (!(await placeAlias(adopter, input, alias))) kept.push(alias);
  }
  return { added, kept };
}

async function appendMissing({ client, newId }: Adopter, opened: Journal, input: Adoption): Promise<number> {
  let journal = opened;
  let added = 0;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const last = journal.entries.at(-1) ?? null;
    if (last !== null && isOpen(journal, last)) await settle(client, { journal, entry: last });
    const there = new Set(journal.entries.map(({ origin }) => origin?.hash));
    const missing = input.entries.filter(({ origin }) => !there.has(origin.hash));
    const end = endOf(journal);
    let next = 0;
    while (next < missing.length) {
      if (roomIn(journal, end.last) === 0) journal = await turnVolume(client, { journal, ...input }, newId);
      const candidates = missing.slice(next, next + Math.min(BATCH.entries, roomIn(journal, end.last)));
      const batch = await chained({ client, journal, input, newId }, end, candidates);
      if (!(await appendBatch(client, journal, batch))) break;
      next += batch.length;
      added += batch.length;
      input.progress(input.entries.length - missing.length + next);
    }
    if (next === missing.length) return added;
    journal = (await openWhole(client, input.model)) ?? journal;
  }
  throw new SentinelError(
    "registry.conflict",
    `others wrote into the journal of ${input.model} ${TURNS_MAX} times meanwhile`,
    { hint: "push again: it goes on where it stopped" },
  );
}

/** With the entries of every volume: what was brought before may stand in any. */
async function openWhole(client: MlflowClient, model: string): Promise<Journal | null> {
  const journal = await openJournal(client, model);
  return journal === null ? null : { ...journal, entries: await entriesUpTo(client, journal) };
}

/** How a journal ends: its last entry, and the last move of each alias. */
interface End {
  last: JournalEntry | null;
  readonly newest: Map<string, Moved>;
}

/** A move with the entry that tells it. */
interface Moved extends AliasMove {
  readonly entry: JournalEntry;
}

function endOf({ entries }: Journal): End {
  const newest = new Map(entries.flatMap(movedBy).map((moved) => [moved.alias, moved]));
  return { last: entries.at(-1) ?? null, newest };
}

function movedBy(entry: JournalEntry): Moved[] {
  return movesOf(entry).map((move) => ({ ...move, entry }));
}

interface Link {
  readonly entry: JournalEntry;
  readonly value: string;
}

/** The next entries of the chain, as many as one batch takes; documents they name are stored first. Moves `end` on. */
async function chained(
  given: Adopter & { readonly journal: Journal; readonly input: Adoption },
  end: End,
  candidates: readonly AdoptedEntry[],
): Promise<Link[]> {
  const { client, journal, input } = given;
  const batch: Link[] = [];
  let text = 0;
  for (const candidate of candidates) {
    const link = await linkOf(given, end, candidate);
    if (batch.length > 0 && text + link.value.length > BATCH.text) break;
    const document = input.documents.get(candidate.evidence);
    if (document !== undefined) await keepDocument(client, journal, document);
    batch.push(link);
    text += link.value.length;
    end.last = link.entry;
    for (const moved of movedBy(link.entry)) end.newest.set(moved.alias, moved);
  }
  return batch;
}

async function linkOf(
  { client, journal, newId }: Adopter & { readonly journal: Journal },
  end: End,
  candidate: AdoptedEntry,
): Promise<Link> {
  // What the server's own journal says last of an alias is where the history that is brought begins.
  const begun = (move: AliasMove): AliasMove => {
    const before = end.newest.get(move.alias);
    return before === undefined || before.entry.origin !== undefined ? move : { ...move, from: before.to };
  };
  const fields = ordered({ ...candidate, ...begun(candidate), also: candidate.also?.map(begun) });
  const nonce = newId();
  const entry = nextEntry(fields, end.last);
  const value = stored(entry, nonce);
  if (value.length <= VALUE_MAX) return { entry, value };
  const whole = JSON.stringify(originalOf(candidate));
  await keepDocument(client, journal, whole);
  const short = nextEntry(shortened(fields, sha256(whole)), end.last);
  return { entry: short, value: stored(short, nonce) };
}

/** False when another client has one of the places: then none was written. */
async function appendBatch(client: MlflowClient, journal: Journal, batch: readonly Link[]): Promise<boolean> {
  const params = batch.map(({ entry, value }) => ({ key: keyOf(entry), value }));
  const tags = [{ key: SETTLED_TAG, value: String(batch.at(-1)?.entry.index) }];
  try {
    await client.send("POST", "/runs/log-batch", { run_id: journal.runId, params, tags });
    return true;
  } catch (error) {
    if (isRefusal(error) && /Changing param values/.test(error.message)) return false;
    throw error;
  }
}

/**
 * Puts the alias where its newest entry says. It is ours to move when it is nowhere, or where an earlier pushed entry put it; when
 * another client put it elsewhere it stays, and an entry closes the history with that. False when it stayed.
 */
async function placeAlias({ client, newId }: Adopter, input: Adoption, alias: string): Promise<boolean> {
  const { model, actor, at } = input;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    let journal = await openWhole(client, model);
    const moves = movesOfAlias(journal?.entries ?? [], alias);
    const newest = moves.at(-1);
    if (journal === null || newest === undefined) return true;
    const aliases = await aliasesOf(client, model);
    const current = Object.hasOwn(aliases, alias) ? aliases[alias] : null;
    const { origin, verb } = newest.entry;
    if (current === newest.to) return origin !== undefined || verb !== "push";
    if (origin === undefined) return false;
    const own = moves.findLastIndex(({ entry }) => entry.origin === undefined);
    const tail = moves.slice(own + 1);
    if (current === null || tail.some(({ to }) => to === current)) {
      await follow(client, { model, alias, to: newest.to });
      continue;
    }
    const words = { verdict: "KEPT", evidence: "", reason: `version ${current} was here before the push, and stays` };
    const closing = { model, alias, from: newest.to, to: current, at, actor, verb: "push" as const, ...words };
    const last = journal.entries.at(-1) ?? null;
    if (roomIn(journal, last) === 0) journal = await turnVolume(client, { journal, ...input }, newId);
    const entry = nextEntry(closing, last);
    if (await append(client, { journal, entry, nonce: newId() })) {
      const tag = { run_id: journal.runId, key: SETTLED_TAG, value: String(entry.index) };
      await client.send("POST", "/runs/set-tag", tag);
      return false;
    }
  }
  throw new SentinelError(
    "registry.conflict",
    `others moved the alias ${alias} of ${model} ${TURNS_MAX} times meanwhile`,
    {
      hint: "push again: it goes on where it stopped",
    },
  );
}

/** In the order of every other entry's fields. */
function ordered({
  model,
  alias,
  from,
  to,
  also,
  at,
  actor,
  verb,
  verdict,
  evidence,
  reason,
  origin,
}: AdoptedEntry): AdoptedEntry {
  const words = { at, actor, verb, verdict, evidence, reason };
  return { model, alias, from, to, ...(also === undefined ? {} : { also }), ...words, origin };
}

function originalOf({ origin, ...fields }: AdoptedEntry): JournalEntry {
  const { document: _none, ...was } = origin;
  return { ...fields, ...was };
}

function shortened(entry: AdoptedEntry, document: string): AdoptedEntry {
  const cut = (text: string): string => (text.length > TEXT_KEPT ? `${text.slice(0, TEXT_KEPT)}…` : text);
  const { actor, verdict, evidence, reason, origin } = entry;
  const texts = { actor: cut(actor), verdict: cut(verdict), evidence: cut(evidence), reason: cut(reason) };
  return { ...entry, ...texts, origin: { ...origin, document } };
}
