// Why the model flagged: exact attributions of alerts' vectors, computed by a thread of their own within limits; an alert never waits longer for them.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../core/built.ts";
import { messageOf } from "../../core/errors.ts";
import type { Json } from "../../ports/store.ts";
import type { Scorer } from "../score.ts";
import type { PredictionDraft } from "../states.ts";
import type { ExplainAnswer, ExplainTask } from "./explain-worker.ts";

/** Reasons, or what keeps them away. */
export type ModelReasons = { readonly reasons: Json } | { readonly reasons: null; readonly reasons_absent: Absence };

interface Absence {
  readonly code: "bundle-gone" | "failed" | "not-explainable" | "too-slow";
  readonly text: string;
}

/** The bundle that judged. Errors: registry.*. */
export type ScorerOf = (by: { readonly version: string; readonly bundle: string }) => Promise<Scorer>;

/** For one batch of alerts, the start of the thread included: an alert is seen within seconds all the same. */
const BATCH_MS_MAX = 3_000;
/** After a thread that was too slow or failed: alerts go on without reasons meanwhile. */
const PAUSE_MS = 10_000;
/** JavaScript heap of the thread. */
const HEAP_MB_MAX = 256;
/** Bundles whose files the thread has; more are given up with it. */
const BUNDLES_MAX = 4;

const WORKER = asBuilt(new URL("./explain-worker.js", import.meta.url));

export interface ExplainingOptions {
  readonly scorerOf: ScorerOf;
  /** Milliseconds of a steady clock. */
  readonly elapsed: () => number;
  readonly onFault: (message: string) => void;
  /** The module of the thread; tests put a misbehaving one here. */
  readonly module?: URL;
  readonly batchMsMax?: number;
}

/** The thread that explains the alerts of one pipeline; started at the first of them. */
export class Explaining {
  private readonly options: ExplainingOptions;
  private worker: Worker | null = null;
  private readonly known = new Set<string>();
  private pausedUntil = Number.NEGATIVE_INFINITY;
  private tasks = 0;

  constructor(options: ExplainingOptions) {
    this.options = options;
  }

  /** Of each draft, in their order. Never throws, and never takes longer than the limit. */
  async reasonsOf(drafts: readonly PredictionDraft[]): Promise<readonly ModelReasons[]> {
    const reasons: ModelReasons[] = drafts.map(() => absent("failed", "a fault kept the reasons away"));
    const byBundle = new Map<string, number[]>();
    for (const [at, { bundle }] of drafts.entries()) byBundle.set(bundle, [...(byBundle.get(bundle) ?? []), at]);
    const deadline = this.options.elapsed() + (this.options.batchMsMax ?? BATCH_MS_MAX);
    for (const places of byBundle.values()) {
      const some = await this.ofBundle(
        places.map((at) => drafts[at]),
        deadline,
      );
      for (const [i, at] of places.entries()) reasons[at] = some[i];
    }
    return reasons;
  }

  async stop(): Promise<void> {
    await this.giveUp();
  }

  private async ofBundle(drafts: readonly PredictionDraft[], deadline: number): Promise<readonly ModelReasons[]> {
    const all = (absence: ModelReasons): readonly ModelReasons[] => drafts.map(() => absence);
    if (this.options.elapsed() < this.pausedUntil) return all(absent("too-slow", "the thread for reasons rests"));
    const [{ version, bundle }] = drafts;
    const scorer = await this.options.scorerOf({ version, bundle }).catch(() => null);
    if (scorer === null) return all(absent("bundle-gone", "the bundle that judged is not in the registry any more"));
    try {
      const answer = await this.ask(scorer, drafts, deadline);
      if (answer === null) {
        await this.rest("reasons of alerts took too long");
        return all(absent("too-slow", "the reasons took longer than an alert waits"));
      }
      if (answer.absent !== null) return all(absent("not-explainable", answer.absent));
      return answer.reasons.map((one) => ({ reasons: one as unknown as Json }));
    } catch (error) {
      await this.rest(`reasons of alerts cannot be computed: ${messageOf(error)}`);
      return all(absent("failed", "a fault kept the reasons away; the server's log tells it"));
    }
  }

  /** Null: not in time. */
  private async ask(
    scorer: Scorer,
    drafts: readonly PredictionDraft[],
    deadline: number,
  ): Promise<ExplainAnswer | null> {
    const { bundle, model, version } = scorer;
    if (this.known.size >= BUNDLES_MAX && !this.known.has(bundle)) await this.giveUp();
    const worker = this.running();
    const files = this.known.has(bundle) ? null : scorer.files;
    this.known.add(bundle);
    const id = ++this.tasks;
    const width = drafts[0].vector.length;
    const vectors = new Float32Array(drafts.length * width);
    for (const [at, { vector }] of drafts.entries()) vectors.set(vector, at * width);
    const task: ExplainTask = { id, bundle, model, version, files, vectors, width };
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        worker.off("message", onMessage).off("error", onError).off("exit", onExit);
        end();
      };
      const onMessage = (answer: ExplainAnswer): void => {
        if (answer.id === id) settle(() => resolve(answer));
      };
      const onError = (error: unknown): void => settle(() => reject(error));
      const onExit = (code: number): void => settle(() => reject(new Error(`the thread left with code ${code}`)));
      const timer = setTimeout(
        () => settle(() => resolve(null)),
        Math.max(0, deadline - this.options.elapsed()),
      ).unref();
      worker.on("message", onMessage).on("error", onError).on("exit", onExit);
      worker.postMessage(task, [vectors.buffer]);
    });
  }

  private running(): Worker {
    if (this.worker !== null) return this.worker;
    const worker = new Worker(this.options.module ?? WORKER, {
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
    });
    worker.unref();
    // Whoever waits hears of it too; between two batches nobody does.
    worker.on("error", () => {});
    worker.on("exit", () => {
      if (this.worker !== worker) return;
      this.worker = null;
      this.known.clear();
    });
    this.worker = worker;
    return worker;
  }

  private async rest(why: string): Promise<void> {
    this.pausedUntil = this.options.elapsed() + PAUSE_MS;
    this.options.onFault(why);
    await this.giveUp();
  }

  private async giveUp(): Promise<void> {
    const { worker } = this;
    this.worker = null;
    this.known.clear();
    await worker?.terminate();
  }
}

function absent(code: Absence["code"], text: string): ModelReasons {
  return { reasons: null, reasons_absent: { code, text } };
}
