// Routes of /api/snoozes: an entity whose alerts of one rule open no case until a date.
import { boundedValue } from "../../cases/entity.ts";
import { CASE_TEXT_MAX } from "../../core/case.ts";
import { SentinelError } from "../../core/errors.ts";
import { invalidRequest } from "../../online/faults.ts";
import type { Snooze } from "../../ports/cases.ts";
import { PAGE_MAX, type PipelineRecord, STORE_TEXT_MAX } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { namesOf } from "./alerts.ts";
import {
  actorOf,
  apiRoute,
  bodyKind,
  checkQuery,
  isoOf,
  platformOf,
  recordAt,
  ruleAt,
  sees,
  timeOf,
} from "./exchange.ts";
import { done, SNOOZE } from "./shapes.ts";

/** How far ahead one may end. */
const AHEAD_MS_MAX = 365 * 86_400_000;

const ADD = bodyKind<{
  readonly entity: string | number;
  readonly rule_id: number;
  readonly until: string | number;
  readonly reason: string;
}>("the snooze", {
  required: ["entity", "rule_id", "until", "reason"],
  properties: {
    entity: { type: ["string", "integer"], minLength: 1, maxLength: STORE_TEXT_MAX },
    rule_id: { type: "integer", minimum: 1 },
    until: { type: ["string", "integer"], description: "A time, a year ahead at most." },
    reason: { type: "string", minLength: 1, maxLength: Math.min(CASE_TEXT_MAX, STORE_TEXT_MAX) },
  },
});

const QUERY = { pipeline: { description: "Id or slug of the pipeline.", schema: { type: "string" } } };

export const snoozeRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/snoozes", {
    access: "viewer",
    summary: "Snoozes that hold now, newest first.",
    query: QUERY,
    gives: { type: "array", items: SNOOZE },
    run: list,
  }),
  apiRoute("POST /api/snoozes", {
    access: "analyst",
    summary: "Lets alerts that one rule raises for one entity open no case until a date.",
    done: 201,
    takes: ADD,
    gives: SNOOZE,
    run: add,
  }),
  apiRoute("DELETE /api/snoozes/{snooze}", {
    access: "analyst",
    summary: "Ends a snooze now.",
    gives: done({ id: { type: "integer" }, status: { type: "string" } }),
    run: end,
  }),
];

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, Object.keys(QUERY));
  const store = await platformOf(server).store();
  const given = context.req.query("pipeline");
  const records = new Map<number, PipelineRecord>();
  if (given !== undefined) {
    const record = await recordAt(server, context, given);
    records.set(record.id, record);
  } else {
    const caller = context.get("caller");
    for (const [id, record] of await namesOf(store)) if (sees(caller, record.slug)) records.set(id, record);
  }
  const of = { pipelines: [...records.keys()], at: server.clock.now(), limit: PAGE_MAX };
  const found = await store.cases.snoozes(of);
  const numbers = new Map<number, ReadonlyMap<string, number>>();
  for (const id of new Set(found.map(({ pipeline }) => pipeline)))
    numbers.set(id, await store.ruleNumbers.of(records.get(id)!.slug));
  return jsonResponse(found.map((one) => shown(one, numbers.get(one.pipeline)?.get(one.rule) ?? null)));
}

async function add(server: Server, context: RequestContext): Promise<Response> {
  const { entity, rule_id: rule, until: given, reason } = await ADD.read(server, context);
  const { record, id, number } = await ruleAt(server, context, String(rule));
  const until = timeOf(given, "until")!;
  const at = server.clock.now();
  if (until <= at || until > at + AHEAD_MS_MAX)
    throw invalidRequest([{ field: "until", message: "must be from now on, a year ahead at most" }], "the snooze");
  const store = await platformOf(server).store();
  const wanted = { pipeline: record.id, entity: boundedValue(String(entity)), rule: id, until, reason };
  const made = await store.cases.snooze(wanted, { actor: actorOf(context.get("caller")), at, reason });
  return jsonResponse(shown(made, number), 201, { location: `/api/snoozes/${made.id}` });
}

async function end(server: Server, context: RequestContext): Promise<Response> {
  const store = await platformOf(server).store();
  const given = context.req.param("snooze") ?? "";
  const one = /^[1-9]\d{0,14}$/.test(given) ? await store.cases.findSnooze(Number(given)) : null;
  if (one === null) {
    throw new SentinelError("request.not-found", `there is no snooze ${JSON.stringify(given.slice(0, 100))}`, {
      hint: "GET /api/snoozes lists them",
    });
  }
  await recordAt(server, context, String(one.pipeline));
  await store.cases.wake(one.id, { actor: actorOf(context.get("caller")), at: server.clock.now() });
  return jsonResponse({ id: one.id, status: "Snooze ended" });
}

function shown({ id, pipeline, entity, rule, until, reason, by, at }: Snooze, number: number | null) {
  return {
    id,
    pipeline_id: pipeline,
    entity,
    rule_id: number,
    rule,
    until: isoOf(until),
    reason,
    by,
    at: isoOf(at),
  };
}
