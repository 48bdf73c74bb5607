// Rules in the store: the journal's last entry is the head, so that which rules are live and what the journal says cannot differ.
import { SentinelError } from "../../../core/errors.ts";
import { holdsSeal, nextEntry } from "../../../core/journal.ts";
import { type ListChange, type RuleSet, ruleSetHash } from "../../../core/rule.ts";
import type { RuleStore, RulesChange, RulesCopy, RulesEntry, RulesHead } from "../../../ports/rules.ts";
import type { Json } from "../../../ports/store.ts";
import { writeAudit } from "./audit.ts";
import type { Database } from "./database.ts";
import { numberRules } from "./rule-numbers.ts";
import { checkRoom, rulesMaxOf } from "./rule-quota.ts";
import { listsTouched, type SetsMove, touchedOf } from "./rule-states.ts";
import type { Sql, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

const EMPTY: RulesHead = { revision: 0, live: null, candidate: null };
/** Rows that one query reads, and that one statement writes: the smallest database takes 32,766 values in a statement. */
const READ_ROWS = 10_000;
const WRITE_ROWS = 1000;
/** Sets that were read recently: one of ten thousand rules takes a tenth of a second to read and to check, and a change reads it several times. */
const SETS_KEPT = 4;
/** More lists than a pipeline may have. */
const LISTS_READ_MAX = 10_000;

export function rulesOf(database: Database, slug: string): RuleStore {
  const pipeline = stored(slug);
  const { where } = database.vendor;
  /** Sets are immutable; entries that were checked once are not checked again. */
  let seen: readonly RulesEntry[] = [];
  const sets = new Map<string, RuleSet>();

  const entries = async (): Promise<readonly RulesEntry[]> => {
    for (;;) {
      const before = seen;
      const rows = await database.read((sql) => journalRows(sql, { pipeline, from: before.length }));
      if (rows.length === 0) return before;
      const more = rows.map((body) => parsed<RulesEntry>(body, where));
      checkChain(more, { last: before.at(-1) ?? null, where });
      if (seen === before) seen = [...before, ...more];
    }
  };

  return {
    where: `${where}: rules of ${slug}`,
    head: database.kept(async (sql) => headOf(await lastEntry(sql, { pipeline, where }))),
    async set(hash) {
      const known = sets.get(hash);
      if (known !== undefined) return known;
      const body = await database.read((sql) => setBody(sql, { pipeline, hash }));
      if (body === null) throw unknownSet(hash);
      // One that named a person who was forgotten keeps its name, under which answers speak of it.
      const { erased, ...set } = parsed<RuleSet & { readonly erased?: string }>(body, where);
      if (erased === undefined && ruleSetHash(set) !== hash)
        throw unreadable(where, `rule set ${hash.slice(0, 12)} is not what its hash says`);
      if (sets.size >= SETS_KEPT) sets.delete(sets.keys().next().value!);
      sets.set(hash, set);
      return set;
    },
    async list(name, from = 0) {
      const count = (await listCounts(database, pipeline))[name] ?? 0;
      const changes: ListChange[] = [];
      while (from + changes.length < count) {
        const place = from + changes.length;
        const rows = await database.read((sql) =>
          changeRows(sql, { pipeline, list: stored(name), from: place, to: count }),
        );
        if (rows.length === 0) throw unreadable(where, `list ${name} has ${place} changes, not ${count}`);
        for (const { body } of rows) changes.push(parsed<ListChange>(body, where));
      }
      return changes;
    },
    lists: () => listCounts(database, pipeline),
    async commit(change) {
      try {
        const limit = await rulesMaxOf(database);
        return await database.write((sql) => commit(sql, { slug, pipeline, where, change, limit }));
      } catch (error) {
        // Somebody else wrote the same place of the journal in the same moment.
        if (!database.isTaken(error)) throw error;
        const { revision } = await database.read(async (sql) => headOf(await lastEntry(sql, { pipeline, where })));
        throw conflict(change.expected, revision);
      }
    },
    journal: entries,
  };
}

/** Takes over what another place kept, entry for entry, where the store has nothing of the pipeline. False: it has. */
export async function adoptRules(database: Database, slug: string, copy: RulesCopy): Promise<boolean> {
  const pipeline = stored(slug);
  checkChain(copy.entries, { last: null, where: `rules of ${slug}` });
  try {
    return await database.write(async (sql) => {
      if ((await lastEntry(sql, { pipeline, where: database.vendor.where })) !== null) return false;
      await insertSets(sql, pipeline, copy.sets);
      for (const [list, changes] of Object.entries(copy.lists)) {
        await appendChanges(sql, { pipeline, list, from: 0, changes });
      }
      for (const entry of copy.entries) await insertEntry(sql, pipeline, entry);
      const ids = copy.sets.flatMap(({ rules }) => rules.map(({ id }) => id));
      await numberRules(sql, pipeline, ids);
      const last = copy.entries.at(-1);
      if (last !== undefined) {
        const live = copy.sets.find((set) => ruleSetHash(set) === last.live.to) ?? null;
        const sides = { live: { from: null, to: live }, candidate: { from: null, to: null } };
        await auditEntry(sql, { slug, entry: { ...last, verb: "adopt" }, before: EMPTY, sides, lists: copy.lists });
      }
      return true;
    });
  } catch (error) {
    if (database.isTaken(error)) return false;
    throw error;
  }
}

async function commit(
  sql: SqlTransaction,
  of: {
    readonly slug: string;
    readonly pipeline: string;
    readonly where: string;
    readonly change: RulesChange;
    readonly limit: number | null;
  },
): Promise<RulesHead> {
  const { slug, pipeline, where, change, limit } = of;
  const last = await lastEntry(sql, { pipeline, where });
  const now = headOf(last);
  if (now.revision !== change.expected) throw conflict(change.expected, now.revision);
  const sides = await movesOf(sql, { pipeline, where, now, change });
  if (limit !== null) {
    const countOf = (other: string) => liveCount(sql, { pipeline: other, where });
    await checkRoom(sql, { pipeline, limit, live: sides.live, countOf });
  }
  await insertSets(sql, pipeline, change.sets);
  const counts: Record<string, number> = {};
  const known = await countsIn(sql, pipeline);
  for (const [list, changes] of Object.entries(change.lists)) {
    if (changes.length === 0) continue;
    const from = known[list] ?? 0;
    counts[list] = from + changes.length;
    await appendChanges(sql, { pipeline, list, from, changes });
  }
  const moves = {
    live: { from: now.live, to: change.live },
    candidate: { from: now.candidate, to: change.candidate },
  };
  const entry: RulesEntry = nextEntry({ ...change.entry, ...moves, counts }, last);
  await insertEntry(sql, pipeline, entry);
  await numberRules(
    sql,
    pipeline,
    change.sets.flatMap(({ rules }) => rules.map(({ id }) => id)),
  );
  await auditEntry(sql, { slug, entry, before: now, sides, lists: change.lists });
  return headOf(entry);
}

/** Rules of a pipeline's live set, whatever their stage. */
async function liveCount(
  sql: SqlTransaction,
  of: { readonly pipeline: string; readonly where: string },
): Promise<number> {
  const { live: hash } = headOf(await lastEntry(sql, of));
  const body = hash === null ? null : await setBody(sql, { pipeline: of.pipeline, hash });
  return body === null ? 0 : parsed<RuleSet>(body, of.where).rules.length;
}

/** The sets that a change takes from each side and puts there; a side that stays is not read. */
async function movesOf(
  sql: SqlTransaction,
  of: { readonly pipeline: string; readonly where: string; readonly now: RulesHead; readonly change: RulesChange },
): Promise<Readonly<Record<"live" | "candidate", SetsMove>>> {
  const { pipeline, where, now, change } = of;
  const brought = new Map(change.sets.map((set) => [ruleSetHash(set), set]));
  const setOf = async (hash: string | null): Promise<RuleSet | null> => {
    if (hash === null) return null;
    const known = brought.get(hash);
    if (known !== undefined) return known;
    const body = await setBody(sql, { pipeline, hash });
    return body === null ? null : parsed<RuleSet>(body, where);
  };
  const move = async (from: string | null, to: string | null): Promise<SetsMove> =>
    from === to ? { from: null, to: null } : { from: await setOf(from), to: await setOf(to) };
  return { live: await move(now.live, change.live), candidate: await move(now.candidate, change.candidate) };
}

async function setBody(
  sql: Sql | SqlTransaction,
  of: { readonly pipeline: string; readonly hash: string },
): Promise<string | null> {
  const row = await sql
    .selectFrom("rule_sets")
    .select("body")
    .where("pipeline", "=", of.pipeline)
    .where("hash", "=", stored(of.hash))
    .executeTakeFirst();
  return row?.body ?? null;
}

async function insertSets(sql: SqlTransaction, pipeline: string, sets: readonly RuleSet[]): Promise<void> {
  for (const set of sets) {
    await sql
      .insertInto("rule_sets")
      .values({ pipeline, hash: ruleSetHash(set), body: JSON.stringify(set) })
      .onConflict((conflicting) => conflicting.doNothing())
      .execute();
  }
}

async function insertEntry(sql: SqlTransaction, pipeline: string, entry: RulesEntry): Promise<void> {
  await sql
    .insertInto("rule_journal")
    .values({ pipeline, place: entry.index, body: JSON.stringify(entry) })
    .execute();
}

async function appendChanges(
  sql: SqlTransaction,
  of: {
    readonly pipeline: string;
    readonly list: string;
    readonly from: number;
    readonly changes: readonly ListChange[];
  },
): Promise<void> {
  const { pipeline, from, changes } = of;
  const list = stored(of.list);
  for (let start = 0; start < changes.length; start += WRITE_ROWS) {
    const rows = changes
      .slice(start, start + WRITE_ROWS)
      .map((change, index) => ({ pipeline, list, place: from + start + index, body: JSON.stringify(change) }));
    await sql.insertInto("rule_list_changes").values(rows).execute();
  }
  const total = from + changes.length;
  await sql
    .insertInto("rule_lists")
    .values({ pipeline, list, changes: total })
    .onConflict((conflicting) => conflicting.columns(["pipeline", "list"]).doUpdateSet({ changes: total }))
    .execute();
}

/** What an auditor reads: which sets decided before and after, what changed line by line, and whole, as it was and as it is. */
async function auditEntry(
  sql: SqlTransaction,
  of: {
    readonly slug: string;
    readonly entry: RulesEntry;
    readonly before: RulesHead;
    readonly sides: Readonly<Record<"live" | "candidate", SetsMove>>;
    readonly lists: Readonly<Record<string, readonly ListChange[]>>;
  },
): Promise<void> {
  const { slug, entry, before, sides, lists } = of;
  const live = touchedOf(sides.live);
  const candidate = touchedOf(sides.candidate);
  const hasLists = Object.values(lists).some(({ length }) => length > 0);
  const sidesAfter: Record<string, Json> = { live: live.after, candidate: candidate.after };
  if (hasLists) sidesAfter.lists = listsTouched(lists);
  const { verdict, evidence, changes } = entry;
  await writeAudit(sql, {
    at: entry.at,
    actor: entry.actor,
    action: `rules.${entry.verb.replaceAll(" ", ".")}`,
    subject: "rules",
    subjectId: slug,
    pipeline: slug,
    reason: entry.reason,
    before: { ...before, touched: { live: live.before, candidate: candidate.before } },
    after: {
      ...headOf(entry),
      changes,
      verdict,
      evidence,
      touched: sidesAfter,
    },
  });
}

async function lastEntry(
  sql: Sql | SqlTransaction,
  of: { readonly pipeline: string; readonly where: string },
): Promise<RulesEntry | null> {
  const row = await sql
    .selectFrom("rule_journal")
    .select("body")
    .where("pipeline", "=", of.pipeline)
    .orderBy("place", "desc")
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return null;
  const entry = parsed<RulesEntry>(row.body, of.where);
  if (!holdsSeal(entry)) throw unreadable(of.where, `entry ${entry.index} of the journal was changed`);
  return entry;
}

function headOf(last: RulesEntry | null): RulesHead {
  return last === null ? EMPTY : { revision: last.index + 1, live: last.live.to, candidate: last.candidate.to };
}

async function journalRows(
  sql: Sql,
  of: { readonly pipeline: string; readonly from: number },
): Promise<readonly string[]> {
  const rows = await sql
    .selectFrom("rule_journal")
    .select("body")
    .where("pipeline", "=", of.pipeline)
    .where("place", ">=", of.from)
    .orderBy("place")
    .limit(WRITE_ROWS)
    .execute();
  return rows.map(({ body }) => body);
}

function changeRows(
  sql: Sql,
  of: { readonly pipeline: string; readonly list: string; readonly from: number; readonly to: number },
): Promise<readonly { readonly body: string }[]> {
  return sql
    .selectFrom("rule_list_changes")
    .select("body")
    .where("pipeline", "=", of.pipeline)
    .where("list", "=", of.list)
    .where("place", ">=", of.from)
    .where("place", "<", of.to)
    .orderBy("place")
    .limit(READ_ROWS)
    .execute();
}

function listCounts(database: Database, pipeline: string): Promise<Readonly<Record<string, number>>> {
  return database.read((sql) => countsIn(sql, pipeline));
}

async function countsIn(sql: Sql | SqlTransaction, pipeline: string): Promise<Readonly<Record<string, number>>> {
  const rows = await sql
    .selectFrom("rule_lists")
    .select(["list", "changes"])
    .where("pipeline", "=", pipeline)
    .limit(LISTS_READ_MAX)
    .execute();
  return Object.fromEntries(rows.map(({ list, changes }) => [unstored(list), Number(changes)]));
}

/** Errors: rules.unreadable where an entry does not follow the one before it. */
function checkChain(
  entries: readonly RulesEntry[],
  of: { readonly last: RulesEntry | null; readonly where: string },
): void {
  let before = of.last;
  for (const entry of entries) {
    const place = before === null ? 0 : before.index + 1;
    const isNext = entry.index === place && entry.previous === (before?.hash ?? "");
    if (!isNext || !holdsSeal(entry)) {
      throw unreadable(of.where, `entry ${place} of the journal was changed, removed or added`);
    }
    before = entry;
  }
}

function parsed<Value>(body: string, where: string): Value {
  try {
    return JSON.parse(body) as Value;
  } catch {
    throw unreadable(where, "a record is no JSON");
  }
}

function conflict(expected: number, revision: number): SentinelError {
  return new SentinelError("rules.conflict", `the rules are at revision ${revision}, not ${expected}`, {
    hint: "somebody else changed them: look at them again, then repeat the change if it is still wanted",
  });
}

function unknownSet(hash: string): SentinelError {
  return new SentinelError("rules.unknown", `there is no rule set ${hash.slice(0, 80)}`, {
    hint: "`sentinel rules history` shows which sets there were",
  });
}

function unreadable(where: string, why: string): SentinelError {
  return new SentinelError("rules.unreadable", `the rules in ${where} cannot be read: ${why}`, {
    hint: "restore the store from a backup; what serves goes on with the last rules that it read",
  });
}
