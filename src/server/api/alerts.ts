// Routes of /api/alerts: what rules and models flagged, newest first, by filters, page after page, or as CSV.
import { DECISIONS } from "../../core/decision.ts";
import { SentinelError } from "../../core/errors.ts";
import { RULE_SEVERITIES } from "../../core/rule.ts";
import { readsOf, settingsOf } from "../../lifecycle/platform.ts";
import { budgetMs } from "../../online/answer.ts";
import { explanationOf } from "../../online/explanation.ts";
import { invalidRequest } from "../../online/faults.ts";
import {
  type Alert,
  type AlertFilter,
  type Json,
  PAGE_MAX,
  type PipelineRecord,
  type Store,
} from "../../ports/store.ts";
import { maskOf } from "../masked.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { csvLine } from "./csv.ts";
import {
  apiRoute,
  checkQuery,
  engineOf,
  integerIn,
  isoOf,
  nextPage,
  numberIn,
  platformOf,
  recordAt,
  sees,
  timeOf,
  wordIn,
} from "./exchange.ts";
import { ALERT_REASONS, ALERT_WHOLE, ALERT_WITH_CASE } from "./shapes.ts";

const LIMIT = 50;
/** Rows of one CSV answer that a limit is named for; the cursor goes on. */
const CSV_ROWS_MAX = 10_000;
/** Rows of a whole filter as CSV, about what a spreadsheet takes; a download that would have more breaks off, so that nobody takes it for all. */
const CSV_WHOLE_ROWS_MAX = 1_000_000;
/** Pages that are looked at for one answer, where a filter lets little through. */
const PAGES_MAX = 10;
const FORMATS = ["json", "csv"] as const;
/** Characters that are searched for. */
const SEARCH_LENGTH_MAX = 200;

const QUERY = {
  limit: {
    description: `So many at most (1 to ${PAGE_MAX}; as CSV ${CSV_ROWS_MAX}, and all that match where it is left out).`,
    schema: { type: "integer", minimum: 1, default: LIMIT },
  },
  cursor: { description: "Where the page before ended: its X-Next-Cursor.", schema: { type: "string" } },
  pipeline: { description: "Id or slug of the pipeline.", schema: { type: "string" } },
  severity: { description: "Only these.", schema: { enum: [...RULE_SEVERITIES] } },
  rule: { description: "Id of the rule that fired.", schema: { type: "integer" } },
  decision: { description: "Only these.", schema: { enum: [...DECISIONS] } },
  entity: { description: "Whose transactions: the value of the pipeline's key.", schema: { type: "string" } },
  transaction_id: { description: "Of one transaction.", schema: { type: "string" } },
  q: {
    description: "A text that stands anywhere in the transaction or in what its rules say.",
    schema: { type: "string", minLength: 1, maxLength: SEARCH_LENGTH_MAX },
  },
  from: { description: "Alerts from then on.", schema: { type: "string" } },
  to: { description: "Alerts before then.", schema: { type: "string" } },
  min_amount: { description: "Amounts from this on.", schema: { type: "number" } },
  max_amount: { description: "Amounts up to this.", schema: { type: "number" } },
  format: { description: "csv: a table for spreadsheets.", schema: { enum: [...FORMATS] } },
};

