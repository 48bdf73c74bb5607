// Routes of /api/pipelines: made, listed, grown, paused; a pipeline that a program makes answers at once.
import { SentinelError } from "../../core/errors.ts";
import { changePipeline, createPipeline, setStatus, settingsOf } from "../../lifecycle/platform.ts";
import { PIPELINES_MAX } from "../../online/pipelines.ts";
import { statusOf } from "../../online/readiness.ts";
import { CASES } from "../../pipeline/cases.ts";
import { FIELD_TYPES, FIELDS_MAX, type MadeField, type MadeRoles, NAME_LENGTH_MAX } from "../../pipeline/made.ts";
import { type JsonObject, PIPELINE_STATUSES, type PipelineRecord, type PipelineStatus } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { predictRoute } from "../predict.ts";
import {
  actorOf,
  apiRoute,
  bodyKind,
  checkMatch,
  checkQuery,
  engineOf,
  etag,
  isoOf,
  platformOf,
  recordAt,
  sees,
} from "./exchange.ts";
import { done, PIPELINE, REQUESTS } from "./shapes.ts";

interface WrittenField {
  readonly name: string;
  readonly type: MadeField["type"];
  readonly nullable?: boolean;
}

const FIELDS = {
  type: "array",
  maxItems: FIELDS_MAX,
  items: {
    type: "object",
    required: ["name", "type"],
    properties: { name: { type: "string" }, type: { enum: [...FIELD_TYPES] }, nullable: { type: "boolean" } },
  },
};
const ROLE = { type: ["string", "null"] };
const COLUMNS = {
  type: "object",
  additionalProperties: false,
  description: "Which field is what; guessed from names where nothing is said, null: none is.",
  properties: { id: ROLE, time: ROLE, amount: ROLE, key: ROLE },
};
const RULES = { type: "object", additionalProperties: false, properties: { four_eyes: { type: "boolean" } } };
const CASE_RULES = {
  ...CASES.schema,
  description:
    "As the section `cases` of a pipeline file: whose alerts make one case, when cases are due, four eyes, what is drawn by chance.",
};
const TOPIC = { type: ["string", "null"], maxLength: 249 };

const CREATE = bodyKind<{
  readonly name: string;
  readonly kafka_topic?: string | null;
  readonly schema: readonly WrittenField[];
  readonly columns?: Partial<MadeRoles>;
  readonly rules?: { readonly four_eyes?: boolean };
  readonly cases?: JsonObject;
}>("the pipeline", {
  required: ["name", "schema"],
  properties: {
    name: { type: "string", minLength: 1, maxLength: NAME_LENGTH_MAX },
    kafka_topic: TOPIC,
    schema: { ...FIELDS, minItems: 1 },
    columns: COLUMNS,
    rules: RULES,
    cases: CASE_RULES,
  },
});
const CHANGE = bodyKind<{
  readonly name?: string;
  readonly kafka_topic?: string | null;
  readonly schema?: readonly WrittenField[];
  readonly add_fields?: readonly WrittenField[];
  readonly rules?: { readonly four_eyes?: boolean };
  readonly cases?: JsonObject;
}>("the change", {
  properties: {
    name: { type: "string", minLength: 1, maxLength: NAME_LENGTH_MAX },
    kafka_topic: TOPIC,
    schema: { ...FIELDS, description: "All fields, as they shall be." },
    add_fields: { ...FIELDS, description: "Fields that come to those that are there." },
    rules: RULES,
    cases: { ...CASE_RULES, description: `${CASE_RULES.description} The whole section, as it shall be.` },
  },
});
const STATUS = bodyKind<{ readonly status: PipelineStatus; readonly reason?: string }>("the status", {
  required: ["status"],
  properties: { status: { enum: [...PIPELINE_STATUSES] }, reason: { type: "string", maxLength: 1000 } },
});

const fieldsOf = (written: readonly WrittenField[]): readonly MadeField[] =>
  written.map(({ name, type, nullable = true }) => ({ name, type, nullable }));

export const pipelineRoutes: readonly ServerRoute[] = [
  apiRoute("POST /api/pipelines", {
    findsPipeline: false,
    access: "owner",
    summary: "Makes a pipeline, which answers at once; its rules decide.",
    done: 201,
    takes: CREATE,
    gives: REQUESTS.created,
    run: create,
  }),
  apiRoute("GET /api/pipelines", {
    access: "viewer",
    summary: "All pipelines with status and number of alerts.",
    gives: { type: "array", items: PIPELINE },
    run: list,
  }),
  apiRoute("GET /api/pipelines/{id}", {
    access: "viewer",
    summary: "One pipeline, by its id or its slug.",
    gives: PIPELINE,
    async run(server, context) {
      const record = await recordAt(server, context);
      const counts = await countsOf(server);
      return jsonResponse(shown(server, record, counts), 200, etag(String(record.version)));
    },
  }),
  apiRoute("PATCH /api/pipelines/{id}", {
    access: "owner",
    summary:
      "Changes a pipeline: name, topic, four eyes, how cases are worked, and nullable fields that come to its schema. Needs If-Match.",
    takes: CHANGE,
    gives: PIPELINE,
    run: change,
  }),
  apiRoute("GET /api/pipelines/{id}/schema", {
    access: "viewer",
    summary: "The fields of a pipeline's transactions.",
    gives: FIELDS,
    async run(server, context) {
      const { schema, version } = await recordAt(server, context);
      return jsonResponse(schema, 200, etag(String(version)));
    },
  }),
  apiRoute("PATCH /api/pipelines/{id}/status", {
    access: "owner",
    summary: "active; paused: transactions are refused with 503 until it is active again; stopped: with 409.",
    takes: STATUS,
    gives: done({ id: { type: "integer" }, status: { enum: [...PIPELINE_STATUSES] } }),
    run: status,
  }),
  {
    method: "POST",
    access: "predict",
    findsPipeline: true,
    path: "/api/pipelines/{id}/transactions",
    summary: "As POST /pipelines/{slug}/predict, by the pipeline's id.",
    shed: true,
    body: { "application/json": { type: "object" } },
    answers: predictRoute.answers,
    async runServer(server, context) {
      const { name } = server.pipelines.find(context.req.param("id") ?? "").pipeline;
      server.access.checkPipeline(context.get("caller"), name);
      return predictRoute.run(engineOf(server, context, name), context);
    },
  },
];

