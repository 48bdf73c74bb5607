// Routes of /api/rules: rules added, changed, switched, judged; a rule that is posted without a stage decides at once.
import { SentinelError } from "../../core/errors.ts";
import {
  RULE_ACTIONS,
  RULE_ID_PATTERN,
  RULE_LENGTH_MAX,
  RULE_SEVERITIES,
  RULE_STAGES,
  type Rule,
  type RuleAction,
  type RuleSeverity,
  type RuleStage,
} from "../../core/rule.ts";
import {
  deleteRule,
  liveRule,
  patchRule,
  postRule,
  type RulePatch,
  rulePerformance,
  ruleTag,
} from "../../lifecycle/platform.ts";
import { rulesNow } from "../../lifecycle/rules.ts";
import type { PipelineRecord } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
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
  platformOf,
  recordAt,
  ruleAt,
  wordIn,
} from "./exchange.ts";
import { done, REQUESTS, RULE } from "./shapes.ts";

const DESCRIPTION = { type: "string", maxLength: 1000 };
const OPTIONS = {
  severity: { enum: [...RULE_SEVERITIES] },
  description: { type: ["string", "null"], maxLength: 1000 },
  action: { enum: [...RULE_ACTIONS] },
  stage: { enum: [...RULE_STAGES] },
  share: { type: "number", minimum: 0, maximum: 1 },
  reason: DESCRIPTION,
};
interface WrittenOptions {
  readonly severity?: RuleSeverity;
  readonly description?: string | null;
  readonly action?: RuleAction;
  readonly stage?: RuleStage;
  readonly share?: number;
  readonly reason?: string;
}

/** A condition that is too long is refused by the language, in words for analysts. */
const EXPRESSION = { type: "string", description: `At most ${RULE_LENGTH_MAX} characters; see docs/rules.md.` };

const ADD = bodyKind<WrittenOptions & { readonly rule_expression: string; readonly name?: string }>("the rule", {
  required: ["rule_expression"],
  properties: { rule_expression: EXPRESSION, name: { type: "string", pattern: RULE_ID_PATTERN }, ...OPTIONS },
});
const CHANGE = bodyKind<WrittenOptions & { readonly rule_expression?: string }>("the change", {
  properties: { rule_expression: EXPRESSION, ...OPTIONS },
});
const STATUS = bodyKind<{ readonly is_active: boolean; readonly reason?: string }>("the status", {
  required: ["is_active"],
  properties: { is_active: { type: "boolean" }, reason: DESCRIPTION },
});

const RULES_SHOWN_MAX = 1000;
const CHANGED = done({ id: { type: "integer" }, status: { type: "string" }, rule: RULE });

export const ruleRoutes: readonly ServerRoute[] = [
  apiRoute("POST /api/pipelines/{id}/rules", {
    access: "analyst",
    summary: "Adds a rule, live at once unless a stage is named.",
    done: 201,
    takes: ADD,
    gives: REQUESTS.ruleAdded,
    run: add,
  }),
  apiRoute("GET /api/pipelines/{id}/rules", {
    access: "viewer",
    summary: "The rules of a pipeline, in the order in which they were made.",
    query: {
      stage: { description: "Only those in this stage.", schema: { enum: [...RULE_STAGES] } },
      limit: { description: "So many at most.", schema: { type: "integer", minimum: 1, maximum: RULES_SHOWN_MAX } },
      cursor: { description: "Where the page before ended.", schema: { type: "string" } },
    },
    gives: { type: "array", items: RULE },
    run: list,
  }),
  apiRoute("GET /api/rules/{rule}", {
    access: "viewer",
    summary: "One rule, with the ETag that a change of it needs.",
    gives: RULE,
    async run(server, context) {
      const { number, id, record, parts } = await ruleAt(server, context);
      const rule = await liveRule(parts.ports, { pipeline: parts.pipeline, id });
      const fault = faultsOf(parts).get(id);
      return jsonResponse(shown(rule, { number, record, fault }), 200, etag(ruleTag(rule)));
    },
  }),
  apiRoute("PATCH /api/rules/{rule}", {
    access: "analyst",
    summary: "Changes a rule. Needs If-Match with its ETag.",
    takes: CHANGE,
    gives: CHANGED,
    run: change,
  }),
  apiRoute("DELETE /api/rules/{rule}", {
    access: "analyst",
    summary: "Takes a rule out of the set; what it did stays in log, alerts and journal.",
    gives: done({ id: { type: "integer" }, status: { type: "string" } }),
    run: remove,
  }),
  apiRoute("PATCH /api/rules/{rule}/status", {
    access: "analyst",
    summary: "Switches a rule: is_active true makes it live, false puts it off.",
    takes: STATUS,
    gives: CHANGED,
    run: toggle,
  }),
  apiRoute("GET /api/rules/{rule}/performance", {
    access: "viewer",
    summary: "What a rule did among the newest answers: hits, decisions, and what became known of them.",
    gives: { type: "object" },
    run: performance,
  }),
];

