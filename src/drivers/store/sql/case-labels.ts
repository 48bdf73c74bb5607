// Labels that closings owe: rows of the closing's own transaction, taken in hand by one process at a time until they are settled.
import { sql as raw } from "kysely";
import type { Case, ReviewCause } from "../../../core/case.ts";
import type { CaseStore } from "../../../ports/cases.ts";
import { type CaseLabel, LABELS_TAKEN_MAX, type OwedLabel } from "../../../ports/cases.ts";
import type { Database } from "./database.ts";
import { checkLimit, whole } from "./limits.ts";
import type { CaseLabelRow, SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Rows of one statement. */
const ROWS_MAX = 100;

/** Why a label of an earlier closing is not written any more. */
const CLOSED_AGAIN = "the case was closed again before it could be written";

/**
 * The labels of a case that was just closed: of its alerts' transactions, and of linked ones. What earlier closings still owe is owed no more: written
 * after the labels of this one it would undo them.
 */
export async function owe(sql: SqlTransaction, one: Case): Promise<void> {
  const { id, closing, closings, pipeline } = one;
  await sql
    .updateTable("case_labels")
    .set({ state: "refused", cause: CLOSED_AGAIN })
    .where("case_id", "=", id)
    .where("closing", "<", closings)
    .where("state", "=", "waiting")
    .execute();
  if (closing === null || closing.disposition === "unknown") return;
  const fraud = closing.disposition === "fraud" ? 1 : 0;
  const columns = [
    "case_id",
    "closing",
    "transaction_id",
    "pipeline",
    "fraud",
    "why",
    "propensity",
    "state",
    "cause",
    "tries",
    "next_at",
  ] as const;
  const whole = (value: number) => raw.lit(value);
  await sql
    .insertInto("case_labels")
    .columns([...columns])
    .expression((from) =>
      from
        .selectFrom("case_alerts")
        .select([
          "case_id",
          whole(closings).as("closing"),
          "transaction_id",
          whole(pipeline).as("pipeline"),
          whole(fraud).as("fraud"),
          raw<string>`min(why)`.as("why"),
          raw<number>`max(propensity)`.as("propensity"),
          raw.lit("waiting").as("state"),
          raw.lit("").as("cause"),
          whole(0).as("tries"),
          whole(0).as("next_at"),
        ])
        .where("case_id", "=", id)
        .where("transaction_id", "is not", null)
        .groupBy(["case_id", "transaction_id"]),
    )
    .execute();
  for (let start = 0; start < closing.transactions.length; start += ROWS_MAX) {
    const rows = closing.transactions.slice(start, start + ROWS_MAX).map((transaction) => ({
      case_id: id,
      closing: closings,
      transaction_id: stored(transaction),
      pipeline,
      fraud,
      why: "linked",
      propensity: null,
      state: "waiting",
      cause: "",
      tries: 0,
      next_at: 0,
    }));
    // One that raised an alert of the case is there already, with why it was reviewed.
    await sql
      .insertInto("case_labels")
      .values(rows)
      .onConflict((conflicting) => conflicting.columns(["case_id", "closing", "transaction_id"]).doNothing())
      .execute();
  }
}

export async function owed(
  database: Database,
  of: { readonly pipeline: number; readonly at: number; readonly leaseUntil: number },
): Promise<readonly OwedLabel[]> {
  const pipeline = whole("a pipeline", of.pipeline);
  const at = whole("the time of a question", of.at);
  const due = (sql: SqlTransaction | Parameters<Parameters<Database["read"]>[0]>[0], limit: number) =>
    sql
      .selectFrom("case_labels")
      .selectAll()
      .where("pipeline", "=", pipeline)
      .where("state", "=", "waiting")
      .where("next_at", "<=", at)
      .orderBy("next_at")
      .orderBy("case_id")
      .orderBy("closing")
      .orderBy("transaction_id")
      .limit(limit)
      .execute();
  if ((await database.read((sql) => due(sql, 1))).length === 0) return [];
  return database.write(async (sql) => {
    const mine: OwedLabel[] = [];
    for (const row of await due(sql, LABELS_TAKEN_MAX)) {
      // Whoever was faster moved its time: then it is theirs.
      const { numUpdatedRows } = await one(sql, row)
        .set({ next_at: whole("the end of a lease", of.leaseUntil) })
        .where("state", "=", "waiting")
        .where("next_at", "<=", at)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) mine.push(labelOf(row));
    }
    return mine;
  });
}

export async function settle(database: Database, labels: Parameters<CaseStore["settle"]>[0]): Promise<void> {
  if (labels.length === 0) return;
  await database.write(async (sql) => {
    for (const { review, transactionId, state, cause, tries, again } of labels) {
      await one(sql, { case_id: review.case, closing: review.closing, transaction_id: stored(transactionId) })
        .set({ state, cause: stored(cause), tries, next_at: whole("the time of a try", again) })
        .where("state", "=", "waiting")
        .execute();
    }
  });
}

export async function labelsOf(database: Database, id: number, limit: number): Promise<readonly CaseLabel[]> {
  checkLimit(limit);
  const rows = await database.read((sql) =>
    sql
      .selectFrom("case_labels")
      .selectAll()
      .where("case_id", "=", id)
      .where("closing", "=", (row) =>
        row
          .selectFrom("case_labels as last")
          .select((inner) => inner.fn.max<number>("last.closing").as("closing"))
          .where("last.case_id", "=", id),
      )
      .orderBy("transaction_id")
      .limit(limit)
      .execute(),
  );
  return rows.map((row) => ({ ...labelOf(row), state: row.state as CaseLabel["state"], cause: unstored(row.cause) }));
}

function one(sql: SqlTransaction, row: Pick<CaseLabelRow, "case_id" | "closing" | "transaction_id">) {
  return sql
    .updateTable("case_labels")
    .where("case_id", "=", row.case_id)
    .where("closing", "=", row.closing)
    .where("transaction_id", "=", row.transaction_id);
}

function labelOf(row: CaseLabelRow): OwedLabel {
  return {
    pipeline: Number(row.pipeline),
    transactionId: unstored(row.transaction_id),
    fraud: Number(row.fraud) === 1,
    review: {
      case: Number(row.case_id),
      closing: Number(row.closing),
      why: row.why as ReviewCause,
      propensity: row.propensity === null ? null : Number(row.propensity),
    },
    tries: Number(row.tries),
  };
}
