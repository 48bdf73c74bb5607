// Routes of /api/cases: the queue, one case with its alerts, history and labels, and what people do with cases.
import type { CaseAction } from "../../cases/action.ts";
import {
  CASE_LINKED_MAX,
  CASE_STATUSES,
  CASE_TEXT_MAX,
  type Case,
  type Closing,
  DISPOSITIONS,
  type Disposition,
} from "../../core/case.ts";
import { DAY_MS } from "../../core/duration.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { RULE_SEVERITIES } from "../../core/rule.ts";
import { actOn, type DeskRules, deskRules, nextCase } from "../../lifecycle/desk.ts";
import { invalidRequest } from "../../online/faults.ts";
import type { CaseFilter } from "../../ports/cases.ts";
import { PAGE_MAX, type PipelineRecord, type Store } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { namesOf, shownAlert } from "./alerts.ts";
import {
  actorOf,
  apiRoute,
  bodyKind,
  checkMatch,
  checkQuery,
  engineOf,
  etag,
  integerIn,
  isoOf,
  nextPage,
  platformOf,
  recordAt,
  sees,
  timeOf,
  wordIn,
} from "./exchange.ts";
import { ALERT, CASE, done } from "./shapes.ts";

const LIMIT = 50;
/** Cases of one bulk request: each is a change of its own. */
const BULK_MAX = 200;
/** Alerts, events, labels and earlier cases that one answer shows. */
const ALERTS_SHOWN_MAX = 100;
const HISTORY_SHOWN_MAX = 500;
const LABELS_SHOWN_MAX = 500;
const EARLIER_SHOWN_MAX = 10;
/** Pages that are looked at for one answer, where a filter lets little through. */
const PAGES_MAX = 10;
/** Days of the summary. */
const DAYS_MAX = 31;
const STATUSES = [...CASE_STATUSES, "open"] as const;
const ORDERS = ["newest", "worth"] as const;
const NAME_LENGTH_MAX = 200;
const SEARCH_LENGTH_MAX = 200;

const TEXT = { type: "string", minLength: 1, maxLength: CASE_TEXT_MAX };
const COMMENT = { type: "string", maxLength: CASE_TEXT_MAX };
const TIME = { type: ["string", "integer"] };
const WHOSE = { type: ["integer", "string"], description: "Id or slug of the pipeline." };
const LINKED = {
  type: "array",
  maxItems: CASE_LINKED_MAX,
  items: { type: ["string", "integer"], maxLength: 1000 },
  description: "Linked transactions that the disposition holds for as well.",
};

const NEXT = bodyKind<{ readonly pipeline?: number | string }>("the question", { properties: { pipeline: WHOSE } });
const ASSIGN = bodyKind<{ readonly to: string | null }>("the assignment", {
  required: ["to"],
  properties: { to: { type: ["string", "null"], minLength: 1, maxLength: NAME_LENGTH_MAX } },
});
const WAIT = bodyKind<{ readonly until: string | number; readonly reason: string }>("the wait", {
  required: ["until", "reason"],
  properties: { until: TIME, reason: TEXT },
});
const NOTE = bodyKind<{ readonly text: string }>("the note", { required: ["text"], properties: { text: TEXT } });
interface CloseBody {
  readonly disposition: Disposition;
  readonly reason: string;
  readonly comment?: string;
  readonly transactions?: readonly (string | number)[];
}
const CLOSING = { disposition: { enum: [...DISPOSITIONS] }, reason: TEXT, comment: COMMENT, transactions: LINKED };
const CLOSE = bodyKind<CloseBody>("the closing", { required: ["disposition", "reason"], properties: CLOSING });
const REOPEN = bodyKind<{ readonly reason: string }>("the reopening", {
  required: ["reason"],
  properties: { reason: TEXT },
});
const ACTIONS = ["claim", "release", "assign", "wait", "close", "confirm", "reopen", "note"] as const;
type ActionName = (typeof ACTIONS)[number];
interface BulkBody extends Partial<CloseBody> {
  readonly ids: readonly number[];
  readonly action: ActionName;
  readonly to?: string | null;
  readonly until?: string | number;
  readonly text?: string;
}
const BULK = bodyKind<BulkBody>("the bulk", {
  required: ["ids", "action"],
  properties: {
    ids: { type: "array", minItems: 1, maxItems: BULK_MAX, uniqueItems: true, items: { type: "integer", minimum: 1 } },
    action: { enum: [...ACTIONS] },
    to: { type: ["string", "null"], minLength: 1, maxLength: NAME_LENGTH_MAX },
    until: TIME,
    text: TEXT,
    ...CLOSING,
  },
});

