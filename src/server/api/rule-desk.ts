// Routes for who writes rules: the language's words, a check while writing, what all rules did, their history, conflicts and suggestions.
import { checkCondition, type LanguageOf, rulesPerformance, vocabularyOf } from "../../lifecycle/platform.ts";
import { listNames, rulesHistory, rulesNow } from "../../lifecycle/rules.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import { doAside } from "./aside.ts";
import { apiRoute, bodyKind, checkQuery, engineOf, integerIn, isoOf, recordAt, snakeCased } from "./exchange.ts";
import { done } from "./shapes.ts";

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const integer = { type: "integer" };
const integerOrNull = { type: ["integer", "null"] };
const numberOrNull = { type: ["number", "null"] };
const flag = { type: "boolean" };
const texts = { type: "array", items: text };
const list = (items: object) => ({ type: "array", items });
const precision = done({ value: numberOrNull, low: numberOrNull, high: numberOrNull });

const CHECK = bodyKind<{ readonly pipeline_id: number | string; readonly rule_expression: string }>("the check", {
  required: ["pipeline_id", "rule_expression"],
  properties: {
    pipeline_id: { type: ["integer", "string"], description: "Id or slug of the pipeline." },
    rule_expression: { type: "string", maxLength: 100_000 },
  },
});
const CHECKED = done({
  ok: flag,
  fault: { anyOf: [done({ message: text, hint: text, line: integerOrNull, column: integerOrNull }), { type: "null" }] },
  reads: texts,
  lists: texts,
  windows: integer,
  needs_model: flag,
});
const VOCABULARY = done({
  columns: list(done({ name: text, type: text })),
  features: texts,
  windows: list(done({ name: text, example: text })),
  functions: texts,
  areas: texts,
  lists: list(done({ name: text, values: integer })),
});
const SUMMARY = done({
  transactions: integer,
  from: textOrNull,
  to: textOrNull,
  whole: flag,
  rules: list(
    done({
      id: integerOrNull,
      name: text,
      fired: integer,
      shadow: integer,
      decided: integer,
      alone: integer,
      caught_alone: integer,
      entities: integer,
      frauds: integer,
      genuine: integer,
      precision,
      days: list(done({ day: text, fired: integer, shadow: integer })),
    }),
  ),
});
const HISTORY = list(
  done({
    at: text,
    actor: text,
    verb: text,
    reason: text,
    verdict: text,
    live: textOrNull,
    candidate: textOrNull,
    changes: texts,
  }),
);
const CONFLICTS = done({
  findings: list(done({ kind: text, rule: text, other: textOrNull, why: text })),
  together: list(
    done({ rule: text, other: text, both: integer, share_of_rule: numberOrNull, share_of_other: numberOrNull }),
  ),
  rows: integer,
});
const SUGGESTIONS = done({
  mined_to: textOrNull,
  judged_from: textOrNull,
  budget: integer,
  drafts: list(
    done({
      rule_expression: text,
      fires: integer,
      alerts_per_day: numberOrNull,
      frauds: integer,
      precision,
      recall: numberOrNull,
      only_me: integer,
    }),
  ),
});

