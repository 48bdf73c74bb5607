// Measures: what Prometheus reads; registries of our own, one a pipeline and one for the process, so that two servers in one process do not mix.
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { DISPOSITIONS, type Disposition } from "../core/case.ts";
import type { Decision } from "../core/decision.ts";
import { type DecidedBy, RULE_SEVERITIES } from "../core/rule.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";
import { type Adapting, reviewNow } from "../online/adapting.ts";
import type { Chaos } from "../online/chaos.ts";
import type { Counters } from "../online/counters.ts";
import type { Live } from "../online/live.ts";
import { engineStatus } from "../online/readiness.ts";
import type { ReplyRules } from "../online/reply.ts";
import type { Rules } from "../online/rules.ts";
import type { Shadows } from "../online/shadow.ts";
import type { OnlineStates } from "../online/states.ts";
import type { ArchiveStatus } from "../ports/archive.ts";
import type { CaseAge } from "../ports/cases.ts";
import { type PredictionLog, SHADOW_MISSES } from "../ports/log.ts";
import type { Label } from "./metric-words.ts";
import { type Counted, type Observed, SeriesCounter, SeriesHistogram } from "./series.ts";

/** Seconds: from what an idle server needs for one answer to what a client gives up at. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
];
/** Seconds: one vector and its score take some microseconds. */
const SCORE_SECONDS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1,
];
const SCORES = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99, 1];
const ANOMALY_SCORES = [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 1];
/** Versions that get series of their own: a process that lives through more promotions must not grow for ever. */
const VERSIONS_MAX = 50;

/** Seconds of delay. */
const LOOP_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
/** Seconds: from a case that is closed on sight to one that waits for a month. */
const CASE_SECONDS = [60, 300, 900, 3600, 4 * 3600, 8 * 3600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400];
/** Ages of open cases, by the whole days from which on each counts. */
const AGES: readonly (readonly [age: string, from: number])[] = [
  ["day", 0],
  ["week", 1],
  ["month", 7],
  ["older", 30],
];
/** Days beyond which an open case is as old as any. */
export const CASE_DAYS_MAX = 31;
/** Series of requests whose look-up is kept; more are looked up each time. */
const CHILDREN_MAX = 2000;

/** One metric, for people. */
export interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram; empty for others. */
  readonly buckets: readonly number[];
}

/** What prom-client keeps in a metric, beyond its types. */
interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames?: readonly string[];
  readonly buckets?: readonly number[];
}

/** Clocks of machines that keep time differ by less. */
const AHEAD_MS_NOTED = 60_000;

/** What a pipeline's page looks at. */
interface Measured {
  readonly live: Live;
  readonly shadows: Shadows;
  readonly rules: Pick<Rules, "ageMs">;
  readonly log: Pick<PredictionLog, "health" | "refusal">;
  readonly states: Pick<OnlineStates, "sharing">;
  readonly adapting: Adapting | null;
  readonly chaos: Chaos | null;
  /** How the archive stands; null where nothing is archived. */
  readonly archive: (() => ArchiveStatus) | null;
}

export type Measures = ReturnType<typeof createMeasures>;
export type ProcessMeasures = ReturnType<typeof createProcessMeasures>;

/** What is measured of the process: its requests that belong to no pipeline, what it takes in, and Node itself. */
export function createProcessMeasures() {
  const maker = makerOf();
  const { counter, gauge, histogram, registry } = maker;
  collectDefaultMetrics({ register: registry, prefix: "sentinel_" });
  const quotas = counter("tenant_refused_total", "Requests that a limit of their tenant refused.", ["tenant", "quota"]);
  const trimmed = counter(
    "tenant_alerts_removed_total",
    "Alerts that went since their tenant had more than it may keep.",
    ["tenant"],
  );
  const loopLag = histogram("loop_lag_seconds", "Delay of the event loop, looked at two hundred times a second.", {
    buckets: LOOP_SECONDS,
  }).labels({});
  return {
    ...requestMeasures(maker, (version) => version),
    inFlight: gauge("in_flight", "Requests being read or answered."),
    bodiesComing: gauge("bodies_coming", "Requests whose body is still coming."),
    streamsOpen: gauge("streams_open", "NDJSON streams that are open."),
    /** What a tenant's limits refused. Tenants are few, and only those with limits have series. */
    quotaRefused: (tenant: string, quota: string): void => quotas.labels({ tenant, quota }).inc(),
    alertsTrimmed: (tenant: string, count: number): void => trimmed.labels({ tenant }).inc(count),
    /** Of one tenant. */
    outboxOf: outboxMeasures(maker),
    /** The delay of the event loop, in milliseconds. */
    lagged: (ms: number): void => loopLag.observe(ms / 1000),
    text: (): Promise<string> => registry.metrics(),
    described: (): readonly Described[] => describedOf(registry, []),
    contentType: registry.contentType,
  };
}