const QUERY = {
  limit: {
    description: `So many at most (1 to ${PAGE_MAX}).`,
    schema: { type: "integer", minimum: 1, maximum: PAGE_MAX, default: LIMIT },
  },
  cursor: { description: "Where the page before ended: its next_cursor.", schema: { type: "string" } },
  pipeline: { description: "Id or slug of the pipeline.", schema: { type: "string" } },
  status: { description: "Only these; open: all but closed.", schema: { enum: [...STATUSES] } },
  assignee: { description: "Whose cases.", schema: { type: "string" } },
  severity: { description: "Only these.", schema: { enum: [...RULE_SEVERITIES] } },
  entity: { description: "Value of the entity.", schema: { type: "string" } },
  disposition: { description: "Only those closed so.", schema: { enum: [...DISPOSITIONS] } },
  q: { description: "Text somewhere in entity, assignee, reason or comment.", schema: { type: "string" } },
  order: {
    description: "newest: opened last first; worth: open ones, most loss prevented per minute of review first.",
    schema: { enum: [...ORDERS] },
  },
};

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const integer = { type: "integer" };
const listOf = (items: object) => ({ type: "array", items });
const CLOSED = {
  anyOf: [
    done({
      disposition: { enum: [...DISPOSITIONS] },
      reason: text,
      comment: text,
      transactions: listOf(text),
      by: text,
      at: text,
      confirmed_by: textOrNull,
    }),
    { type: "null" },
  ],
};
const EVENT = done({ at: text, actor: text, action: text, text });
const DETAIL = done({
  ...(CASE as { readonly properties: Readonly<Record<string, object>> }).properties,
  proposed: CLOSED,
  closing: CLOSED,
  alerts: listOf(ALERT),
  history: listOf(EVENT),
  notes: listOf(EVENT),
  labels: listOf(
    done({
      transaction_id: text,
      fraud: { type: "boolean" },
      why: text,
      propensity: { type: ["number", "null"] },
      state: text,
      cause: text,
    }),
  ),
  earlier: listOf(CASE),
});
const SUMMARY = done({
  open: integer,
  overdue: integer,
  open_by_age: listOf(done({ pipeline: textOrNull, severity: text, days: integer, count: integer, overdue: integer })),
  closed_by_day: listOf(done({ pipeline: textOrNull, day: text, disposition: text, count: integer })),
});

/** What changes what somebody else may have changed says which version it means; a claim or a note is in nobody's way. */
const NEEDS_MATCH: ReadonlySet<ActionName> = new Set(["assign", "wait", "close", "confirm", "reopen"]);

const SUMMARIES: Readonly<Record<ActionName, string>> = {
  claim: "Takes a case: nobody else may until `cases.claim` has passed. Claiming again begins anew.",
  release: "Gives a case back to the queue.",
  assign: "Keeps a case for somebody, or for nobody. Needs If-Match.",
  wait: "Puts a case off until a time. Needs If-Match.",
  close: "Closes a case: labels of its transactions are written. With four eyes it is proposed. Needs If-Match.",
  confirm: "The second person: closes a case as it was proposed. Needs If-Match.",
  reopen: "Opens a closed case again, or takes a proposal back. Needs If-Match.",
  note: "Adds a note.",
};
const BODIES: Readonly<Partial<Record<ActionName, object>>> = {
  assign: ASSIGN.schema,
  wait: WAIT.schema,
  close: CLOSE.schema,
  reopen: REOPEN.schema,
  note: NOTE.schema,
};

