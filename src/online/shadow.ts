// Shadow: every answer is offered to the candidates, off the request, and what they say is joined to it.

import type { BundleFiles } from "../core/bundle.ts";
import { sha256 } from "../core/hash.ts";
import type { Transaction } from "../core/transaction.ts";
import { encode } from "../features/encode.ts";
import type { Coverage, PredictionLog, ShadowMiss } from "../ports/log.ts";
import type { Answer, Scorer } from "./score.ts";
import { type CandidateStatus, createCandidate, type ShadowCandidate, type ShadowJob } from "./shadow/candidate.ts";
import { Ledger } from "./shadow/ledger.ts";
import { isSampled } from "./shadow/sample.ts";
import type { WarmState } from "./states.ts";

export type { CandidateStatus } from "./shadow/candidate.ts";
export { DISAGREEMENTS_MAX, disagreementOf, Largest } from "./shadow/largest.ts";

/** A bundle in shadow. `held` is null while its state is not warm: then every transaction is a miss. */
export interface Shadowed {
  readonly scorer: Scorer;
  readonly held: WarmState | null;
}

/** What the candidates receive of one answer. */
export interface Answered {
  readonly transaction: Transaction;
  readonly champion: Scorer;
  readonly answer: Answer;
  readonly latencyMs: number;
  readonly vector: Float32Array;
}

/** Jobs (and why there is none) taken before the transaction is learned, to be offered after the answer is sent. */
export type ShadowJobs = readonly (
  | { readonly candidate: ShadowCandidate; readonly job: ShadowJob }
  | { readonly version: string; readonly missed: ShadowMiss }
)[];

export interface ShadowsOptions {
  readonly log: PredictionLog;
  readonly sample: number;
  readonly batchMsMax: number;
  readonly queueMax: number;
  readonly workerModule?: URL;
  readonly onFault?: (version: string, message: string) => void;
}

/** Candidates at the same time; each costs a thread. */
export const SHADOWS_MAX = 8;
/** How often the ledger's counts go to the log. */
const LEDGER_MS = 1000;
const NOTHING: ShadowJobs = [];

/**
 * The candidates of one server. `take` runs on the request (it must see the state before the transaction is learned) and
 * only reads, so that what it took may be dropped; `offer` runs after the answer. Neither throws, whatever a candidate does.
 */
export class Shadows {
  private readonly options: ShadowsOptions;
  private readonly ledger: Ledger;
  private readonly candidates = new Map<string, ShadowCandidate>();
  private readonly timer: NodeJS.Timeout;

  constructor(options: ShadowsOptions) {
    this.options = options;
    this.ledger = new Ledger(options.log);
    this.timer = setInterval(() => this.ledger.flush(), LEDGER_MS).unref();
  }

  /** Makes exactly these bundles' isolations; those of others end. */
  async set(bundles: readonly { readonly scorer: Scorer; readonly files: BundleFiles }[]): Promise<void> {
    const wanted = new Map(bundles.slice(0, SHADOWS_MAX).map((one) => [keyOf(one.scorer), one]));
    const ending = [...this.candidates].filter(([key]) => !wanted.has(key));
    for (const [key] of ending) this.candidates.delete(key);
    for (const [key, { scorer, files }] of wanted) {
      if (!this.candidates.has(key)) this.candidates.set(key, this.create(scorer, files));
    }
    await Promise.all(ending.map(([, candidate]) => candidate.stop()));
  }

  take(answered: Answered, shadows: readonly Shadowed[]): ShadowJobs {
    if (shadows.length === 0) return NOTHING;
    const { transaction } = answered;
    if (!isSampled(transaction.id, this.options.sample)) {
      return shadows.map(({ scorer }) => ({ version: scorer.version, missed: "sampled-out" }));
    }
    const jobs: ShadowJobs[number][] = [];
    for (const shadowed of shadows) {
      const { version } = shadowed.scorer;
      const candidate = this.candidates.get(keyOf(shadowed.scorer));
      if (shadowed.held === null) jobs.push({ version, missed: "spec-not-warm" });
      else if (candidate === undefined) jobs.push({ version, missed: "error" });
      else {
        const refusal = candidate.refusal();
        if (refusal !== null) {
          jobs.push({ version, missed: refusal });
          continue;
        }
        try {
          jobs.push({ candidate, job: jobOf(answered, shadowed.scorer, shadowed.held) });
        } catch {
          jobs.push({ version, missed: "error" });
        }
      }
    }
    return jobs;
  }

  offer(jobs: ShadowJobs): void {
    for (const one of jobs) {
      if ("candidate" in one) one.candidate.offer(one.job);
      else this.ledger.missed(one.version, one.missed);
    }
  }

  status(): readonly CandidateStatus[] {
    return [...this.candidates.values()].map((candidate) => candidate.status());
  }

  /** Vectors that a candidate read for itself, of the transactions on which it was furthest from the champion since it began. */
  vectors(scorer: Scorer): ReadonlyMap<string, Float32Array> {
    return this.candidates.get(keyOf(scorer))?.vectors() ?? new Map();
  }

  /** Since this server started. */
  coverage(): readonly Coverage[] {
    return this.ledger.coverage();
  }

  /** Writes the ledger's counts to the log now. */
  flush(): void {
    this.ledger.flush();
  }

  /** Lets the queues run empty within msMax, ends every isolation, writes the ledger. */
  async stop(msMax: number): Promise<void> {
    clearInterval(this.timer);
    const candidates = [...this.candidates.values()];
    this.candidates.clear();
    await Promise.all(candidates.map((candidate) => candidate.drain(msMax)));
    await Promise.all(candidates.map((candidate) => candidate.stop()));
    this.ledger.flush();
  }

  private create(scorer: Scorer, files: BundleFiles): ShadowCandidate {
    const { batchMsMax, queueMax, log, workerModule, onFault } = this.options;
    const { model, version, bundle } = scorer;
    return createCandidate({
      start: { files, model, version },
      bundle,
      width: scorer.plan.width,
      batchMsMax,
      queueMax,
      log,
      ledger: this.ledger,
      ...(workerModule === undefined ? {} : { module: workerModule }),
      ...(onFault === undefined ? {} : { onFault }),
    });
  }
}

/** Kept, because they are asked for at each request. */
const keys = new WeakMap<Scorer, string>();

function keyOf(scorer: Scorer): string {
  let key = keys.get(scorer);
  if (key === undefined) {
    key = `${scorer.version} ${scorer.bundle}`;
    keys.set(scorer, key);
  }
  return key;
}

/** The champion's vector where both have one plan, else the candidate's own, read from the state before learning. */
function jobOf(answered: Answered, scorer: Scorer, held: WarmState): ShadowJob {
  const { transaction, champion, answer, latencyMs } = answered;
  const same = scorer.plan.hash === champion.plan.hash;
  const vector = same ? answered.vector : encode(held.state, scorer.plan, transaction);
  return {
    transactionId: transaction.id,
    time: transaction.time,
    champion: { version: champion.version, score: answer.score, decision: answer.decision },
    championLatencyMs: latencyMs,
    vector,
    vectorHash: same ? "" : sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
  };
}
