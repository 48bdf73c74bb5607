// Measures of streams: what Prometheus reads of them, one registry for the process.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { DECISIONS, type Decision } from "../core/decision.ts";
import type { Counters } from "../online/counters.ts";
import type { StreamCounters } from "./counters.ts";
import type { RunnerStatus } from "./runner.ts";

/** Seconds that a transaction takes, from the last record judged to the commit. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** One metric, for people. */
export interface DescribedStream {
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

export function createStreamMeasures() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "sentinel_" });
  const counter = <L extends string>(name: string, help: string, ...labels: L[]) =>
    new Counter({ name: `sentinel_stream_${name}`, help, labelNames: ["pipeline", ...labels] as const, registers });
  const gauge = <L extends string>(name: string, help: string, ...labels: L[]) =>
    new Gauge({ name: `sentinel_stream_${name}`, help, labelNames: ["pipeline", ...labels] as const, registers });
  const decisions = counter("decisions_total", "Decisions written, by decision.", "decision");
  const duplicates = counter(
    "duplicates_total",
    "Transactions that stood in the stream before; nothing is written of them.",
  );
  const letters = counter("dead_letters_total", "Records that could not be judged, by the code of the error.", "code");
  const restored = counter("restored_total", "Records judged again to restore the state; nothing is written of them.");
  const records = counter("records_total", "Records whose transaction is committed.");
  const retries = counter("retries_total", "Steps that failed and were tried again, by the code of the error.", "code");
  const lost = counter("lost_total", "Records that the topic forgot before they were read.");
  const expired = counter(
    "expired_total",
    "Records written that are older, by their own time, than their topic keeps them: the broker deletes them within minutes.",
  );
  const late = counter("late_total", "Transactions judged and not learned: older than the lateness allows.");
  const ready = gauge("ready", "1 while the pipeline's stream judges what comes.");
  const lag = gauge("lag_records", "Records between what is judged and the end of the partition.", "partition");
  const restoreSeconds = gauge("restore_seconds", "How long the last restoring of the state took.");
  const commitSeconds = new Histogram({
    name: "sentinel_stream_commit_seconds",
    help: "From the last record of a batch to its commit.",
    labelNames: ["pipeline"] as const,
    buckets: SECONDS,
    registers,
  });
  return {
    contentType: registry.contentType,
    /** Its own metrics, without those of the process. */
    described: (): readonly DescribedStream[] =>
      (registry.getMetricsAsArray() as unknown as readonly Registered[])
        .filter(({ name }) => name.startsWith("sentinel_stream_"))
        .map(({ name, help, type, labelNames = [], buckets = [] }) => ({
          name,
          help,
          type,
          labels: labelNames,
          buckets,
        })),
    /** Counters of one pipeline's stream. */
    of(pipeline: string): Omit<StreamCounters, "buried"> {
      const of = { pipeline };
      // Per record: the labels are looked up once.
      const by = Object.fromEntries(
        DECISIONS.map((decision) => [decision, decisions.labels({ ...of, decision })]),
      ) as Record<Decision, Counter.Internal>;
      return {
        decided: (decision) => by[decision].inc(),
        duplicate: () => duplicates.inc(of),
        deadLetter: (code) => letters.inc({ ...of, code }),
        restored: () => restored.inc(of),
        committed(count, seconds) {
          records.inc(of, count);
          commitSeconds.observe(of, seconds);
        },
        retried: (code) => retries.inc({ ...of, code }),
        lost: (count) => lost.inc(of, count),
        expired: (count) => expired.inc(of, count),
        restoredIn: (seconds) => restoreSeconds.set(of, seconds),
      };
    },
    /** What the engine counts beside them. */
    engineOf(pipeline: string): Pick<Counters, "tooLate"> {
      return { tooLate: () => late.inc({ pipeline }) };
    },
    async text(pipelines: readonly { readonly name: string; readonly status: RunnerStatus | null }[]): Promise<string> {
      ready.reset();
      lag.reset();
      for (const { name, status } of pipelines) {
        ready.set({ pipeline: name }, status?.ready ? 1 : 0);
        for (const [partition, behind] of status?.lag ?? [])
          lag.set({ pipeline: name, partition: String(partition) }, behind);
      }
      return registry.metrics();
    },
  };
}
