// Routes of models: champion and candidates, their versions and journal, the shadow report, the gate, promotion and rollback, and drift.

import { isCandidate } from "../../core/alias.ts";
import { SentinelError } from "../../core/errors.ts";
import { type JournalCheck, verifyJournal } from "../../core/journal.ts";
import { hasModel } from "../../pipeline/source.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import { shadowReportOf } from "../shadow-report.ts";
import { doAside } from "./aside.ts";
import {
  actorOf,
  apiRoute,
  bodyKind,
  checkQuery,
  engineOf,
  integerIn,
  isoOf,
  recordAt,
  snakeCased,
} from "./exchange.ts";
import { done } from "./shapes.ts";

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const integer = { type: "integer" };
const flag = { type: "boolean" };
const numbers = { type: "object", additionalProperties: { type: "number" } };
const texts = { type: "array", items: text };
const list = (items: object) => ({ type: "array", items });
const REASON = { type: "string", minLength: 1, maxLength: 1000 };

const VERSION = done({
  version: text,
  bundle: text,
  created_at: text,
  description: text,
  aliases: texts,
  /** What evaluation said of it when it was trained. */
  metrics: numbers,
});
const MODELS = done({
  pipeline: text,
  model: textOrNull,
  champion: textOrNull,
  candidates: list(done({ alias: text, version: text })),
  previous: textOrNull,
  versions: list(VERSION),
  registry_fault: textOrNull,
});
const JOURNAL = done({
  intact: flag,
  entries: list(
    done({
      index: integer,
      at: text,
      actor: text,
      verb: text,
      verdict: text,
      reason: text,
      alias: text,
      from: textOrNull,
      to: textOrNull,
      evidence: textOrNull,
      hash: text,
    }),
  ),
});
const VERDICT = done({
  gate: text,
  verdict: { enum: ["PROMOTE", "HOLD", "REJECT", "pass", "fail"] },
  reasons: texts,
  checks: list({
    type: "object",
    required: ["name", "passed", "observed", "required"],
    properties: { name: text, passed: flag, observed: text, required: text, reason: text },
  }),
});
const GATE = done({ from: textOrNull, to: text, moved: flag, overridable: flag, verdict: VERDICT });

const PROMOTE = bodyKind<{ readonly to?: string; readonly forced?: boolean; readonly reason?: string }>(
  "the promotion",
  {
    properties: {
      to: {
        type: "string",
        maxLength: 100,
        description: "A version or an alias of a candidate; `candidate` when absent.",
      },
      forced: { type: "boolean", description: "Promote although the gate says HOLD or REJECT; needs a reason." },
      reason: REASON,
    },
  },
);
const ROLLBACK = bodyKind<{ readonly to?: string; readonly reason: string }>("the rollback", {
  required: ["reason"],
  properties: {
    to: { type: "string", maxLength: 100, description: "A former champion; the one before when absent." },
    reason: REASON,
  },
});

/** Versions that are listed with their figures; the registry has all. */
const VERSIONS_MAX = 50;
const ENTRIES_MAX = 500;

export const modelRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/pipelines/{id}/models", {
    access: "viewer",
    summary:
      "Champion, candidates and the newest versions of a pipeline's model, with the figures that each was registered with.",
    gives: MODELS,
    run: models,
  }),
  apiRoute("GET /api/pipelines/{id}/models/journal", {
    access: "viewer",
    summary: "Who made what live, when, on which evidence; newest first.",
    query: {
      limit: { description: "So many at most.", schema: { type: "integer", minimum: 1, maximum: ENTRIES_MAX } },
    },
    gives: JOURNAL,
    run: journal,
  }),
  apiRoute("GET /api/pipelines/{id}/models/shadow", {
    access: "viewer",
    summary: "As GET /shadow/report, of this pipeline.",
    gives: { type: "object" },
    async run(server, context) {
      return jsonResponse(await shadowReportOf(await partsOf(server, context)));
    },
  }),
  apiRoute("GET /api/pipelines/{id}/models/gate", {
    access: "viewer",
    summary: "What the promotion gate says of a version now, check by check; nothing moves.",
    query: { to: { description: "A version or an alias of a candidate.", schema: { type: "string" } } },
    gives: GATE,
    async run(server, context) {
      checkQuery(context, ["to"]);
      const parts = await partsOf(server, context);
      const to = context.req.query("to") ?? null;
      return jsonResponse(shownGate(await doAside<"gate">(server, parts, { kind: "gate", to })));
    },
  }),
  apiRoute("POST /api/pipelines/{id}/models/promote", {
    access: "owner",
    summary:
      "Promotes a candidate if the gate says PROMOTE, or if forced with a reason; the journal says who, why and on which evidence.",
    takes: PROMOTE,
    gives: GATE,
    run: promote,
  }),
  apiRoute("POST /api/pipelines/{id}/models/rollback", {
    access: "owner",
    summary: "Puts a former champion back, with a reason for the journal.",
    takes: ROLLBACK,
    gives: done({ from: text, to: text, entry: text }),
    async run(server, context) {
      const { to = null, reason } = await ROLLBACK.read(server, context);
      const parts = await partsOf(server, context);
      const actor = actorOf(context.get("caller"));
      const moved = await doAside<"rollback">(server, parts, { kind: "rollback", to, actor, reason });
      await parts.live.reload();
      return jsonResponse({ from: moved.from, to: moved.to, entry: moved.journal.hash });
    },
  }),
  apiRoute("GET /api/pipelines/{id}/drift", {
    access: "viewer",
    summary:
      "As `sentinel monitor`: how the newest transactions differ from those that the champion learned from, and what that does to it.",
    gives: { type: "object" },
    async run(server, context) {
      const parts = await partsOf(server, context);
      return jsonResponse(snakeCased(await driftOf(server, parts)));
    },
  }),
];