/** Messages on their way: what waits is the store's, what was tried this server's. Receivers of two tenants may have one name. */
function outboxMeasures({ counter, gauge }: ReturnType<typeof makerOf>) {
  const labels = ["tenant", "target"] as const;
  const waiting = gauge("outbox_waiting", "Messages in the store that wait for a receiver.", labels);
  const oldest = gauge(
    "outbox_oldest_seconds",
    "Age of the oldest message that waits for a receiver; 0: none waits.",
    labels,
  );
  const delivered = counter("outbox_delivered_total", "Messages that a receiver took.", labels);
  const failures = counter("outbox_failures_total", "Tries that a receiver did not take; they are repeated.", labels);
  const dead = counter("outbox_dead_total", "Messages that became dead letters.", labels);
  return (tenant: Tenant) => {
    // Absent for the first tenant, as with every other metric.
    const of = (target: string) => (tenant === DEFAULT_TENANT ? { target } : { tenant, target });
    return {
      /** A series that begins with its first fault has no increase to alert on. */
      begin(target: string): void {
        for (const one of [delivered, failures, dead]) one.inc(of(target), 0);
        waiting.set(of(target), 0);
        oldest.set(of(target), 0);
      },
      waits(target: string, count: number, oldestMs: number): void {
        waiting.set(of(target), count);
        oldest.set(of(target), oldestMs / 1000);
      },
      settled(target: string, outcome: "sent" | "again" | "dead"): void {
        ({ sent: delivered, again: failures, dead })[outcome].inc(of(target));
      },
    };
  };
}

/** Every metric as Prometheus sees it before anything was measured: what docs/metrics.md is made from. */
export function describedMetrics(): readonly Described[] {
  const ofPipelines = createMeasures("").described();
  const names = new Set(ofPipelines.map(({ name }) => name));
  return [
    ...ofPipelines,
    ...createProcessMeasures()
      .described()
      .filter(({ name }) => !names.has(name)),
  ];
}

/** One page of several registries' pages: a metric's lines stand together, below one HELP and one TYPE, as Prometheus asks for. */
export function mergedText(pages: readonly string[]): string {
  const families = new Map<string, string[]>();
  for (const page of pages) {
    for (const family of page.split("\n\n")) {
      const lines = family.trim().split("\n");
      if (lines.length < FAMILY_HEAD_LINES) continue;
      const head = lines.slice(0, FAMILY_HEAD_LINES).join("\n");
      const known = families.get(head);
      if (known === undefined) families.set(head, lines);
      else for (const line of lines.slice(FAMILY_HEAD_LINES)) known.push(line);
    }
  }
  return [...families.values()].map((lines) => `${lines.join("\n")}\n`).join("\n");
}

/** HELP and TYPE. */
const FAMILY_HEAD_LINES = 2;

