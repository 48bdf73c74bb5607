// The outbox in the store: messages go in with what they tell of, come out one at a time per target, and are dead letters where nobody takes them.
import { SentinelError } from "../../../core/errors.ts";
import {
  DEAD_LETTERS_MAX,
  type DeadLetter,
  MESSAGE_LENGTH_MAX,
  type Message,
  type NewMessage,
  OUTBOX_WAITING_MAX,
  type OutboxStore,
  SENT_KEPT_MAX,
} from "../../../ports/outbox.ts";
import { raise } from "./counters.ts";
import { cursorOf, placeOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { checkLimit, checkText, whole } from "./limits.ts";
import type { DeadLetterRow, OutboxRow, Sql, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** How often what was sent long ago is forgotten. */
const FORGET_EVERY = 100;
/** Targets that one question may name. */
const TARGETS_MAX = 100;

export function outboxOf(database: Database): OutboxStore {
  return {
    async put(messages, at) {
      if (messages.length === 0) return 0;
      return database.write((sql) => putMessages(sql, messages, at));
    },
    async due({ targets, at, leaseUntil }) {
      if (targets.length === 0) return [];
      const now = whole("the time of a question", at);
      const heads = (sql: Sql | SqlTransaction) => headsOf(sql, targets.slice(0, TARGETS_MAX), now);
      // Most looks find nothing, and a look alone is no reason to write.
      if ((await database.read(heads)).length === 0) return [];
      return database.write(async (sql) => {
        const mine: Message[] = [];
        for (const row of await heads(sql)) {
          const { numUpdatedRows } = await sql
            .updateTable("outbox")
            .set({ next_at: whole("the end of a lease", leaseUntil) })
            .where("id", "=", row.id)
            .where("waiting", "=", 1)
            .where("next_at", "<=", now)
            .executeTakeFirst();
          if (numUpdatedRows > 0n) mine.push(messageOf(row));
        }
        return mine;
      });
    },
    settle: (message, settling, { at, more = [] }) =>
      database.write(async (sql) => {
        await raise(sql, "outbox", 0);
        const { id, tries } = message;
        if (settling.outcome === "again") {
          const next = {
            tries: tries + 1,
            cause: stored(settling.cause),
            next_at: whole("the time of a try", settling.nextAt),
          };
          await sql.updateTable("outbox").set(next).where("id", "=", id).where("waiting", "=", 1).execute();
          return;
        }
        if (settling.outcome === "dead") {
          // Where another process told it meanwhile, or buried it, there is nothing to bury.
          const { numDeletedRows } = await sql
            .deleteFrom("outbox")
            .where("id", "=", id)
            .where("waiting", "=", 1)
            .executeTakeFirst();
          if (numDeletedRows === 0n) return;
          await bury(sql, { ...message, tries: tries + 1 }, { cause: settling.cause, at });
        } else {
          await sql
            .updateTable("outbox")
            .set({ waiting: 0, tries: tries + 1, cause: "" })
            .where("id", "=", id)
            .execute();
          if (id % FORGET_EVERY === 0) await forgetSent(sql);
        }
        if (more.length > 0) await putMessages(sql, more, at);
      }),
    async states() {
      const [waiting, dead] = await database.read((sql) =>
        Promise.all([
          sql
            .selectFrom("outbox")
            .select([
              "target",
              "waiting",
              (row) => row.fn.countAll<number>().as("count"),
              (row) => row.fn.min<number>("at").as("oldest"),
            ])
            .groupBy(["target", "waiting"])
            .execute(),
          sql
            .selectFrom("dead_letters")
            .select(["target", (row) => row.fn.countAll<number>().as("count")])
            .groupBy("target")
            .execute(),
        ]),
      );
      const names = [...new Set([...waiting, ...dead].map(({ target }) => target))].sort();
      return names.map((target) => {
        const waits = waiting.find((row) => row.target === target && Number(row.waiting) === 1);
        const sent = waiting.find((row) => row.target === target && Number(row.waiting) === 0);
        return {
          target: unstored(target),
          waiting: Number(waits?.count ?? 0),
          oldestAt: waits === undefined ? null : Number(waits.oldest),
          dead: Number(dead.find((row) => row.target === target)?.count ?? 0),
          sent: Number(sent?.count ?? 0),
        };
      });
    },
    async waiting({ limit, cursor = null }) {
      checkLimit(limit);
      const below = placeOf(cursor, 1)?.[0];
      const rows = await database.read((sql) => {
        let query = sql
          .selectFrom("outbox")
          .selectAll()
          .where("waiting", "=", 1)
          .orderBy("id", "desc")
          .limit(limit + 1);
        if (below !== undefined) query = query.where("id", "<", below);
        return query.execute();
      });
      return pageOf(rows, { limit, of: messageOf });
    },
    async deadLetters({ limit, cursor = null }) {
      checkLimit(limit);
      const below = placeOf(cursor, 1)?.[0];
      const rows = await database.read((sql) => {
        let query = sql
          .selectFrom("dead_letters")
          .selectAll()
          .orderBy("id", "desc")
          .limit(limit + 1);
        if (below !== undefined) query = query.where("id", "<", below);
        return query.execute();
      });
      return pageOf(rows, { limit, of: deadOf });
    },
    async find(id) {
      if (!Number.isSafeInteger(id)) return null;
      return database.read(async (sql) => {
        const row = await sql.selectFrom("outbox").selectAll().where("id", "=", id).executeTakeFirst();
        if (row !== undefined) return messageOf(row);
        const dead = await sql.selectFrom("dead_letters").selectAll().where("id", "=", id).executeTakeFirst();
        return dead === undefined ? null : deadOf(dead);
      });
    },
    async retry(id, at) {
      if (!Number.isSafeInteger(id)) return null;
      return database.write(async (sql) => {
        await raise(sql, "outbox", 0);
        const dead = await sql.selectFrom("dead_letters").selectAll().where("id", "=", id).executeTakeFirst();
        if (dead !== undefined) {
          await sql.deleteFrom("dead_letters").where("id", "=", id).execute();
          const message = deadOf(dead);
          await putMessages(sql, [message], at);
          const again = await sql
            .selectFrom("outbox")
            .selectAll()
            .where("target", "=", dead.target)
            .where("happening", "=", dead.happening)
            .executeTakeFirst();
          // Told in the meantime, or no room: then it is what it was, or a dead letter again.
          return again === undefined ? null : messageOf(again);
        }
        const row = await sql
          .selectFrom("outbox")
          .selectAll()
          .where("id", "=", id)
          .where("waiting", "=", 1)
          .executeTakeFirst();
        if (row === undefined) return null;
        await sql
          .updateTable("outbox")
          .set({ next_at: whole("the time of a try", at) })
          .where("id", "=", id)
          .execute();
        return { ...messageOf(row), nextAt: at };
      });
    },
  };
}

/**
 * Puts messages in, as part of what they tell of; those that a target has or had already are left out. Gives how many were new. What finds no
 * room is a dead letter at once. Errors: store.invalid.
 */
export async function putMessages(sql: SqlTransaction, messages: readonly NewMessage[], at: number): Promise<number> {
  for (const { target, key, body } of messages) {
    checkText("the name of a target", target);
    checkText("what a message tells of", key);
    if (body.length > MESSAGE_LENGTH_MAX) {
      throw new SentinelError("store.invalid", `a message has ${body.length} characters`, {
        hint: `at most ${MESSAGE_LENGTH_MAX}`,
      });
    }
  }
  let last = await raise(sql, "outbox", 0);
  const first = last;
  const counts = new Map<string, number>();
  for (const message of messages) {
    const target = stored(message.target);
    const known = await sql
      .selectFrom("outbox")
      .select("id")
      .where("target", "=", target)
      .where("happening", "=", stored(message.key))
      .executeTakeFirst();
    if (known !== undefined) continue;
    const waiting = counts.get(target) ?? (await waitingOf(sql, target));
    last++;
    if (waiting >= OUTBOX_WAITING_MAX) {
      const cause = `${OUTBOX_WAITING_MAX} messages wait for it already`;
      await bury(sql, { ...message, id: last, at, tries: 0 }, { cause, at });
      continue;
    }
    counts.set(target, waiting + 1);
    await sql
      .insertInto("outbox")
      .values({
        id: last,
        target,
        happening: stored(message.key),
        notice: message.notice,
        pipeline: message.pipeline === null ? null : stored(message.pipeline),
        body: stored(message.body),
        at: whole("the time of a message", at),
        waiting: 1,
        tries: 0,
        cause: "",
        next_at: 0,
      })
      .execute();
  }
  if (last > first) await raise(sql, "outbox", last - first);
  return last - first;
}

async function waitingOf(sql: SqlTransaction, target: string): Promise<number> {
  const { count } = await sql
    .selectFrom("outbox")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("waiting", "=", 1)
    .where("target", "=", target)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The oldest of each target, where its time has come: one that waits for its next try keeps all behind it waiting. */
async function headsOf(
  sql: Sql | SqlTransaction,
  targets: readonly string[],
  at: number,
): Promise<readonly OutboxRow[]> {
  const heads: OutboxRow[] = [];
  for (const target of targets) {
    const row = await sql
      .selectFrom("outbox")
      .selectAll()
      .where("waiting", "=", 1)
      .where("target", "=", stored(target))
      .orderBy("id")
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined && Number(row.next_at) <= at) heads.push(row);
  }
  return heads;
}

async function bury(
  sql: SqlTransaction,
  message: Omit<Message, "cause" | "nextAt">,
  { cause, at }: { readonly cause: string; readonly at: number },
): Promise<void> {
  await sql
    .insertInto("dead_letters")
    .values({
      id: message.id,
      target: stored(message.target),
      happening: stored(message.key),
      notice: message.notice,
      pipeline: message.pipeline === null ? null : stored(message.pipeline),
      body: stored(message.body),
      at: whole("the time of a message", message.at),
      tries: message.tries,
      cause: stored(cause),
      died_at: whole("the time of a dead letter", at),
    })
    .execute();
  const old = await sql
    .selectFrom("dead_letters")
    .select("id")
    .orderBy("id", "desc")
    .offset(DEAD_LETTERS_MAX)
    .limit(1)
    .executeTakeFirst();
  if (old !== undefined) await sql.deleteFrom("dead_letters").where("id", "<=", Number(old.id)).execute();
}

async function forgetSent(sql: SqlTransaction): Promise<void> {
  const old = await sql
    .selectFrom("outbox")
    .select("id")
    .where("waiting", "=", 0)
    .orderBy("id", "desc")
    .offset(SENT_KEPT_MAX)
    .limit(1)
    .executeTakeFirst();
  if (old !== undefined)
    await sql.deleteFrom("outbox").where("waiting", "=", 0).where("id", "<=", Number(old.id)).execute();
}

function pageOf<Row extends { readonly id: number }, T>(
  rows: readonly Row[],
  { limit, of }: { readonly limit: number; readonly of: (row: Row) => T },
): { readonly items: readonly T[]; readonly next: string | null } {
  const items = rows.slice(0, limit).map(of);
  return { items, next: rows.length > limit ? cursorOf([Number(rows[limit - 1].id)]) : null };
}

function messageOf(row: OutboxRow): Message {
  return { ...commonOf(row), nextAt: Number(row.next_at) };
}

function deadOf(row: DeadLetterRow): DeadLetter {
  return { ...commonOf(row), nextAt: 0, diedAt: Number(row.died_at) };
}

function commonOf(row: DeadLetterRow | OutboxRow): Omit<Message, "nextAt"> {
  return {
    id: Number(row.id),
    target: unstored(row.target),
    key: unstored(row.happening),
    notice: row.notice,
    pipeline: row.pipeline === null ? null : unstored(row.pipeline),
    body: unstored(row.body),
    at: Number(row.at),
    tries: Number(row.tries),
    cause: unstored(row.cause),
  };
}
