// Measures: what Prometheus reads; a registry of our own, so that two servers in one process do not mix.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Decision } from "../core/decision.ts";
import type { Counters } from "../online/counters.ts";
import type { Live } from "../online/live.ts";
import type { Shadows } from "../online/shadow.ts";
import { type PredictionLog, SHADOW_MISSES } from "../ports/log.ts";

/** Seconds; a quarter of a millisecond to a second, because answers take a few milliseconds. */
const SECONDS = [0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const SCORES = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99, 1];

/** Clocks of machines that keep time differ by less. */
const AHEAD_MS_NOTED = 60_000;

export type Measures = ReturnType<typeof createMeasures>;

/** Everything that is measured; text() is what /metrics answers. */
export function createMeasures() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "sentinel_" });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
    new Counter({ name: `sentinel_${name}`, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name: `sentinel_${name}`, help, labelNames, registers });
  const requests = counter("requests_total", "Requests answered, by route and status.", ["route", "status"]);
  const requestSeconds = new Histogram({
    name: "sentinel_request_seconds",
    help: "Time from the request's head to its answer.",
    labelNames: ["route"],
    buckets: SECONDS,
    registers,
  });
  const scoreSeconds = new Histogram({
    name: "sentinel_score_seconds",
    help: "Time to read the vector and score it.",
    buckets: SECONDS.map((bound) => bound / 10),
    registers,
  });
  const scores = new Histogram({ name: "sentinel_score", help: "Scores answered.", buckets: SCORES, registers });
  const predictions = counter("predictions_total", "Answers given, by decision and version.", ["decision", "version"]);
  const degraded = counter("degraded_total", "Answers by the policy because scoring failed.");
  const shadowOutcomes = counter("shadow_outcomes_total", "Shadows since the start, by version and outcome.", [
    "version",
    "outcome",
  ]);
  const shadowQueue = gauge("shadow_queue", "Transactions waiting for a candidate.", ["version"]);
  const aliasAge = gauge("alias_age_seconds", "Time since the aliases were last looked up with success.");
  const model = gauge("model_info", "What serves: 1 a loaded bundle.", ["role", "version", "bundle"]);
  const repeated = counter("repeated_total", "Transactions answered before and answered the same again.");
  const logDropped = counter("log_dropped_total", "Records the log's buffer had no room for.", ["kind"]);
  const logRefused = counter(
    "log_refused_total",
    "Requests refused because the log cannot take their records, by code.",
    ["code"],
  );
  const logUnwritten = gauge("log_unwritten_records", "Records that wait to be written to the log.");
  const logOldest = gauge("log_oldest_unwritten_seconds", "Age of the oldest record that is not written to the log.");
  const logFailures = counter("log_write_failures_total", "Writes of the log that failed.");
  const logPruned = counter("log_pruned_total", "Predictions that the log forgot (log.retention).");
  const logFault = gauge("log_fault", "1 while the last write of the log failed, else 0.");
  const tooLate = counter("too_late_total", "Transactions judged and not learned: later than the lateness allows.");
  const ahead = counter("ahead_total", "Transactions dated ahead of the server's clock by more than a minute.");
  const learnFailures = counter("learn_failures_total", "Transactions the feature state could not learn.");
  const stateFailures = counter("state_failures_total", "Answers by the policy because the shared state did not.", [
    "code",
  ]);
  const labels = counter("labels_total", "Labels received, by outcome.", ["outcome"]);
  const fieldsLacking = counter(
    "fields_lacking_total",
    "Fields the champion's features read that did not come, by how.",
    ["field", "how"],
  );
  const swaps = counter("swaps_total", "Changes of the champion.");
  const swapFailures = counter("swap_failures_total", "Versions that could not be loaded, by code.", ["code"]);
  const persistFailures = counter("persist_failures_total", "Saves of the feature state that failed.");
  const requestChildren = new Map<
    string,
    { readonly count: Counter.Internal; readonly seconds: Histogram.Internal<string> }
  >();
  /** By version, then decision; versions rarely change, so the last one's are kept. */
  let lastVersion = "";
  let lastChildren = new Map<Decision, Counter.Internal>();
  const predictionsOf = (decision: Decision, version: string): Counter.Internal => {
    if (version !== lastVersion) {
      lastVersion = version;
      lastChildren = new Map();
    }
    let child = lastChildren.get(decision);
    if (child === undefined) {
      child = predictions.labels({ decision, version });
      lastChildren.set(decision, child);
    }
    return child;
  };
  /** What the engine reports of its work. */
  const counters: Counters = {
    answered(reply, latencyMs) {
      predictionsOf(reply.decision, reply.model.version).inc();
      scoreSeconds.observe(latencyMs / 1000);
      if (reply.score === null) degraded.inc();
      else scores.observe(reply.score);
    },
    repeated: () => repeated.inc(),
    recordDropped: (kind) => logDropped.inc({ kind }),
    logRefused: (code) => logRefused.inc({ code }),
    tooLate: () => tooLate.inc(),
    ahead(ms) {
      if (ms > AHEAD_MS_NOTED) ahead.inc();
    },
    learnFailed: () => learnFailures.inc(),
    stateFailed: (code) => stateFailures.inc({ code }),
    fieldLacking: (field, how) => fieldsLacking.inc({ field, how }),
    labelled: (outcome) => labels.inc({ outcome }),
    swapped: () => swaps.inc(),
    versionBroken: (code) => swapFailures.inc({ code }),
    persistFailed: () => persistFailures.inc(),
  };
  return {
    counters,
    overloaded: counter("overloaded_total", "Requests refused because of overload."),
    inFlight: gauge("in_flight", "Requests being read or answered."),
    bodiesComing: gauge("bodies_coming", "Requests whose body is still coming."),
    streamsOpen: gauge("streams_open", "NDJSON streams that are open."),
    requested({ route, status, ms }: { readonly route: string; readonly status: number; readonly ms: number }): void {
      // Labels are looked up once per route and status: prom-client hashes them at each call.
      const key = `${status} ${route}`;
      let child = requestChildren.get(key);
      if (child === undefined) {
        child = { count: requests.labels({ route, status }), seconds: requestSeconds.labels({ route }) };
        requestChildren.set(key, child);
      }
      child.count.inc();
      child.seconds.observe(ms / 1000);
    },
    async text(
      now: number,
      from: { readonly live: Live; readonly shadows: Shadows; readonly log: Pick<PredictionLog, "health"> },
    ): Promise<string> {
      const { unwritten, oldestMs, failures, pruned, fault } = from.log.health();
      logUnwritten.set(unwritten);
      logOldest.set(oldestMs / 1000);
      logFault.set(fault === null ? 0 : 1);
      // The log counts; here its counts are shown.
      logFailures.reset();
      logFailures.inc(failures);
      logPruned.reset();
      logPruned.inc(pruned);
      const { champion, shadows } = from.live.current;
      model.reset();
      if (champion !== null) {
        const { version, bundle } = champion.scorer;
        model.set({ role: "champion", version, bundle }, 1);
      }
      for (const { scorer } of shadows)
        model.set({ role: "shadow", version: scorer.version, bundle: scorer.bundle }, 1);
      aliasAge.set(from.live.ageMs(now) === null ? Number.NaN : from.live.ageMs(now)! / 1000);
      shadowQueue.reset();
      for (const { version, queued } of from.shadows.status()) shadowQueue.set({ version }, queued);
      // The ledger counts; here its counts are shown.
      shadowOutcomes.reset();
      for (const { version, scored, missed } of from.shadows.coverage()) {
        shadowOutcomes.inc({ version, outcome: "scored" }, scored);
        for (const miss of SHADOW_MISSES) shadowOutcomes.inc({ version, outcome: miss }, missed[miss]);
      }
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}