/** Makes metrics in a registry of its own. */
function makerOf() {
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends Label>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
    new Counter({ name: `sentinel_${name}`, help, labelNames, registers });
  const gauge = <L extends Label>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name: `sentinel_${name}`, help, labelNames, registers });
  const histogram = <L extends Label>(
    name: string,
    help: string,
    { buckets, labelNames = [] }: { readonly buckets: readonly number[]; readonly labelNames?: readonly L[] },
  ): SeriesHistogram<L> => new SeriesHistogram({ name: `sentinel_${name}`, help, labelNames, buckets }, registry);
  /** For what is counted at each request. */
  const seriesCounter = <L extends Label>(name: string, help: string, labelNames: readonly L[]): SeriesCounter<L> =>
    new SeriesCounter({ name: `sentinel_${name}`, help, labelNames }, registry);
  return { registry, counter, gauge, histogram, seriesCounter };
}

/** The series of requests that are alike. */
interface RequestSeries {
  readonly route: string;
  readonly status: number;
  readonly version: string;
  readonly count: Counted;
  readonly seconds: Observed;
}

/** Requests by route and outcome; `named` bounds the versions. */
function requestMeasures(
  { counter, histogram, seriesCounter }: ReturnType<typeof makerOf>,
  named: (version: string) => string,
) {
  const requests = seriesCounter("requests_total", "Requests answered, by route and status.", ["route", "status"]);
  const requestSeconds = histogram(
    "request_seconds",
    "Time from the request's head to its answer; the version is the champion's at that moment, where the route asks it.",
    { buckets: SECONDS, labelNames: ["route", "outcome", "version"] },
  );
  const requestChildren = new Map<string, RequestSeries>();
  /** The last request's: most are alike. */
  let lastRequest: RequestSeries | null = null;
  const childOf = (route: string, status: number, version: string): RequestSeries => {
    const key = `${status} ${version} ${route}`;
    const known = requestChildren.get(key);
    if (known !== undefined) return known;
    const label = version === "" ? "" : named(version);
    const child = {
      route,
      status,
      version,
      count: requests.labels({ route, status }),
      seconds: requestSeconds.labels({ route, outcome: outcomeOf(status), version: label }),
    };
    if (requestChildren.size < CHILDREN_MAX) requestChildren.set(key, child);
    return child;
  };
  return {
    overloaded: counter("overloaded_total", "Requests refused because of overload."),
    /** `version`: of the champion, where the route asks it. */
    requested(request: {
      readonly route: string;
      readonly status: number;
      readonly ms: number;
      readonly version?: string;
    }): void {
      const { route, status, ms, version = "" } = request;
      let child = lastRequest;
      if (child === null || child.route !== route || child.status !== status || child.version !== version) {
        child = childOf(route, status, version);
        lastRequest = child;
      }
      child.count.inc();
      child.seconds.observe(ms / 1000);
    },
  };
}

