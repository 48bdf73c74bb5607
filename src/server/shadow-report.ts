// GET /shadow/report: champion and candidates on the same transactions, what drives their disagreements, how much was really covered.
import { SentinelError } from "../core/errors.ts";
import { reportSettings, reportShadows, type ShadowReportRequest } from "../lifecycle/shadow-report.ts";
import { jsonResponse, type Route, type ServerParts } from "./parts.ts";

export const shadowReportRoute: Route = {
  method: "GET",
  access: "any",
  path: "/shadow/report",
  summary:
    "Paired report of every candidate on all its pairs, with intervals over cards, matured labels, the coverage ledger, and the pairs furthest apart with the features that drive them.",
  answers: { "application/json": { type: "object" } },
  run: async (parts) => jsonResponse(await shadowReportOf(parts)),
};

/** The report of a pipeline, or the one of a moment ago. Errors: server.too-slow, log.unreadable. */
export function shadowReportOf(parts: ServerParts): Promise<object> {
  return inTime(reportOnce(parts));
}

/** A report is given again for so long, or longer, so that making them takes at most a tenth of a core. */
const KEPT_MS = 10_000;
const KEPT_TIMES_ITS_MAKING = 9;
/** Who asks waits no longer; the report is made all the same. */
const WAIT_MS_MAX = 30_000;

interface Kept {
  /** On the steady clock; infinite while it is being made. */
  until: number;
  readonly report: Promise<object>;
}

const kept = new WeakMap<ServerParts["live"], Kept>();
/** One at a time, whatever the pipeline. */
let turn: Promise<unknown> = Promise.resolve();

/** One report of a pipeline at a time, and the same one for a while. */
function reportOnce(parts: ServerParts): Promise<object> {
  const { clock } = parts.ports;
  const last = kept.get(parts.live);
  if (last !== undefined && clock.elapsed() < last.until) return last.report;
  let begun = 0;
  const report = turn.then(() => {
    begun = clock.elapsed();
    return makeReport(parts);
  });
  turn = report.catch(() => {});
  const one: Kept = { until: Number.POSITIVE_INFINITY, report };
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

async function makeReport(parts: ServerParts): Promise<object> {
  const { log, pipeline, live, shadows, states, ports } = parts;
  shadows.flush();
  await log.flush();
  const at = ports.clock.now();
  const request: ShadowReportRequest = {
    champion: live.current.champion?.scorer.version ?? null,
    candidates: live.current.shadows.map(({ scorer }) => {
      const { version, bundle } = scorer;
      return { version, bundle, vectors: shadows.vectors(scorer) };
    }),
    // Maturity runs on the clock of event time: replayed traffic ages as it did when it was live.
    now: Number.isFinite(states.newestTime) ? states.newestTime : at,
    at,
    settings: reportSettings(pipeline),
  };
  return parts.reporter === null ? reportShadows(ports, request) : parts.reporter(pipeline.name, request);
}

async function inTime(report: Promise<object>): Promise<object> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooLate()), WAIT_MS_MAX);
  });
  return Promise.race([report, late]).finally(() => clearTimeout(timer));
}

function tooLate(): SentinelError {
  return new SentinelError("server.too-slow", `the report is not there after ${WAIT_MS_MAX / 1000} s`, {
    hint: "ask again: it is being made, and kept for whoever asks next",
  });
}