export const alertRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/alerts", {
    access: "viewer",
    summary: "Alerts, newest first. The next page is in the headers Link and X-Next-Cursor.",
    query: QUERY,
    gives: { type: "array", items: ALERT_WITH_CASE },
    alsoGives: { "text/csv": { type: "string" } },
    run: list,
  }),
  apiRoute("GET /api/alerts/{alert}", {
    access: "viewer",
    summary: "One alert with its whole transaction, and the conditions of its rules as they were.",
    gives: ALERT_WHOLE,
    run: one,
  }),
  apiRoute("GET /api/alerts/{alert}/reasons", {
    access: "viewer",
    summary: "What raised the score of an alert's transaction, the strongest first, by the vector that was judged.",
    gives: ALERT_REASONS,
    run: reasons,
  }),
];

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, Object.keys(QUERY));
  const asCsv = wordIn(context, "format", FORMATS) === "csv";
  const limit = integerIn(context, "limit", {
    low: 1,
    high: asCsv ? CSV_ROWS_MAX : PAGE_MAX,
    fallback: asCsv ? CSV_ROWS_MAX : LIMIT,
  });
  const store = await platformOf(server).store();
  const filter = await filterOf(server, context, store);
  const names = await namesOf(store);
  const caller = context.get("caller");
  const seen = ({ pipeline }: Alert): boolean => sees(caller, names.get(pipeline)?.slug ?? "");
  const items: Alert[] = [];
  let cursor = context.req.query("cursor") ?? null;
  if (asCsv && context.req.query("limit") === undefined) {
    const mask = await maskOf(server, context);
    const shown = (alert: Alert): Alert => (mask === null ? alert : mask.document(alert));
    return wholeCsv(filter === null ? [] : pagesOf(store, { filter, cursor }), (alerts) =>
      alerts.filter(seen).map((alert) => csvRow(shown(alert), names)),
    );
  }
  for (let pages = 0; filter !== null && items.length < limit; pages++) {
    const page = await store.alerts.page(filter, { limit: Math.min(PAGE_MAX, limit - items.length), cursor });
    // A key of some pipelines sees their alerts alone.
    items.push(...page.items.filter(seen));
    cursor = page.next;
    if (cursor === null || pages + 1 >= Math.max(PAGES_MAX, limit / PAGE_MAX)) break;
  }
  const headers = nextPage(context, filter === null ? null : cursor);
  if (asCsv) {
    const mask = await maskOf(server, context);
    return csvOf(mask === null ? items : items.map((alert) => mask.document(alert)), { names, headers });
  }
  const numbers = new Map<string, ReadonlyMap<string, number>>();
  for (const slug of new Set(items.map(({ pipeline }) => names.get(pipeline)?.slug ?? ""))) {
    numbers.set(slug, await store.ruleNumbers.of(slug));
  }
  const cases = await store.cases.casesOf(items.map(({ id }) => id));
  return jsonResponse(
    items.map((alert) => ({
      ...shownAlert(alert, { record: names.get(alert.pipeline), numbers }),
      case_id: cases.get(alert.id) ?? null,
    })),
    200,
    headers,
  );
}

async function alertAt(server: Server, context: RequestContext) {
  const store = await platformOf(server).store();
  const given = context.req.param("alert") ?? "";
  const alert = /^[1-9]\d{0,14}$/.test(given) ? await store.alerts.find(Number(given)) : null;
  if (alert === null) {
    throw new SentinelError("request.not-found", `there is no alert ${JSON.stringify(given.slice(0, 100))}`, {
      hint: "GET /api/alerts lists them",
    });
  }
  return { store, alert, record: await recordAt(server, context, String(alert.pipeline)) };
}

async function one(server: Server, context: RequestContext): Promise<Response> {
  const { store, alert, record } = await alertAt(server, context);
  const numbers = new Map([[record.slug, await store.ruleNumbers.of(record.slug)]]);
  const cases = await store.cases.casesOf([alert.id]);
  const about = shownAlert(alert, { record, numbers });
  const { columns } = settingsOf(record);
  const written = writtenOf(alert);
  const rules = about.rules.map((rule) => {
    const when = written.get(rule.name);
    return { ...rule, rule_expression: when ?? null, reads: when === undefined ? [] : readsOf(when) };
  });
  return jsonResponse({ ...about, rules, columns, case_id: cases.get(alert.id) ?? null });
}

/** The conditions of an alert's rules, as they were when it was judged: its reasons hold them. */
function writtenOf({ reasons }: Alert): ReadonlyMap<string, string> {
  const frozen = Array.isArray(reasons) ? (reasons as readonly Json[]) : [];
  return new Map(
    frozen.flatMap((reason) => {
      const { by, rule, expression } = (reason ?? {}) as Readonly<Record<string, unknown>>;
      return by === "rule" && typeof rule === "string" && typeof expression === "string" ? [[rule, expression]] : [];
    }),
  );
}