async function add(server: Server, context: RequestContext): Promise<Response> {
  const {
    rule_expression: when,
    name,
    severity = "warning",
    description,
    action,
    stage,
    share,
    reason,
  } = await ADD.read(server, context);
  const record = await recordAt(server, context);
  const parts = engineOf(server, context, record.slug);
  const store = await platformOf(server).store();
  const pastIds = new Set((await store.ruleNumbers.of(record.slug)).keys());
  const make = () =>
    postRule(parts.ports, {
      ...byOf(parts, context, reason),
      rule: {
        when,
        severity,
        description: description ?? "",
        ...(action === undefined ? {} : { action }),
        ...(stage === undefined ? {} : { stage }),
        ...(share === undefined ? {} : { share }),
        ...(name === undefined ? {} : { id: name }),
      },
      pastIds,
    });
  const { rule } = await analyst(() => server.quotas.counted("rules", make));
  await parts.live.poll();
  const number = (await store.ruleNumbers.of(record.slug)).get(rule.id)!;
  const body = {
    id: number,
    status: "Rule added successfully",
    ...(await adviceOf(parts, rule)),
    rule: shown(rule, { number, record }),
  };
  return jsonResponse(body, 201, { ...etag(ruleTag(rule)), location: `/api/rules/${number}` });
}

/** What an analyst should know of a rule that was pastIds: it waits for somebody, or asks a list without entries. */
async function adviceOf(parts: ServerParts, rule: Rule): Promise<{ readonly warnings?: readonly string[] }> {
  const warnings: string[] = [];
  if (parts.pipeline.rules.fourEyes && rule.stage === "shadow") {
    warnings.push("it is in shadow, where it decides nothing, until a second person makes it live");
  }
  const { live, counts } = await rulesNow(parts.ports, parts.pipeline);
  const asked = Object.keys(live.lists).filter((list) => (counts[list] ?? 0) === 0);
  for (const list of asked.filter((name) => rule.when.toLowerCase().includes(name.toLowerCase()))) {
    warnings.push(`list ${list} has no entries yet: nothing is on it until POST /api/lists puts something there`);
  }
  return warnings.length === 0 ? {} : { warnings };
}

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["stage", "limit", "cursor"]);
  const stage = wordIn(context, "stage", RULE_STAGES);
  const limit = integerIn(context, "limit", { low: 1, high: RULES_SHOWN_MAX, fallback: RULES_SHOWN_MAX });
  const from = integerIn(context, "cursor", { low: 0, high: 999_999_999, fallback: 0 });
  const record = await recordAt(server, context);
  const parts = engineOf(server, context, record.slug);
  const numbers = await (await platformOf(server).store()).ruleNumbers.of(record.slug);
  const { live, head } = await rulesNow(parts.ports, parts.pipeline);
  const wanted = live.rules
    .flatMap((rule) => {
      const number = numbers.get(rule.id);
      return number === undefined || (stage !== undefined && rule.stage !== stage) ? [] : [{ rule, number }];
    })
    .sort((a, b) => a.number - b.number)
    .filter(({ number }) => number > from);
  const page = wanted.slice(0, limit);
  const cursor = wanted.length > limit ? String(page.at(-1)!.number) : null;
  const next: Record<string, string> = cursor === null ? {} : { "x-next-cursor": cursor };
  const faults = faultsOf(parts);
  const body = page.map(({ rule, number }) => shown(rule, { number, record, fault: faults.get(rule.id) }));
  return jsonResponse(body, 200, { ...etag(String(head.revision)), ...next });
}

