// Pages of cases: one index leads, at most CASES_SEEN_MAX rows along it are looked at, and a page that finds too few says where to go on.
import { sql as raw, type SelectQueryBuilder } from "kysely";
import type { Case } from "../../../core/case.ts";
import { CASES_SEEN_MAX, type CaseFilter, type CaseOrder } from "../../../ports/cases.ts";
import type { Page } from "../../../ports/store.ts";
import { caseOf } from "./case-rows.ts";
import { cursorOf, placeOf } from "./cursor.ts";
import type { Database } from "./database.ts";
import { checkLimit } from "./limits.ts";
import type { CaseRow, Sql, Tables } from "./tables.ts";
import { stored } from "./text.ts";
import { widening } from "./widening.ts";

interface Question {
  readonly filter: CaseFilter;
  readonly order: CaseOrder;
  /** Where the page before ended: an id, or a worth and an id. */
  readonly below: readonly number[] | null;
}

/** Errors: store.invalid, store.unreachable. */
export async function pageOfCases(
  database: Database,
  filter: CaseFilter,
  page: { readonly limit: number; readonly cursor?: string | null; readonly order?: CaseOrder },
): Promise<Page<Case>> {
  const { limit, cursor = null, order = "newest" } = page;
  checkLimit(limit);
  const question = { filter, order, below: placeOf(cursor, order === "worth" ? 2 : 1) };
  if (filter.pipelines?.length === 0) return { items: [], next: null };
  const rows = await widening(limit + 1, CASES_SEEN_MAX, (seenMax) =>
    database.read((sql) => found(sql, question, { limit: limit + 1, seenMax })),
  );
  const items = rows.slice(0, limit).map(caseOf);
  if (rows.length > limit) return { items, next: cursorFor(rows[limit - 1], order) };
  const seenTo = await database.read((sql) =>
    along(sql, question)
      .offset(CASES_SEEN_MAX - 1)
      .limit(1)
      .executeTakeFirst(),
  );
  return { items, next: seenTo === undefined ? null : cursorFor(seenTo, order) };
}

type Place = Pick<CaseRow, "id" | "worth">;

function cursorFor({ id, worth }: Place, order: CaseOrder): string {
  return cursorOf(order === "worth" ? [Number(worth), Number(id)] : [Number(id)]);
}

/** Rows that the index leads to. */
function along(sql: Sql, { filter, order, below }: Question): SelectQueryBuilder<Tables, "cases", Place> {
  let query = sql.selectFrom("cases").select(["id", "worth"]);
  const { entity, assignee, disposition, status, pipelines } = filter;
  if (entity !== undefined) query = query.where("entity", "=", stored(entity));
  else if (assignee !== undefined) query = query.where("assignee", "=", stored(assignee));
  else if (disposition !== undefined) query = query.where("disposition", "=", disposition);
  if (status !== undefined || order === "worth") query = query.where("open", "=", status === "closed" ? 0 : 1);
  if (pipelines !== undefined) query = query.where("pipeline", "in", pipelines);
  if (order === "worth") {
    if (below !== null) query = query.where(raw<boolean>`(worth, id) < (${below[0]}, ${below[1]})`);
    return query.orderBy("worth", "desc").orderBy("id", "desc");
  }
  if (below !== null) query = query.where("id", "<", below[0]);
  return query.orderBy("id", "desc");
}

async function found(
  sql: Sql,
  question: Question,
  { limit, seenMax }: { readonly limit: number; readonly seenMax: number },
): Promise<readonly CaseRow[]> {
  const { filter, order } = question;
  let query = sql
    .selectFrom(along(sql, question).limit(seenMax).as("seen"))
    .innerJoin("cases", "cases.id", "seen.id")
    .selectAll("cases");
  const { status, assignee, severity, disposition, text } = filter;
  if (status !== undefined && status !== "open") query = query.where("cases.status", "=", status);
  if (assignee !== undefined) query = query.where("cases.assignee", "=", stored(assignee));
  if (severity !== undefined) query = query.where("cases.severity", "=", severity);
  if (disposition !== undefined) query = query.where("cases.disposition", "=", disposition);
  if (text !== undefined) {
    // `!` escapes: a backslash means different things to the two databases.
    const pattern = `%${stored(text.toLowerCase()).replace(/[!%_]/g, "!$&")}%`;
    query = query.where(raw<boolean>`cases.words like ${pattern} escape '!'`);
  }
  if (order === "worth") query = query.orderBy("seen.worth", "desc");
  return query.orderBy("seen.id", "desc").limit(limit).execute();
}
