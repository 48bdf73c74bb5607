// GET /shadow/report: champion and candidates on the same transactions, with how much was really covered.
import { coverageShare } from "../evidence/coverage.ts";
import { collectPairs, pairsAgainst } from "../evidence/pairs.ts";
import { shadowReport } from "../evidence/report.ts";
import { jsonResponse, type Route, type ServerParts } from "./parts.ts";

export const shadowReportRoute: Route = {
  method: "GET",
  access: "any",
  path: "/shadow/report",
  summary:
    "Paired report of every candidate, with intervals over cards, matured labels and the coverage ledger. `sentinel compare` reports on all rows.",
  answers: { "application/json": { type: "object" } },
  run: async (parts) => jsonResponse(await reportOnce(parts)),
};

/** The report is computed beside the traffic, so it is of the newest pairs only; the command line has no such limit. */
const ROWS_MAX = 20_000;
const RESAMPLES = 200;
/** A report is given again for so long. */
const KEPT_MS = 10_000;

interface Kept {
  readonly at: number;
  readonly report: Promise<object>;
}

const kept = new WeakMap<ServerParts, Kept>();

/** One report at a time, and the same one for a while. */
function reportOnce(parts: ServerParts): Promise<object> {
  const now = parts.ports.clock.now();
  const last = kept.get(parts);
  if (last !== undefined && now - last.at < KEPT_MS) return last.report;
  const report = makeReport(parts, now);
  kept.set(parts, { at: now, report });
  report.catch(() => kept.delete(parts));
  return report;
}

async function makeReport(parts: ServerParts, now: number): Promise<object> {
  const { log, pipeline, live, shadows } = parts;
  const { card, amount } = pipeline.columns;
  shadows.flush();
  const champion = live.current.champion?.scorer.version ?? null;
  const coverage = await log.coverage();
  const candidates = [];
  for (const { scorer } of live.current.shadows) {
    const { version, bundle } = scorer;
    const pairs = await collectPairs(pairsAgainst(log.pairs(version, { newest: ROWS_MAX, card, amount }), champion));
    const ledger = coverage.find((one) => one.version === version);
    candidates.push({
      version,
      bundle,
      coverage: ledger === undefined ? null : coverageShare(ledger),
      report: shadowReport(pairs, {
        // Maturity runs on the clock of event time: replayed traffic ages as it did when it was live.
        now: Number.isFinite(parts.states.newestTime) ? parts.states.newestTime : now,
        maturityMs: pipeline.labels.maturityMs,
        unlabelledIsGenuine: pipeline.labels.unreportedIsGenuine,
        seed: pipeline.modelParameters.seed,
        resamples: RESAMPLES,
        reviewShare: pipeline.decisions.reviewShare,
        reviewCost: pipeline.decisions.reviewCost,
      }),
    });
  }
  return { at: new Date(now).toISOString(), champion, rows_max: ROWS_MAX, candidates };
}