export const caseRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/cases", {
    access: "viewer",
    summary: "Cases, newest first.",
    query: QUERY,
    gives: done({ cases: { type: "array", items: CASE }, next_cursor: { type: ["string", "null"] } }),
    run: list,
  }),
  apiRoute("GET /api/cases/summary", {
    access: "viewer",
    summary: "Open cases by severity and age, how many are overdue, and closed ones per day by disposition.",
    query: {
      pipeline: QUERY.pipeline,
      days: { description: "Days back.", schema: { type: "integer", minimum: 1, maximum: DAYS_MAX } },
    },
    gives: SUMMARY,
    run: summary,
  }),
  apiRoute("POST /api/cases/next", {
    access: "analyst",
    summary: "Claims the next case of the queue; 204 where none is free.",
    takes: NEXT,
    bodyIsOptional: true,
    gives: DETAIL,
    mayBeEmpty: true,
    run: next,
  }),
  apiRoute("POST /api/cases/bulk", {
    access: "analyst",
    summary: "Does one thing to many cases, each by itself; what became of each is told one by one.",
    takes: BULK,
    gives: done({ items: { type: "array", items: { type: "object" } } }),
    run: bulk,
  }),
  apiRoute("GET /api/cases/{case}", {
    access: "viewer",
    summary: "One case with its alerts, history, notes and labels, and the ETag that a change of it needs.",
    gives: DETAIL,
    async run(server, context) {
      const found = await caseAt(server, context);
      return detailed(server, found);
    },
  }),
  ...ACTIONS.map((action): ServerRoute => {
    const body = BODIES[action];
    return apiRoute(`POST /api/cases/{case}/${action}`, {
      access: "analyst",
      summary: SUMMARIES[action],
      ...(body === undefined ? {} : { takes: { schema: body } }),
      gives: DETAIL,
      run: (server, context) => change(server, context, action),
    });
  }),
];

/** A case with its pipeline, and what the pipeline says of cases. */
interface Found {
  readonly one: Case;
  readonly record: PipelineRecord;
}

/** Errors: request.not-found, server.key-role, store.*. */
async function caseAt(
  server: Server,
  context: RequestContext,
  given = context.req.param("case") ?? "",
): Promise<Found> {
  const store = await platformOf(server).store();
  const one = /^[1-9]\d{0,14}$/.test(given) ? await store.cases.find(Number(given)) : null;
  if (one === null) {
    throw new SentinelError("request.not-found", `there is no case ${JSON.stringify(given.slice(0, 100))}`, {
      hint: "GET /api/cases lists them",
    });
  }
  return { one, record: await recordAt(server, context, String(one.pipeline)) };
}

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, Object.keys(QUERY));
  const limit = integerIn(context, "limit", { low: 1, high: PAGE_MAX, fallback: LIMIT });
  const store = await platformOf(server).store();
  const text = context.req.query("q");
  if (text !== undefined && text.length > SEARCH_LENGTH_MAX) {
    throw invalidRequest([{ field: "q", message: `must have at most ${SEARCH_LENGTH_MAX} characters` }], "the query");
  }
  const records = await seenPipelines(server, context, store);
  const filter: CaseFilter = {
    pipelines: [...records.keys()],
    ...named("status", wordIn(context, "status", STATUSES)),
    ...named("assignee", context.req.query("assignee")),
    ...named("severity", wordIn(context, "severity", RULE_SEVERITIES)),
    ...named("entity", context.req.query("entity")),
    ...named("disposition", wordIn(context, "disposition", DISPOSITIONS)),
    ...named("text", text === "" ? undefined : text),
  };
  const order = wordIn(context, "order", ORDERS) ?? "newest";
  const items: Case[] = [];
  let cursor = context.req.query("cursor") ?? null;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await store.cases.page(filter, { limit: limit - items.length, order, cursor });
    items.push(...page.items);
    cursor = page.next;
    if (cursor === null || items.length === limit) break;
  }
  const at = server.clock.now();
  const cases = items.map((one) => shownCase(one, { record: records.get(one.pipeline), at }));
  return jsonResponse({ cases, next_cursor: cursor }, 200, nextPage(context, cursor));
}

/** The pipelines that a question is about: the one that is named, else all that the caller's key sees. */
async function seenPipelines(
  server: Server,
  context: RequestContext,
  store: Store,
  given: number | string | undefined = context.req.query("pipeline"),
): Promise<ReadonlyMap<number, PipelineRecord>> {
  if (given !== undefined) {
    const record = await recordAt(server, context, String(given));
    return new Map([[record.id, record]]);
  }
  const caller = context.get("caller");
  return new Map([...(await namesOf(store))].filter(([, { slug }]) => sees(caller, slug)));
}

function named<K extends string, V>(name: K, value: V | undefined): { readonly [N in K]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [N in K]?: V });
}

