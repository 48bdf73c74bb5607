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

/** What can lead: each has an index that ends in the order of pages. */
type Led = Partial<Pick<CaseRow, "open" | "pipeline" | "entity" | "assignee" | "disposition">>;

interface Question {
  readonly filter: CaseFilter;
  readonly order: CaseOrder;
  readonly led: Led;
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
  const below = placeOf(cursor, order === "worth" ? 2 : 1);
  if (filter.pipelines?.length === 0 || isNever(filter, order)) return { items: [], next: null };
  const question = { filter, order, led: ledBy(filter, order), below };
  const whole = isWhole(question);
  const seenTo = whole ? undefined : await database.read((sql) => lastSeen(sql, question));
  // Where all that is asked for leads, rows behind the page are of no use.
  const rows = await widening(limit + 1, whole ? limit + 1 : 2 * CASES_SEEN_MAX, (seenMax) =>
    database.read((sql) => found(sql, question, { limit: limit + 1, seenTo, seenMax })),
  );
  const items = rows.slice(0, limit).map(caseOf);
  if (rows.length > limit) return { items, next: cursorFor(rows[limit - 1], order) };
  return { items, next: seenTo === undefined ? null : cursorFor(seenTo, order) };
}

/** By worth stand open cases where nobody asks for closed ones; what an open case turned out to be nobody knows. */
function isNever({ status, disposition }: CaseFilter, order: CaseOrder): boolean {
  return disposition !== undefined && openOf(status, order) === 1;
}

function openOf(status: CaseFilter["status"], order: CaseOrder): 0 | 1 | undefined {
  if (status === undefined) return order === "worth" ? 1 : undefined;
  return status === "closed" ? 0 : 1;
}

/** The narrowest that an index has in the order that is asked for. */
function ledBy({ entity, assignee, disposition, status, pipelines = [] }: CaseFilter, order: CaseOrder): Led {
  const open = openOf(status, order);
  if (entity !== undefined) return { entity: stored(entity) };
  if (assignee !== undefined) return { assignee: stored(assignee), ...(order === "worth" ? { open } : {}) };
  if (disposition !== undefined) return { disposition };
  return {
    ...(open === undefined ? {} : { open }),
    // Rows of several pipelines stand in no index in the order of all of them.
    ...(pipelines.length === 1 ? { pipeline: pipelines[0] } : {}),
  };
}

/** Whether all that is asked for leads: then every row along it is found. */
function isWhole({ filter, order, led }: Question): boolean {
  const { status, severity, text, pipelines } = filter;
  const isOpen = openOf(status, order) === undefined || led.open !== undefined;
  const others = ["entity", "assignee", "disposition"] as const;
  return (
    isOpen &&
    (status === undefined || status === "open" || status === "closed") &&
    (pipelines === undefined || led.pipeline !== undefined) &&
    others.every((name) => filter[name] === undefined || led[name] !== undefined) &&
    severity === undefined &&
    text === undefined
  );
}

type Place = Pick<CaseRow, "id" | "worth">;

function cursorFor({ id, worth }: Place, order: CaseOrder): string {
  return cursorOf(order === "worth" ? [Number(worth), Number(id)] : [Number(id)]);
}

/** Rows that the index leads to. */
function along(sql: Sql, { order, led, below }: Question): SelectQueryBuilder<Tables, "cases", Place> {
  let query = sql.selectFrom("cases").select(["id", "worth"]);
  for (const [column, value] of Object.entries(led)) query = query.where(column as keyof Led, "=", value);
  if (order === "worth") {
    if (below !== null) query = query.where(raw<boolean>`(worth, id) < (${below[0]}, ${below[1]})`);
    return query.orderBy("worth", "desc").orderBy("id", "desc");
  }
  if (below !== null) query = query.where("id", "<", below[0]);
  return query.orderBy("id", "desc");
}

/** Where looking ends, if it ends before the rows do. Asked first: what comes meanwhile stands before it and moves nothing. */
async function lastSeen(sql: Sql, question: Question): Promise<Place | undefined> {
  return along(sql, question)
    .offset(CASES_SEEN_MAX - 1)
    .limit(1)
    .executeTakeFirst();
}

async function found(
  sql: Sql,
  question: Question,
  { limit, seenTo, seenMax }: { readonly limit: number; readonly seenTo: Place | undefined; readonly seenMax: number },
): Promise<readonly CaseRow[]> {
  const { filter, order, led } = question;
  let seen = along(sql, question);
  if (seenTo !== undefined) {
    seen =
      order === "worth"
        ? seen.where(raw<boolean>`(worth, id) >= (${Number(seenTo.worth)}, ${Number(seenTo.id)})`)
        : seen.where("id", ">=", Number(seenTo.id));
  }
  let query = sql
    .selectFrom(seen.limit(seenMax).as("seen"))
    .innerJoin("cases", "cases.id", "seen.id")
    .selectAll("cases");
  const { status, assignee, severity, disposition, text, pipelines } = filter;
  const open = openOf(status, order);
  if (open !== undefined && led.open === undefined) query = query.where(raw<number>`cases.open + 0`, "=", open);
  if (status !== undefined && status !== "open") query = query.where("cases.status", "=", status);
  if (pipelines !== undefined && led.pipeline === undefined)
    query = query.where(raw<number>`cases.pipeline + 0`, "in", pipelines);
  if (assignee !== undefined && led.assignee === undefined)
    query = query.where(raw<string>`cases.assignee || ''`, "=", stored(assignee));
  if (severity !== undefined) query = query.where("cases.severity", "=", severity);
  if (disposition !== undefined && led.disposition === undefined)
    query = query.where(raw<string>`cases.disposition || ''`, "=", disposition);
  if (text !== undefined) {
    // `!` escapes: a backslash means different things to the two databases.
    const pattern = `%${stored(text.toLowerCase()).replace(/[!%_]/g, "!$&")}%`;
    query = query.where(raw<boolean>`cases.words like ${pattern} escape '!'`);
  }
  if (order === "worth") query = query.orderBy("seen.worth", "desc");
  return query.orderBy("seen.id", "desc").limit(limit).execute();
}
