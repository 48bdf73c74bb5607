// One candidate in shadow: a bounded queue, its isolation, a breaker in front, and joined records as the result.
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  isBrokenCircuitError,
} from "cockatiel";
import type { Decision } from "../../core/decision.ts";
import { messageOf } from "../../core/errors.ts";
import type { PredictionLog, ShadowMiss, ShadowRecord } from "../../ports/log.ts";
import { type BatchOutcome, type Isolation, type IsolationFault, type IsolationOptions, isolate } from "./isolation.ts";
import { DISAGREEMENTS_MAX, disagreementOf, Largest } from "./largest.ts";
import type { Ledger } from "./ledger.ts";
import { DECISIONS } from "./messages.ts";

/** One transaction the champion answered, with the vector as the candidate sees it. */
export interface ShadowJob {
  readonly transactionId: string;
  readonly time: number;
  readonly champion: { readonly version: string; readonly score: number; readonly decision: Decision };
  readonly championLatencyMs: number;
  readonly vector: Float32Array;
  /** SHA-256 of the vector, "" when it is the champion's own. */
  readonly vectorHash: string;
}

export interface CandidateOptions extends IsolationOptions {
  readonly bundle: string;
  readonly width: number;
  readonly queueMax: number;
  readonly log: PredictionLog;
  readonly ledger: Ledger;
  /** Called once per failure, without transaction data. */
  readonly onFault?: (version: string, message: string) => void;
}

/** What /circuit/status tells. */
export interface CandidateStatus {
  readonly version: string;
  readonly breaker: "closed" | "half-open" | "open" | "isolated";
  readonly queued: number;
  readonly restarts: number;
  readonly lastFault: string | null;
}

export interface ShadowCandidate {
  /** Why a job would surely be missed, so that it need not be made; else null. */
  refusal(): ShadowMiss | null;
  /** Takes a job, or counts why not. Never throws. */
  offer(job: ShadowJob): void;
  status(): CandidateStatus;
  /** Vectors of its own, by transaction, of those on which it was furthest from the champion: the log does not hold them. */
  vectors(): ReadonlyMap<string, Float32Array>;
  /** Resolves when the queue is empty, or after msMax. What is left is counted as missed. */
  drain(msMax: number): Promise<void>;
  /** Ends at once; what is queued is counted as missed. */
  stop(): Promise<void>;
}

/** Rows of a batch: a few milliseconds of scoring, far below the time limit. */
const BATCH_ROWS_MAX = 256;
/** A batch waits so long for more rows, because each message between threads costs the serving thread some ten microseconds. */
const BATCH_WAIT_MS = 10;
const FAILURES_BEFORE_BREAK = 3;
/** A broken candidate is tried again after so long, doubling up to the longest. */
const BREAK_MS = { initialDelay: 5_000, maxDelay: 300_000 };
/** Failures in a row after which a version is given up until the server restarts or the alias moves. */
const FAILURES_MAX = 12;