async function summary(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline", "days"]);
  const days = integerIn(context, "days", { low: 1, high: DAYS_MAX, fallback: DAYS_MAX });
  const store = await platformOf(server).store();
  const records = await seenPipelines(server, context, store);
  const at = server.clock.now();
  const since = (Math.floor(at / DAY_MS) - (days - 1)) * DAY_MS;
  const found = await store.cases.summary({ pipelines: [...records.keys()], at, since, daysMax: days });
  const slug = (pipeline: number): string | null => records.get(pipeline)?.slug ?? null;
  const total = (of: "count" | "overdue"): number => found.open.reduce((sum, one) => sum + one[of], 0);
  return jsonResponse({
    open: total("count"),
    overdue: total("overdue"),
    open_by_age: found.open.map(({ pipeline, severity, days: age, count, overdue }) => ({
      pipeline: slug(pipeline),
      severity,
      days: age,
      count,
      overdue,
    })),
    closed_by_day: found.closed.map(({ pipeline, day, disposition, count }) => ({
      pipeline: slug(pipeline),
      day: isoOf(day).slice(0, 10),
      disposition,
      count,
    })),
  });
}

async function next(server: Server, context: RequestContext): Promise<Response> {
  const { pipeline } = await NEXT.read(server, context, { optional: true });
  const { store: open, chance } = platformOf(server);
  const store = await open();
  const records = await seenPipelines(server, context, store, pipeline);
  const rules = new Map<number, DeskRules>();
  for (const [id, { slug }] of records) {
    // Of a pipeline that is not up nobody knows the rules; its cases wait.
    const engine = server.pipelines.engine(slug);
    if (engine !== null && engine !== undefined) rules.set(id, deskRules(engine.pipeline));
  }
  const actor = actorOf(context.get("caller"));
  const one = await nextCase(store, { rules, actor, at: server.clock.now(), chance: chance() });
  if (one === null) return new Response(null, { status: 204 });
  return detailed(server, { one, record: records.get(one.pipeline)! });
}

async function change(server: Server, context: RequestContext, action: ActionName): Promise<Response> {
  const wanted = await wantedOf(server, context, action);
  const found = await caseAt(server, context);
  const expect = (one: Case): void => checkMatch(context, tagOf(one), { needed: NEEDS_MATCH.has(action) });
  const one = await carriedOut(server, context, { found, wanted, expect });
  return detailed(server, { one, record: found.record });
}

type Wanted = CaseAction | { readonly action: "note"; readonly text: string };

/** Does it, and waits for the labels that follow from it. */
async function carriedOut(
  server: Server,
  context: RequestContext,
  of: { readonly found: Found; readonly wanted: Wanted; readonly expect?: (one: Case) => void },
): Promise<Case> {
  const { found, wanted, expect } = of;
  const { store: open, desk } = platformOf(server);
  const store = await open();
  const caller = context.get("caller");
  const [actor, at] = [actorOf(caller), server.clock.now()];
  if (wanted.action === "note") {
    expect?.(found.one);
    await store.cases.note(found.one.id, { at, by: actor, action: "note", text: wanted.text });
    return found.one;
  }
  const { pipeline, measures } = engineOf(server, context, found.record.slug);
  const one = await actOn(store, {
    id: found.one.id,
    wanted,
    actor,
    at,
    lead: caller.key?.role === "admin",
    rules: deskRules(pipeline),
    ...(expect === undefined ? {} : { expect }),
  });
  if (one.status === "closed") {
    if (one.closing !== null) measures.caseClosed(one.closing.disposition, at - one.openedAt);
    await desk.look();
  }
  return one;
}

async function wantedOf(server: Server, context: RequestContext, action: ActionName): Promise<Wanted> {
  switch (action) {
    case "assign":
      return { action, ...(await ASSIGN.read(server, context)) };
    case "wait":
      return wantedWith(action, await WAIT.read(server, context));
    case "close":
      return wantedWith(action, await CLOSE.read(server, context));
    case "reopen":
      return { action, ...(await REOPEN.read(server, context)) };
    case "note":
      return { action, ...(await NOTE.read(server, context)) };
    default:
      return { action };
  }
}

/** An action by its members, as a bulk request has them. Throws `request.invalid` where one is missing. */
function wantedWith(action: ActionName, given: Partial<Omit<BulkBody, "ids" | "action">>): Wanted {
  const needed = <T>(name: string, value: T | undefined): T => {
    if (value !== undefined) return value;
    throw invalidRequest([{ field: name, message: `is missing: ${action} needs it` }], "the request");
  };
  switch (action) {
    case "assign":
      return { action, to: needed("to", given.to) };
    case "wait":
      return { action, until: timeOf(needed("until", given.until), "until")!, reason: needed("reason", given.reason) };
    case "close":
      return {
        action,
        disposition: needed("disposition", given.disposition),
        reason: needed("reason", given.reason),
        comment: given.comment ?? "",
        transactions: (given.transactions ?? []).map(String),
      };
    case "reopen":
      return { action, reason: needed("reason", given.reason) };
    case "note":
      return { action, text: needed("text", given.text) };
    default:
      return { action };
  }
}