async function reasons(server: Server, context: RequestContext): Promise<Response> {
  const { alert, record } = await alertAt(server, context);
  const parts = engineOf(server, context, record.slug);
  const none = (why: string): Response => jsonResponse({ score: alert.score, model: null, reasons: [], absent: why });
  if (alert.score === null || alert.transactionId === null) return none("no model judged it");
  try {
    const transaction = { [parts.pipeline.columns.id]: alert.transactionId };
    const within = <T>(looking: Promise<T>): Promise<T> => parts.overload.within(looking, budgetMs(parts));
    const found = await explanationOf(parts, { against: null, transaction }, within);
    return jsonResponse({ score: found.score, model: found.model.version, reasons: found.reasons, absent: null });
  } catch (error) {
    // A log that forgot it, a version that is gone, a model that cannot be taken apart: the alert is shown without.
    if (!(error instanceof SentinelError) || error.kind.exit === 70) throw error;
    return none(error.message);
  }
}

/** Null where nothing can match: a rule that there is not. */
async function filterOf(server: Server, context: RequestContext, store: Store): Promise<AlertFilter | null> {
  const text = (name: string): string | undefined => context.req.query(name);
  const whose = text("pipeline");
  const record = whose === undefined ? undefined : await recordAt(server, context, whose);
  const rule = text("rule");
  const found =
    rule === undefined
      ? undefined
      : /^[1-9]\d{0,14}$/.test(rule)
        ? await store.ruleNumbers.find(Number(rule))
        : wrongRule();
  if (found === null) return null;
  const owner = found === undefined ? undefined : await store.pipelines.findBySlug(found.pipeline);
  if (owner !== undefined && (owner === null || (record !== undefined && record.id !== owner.id))) return null;
  const filter = {
    pipeline: record?.id ?? owner?.id,
    severity: wordIn(context, "severity", RULE_SEVERITIES),
    rule: found?.rule,
    decision: wordIn(context, "decision", DECISIONS),
    entity: text("entity"),
    transactionId: text("transaction_id"),
    text: searched(text("q")),
    from: timeOf(text("from"), "from"),
    to: timeOf(text("to"), "to"),
    amountMin: numberIn(context, "min_amount"),
    amountMax: numberIn(context, "max_amount"),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

function searched(text: string | undefined): string | undefined {
  if (text === undefined || (text.length > 0 && text.length <= SEARCH_LENGTH_MAX)) return text;
  throw invalidRequest([{ field: "q", message: `must have 1 to ${SEARCH_LENGTH_MAX} characters` }], "the query");
}

function wrongRule(): never {
  throw invalidRequest([{ field: "rule", message: "must be the id of a rule, such as 42" }], "the query");
}

/** The store's pipelines by their ids. */
export async function namesOf(store: Store): Promise<ReadonlyMap<number, PipelineRecord>> {
  return new Map((await store.pipelines.list()).map((record) => [record.id, record]));
}

/** What a person reads first: of the most urgent rule that fired, else of the model. */
function describes({ rules, score, decision, decidedBy }: Alert): string {
  if (rules.length > 0) return rules[0].description;
  if (score === null) return `${decidedBy}: ${decision}`;
  return `The model's score is ${score.toFixed(4)}: ${decision}`;
}

/** An alert as answers show it. */
export function shownAlert(
  alert: Alert,
  on: {
    readonly record: PipelineRecord | undefined;
    readonly numbers: ReadonlyMap<string, ReadonlyMap<string, number>>;
  },
) {
  const { record, numbers } = on;
  const own = numbers.get(record?.slug ?? "");
  const rules = alert.rules.map(({ id, description, severity }) => ({
    id: own?.get(id) ?? null,
    name: id,
    description,
    severity,
  }));
  return {
    id: alert.id,
    pipeline_id: alert.pipeline,
    severity: alert.severity,
    rule_description: describes(alert),
    alert_timestamp: isoOf(alert.alertedAt),
    transaction_data: dataOf(alert, record),
    pipeline: record?.slug ?? null,
    transaction_id: alert.transactionId,
    event_time: isoOf(alert.time),
    rule_id: rules[0]?.id ?? null,
    rules,
    decision: alert.decision,
    decided_by: alert.decidedBy,
    score: alert.score,
    reasons: alert.reasons,
    amount: alert.amount,
    entity: alert.entity,
    bundle: alert.bundle,
    rule_set: alert.ruleSet,
    vector_hash: alert.vectorHash,
  };
}

/** An id that the schema calls a whole number is one again. */
function dataOf({ transaction }: Alert, record: PipelineRecord | undefined) {
  const field = record?.schema.find(({ name, type }) => type === "integer" && typeof transaction[name] === "string");
  if (field === undefined) return transaction;
  const value = Number(transaction[field.name]);
  return Number.isSafeInteger(value) ? { ...transaction, [field.name]: value } : transaction;
}

const HEAD = [
  "id",
  "alert_timestamp",
  "pipeline_id",
  "pipeline",
  "severity",
  "rule_description",
  "decision",
  "decided_by",
  "transaction_id",
  "event_time",
  "entity",
  "amount",
  "score",
  "transaction_data",
];

function csvRow(alert: Alert, names: ReadonlyMap<number, PipelineRecord>): string {
  return csvLine([
    alert.id,
    isoOf(alert.alertedAt),
    alert.pipeline,
    names.get(alert.pipeline)?.slug ?? "",
    alert.severity,
    describes(alert),
    alert.decision,
    alert.decidedBy,
    alert.transactionId,
    isoOf(alert.time),
    alert.entity,
    alert.amount,
    alert.score,
    typeof alert.transaction === "string" ? alert.transaction : JSON.stringify(alert.transaction),
  ]);
}

const CSV_HEADERS = {
  "content-type": "text/csv; charset=utf-8; header=present",
  "content-disposition": 'attachment; filename="alerts.csv"',
};

function csvOf(
  alerts: readonly Alert[],
  of: { readonly names: ReadonlyMap<number, PipelineRecord>; readonly headers: Readonly<Record<string, string>> },
): Response {
  const rows = alerts.map((alert) => csvRow(alert, of.names));
  return new Response(csvLine(HEAD) + rows.join(""), { headers: { ...CSV_HEADERS, ...of.headers } });
}

/** Every page from a cursor on. What comes meanwhile stands before the first. */
async function* pagesOf(
  store: Store,
  { filter, cursor }: { readonly filter: AlertFilter; readonly cursor: string | null },
): AsyncGenerator<readonly Alert[]> {
  let next = cursor;
  do {
    const page = await store.alerts.page(filter, { limit: PAGE_MAX, cursor: next });
    yield page.items;
    next = page.next;
  } while (next !== null);
}

/** All that matches, page by page, as fast as whoever reads it. */
function wholeCsv(
  pages: AsyncIterable<readonly Alert[]> | readonly (readonly Alert[])[],
  rowsOf: (alerts: readonly Alert[]) => readonly string[],
): Response {
  const encoder = new TextEncoder();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield encoder.encode(csvLine(HEAD));
    let count = 0;
    for await (const alerts of pages) {
      const rows = rowsOf(alerts);
      count += rows.length;
      if (count > CSV_WHOLE_ROWS_MAX) {
        throw new SentinelError("request.invalid", `more than ${CSV_WHOLE_ROWS_MAX} alerts match`, {
          hint: "name a shorter time (from, to), or take them page by page: limit, then X-Next-Cursor",
        });
      }
      if (rows.length > 0) yield encoder.encode(rows.join(""));
    }
  }
  return new Response(ReadableStream.from(pieces()), { headers: CSV_HEADERS });
}