const HISTORY_MAX = 200;
export const ruleDeskRoutes: readonly ServerRoute[] = [
  apiRoute("POST /api/rules/check", {
    access: "viewer",
    summary: "Whether a condition can be read, and where and how it should be written otherwise. Changes nothing.",
    takes: CHECK,
    gives: CHECKED,
    async run(server, context) {
      const { pipeline_id: whose, rule_expression: when } = await CHECK.read(server, context);
      const { slug } = await recordAt(server, context, String(whose));
      return jsonResponse(snakeCased(checkCondition(when, await languageOf(engineOf(server, context, slug)))));
    },
  }),
  apiRoute("GET /api/pipelines/{id}/vocabulary", {
    access: "viewer",
    summary: "The words that conditions of a pipeline may use: columns, features, windows, functions, areas and lists.",
    gives: VOCABULARY,
    async run(server, context) {
      const parts = await partsOf(server, context);
      const lists = (await listNames(parts.ports)).map(({ name, values }) => ({ name, values }));
      return jsonResponse({ ...vocabularyOf(await languageOf(parts)), lists });
    },
  }),
  apiRoute("GET /api/pipelines/{id}/performance", {
    access: "viewer",
    summary: "What every rule did among the newest answers: hits, hits of its own, and precision with its interval.",
    gives: SUMMARY,
    run: summary,
  }),
  apiRoute("GET /api/pipelines/{id}/rules/history", {
    access: "viewer",
    summary: "Changes of the rules, newest first, each with what it changed.",
    query: {
      limit: { description: "So many at most.", schema: { type: "integer", minimum: 1, maximum: HISTORY_MAX } },
    },
    gives: HISTORY,
    async run(server, context) {
      checkQuery(context, ["limit"]);
      const limit = integerIn(context, "limit", { low: 1, high: HISTORY_MAX, fallback: 50 });
      const parts = await partsOf(server, context);
      const entries = (await rulesHistory(parts.ports)).slice(-limit).reverse();
      return jsonResponse(
        entries.map(({ at, actor, verb, reason, verdict, live, candidate, changes }) => ({
          at: isoOf(at),
          actor,
          verb,
          reason,
          verdict,
          live: live.to,
          candidate: candidate.to,
          changes,
        })),
      );
    },
  }),
  apiRoute("GET /api/pipelines/{id}/rules/conflicts", {
    access: "viewer",
    summary:
      "What can be proven of the rules (never true, the same, one within another, against each other), and which fire together.",
    gives: CONFLICTS,
    async run(server, context) {
      const parts = await partsOf(server, context);
      const { findings, measured } = await doAside<"conflicts">(server, parts, { kind: "conflicts" });
      return jsonResponse({
        findings: findings.map((one) => ({ other: null, ...one })),
        together: snakeCased((measured?.pairs ?? []).slice(0, HISTORY_MAX)),
        rows: measured?.rows ?? 0,
      });
    },
  }),
  apiRoute("POST /api/pipelines/{id}/rules/suggestions", {
    access: "analyst",
    summary: "Rules mined from what was missed on earlier days, each judged on later ones. Adds none of them.",
    gives: SUGGESTIONS,
    async run(server, context) {
      const parts = await partsOf(server, context);
      const { minedTo, judgedFrom, drafts, budget } = await doAside<"suggest">(server, parts, { kind: "suggest" });
      return jsonResponse({
        mined_to: instantOf(minedTo),
        judged_from: instantOf(judgedFrom),
        budget,
        drafts: drafts.map((draft) => ({
          rule_expression: draft.rule.when,
          fires: draft.fires,
          alerts_per_day: finite(draft.alertsPerDay),
          frauds: draft.frauds,
          precision: intervalOf(draft.precision),
          recall: finite(draft.recall.value),
          only_me: draft.onlyMe,
        })),
      });
    },
  }),
];

async function partsOf(server: Server, context: RequestContext): Promise<ServerParts> {
  return engineOf(server, context, (await recordAt(server, context)).slug);
}

async function languageOf({ ports, pipeline, schema, live }: ServerParts): Promise<LanguageOf> {
  const { areas } = (await rulesNow(ports, pipeline)).live;
  return { pipeline, schema, plan: live.current.champion?.scorer.plan ?? null, areas };
}

async function summary(server: Server, context: RequestContext): Promise<Response> {
  const parts = await partsOf(server, context);
  const { slug } = await recordAt(server, context);
  await parts.log.flush();
  const { from, to, rules, ...seen } = await rulesPerformance(parts.log, { card: parts.pipeline.columns.card });
  const numbers = await (await platformStore(server)).ruleNumbers.of(slug);
  return jsonResponse({
    ...seen,
    from: from === null ? null : isoOf(from),
    to: to === null ? null : isoOf(to),
    rules: rules.map(({ rule, caughtAlone, precision: own, ...figures }) => ({
      id: numbers.get(rule) ?? null,
      name: rule,
      ...figures,
      caught_alone: caughtAlone,
      precision: intervalOf(own),
    })),
  });
}

const platformStore = (server: Server) => server.platform!.store();
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
const intervalOf = ({ value, low, high }: { readonly value: number; readonly low: number; readonly high: number }) => ({
  value: finite(value),
  low: finite(low),
  high: finite(high),
});
const instantOf = (ms: number): string | null => (Math.abs(ms) < 8.64e15 ? isoOf(ms) : null);