async function partsOf(server: Server, context: RequestContext): Promise<ServerParts> {
  const parts = engineOf(server, context, (await recordAt(server, context)).slug);
  if (hasModel(parts.pipeline)) return parts;
  throw new SentinelError("request.not-found", `pipeline ${parts.pipeline.name} has no model: its rules decide`, {
    hint: "GET /api/pipelines names the model of each",
  });
}

async function models(server: Server, context: RequestContext): Promise<Response> {
  const { ports, pipeline, live } = await partsOf(server, context);
  const { model } = pipeline;
  const registry = await ports.registry();
  const [aliases, all, runs] = await Promise.all([
    registry.aliases(model),
    registry.versions(model),
    registry.runs(pipeline.name).catch(() => []),
  ]);
  const metrics = new Map(runs.map(({ runId, metrics: own }) => [runId, own]));
  const newest = [...all].sort((one, other) => Number(other.version) - Number(one.version));
  const named = new Set(Object.values(aliases));
  const shown = newest.filter(({ version }, place) => place < VERSIONS_MAX || named.has(version));
  return jsonResponse({
    pipeline: pipeline.name,
    model,
    champion: aliases.champion ?? null,
    candidates: Object.entries(aliases)
      .filter(([alias]) => isCandidate(alias))
      .map(([alias, version]) => ({ alias, version })),
    previous: aliases.previous ?? null,
    versions: shown.map(({ version, bundle, createdAt, description, runId }) => ({
      version,
      bundle,
      created_at: isoOf(createdAt),
      description,
      aliases: Object.keys(aliases).filter((alias) => aliases[alias] === version),
      metrics: Object.fromEntries(
        Object.entries(metrics.get(runId) ?? {}).filter(([, value]) => Number.isFinite(value)),
      ),
    })),
    registry_fault: live.registryFault,
  });
}

async function journal(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["limit"]);
  const limit = integerIn(context, "limit", { low: 1, high: ENTRIES_MAX, fallback: 100 });
  const { ports, pipeline } = await partsOf(server, context);
  const entries = await (await ports.registry()).journal(pipeline.model);
  const chain: JournalCheck = verifyJournal(entries);
  return jsonResponse({
    intact: chain.ok,
    entries: entries
      .slice(-limit)
      .reverse()
      .map(({ index, at, actor, verb, verdict, reason, alias, from, to, evidence, hash }) => ({
        index,
        at: isoOf(at),
        actor,
        verb,
        verdict,
        reason,
        alias,
        from,
        to,
        evidence: evidence === "" ? null : evidence,
        hash,
      })),
  });
}

async function promote(server: Server, context: RequestContext): Promise<Response> {
  const { to = null, forced = false, reason } = await PROMOTE.read(server, context);
  if (forced && reason === undefined) {
    throw new SentinelError("request.invalid", "a forced promotion needs a reason", {
      hint: "say in `reason` why the gate is overridden: it stands in the journal for ever",
      cause: { faults: [{ field: "reason", message: "is missing" }] },
    });
  }
  const parts = await partsOf(server, context);
  const actor = actorOf(context.get("caller"));
  const result = await doAside<"promote">(server, parts, {
    kind: "promote",
    to,
    actor,
    forced: forced ? reason! : null,
  });
  if (result.moved) await parts.live.reload();
  return jsonResponse(shownGate(result));
}

function shownGate({
  from,
  to,
  moved,
  overridable,
  verdict,
}: {
  readonly from: string | null;
  readonly to: string;
  readonly moved: boolean;
  readonly overridable: boolean;
  readonly verdict: object;
}) {
  return { from, to, moved, overridable, verdict };
}

/** A drift report is given again for so long, or longer where making it took long. */
const KEPT_MS = 60_000;
const KEPT_TIMES_ITS_MAKING = 9;

interface Kept {
  readonly version: string | null;
  until: number;
  readonly report: Promise<object>;
}
const kept = new WeakMap<ServerParts["live"], Kept>();

/** One report per pipeline and champion at a time, and the same one for a while. */
function driftOf(server: Server, parts: ServerParts): Promise<object> {
  const { clock } = server;
  const version = parts.live.current.champion?.scorer.version ?? null;
  const last = kept.get(parts.live);
  const begun = clock.elapsed();
  if (last !== undefined && last.version === version && begun < last.until) return last.report;
  const report = doAside<"drift">(server, parts, { kind: "drift" });
  const one: Kept = { version, until: Number.POSITIVE_INFINITY, report };
  kept.set(parts.live, one);
  report.then(
    () => {
      const ended = clock.elapsed();
      one.until = ended + Math.max(KEPT_MS, KEPT_TIMES_ITS_MAKING * (ended - begun));
    },
    () => kept.delete(parts.live),
  );
  return report;
}