/** Everything that is measured of one pipeline, each with its name as a label, and with its tenant's where that is not the first one. */
export function createMeasures(pipeline: string, tenant: Tenant = DEFAULT_TENANT) {
  const maker = makerOf();
  const { counter, gauge, histogram, registry, seriesCounter } = maker;
  registry.setDefaultLabels(tenant === DEFAULT_TENANT ? { pipeline } : { tenant, pipeline });
  const scoreSeconds = histogram("score_seconds", "Time to read the vector and score it.", {
    buckets: SCORE_SECONDS,
    labelNames: ["version"],
  });
  const scores = histogram("score", "Scores answered.", { buckets: SCORES, labelNames: ["version"] });
  const anomalyScores = histogram("anomaly_score", "Anomaly scores answered.", {
    buckets: ANOMALY_SCORES,
    labelNames: ["version"],
  });
  const predictions = seriesCounter("predictions_total", "Answers given, by decision, version and who decided.", [
    "decision",
    "version",
    "by",
  ]);
  const ruleHits = counter(
    "rule_hits_total",
    "Transactions on which a rule fired, by rule; in shadow it decides nothing.",
    ["rule", "stage"],
  );
  const rulesUnready = counter(
    "rules_unready_total",
    "Rules that could not be asked: windows not warm, no score, or a fault.",
  );
  const ruleSwaps = counter("rule_swaps_total", "Rule sets that began to serve.");
  const ruleFailures = counter("rule_failures_total", "Rules that could not be read, compiled or asked, by code.", [
    "code",
  ]);
  const alerts = counter("alerts_total", "Alerts that the store took.");
  const alertsLate = counter("alerts_late_total", "Alerts that found no room to wait; they are made from the log.");
  const alertFailures = counter("alert_failures_total", "Batches of alerts that the store did not take, by code.", [
    "code",
  ]);
  const degraded = counter(
    "degraded_total",
    "Answers by the policy: scoring failed, or the shared feature state was away.",
  );
  const shadowOutcomes = counter("shadow_outcomes_total", "Shadows since the start, by version and outcome.", [
    "version",
    "outcome",
  ]);
  const shadowCoverage = gauge(
    "shadow_coverage_ratio",
    "Share of the traffic that a candidate scored since the start.",
    ["version"],
  );
  const shadowQueue = gauge("shadow_queue", "Transactions waiting for a candidate.", ["version"]);
  const aliasAge = gauge("alias_age_seconds", "Time since the aliases were last looked up with success.");
  const rulesAge = gauge("rules_age_seconds", "Time since the rules were last read from the store with success.");
  const model = gauge("model_info", "What serves: 1 a loaded bundle.", ["role", "version", "bundle"]);
  const ready = gauge(
    "ready",
    "Whether the pipeline can answer, as /readyz says; 1 also while somebody has it paused or stopped.",
  );
  const up = gauge("pipeline_up", "Whether the pipeline is open: its file, schema, log and feature state.");
  const warm = gauge("state_warm", "Whether the feature state of a bundle is warm.", ["role", "version"]);
  const broken = gauge("versions_broken", "Versions that an alias names and that could not be loaded.");
  const breakers = gauge("breaker_open", "Whether a circuit breaker is not closed.", ["breaker"]);
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
  const archiveBehind = gauge("archive_behind_records", "Entries of the log that are not archived yet.");
  const archiveLag = gauge("archive_lag_seconds", "Time since everything in the log was archived; 0 while it is.");
  const archiveRows = counter("archive_rows_total", "Transactions that were archived.");
  const archiveFiles = counter("archive_files_total", "Files that were written to the archive.");
  const archiveFailures = counter("archive_failures_total", "Tries to archive that failed and are repeated.");
  const archiveFault = gauge("archive_fault", "1 while the last try to archive failed, else 0.");
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
  const reviewThreshold = gauge("review_threshold_score", "Score from which on a transaction is reviewed.", [
    "version",
  ]);
  const thresholdMoves = counter("threshold_moves_total", "Moves of the review threshold (decisions.adapt).");
  const segmentsUnseen = counter(
    "segments_unseen_total",
    "Transactions of no segment that the policy knows, judged by the thresholds of all (decisions.segments).",
  );
  const swaps = counter("swaps_total", "Changes of the champion.");
  const swapFailures = counter("swap_failures_total", "Versions that could not be loaded, by code.", ["code"]);
  const persistFailures = counter("persist_failures_total", "Saves of the feature state that failed.");
  const casesOpen = gauge("cases_open", "Cases in the store that are not closed.", ["severity", "age"]);
  const casesOverdue = gauge("cases_overdue", "Open cases that are past their due time.", ["severity"]);
  const casesClosed = counter("cases_closed_total", "Cases closed through this server.", ["disposition"]);
  const caseSeconds = histogram("case_seconds", "Time from the opening of a case to its closing through this server.", {
    buckets: CASE_SECONDS,
  }).labels({});
  const chaos = gauge("chaos", "Whether answers are late or fail on purpose (serve --chaos-slow, --chaos-fail).");
  const chaosFaults = counter("chaos_total", "Answers that were late or failed on purpose, by what was done.", [
    "fault",
  ]);
  // A series that begins with its first fault has no increase to alert on: those with known labels begin at zero.
  for (const kind of ["prediction", "label"]) logDropped.inc({ kind }, 0);
  for (const code of ["log.unwritable", "server.overloaded"]) logRefused.inc({ code }, 0);
  for (const code of ["state.unreachable", "state.behind", "state.contended"]) stateFailures.inc({ code }, 0);
  for (const code of ["bundle.corrupt", "registry.unreachable"]) swapFailures.inc({ code }, 0);
  labels.inc({ outcome: "accepted" }, 0);
  for (const disposition of DISPOSITIONS) casesClosed.inc({ disposition }, 0);
  const versions = new Set<string>();
  const named = (version: string): string => {
    if (versions.has(version)) return version;
    if (versions.size === VERSIONS_MAX) return "other";
    versions.add(version);
    return version;
  };
  /** Series are looked up once per version. Versions rarely change: the last one's are kept. */
  let last: { readonly version: string; readonly series: ReturnType<typeof seriesOf> } | null = null;
  const seriesOf = (version: string) => {
    const label = { version: named(version) };
    const counts = new Map<string, Counted>();
    let last: { readonly decision: Decision; readonly by: string; readonly count: Counted } | null = null;
    return {
      seconds: scoreSeconds.labels(label),
      score: scores.labels(label),
      anomaly: anomalyScores.labels(label),
      count(decision: Decision, by: DecidedBy): Counted {
        if (last !== null && last.decision === decision && last.by === by) return last.count;
        const key = `${by} ${decision}`;
        let own = counts.get(key);
        if (own === undefined) {
          own = predictions.labels({ decision, by, ...label });
          counts.set(key, own);
        }
        last = { decision, by, count: own };
        return own;
      },
    };
  };
  const countRules = ({ fired, shadow, unready = 0 }: ReplyRules): void => {
    for (const rule of fired) ruleHits.inc({ rule, stage: "live" });
    for (const rule of shadow) ruleHits.inc({ rule, stage: "shadow" });
    if (unready > 0) rulesUnready.inc(unready);
  };
  /** What the engine reports of its work. */
  const counters: Counters = {
    answered(reply, latencyMs) {
      const version = reply.model?.version ?? "";
      if (last?.version !== version) last = { version, series: seriesOf(version) };
      const { series } = last;
      const { score, anomaly_score: anomaly } = reply;
      series.count(reply.decision, reply.decided_by ?? (score === null ? "policy" : "model")).inc();
      if (reply.rules !== undefined) countRules(reply.rules);
      series.seconds.observe(latencyMs / 1000);
      if (reply.degraded) degraded.inc();
      if (score !== null) series.score.observe(score);
      if (anomaly !== null) series.anomaly.observe(anomaly);
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
    thresholdMoved: () => thresholdMoves.inc(),
    segmentUnseen: () => segmentsUnseen.inc(),
    swapped: () => swaps.inc(),
    versionBroken: (code) => swapFailures.inc({ code }),
    rulesSwapped: () => ruleSwaps.inc(),
    rulesFailed: (code) => ruleFailures.inc({ code }),
    alerted: (count, code) => {
      if (code === null) alerts.inc(count);
      else alertFailures.inc({ code });
    },
    alertLate: () => alertsLate.inc(),
    persistFailed: () => persistFailures.inc(),
    chaos: (fault) => chaosFaults.inc({ fault }),
  };
  const showArchive = (now: number, { behind, completeAt, fault, rows, files, failures }: ArchiveStatus): void => {
    const isComplete = behind === 0 && fault === null;
    archiveBehind.set(behind);
    archiveLag.set(isComplete || completeAt === null ? 0 : Math.max(0, now - completeAt) / 1000);
    archiveFault.set(fault === null ? 0 : 1);
    // The archive's thread counts; here its counts are shown.
    for (const [shown, value] of [
      [archiveRows, rows],
      [archiveFiles, files],
      [archiveFailures, failures],
    ] as const) {
      shown.reset();
      shown.inc(value);
    }
  };
  /** What is looked up when somebody asks. */
  const show = (now: number, from: Measured): void => {
    if (from.archive !== null) showArchive(now, from.archive());
    const { unwritten, oldestMs, failures, pruned, fault } = from.log.health();
    logUnwritten.set(unwritten);
    logOldest.set(oldestMs / 1000);
    logFault.set(fault === null ? 0 : 1);
    // The log counts; here its counts are shown.
    logFailures.reset();
    logFailures.inc(failures);
    logPruned.reset();
    logPruned.inc(pruned);
    chaos.set(from.chaos === null ? 0 : 1);
    const { champion, shadows } = from.live.current;
    const candidates = from.shadows.status();
    ready.set(engineStatus(from).status === "not ready" ? 0 : 1);
    broken.set(from.live.faults().length);
    if (champion !== null) {
      const { version, bundle } = champion.scorer;
      model.set({ role: "champion", version, bundle }, 1);
      reviewThreshold.set({ version }, reviewNow(from.adapting, { scorer: champion.scorer, now }));
      warm.set({ role: "champion", version }, champion.held.warm ? 1 : 0);
      breakers.set({ breaker: "champion" }, champion.guard.status().breaker === "closed" ? 0 : 1);
    }
    for (const shadow of shadows) {
      const { version, bundle } = shadow.scorer;
      model.set({ role: "shadow", version, bundle }, 1);
      warm.set({ role: "shadow", version }, shadow.held?.warm === true ? 1 : 0);
    }
    const ageMs = from.live.ageMs(now);
    aliasAge.set(ageMs === null ? Number.NaN : ageMs / 1000);
    const rulesMs = from.rules.ageMs(now);
    rulesAge.set(rulesMs === null ? Number.NaN : rulesMs / 1000);
    for (const { version, queued, breaker } of candidates) {
      shadowQueue.set({ version }, queued);
      breakers.set({ breaker: version }, breaker === "closed" ? 0 : 1);
    }
    // The ledger counts; here its counts are shown.
    shadowOutcomes.reset();
    for (const { version, scored, missed } of from.shadows.coverage()) {
      shadowOutcomes.inc({ version, outcome: "scored" }, scored);
      let all = scored;
      for (const miss of SHADOW_MISSES) {
        shadowOutcomes.inc({ version, outcome: miss }, missed[miss]);
        all += missed[miss];
      }
      if (all > 0) shadowCoverage.set({ version }, scored / all);
    }
  };
  return {
    counters,
    /** Open cases as the store has them now; what was there before and is not any more is none. */
    casesOpen(open: readonly CaseAge[]): void {
      casesOpen.reset();
      casesOverdue.reset();
      for (const severity of RULE_SEVERITIES) {
        casesOverdue.set({ severity }, 0);
        for (const [age] of AGES) casesOpen.set({ severity, age }, 0);
      }
      for (const { severity, days, count, overdue } of open) {
        casesOpen.inc({ severity, age: AGES.findLast(([, from]) => days >= from)![0] }, count);
        casesOverdue.inc({ severity }, overdue);
      }
    },
    caseClosed(disposition: Disposition, ms: number): void {
      casesClosed.inc({ disposition });
      caseSeconds.observe(Math.max(0, ms) / 1000);
    },
    /** Answers since the start, by decision. */
    decided: (): ReadonlyMap<string, number> => predictions.totals("decision"),
    ...requestMeasures(maker, named),
    /** What is measured, as a page; of a pipeline that is not up (null) what was measured while it was, and that it is not. */
    async text(now: number, from: Measured | null): Promise<string> {
      for (const one of [model, warm, breakers, shadowQueue, shadowCoverage, reviewThreshold]) one.reset();
      up.set(from === null ? 0 : 1);
      if (from === null) ready.set(0);
      else show(now, from);
      return registry.metrics();
    },
    described: (): readonly Described[] => describedOf(registry, ["pipeline"]),
  };
}

/** A registry's metrics; `more` labels stand on all of them. */
export function describedOf(registry: Registry, more: readonly string[]): readonly Described[] {
  return registry.getMetricsAsArray().map((metric) => {
    const { name, help, type, labelNames = [], buckets = [] } = metric as unknown as Registered;
    return { name, help, type, labels: [...more, ...labelNames.filter((label) => label !== "le")], buckets };
  });
}

function outcomeOf(status: number): "ok" | "refused" | "unavailable" | "failed" {
  if (status < 400) return "ok";
  if (status < 500) return "refused";
  return status === 503 || status === 504 ? "unavailable" : "failed";
}