export function createCandidate(options: CandidateOptions): ShadowCandidate {
  const { log, ledger, bundle, width } = options;
  const { version } = options.start;
  const failed = handleAll.orWhenResult((outcome) => (outcome as BatchOutcome).fault !== null);
  const breaker = circuitBreaker(failed, {
    halfOpenAfter: new ExponentialBackoff(BREAK_MS),
    breaker: new ConsecutiveBreaker(FAILURES_BEFORE_BREAK),
  });
  const apart = new Largest<ShadowJob>(DISAGREEMENTS_MAX);
  let queue: ShadowJob[] = [];
  let running: Promise<void> | null = null;
  let isolation: Isolation | null = null;
  let starts = 0;
  let failures = 0;
  let lastFault: string | null = null;
  let stopped = false;
  let draining = false;
  let wake = (): void => {};

  const score = (jobs: readonly ShadowJob[]): Promise<BatchOutcome> => {
    if (isolation?.alive() !== true) {
      isolation = isolate(options);
      starts++;
    }
    return isolation.run({ rows: jobs.length, vectors: packed(jobs, width) });
  };
  const keep = (jobs: readonly ShadowJob[], answers: NonNullable<BatchOutcome["answers"]>): void => {
    let logged = 0;
    jobs.forEach((job, row) => {
      const record: ShadowRecord = {
        transactionId: job.transactionId,
        time: job.time,
        champion: job.champion,
        championLatencyMs: job.championLatencyMs,
        vectorHash: job.vectorHash,
        candidate: { version, score: answers.scores[row], decision: DECISIONS[answers.decisions[row]] },
        bundle,
        latencyMs: answers.latencyMs[row],
      };
      if (job.vectorHash !== "") apart.add(disagreementOf(record), job);
      if (log.appendShadow(record)) logged++;
    });
    if (logged > 0) ledger.scored(version, logged);
    if (logged < jobs.length) ledger.missed(version, "queue-full", jobs.length - logged);
  };
  const fail = (jobs: readonly ShadowJob[], fault: IsolationFault): void => {
    ledger.missed(version, fault.reason, jobs.length);
    if (stopped) return;
    lastFault = fault.message;
    options.onFault?.(version, fault.message);
    failures++;
    if (failures === FAILURES_MAX) breaker.isolate();
  };
  const runBatch = async (jobs: readonly ShadowJob[]): Promise<void> => {
    try {
      const { answers, fault } = await breaker.execute(() => score(jobs));
      if (fault !== null) return fail(jobs, fault);
      failures = 0;
      keep(jobs, answers);
    } catch (error) {
      if (isBrokenCircuitError(error)) ledger.missed(version, "breaker-open", jobs.length);
      else fail(jobs, { reason: "error", message: messageOf(error) });
    }
  };
  const run = async (): Promise<void> => {
    while (queue.length > 0 && !stopped) {
      // Off the request too: the answer that brought the job leaves first.
      if (queue.length < BATCH_ROWS_MAX) await pause();
      if (stopped) break;
      await runBatch(queue.splice(0, BATCH_ROWS_MAX));
    }
    running = null;
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, draining ? 0 : BATCH_WAIT_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const giveUp = (): void => {
    ledger.missed(version, "error", queue.length);
    queue = [];
  };
  return {
    refusal() {
      if (queue.length >= options.queueMax) return "queue-full";
      const { state } = breaker;
      // While the breaker is open one job is enough to ask whether it still is.
      const isBroken = state === CircuitState.Isolated || (state === CircuitState.Open && queue.length > 0);
      return isBroken ? "breaker-open" : null;
    },
    offer(job) {
      if (stopped) return;
      if (queue.length >= options.queueMax) {
        ledger.missed(version, "queue-full");
        return;
      }
      queue.push(job);
      // Nothing is waited for once the batch is full.
      if (queue.length === BATCH_ROWS_MAX) wake();
      running ??= run();
    },
    status: () => ({
      version,
      breaker: nameOf(breaker),
      queued: queue.length,
      restarts: Math.max(0, starts - 1),
      lastFault,
    }),
    vectors: () => new Map(apart.all().map(({ transactionId, vector }) => [transactionId, vector])),
    async drain(msMax) {
      if (running === null) return;
      draining = true;
      wake();
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, msMax);
      });
      await Promise.race([running, limit]);
      clearTimeout(timer);
    },
    async stop() {
      stopped = true;
      wake();
      await isolation?.stop();
      await running;
      giveUp();
    },
  };
}

function packed(jobs: readonly ShadowJob[], width: number): Float32Array {
  const vectors = new Float32Array(jobs.length * width);
  jobs.forEach((job, row) => void vectors.set(job.vector, row * width));
  return vectors;
}

const STATES: Readonly<Record<CircuitState, CandidateStatus["breaker"]>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half-open",
  [CircuitState.Isolated]: "isolated",
};

function nameOf(breaker: CircuitBreakerPolicy): CandidateStatus["breaker"] {
  return STATES[breaker.state];
}
