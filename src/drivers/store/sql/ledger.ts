// The ledger in the store: an id is written once, whoever writes it and how often.
import { CompiledQuery } from "kysely";
import { SentinelError } from "../../../core/errors.ts";
import { LEDGER_APPENDED_MAX, type Ledger, type LedgerEntry, type LedgerRecord } from "../../../ports/ledger.ts";
import type { Database } from "./database.ts";
import { checkJson, checkLimit, checkText, whole } from "./limits.ts";
import type { LedgerRow, Sql } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Rows that a count looks at one by one. */
const PENDING_COUNTED_MAX = 1_000_000;

export function ledgerOf(database: Database): Ledger {
  // At most LEDGER_APPENDED_MAX of them.
  const texts = new Map<number, string>();
  return {
    async append(entries) {
      if (entries.length === 0) return [];
      if (entries.length > LEDGER_APPENDED_MAX) {
        throw new SentinelError("store.invalid", `${entries.length} entries in one append`, {
          hint: `append at most ${LEDGER_APPENDED_MAX} at once`,
        });
      }
      const rows = entries.map(rowFor);
      // One statement takes an id once; of two entries of one id the first counts.
      const first = new Map<string, LedgerRow>();
      for (const row of rows) if (!first.has(row.id)) first.set(row.id, row);
      const insert = insertOf([...first.values()], database, texts);
      const fresh = new Set((await database.writeOnce<Pick<LedgerRow, "id">>(insert)).map(({ id }) => id));
      if (fresh.size === rows.length) return rows.map(() => null);
      const others = rows.flatMap(({ id }) => (fresh.has(id) ? [] : [id]));
      // What was there stays there: an answer is written once.
      const there = await database.read((sql) => recordsOf(sql, others));
      return rows.map((row) => {
        if (fresh.has(row.id) && first.get(row.id) === row) return null;
        return there.get(row.id) ?? recordOf(first.get(row.id)!);
      });
    },
    async find(id) {
      const row = await database.read((sql) =>
        sql.selectFrom("ledger").selectAll().where("id", "=", stored(id)).executeTakeFirst(),
      );
      return row === undefined ? null : recordOf(row);
    },
    async pending(limit) {
      checkLimit(limit);
      const rows = await database.read((sql) =>
        sql
          .selectFrom("ledger")
          .selectAll()
          .where("pending", "=", 1)
          .orderBy("received_at")
          .orderBy("id")
          .limit(limit)
          .execute(),
      );
      return rows.map(recordOf);
    },
    async settle(id, { answer, brain, at }) {
      checkJson("an answer", answer);
      await database.write((sql) =>
        sql
          .updateTable("ledger")
          .set({
            pending: 0,
            later_answer: stored(answer),
            later_brain: stored(brain),
            later_at: whole("the time of an answer", at),
          })
          .where("id", "=", stored(id))
          .where("pending", "=", 1)
          .execute(),
      );
    },
    older: (before) =>
      database.read(async (sql) => {
        const { count } = await sql
          .selectFrom("ledger")
          .select((row) => row.fn.countAll<number>().as("count"))
          .where("answered_at", "<", whole("an instant", before))
          .where("pending", "=", 0)
          .where("received_at", "<", receivedBefore(before))
          .executeTakeFirstOrThrow();
        return Number(count);
      }),
    async forget({ before, limit }) {
      checkLimit(limit);
      return database.write(async (sql) => {
        const old = sql
          .selectFrom("ledger")
          .select("id")
          .where("answered_at", "<", whole("an instant", before))
          .where("pending", "=", 0)
          .where("received_at", "<", receivedBefore(before))
          .limit(limit);
        const { numDeletedRows } = await sql.deleteFrom("ledger").where("id", "in", old).executeTakeFirst();
        return Number(numDeletedRows);
      });
    },
    counts: () =>
      database.read(async (sql) => {
        const all = await sql
          .selectFrom("ledger")
          .select(["by", (row) => row.fn.countAll<number>().as("count")])
          .groupBy("by")
          .execute();
        const waiting = await sql
          .selectFrom((inner) =>
            inner.selectFrom("ledger").select("id").where("pending", "=", 1).limit(PENDING_COUNTED_MAX).as("waiting"),
          )
          .select((row) => row.fn.countAll<number>().as("count"))
          .executeTakeFirstOrThrow();
        const of = (by: string): number => Number(all.find((row) => row.by === by)?.count ?? 0);
        return { entries: of("brain") + of("policy"), byPolicy: of("policy"), pending: Number(waiting.count) };
      }),
  };
}

/**
 * What was answered before an instant came before it, which an index leads to; a clock that was set back in between moves no more than this.
 */
const CLOCK_MS_MAX = 3_600_000;
const receivedBefore = (before: number): number => whole("an instant", before) + CLOCK_MS_MAX;

/** The columns of a new row, in this order. */
const WRITTEN = ["id", "body", "answer", "by", "brain", "received_at", "answered_at", "pending"] as const;

/** The statement that writes these rows; `texts` has its text by how many they are, since making it anew takes longer than writing the rows. */
function insertOf(rows: readonly LedgerRow[], { sql, tenant }: Database, texts: Map<number, string>): CompiledQuery {
  let text = texts.get(rows.length);
  if (text === undefined) {
    const values = rows.map(
      (row) => Object.fromEntries(WRITTEN.map((name) => [name, row[name]])) as unknown as LedgerRow,
    );
    const insert = sql.insertInto("ledger").values(values);
    text = insert
      .onConflict((conflicting) => conflicting.column("id").doNothing())
      .returning("id")
      .compile().sql;
    texts.set(rows.length, text);
  }
  return CompiledQuery.raw(
    text,
    // As the scope of the tenant has put it there: at the end of each row.
    rows.flatMap((row) => [...WRITTEN.map((name) => row[name]), tenant]),
  );
}

async function recordsOf(sql: Sql, ids: readonly string[]): Promise<ReadonlyMap<string, LedgerRecord>> {
  if (ids.length === 0) return new Map();
  const rows = await sql.selectFrom("ledger").selectAll().where("id", "in", ids).execute();
  return new Map(rows.map((row) => [row.id, recordOf(row)]));
}

function recordOf(row: LedgerRow): LedgerRecord {
  const { later_answer, later_brain, later_at } = row;
  return {
    id: unstored(row.id),
    transaction: unstored(row.body),
    answer: unstored(row.answer),
    by: row.by === "brain" ? "brain" : "policy",
    brain: row.brain === null ? null : unstored(row.brain),
    receivedAt: Number(row.received_at),
    answeredAt: Number(row.answered_at),
    later:
      later_answer === null || later_brain === null || later_at === null
        ? null
        : { answer: unstored(later_answer), brain: unstored(later_brain), at: Number(later_at) },
  };
}

/** Errors: store.invalid. */
function rowFor(entry: LedgerEntry): LedgerRow {
  checkText("the id of a transaction", entry.id);
  checkJson("a transaction", entry.transaction);
  checkJson("an answer", entry.answer);
  return {
    id: stored(entry.id),
    body: stored(entry.transaction),
    answer: stored(entry.answer),
    by: entry.by,
    brain: entry.brain === null ? null : stored(entry.brain),
    received_at: whole("the time of a transaction", entry.receivedAt),
    answered_at: whole("the time of an answer", entry.answeredAt),
    pending: entry.by === "policy" ? 1 : 0,
    later_answer: null,
    later_brain: null,
    later_at: null,
  };
}