async function change(server: Server, context: RequestContext): Promise<Response> {
  const { rule_expression: when, description, reason, ...rest } = await CHANGE.read(server, context);
  const patch: RulePatch = {
    ...rest,
    ...(when === undefined ? {} : { when }),
    ...(description === undefined ? {} : { description: description ?? "" }),
  };
  return patched(server, context, { patch, reason, needed: true });
}

async function toggle(server: Server, context: RequestContext): Promise<Response> {
  const { is_active: isActive, reason } = await STATUS.read(server, context);
  return patched(server, context, { patch: { stage: isActive ? "live" : "off" }, reason, needed: false });
}

async function patched(
  server: Server,
  context: RequestContext,
  of: { readonly patch: RulePatch; readonly reason: string | undefined; readonly needed: boolean },
): Promise<Response> {
  const { patch, reason, needed } = of;
  const { number, id, record, parts } = await ruleAt(server, context);
  const { rule } = await analyst(() =>
    patchRule(parts.ports, {
      ...byOf(parts, context, reason),
      id,
      patch,
      expect: (now) => checkMatch(context, ruleTag(now), { needed }),
    }),
  );
  await parts.live.poll();
  const status = `Rule is ${rule.stage}`;
  return jsonResponse(
    { id: number, status, is_active: isActive(rule), rule: shown(rule, { number, record }) },
    200,
    etag(ruleTag(rule)),
  );
}

async function remove(server: Server, context: RequestContext): Promise<Response> {
  const { number, id, parts } = await ruleAt(server, context);
  await deleteRule(parts.ports, {
    ...byOf(parts, context, undefined),
    id,
    expect: (now) => checkMatch(context, ruleTag(now), { needed: false }),
  });
  await parts.live.poll();
  return jsonResponse({ id: number, status: "Rule deleted" });
}

async function performance(server: Server, context: RequestContext): Promise<Response> {
  const { number, id, record, parts } = await ruleAt(server, context);
  await parts.log.flush();
  const { from, to, precision, ...figures } = await rulePerformance(parts.log, {
    rule: id,
    card: parts.pipeline.columns.card,
  });
  const interval = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return jsonResponse({
    id: number,
    name: id,
    pipeline_id: record.id,
    from: from === null ? null : isoOf(from),
    to: to === null ? null : isoOf(to),
    ...figures,
    precision: { value: interval(precision.value), low: interval(precision.low), high: interval(precision.high) },
  });
}

function byOf(parts: ServerParts, context: RequestContext, reason: string | undefined) {
  const actor = actorOf(context.get("caller"));
  return { pipeline: parts.pipeline, actor, ...(reason === undefined ? {} : { reason }) };
}

/** What is wrong with a condition, as a fault of the field that an analyst wrote. */
async function analyst<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SentinelError) || error.code !== "rules.invalid" || !(error.cause instanceof SentinelError))
      throw error;
    const { message, hint } = error.cause;
    const cause = { faults: [{ field: "rule_expression", message: `${message}; ${hint}` }] };
    throw new SentinelError("rules.invalid", message, { hint, cause });
  }
}

function isActive({ stage }: Rule): boolean {
  return stage === "live" || stage === "rollout";
}

/** Why rules that serve cannot be asked, by their ids. */
function faultsOf(parts: ServerParts): ReadonlyMap<string, string> {
  return new Map(parts.rules.status().faults.map(({ id, message }) => [id, message]));
}

/** A rule as the API shows it; `fault`: why it decides nothing, although it should. */
function shown(
  rule: Rule,
  of: { readonly number: number; readonly record: PipelineRecord; readonly fault?: string | undefined },
) {
  const { number, record, fault } = of;
  const { id, when, severity, description, action, stage, share, owner } = rule;
  return {
    id: number,
    name: id,
    pipeline_id: record.id,
    rule_expression: when,
    severity,
    description,
    is_active: isActive(rule),
    action,
    stage,
    ...(stage === "rollout" ? { share } : {}),
    owner,
    etag: `"${ruleTag(rule)}"`,
    ...(fault === undefined ? {} : { fault }),
  };
}
