// POST /api/rules/backtest: what a rule would have done, computed beside the traffic.
import { RULE_ACTIONS, type Rule, type RuleAction } from "../../core/rule.ts";
import { type BacktestRequest, liveRule } from "../../lifecycle/platform.ts";
import type { Backtest } from "../../lifecycle/rules.ts";
import { invalidRequest } from "../../online/faults.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import { doAside } from "./aside.ts";
import { apiRoute, bodyKind, engineOf, isoOf, recordAt, ruleAt, snakeCased, timeOf } from "./exchange.ts";

/** Of a condition that is nowhere yet. */
const DRAFT_ID = "draft";
const SOURCES = ["log", "table"] as const;

const BODY = bodyKind<{
  readonly pipeline_id?: number | string;
  readonly rule_id?: number;
  readonly rule_expression?: string;
  readonly action?: RuleAction;
  readonly source?: (typeof SOURCES)[number];
  readonly from?: string | number;
  readonly to?: string | number;
}>("the backtest", {
  properties: {
    pipeline_id: { type: ["integer", "string"], description: "With rule_expression: id or slug of the pipeline." },
    rule_id: { type: "integer", description: "A rule that is there, whatever its stage." },
    rule_expression: { type: "string", description: "Or a condition that is nowhere yet." },
    action: { enum: [...RULE_ACTIONS], description: "What the verdict is asked for; review when absent." },
    source: { enum: [...SOURCES], description: "log: what was answered; table: the pipeline's source." },
    from: { type: ["string", "integer"] },
    to: { type: ["string", "integer"] },
  },
});

export const backtestRoute: ServerRoute = apiRoute("POST /api/rules/backtest", {
  access: "analyst",
  summary:
    "What a rule would have done: hits, precision and recall with intervals, what only it catches, and a verdict.",
  takes: BODY,
  gives: { type: "object" },
  run: backtest,
});

async function backtest(server: Server, context: RequestContext): Promise<Response> {
  const body = await BODY.read(server, context);
  const { parts, rule } = await askedOf(server, context, body);
  const { source = "log" } = body;
  const [from, to] = [timeOf(body.from, "from"), timeOf(body.to, "to")];
  const request: BacktestRequest = {
    rule,
    source,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
  const found = await doAside(server, parts, { kind: "backtest", request });
  return jsonResponse(shown(found));
}

/** The rule that is asked about; a new condition stands beside those that are there. */
async function askedOf(
  server: Server,
  context: RequestContext,
  body: {
    readonly pipeline_id?: number | string;
    readonly rule_id?: number;
    readonly rule_expression?: string;
    readonly action?: RuleAction;
  },
): Promise<{ readonly parts: ServerParts; readonly rule: Rule }> {
  const { rule_id: number, rule_expression: when, pipeline_id: whose, action } = body;
  if ((number === undefined) === (when === undefined)) {
    throw invalidRequest(
      [{ field: "rule_expression", message: "or rule_id must be there, and not both" }],
      "the backtest",
    );
  }
  if (number !== undefined) {
    const { parts, id } = await ruleAt(server, context, String(number));
    const rule = await liveRule(parts.ports, { pipeline: parts.pipeline, id });
    return { parts, rule: action === undefined ? rule : { ...rule, action } };
  }
  if (whose === undefined) throw invalidRequest([{ field: "pipeline_id", message: "is missing" }], "the backtest");
  const { slug } = await recordAt(server, context, String(whose));
  const rest = { severity: "warning", description: "", stage: "draft", share: 1, owner: "" } as const;
  return {
    parts: engineOf(server, context, slug),
    rule: { id: DRAFT_ID, when: when!, action: action ?? "review", ...rest },
  };
}

/** As the API spells names. What is not a number is null in JSON. */
function shown({ where: _, rules, from, to, maturedTo, ...about }: Backtest) {
  const { rule, ...figures } = rules[0];
  return {
    rule_expression: rule.when,
    action: rule.action,
    from: instantOf(from),
    to: instantOf(to),
    matured_to: instantOf(maturedTo),
    ...(snakeCased({ ...about, fraudsInAll: about.frauds, ...figures }) as object),
  };
}

const instantOf = (ms: number): string | null => (Math.abs(ms) < 8.64e15 ? isoOf(ms) : null);