async function bulk(server: Server, context: RequestContext): Promise<Response> {
  const { ids, action, ...members } = await BULK.read(server, context);
  const wanted = wantedWith(action, members);
  const items: object[] = [];
  for (const id of ids) {
    try {
      const found = await caseAt(server, context, String(id));
      const { status, version } = await carriedOut(server, context, { found, wanted });
      items.push({ id, done: true, status, etag: `${id}-${version}` });
    } catch (error) {
      // What is wrong with one case stops no other; what is wrong with the store or with us stops all.
      if (!(error instanceof SentinelError) || error.kind.exit !== 2) throw error;
      items.push({ id, done: false, code: error.code, message: messageOf(error), hint: error.hint });
    }
  }
  return jsonResponse({ items });
}

/** The version of a case: another text where anything about it is another. */
function tagOf({ id, version }: Case): string {
  return `${id}-${version}`;
}

async function detailed(server: Server, { one, record }: Found): Promise<Response> {
  const store = await platformOf(server).store();
  const at = server.clock.now();
  const { id, pipeline, entity } = one;
  const places = await store.cases.alertsOf(id, ALERTS_SHOWN_MAX);
  const numbers = new Map([[record.slug, await store.ruleNumbers.of(record.slug)]]);
  const alerts: object[] = [];
  for (const { alert, why, propensity } of places) {
    const found = await store.alerts.find(alert);
    if (found !== null) alerts.push({ ...shownAlert(found, { record, numbers }), why, propensity });
  }
  const history = (await store.cases.historyOf(id, HISTORY_SHOWN_MAX)).map(({ at: when, by, action, text }) => ({
    at: isoOf(when),
    actor: by,
    action,
    text,
  }));
  const labels = await store.cases.labelsOf(id, LABELS_SHOWN_MAX);
  const others = await store.cases.page(
    { pipelines: [pipeline], entity: entity.value },
    { limit: EARLIER_SHOWN_MAX + 1 },
  );
  const body = {
    ...shownCase(one, { record, at }),
    alerts,
    history,
    notes: history.filter(({ action }) => action === "note"),
    labels: labels.map(({ transactionId, fraud, review, state, cause }) => ({
      transaction_id: transactionId,
      fraud,
      why: review.why,
      propensity: review.propensity,
      state,
      cause,
    })),
    earlier: others.items
      .filter((other) => other.id !== id && other.entity.column === entity.column)
      .slice(0, EARLIER_SHOWN_MAX)
      .map((other) => shownCase(other, { record, at })),
  };
  return jsonResponse(body, 200, etag(tagOf(one)));
}

/** A case as answers show it. */
export function shownCase(one: Case, on: { readonly record: PipelineRecord | undefined; readonly at: number }) {
  const { closing, proposed, status } = one;
  const isClosed = status === "closed";
  const time = (ms: number | null): string | null => (ms === null ? null : isoOf(ms));
  return {
    id: one.id,
    pipeline_id: one.pipeline,
    pipeline: on.record?.slug ?? null,
    entity: one.entity.value,
    entity_column: one.entity.column,
    status,
    severity: one.severity,
    why: one.why,
    propensity: one.propensity,
    opened_at: isoOf(one.openedAt),
    due_at: isoOf(one.dueAt),
    overdue: !isClosed && one.dueAt < on.at,
    alert_count: one.alerts,
    amount: one.amount,
    score: one.scoreMax,
    expected_loss: one.loss,
    review_minutes: one.minutes,
    assignee: one.assignee,
    claimed_until: time(one.claimedUntil),
    waiting_until: time(one.waitingUntil),
    waiting_reason: one.waitingReason,
    proposed: proposed === null ? null : shownClosing(proposed),
    disposition: isClosed ? (closing?.disposition ?? null) : null,
    closed_at: isClosed ? time(closing?.at ?? null) : null,
    closing: closing === null ? null : shownClosing(closing),
    closed_count: one.closings,
    etag: tagOf(one),
  };
}

function shownClosing({ disposition, reason, comment, transactions, by, at, confirmedBy }: Closing) {
  return { disposition, reason, comment, transactions, by, at: isoOf(at), confirmed_by: confirmedBy };
}