async function create(server: Server, context: RequestContext): Promise<Response> {
  const { store, platform } = platformOf(server);
  const body = await CREATE.read(server, context);
  const { name, kafka_topic: kafkaTopic = null, schema, columns = {}, rules, cases = {} } = body;
  const { pipelines, clock, quotas } = server;
  if (pipelines.all().length >= PIPELINES_MAX) {
    throw new SentinelError("pipeline.limit", `${PIPELINES_MAX} pipelines are served here already`, {
      hint: "start another server for the rest",
    });
  }
  const make = async () => {
    const made = await createPipeline(
      await store(),
      { name, kafkaTopic, schema: fieldsOf(schema), columns, fourEyes: rules?.four_eyes ?? false, cases },
      {
        actor: actorOf(context.get("caller")),
        at: clock.now(),
        isTaken: (slug) => pipelines.get(slug) !== undefined,
      },
    );
    // What is made is counted once it is looked at.
    await platform.look();
    return made;
  };
  const record = await quotas.makeOne("pipelines", { count: async () => pipelines.all().length, make });
  const answer = {
    id: record.id,
    message: "Pipeline created successfully",
    name: record.name,
    slug: record.slug,
    predict: `/pipelines/${record.slug}/predict`,
    columns: settingsOf(record).columns,
    serves: pipelines.engine(record.slug) !== null && pipelines.engine(record.slug) !== undefined,
  };
  return jsonResponse(answer, 201, { ...etag(String(record.version)), location: `/api/pipelines/${record.id}` });
}

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, []);
  const store = await platformOf(server).store();
  const [all, counts] = [await store.pipelines.list(), await countsOf(server)];
  const caller = context.get("caller");
  return jsonResponse(all.filter(({ slug }) => sees(caller, slug)).map((record) => shown(server, record, counts)));
}

async function change(server: Server, context: RequestContext): Promise<Response> {
  const { store, platform } = platformOf(server);
  const wanted = await CHANGE.read(server, context);
  const record = await recordAt(server, context);
  checkMatch(context, String(record.version), { needed: true });
  const { name, kafka_topic: kafkaTopic, schema, add_fields: added, rules, cases } = wanted;
  const changed = await changePipeline(await store(), record, {
    actor: actorOf(context.get("caller")),
    at: server.clock.now(),
    change: {
      ...(name === undefined ? {} : { name }),
      ...(kafkaTopic === undefined ? {} : { kafkaTopic }),
      ...(schema === undefined ? {} : { schema: fieldsOf(schema) }),
      ...(added === undefined ? {} : { addFields: fieldsOf(added) }),
      ...(rules?.four_eyes === undefined ? {} : { fourEyes: rules.four_eyes }),
      ...(cases === undefined ? {} : { cases }),
    },
  });
  await platform.look();
  return jsonResponse(shown(server, changed, await countsOf(server)), 200, etag(String(changed.version)));
}

async function status(server: Server, context: RequestContext): Promise<Response> {
  const { store, platform } = platformOf(server);
  const { status: wanted, reason } = await STATUS.read(server, context);
  const record = await recordAt(server, context);
  checkMatch(context, String(record.version), { needed: false });
  const actor = actorOf(context.get("caller"));
  const changed = await setStatus(await store(), record, {
    status: wanted,
    actor,
    at: server.clock.now(),
    ...(reason === undefined ? {} : { reason }),
  });
  await platform.look();
  const { id, version } = changed;
  return jsonResponse({ id, status: changed.status, message: `Pipeline is ${wanted}` }, 200, etag(String(version)));
}

/** Alerts by pipeline. */
async function countsOf(server: Server): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  for (const { pipeline, count } of await (await platformOf(server).store()).alerts.counts()) {
    counts.set(pipeline, (counts.get(pipeline) ?? 0) + count);
  }
  return counts;
}

function shown(server: Server, record: PipelineRecord, counts: ReadonlyMap<number, number>) {
  const { id, name, slug, kafkaTopic, status: own, createdAt, changedAt, source, version, schemaVersion } = record;
  const slot = server.pipelines.get(slug);
  const { columns, fourEyes, cases } = settingsOf(record);
  return {
    id,
    name,
    kafka_topic: kafkaTopic,
    status: own,
    created_at: isoOf(createdAt),
    alert_count: counts.get(id) ?? 0,
    slug,
    source,
    model: slot?.engine?.pipeline.model ?? null,
    columns,
    rules: { four_eyes: fourEyes },
    /** As it was written; a file's own stands in the file. */
    cases: source === "file" ? null : (cases ?? {}),
    /** Of this server. */
    serving: slot === undefined ? { status: "not ready", reason: "this server does not have it" } : statusOf(slot),
    schema_version: schemaVersion,
    version,
    changed_at: isoOf(changedAt),
  };
}
