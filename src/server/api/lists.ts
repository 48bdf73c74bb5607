// Routes of /api/lists: the lists that rules ask, with their validity times; nothing is ever deleted from one.
import { LIST_NAME_PATTERN, LIST_VALUE_LENGTH_MAX } from "../../core/rule.ts";
import { changeList, listEntries, listNames } from "../../lifecycle/rules.ts";
import { DIGITS_LOST, invalidRequest } from "../../online/faults.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import {
  actorOf,
  apiRoute,
  bodyKind,
  checkQuery,
  integerIn,
  isoOf,
  platformOf,
  recordAt,
  sees,
  timeOf,
  whoseOf,
} from "./exchange.ts";
import { done, LIST } from "./shapes.ts";

/** Values of one request, and entries of one answer. */
const VALUES_MAX = 10_000;

const VALUES = {
  type: "array",
  minItems: 1,
  maxItems: VALUES_MAX,
  items: { type: ["string", "integer"], minLength: 1, maxLength: LIST_VALUE_LENGTH_MAX },
};
const WHOSE = {
  type: ["integer", "string"],
  description: "Id or slug of the pipeline; may be left out where there is one.",
};
const TIME = { type: ["string", "integer"] };
const REASON = { type: "string", maxLength: 1000 };

interface Whose {
  readonly pipeline_id?: number | string;
}

const ADD = bodyKind<
  Whose & {
    readonly name: string;
    readonly values: readonly (string | number)[];
    readonly from?: string | number;
    readonly to?: string | number;
    readonly reason?: string;
  }
>("the list", {
  required: ["name", "values"],
  properties: {
    pipeline_id: WHOSE,
    name: { type: "string", pattern: LIST_NAME_PATTERN },
    values: VALUES,
    from: { ...TIME, description: "On the list from then on, by event time; now when absent." },
    to: { ...TIME, description: "Until then; for ever when absent." },
    reason: REASON,
  },
});
const END = bodyKind<
  Whose & { readonly values: readonly (string | number)[]; readonly at?: string | number; readonly reason?: string }
>("the change", { required: ["values"], properties: { pipeline_id: WHOSE, values: VALUES, at: TIME, reason: REASON } });

const QUERY = { pipeline_id: { description: "Id or slug of the pipeline.", schema: { type: "string" } } };
const CHANGED = done({ pipeline_id: { type: "integer" }, name: { type: "string" }, status: { type: "string" } });

export const listRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/lists", {
    access: "viewer",
    summary: "The lists of every pipeline, or of one.",
    query: QUERY,
    gives: { type: "array", items: LIST },
    run: all,
  }),
  apiRoute("POST /api/lists", {
    access: "analyst",
    summary: "Puts values on a list, which is made where there is none.",
    done: 201,
    takes: ADD,
    gives: CHANGED,
    run: add,
  }),
  apiRoute("GET /api/lists/{list}", {
    access: "viewer",
    summary: "Who is on a list, now or at an instant.",
    query: {
      ...QUERY,
      at: { description: "The instant, on the clock of event time.", schema: { type: "string" } },
      limit: { description: "So many at most.", schema: { type: "integer", minimum: 1, maximum: VALUES_MAX } },
      cursor: { description: "How many to leave out.", schema: { type: "integer", minimum: 0 } },
    },
    gives: { type: "array", items: { type: "object" } },
    run: entries,
  }),
  apiRoute("POST /api/lists/{list}/end", {
    access: "analyst",
    summary: "Takes values off a list from an instant on.",
    takes: END,
    gives: CHANGED,
    run: end,
  }),
];

async function all(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline_id"]);
  const store = await platformOf(server).store();
  const given = context.req.query("pipeline_id");
  const caller = context.get("caller");
  const records =
    given === undefined
      ? (await store.pipelines.list()).filter(({ slug }) => sees(caller, slug))
      : [await recordAt(server, context, given)];
  const found: object[] = [];
  for (const record of records) {
    const parts = server.pipelines.engine(record.slug);
    if (parts === null || parts === undefined) continue;
    for (const list of await listNames(parts.ports)) found.push({ pipeline_id: record.id, ...list });
  }
  return jsonResponse(found);
}

async function add(server: Server, context: RequestContext): Promise<Response> {
  const { pipeline_id: whose, name, values, from, to, reason } = await ADD.read(server, context);
  const { record, parts } = await whoseOf(server, context, whose);
  const [since, until] = [timeOf(from, "from"), timeOf(to, "to")];
  await changeList(parts.ports, {
    ...byOf(parts, context, reason),
    list: name,
    values: textsOf(values),
    ...(since === undefined ? {} : { from: since }),
    ...(until === undefined ? {} : { to: until }),
  });
  await parts.live.poll();
  const status = `${values.length} values are on the list`;
  return jsonResponse({ pipeline_id: record.id, name, status }, 201, {
    location: `/api/lists/${name}?pipeline_id=${record.id}`,
  });
}

async function end(server: Server, context: RequestContext): Promise<Response> {
  const name = context.req.param("list") ?? "";
  const { pipeline_id: whose, values, at, reason } = await END.read(server, context);
  const { record, parts } = await whoseOf(server, context, whose);
  const until = timeOf(at, "at");
  await changeList(parts.ports, {
    ...byOf(parts, context, reason),
    list: name,
    values: textsOf(values),
    end: true,
    ...(until === undefined ? {} : { to: until }),
  });
  await parts.live.poll();
  return jsonResponse({ pipeline_id: record.id, name, status: `${values.length} values left the list` });
}

async function entries(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline_id", "at", "limit", "cursor"]);
  const limit = integerIn(context, "limit", { low: 1, high: VALUES_MAX, fallback: 1000 });
  const from = integerIn(context, "cursor", { low: 0, high: 100_000_000, fallback: 0 });
  const at = timeOf(context.req.query("at"), "at");
  const { parts } = await whoseOf(server, context, context.req.query("pipeline_id"));
  const on = await listEntries(parts.ports, {
    name: context.req.param("list") ?? "",
    ...(at === undefined ? {} : { at }),
  });
  const page = on.slice(from, from + limit);
  const next: Record<string, string> = on.length > from + limit ? { "x-next-cursor": String(from + limit) } : {};
  const body = page.map((one) => ({
    value: one.value,
    from: isoOf(one.from),
    to: one.to === null ? null : isoOf(one.to),
  }));
  return jsonResponse(body, 200, next);
}

/** Throws `request.invalid` for a number whose digits JSON lost: it would be somebody else's. */
function textsOf(values: readonly (string | number)[]): readonly string[] {
  const at = values.findIndex((value) => typeof value === "number" && !Number.isSafeInteger(value));
  if (at < 0) return values.map(String);
  throw invalidRequest([{ field: `values/${at}`, message: DIGITS_LOST }], "the list");
}

function byOf(parts: ServerParts, context: RequestContext, reason: string | undefined) {
  const actor = actorOf(context.get("caller"));
  return { pipeline: parts.pipeline, actor, ...(reason === undefined ? {} : { reason }) };
}
