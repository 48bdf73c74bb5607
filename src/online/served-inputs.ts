// Served inputs: how the requests of late feed the champion's features, beside what training's rows did.
import { messageOf } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import type { Transaction } from "../core/transaction.ts";
import type { FeaturePlan } from "../features/plan.ts";
import {
  type InputReport,
  InputTally,
  packInputs,
  type TrainedInputs,
  unpackInputs,
} from "../features/trained-inputs.ts";
import type { Ports } from "../ports/ports.ts";
import type { Counters, EngineLog } from "./counters.ts";
import type { Scorer } from "./score.ts";

/** Rows of a window: what was wrong for long and is right now leaves the report after two of them. */
const WINDOW_ROWS = 5000;

/** Keeps what a training's keys and fields looked like, beside its feature state. */
export async function saveInputs(
  ports: Pick<Ports, "snapshots">,
  of: { readonly pipeline: string; readonly plan: FeaturePlan; readonly inputs: TrainedInputs },
): Promise<void> {
  await (await ports.snapshots()).save(nameOf(of), packInputs(of.inputs));
}

/** What the last training of these features kept; null when it kept nothing, or nothing that can be read (which is reported). */
export async function loadInputs(
  ports: Pick<Ports, "snapshots" | "report">,
  of: { readonly pipeline: string; readonly plan: FeaturePlan },
): Promise<TrainedInputs | null> {
  const bytes = await (await ports.snapshots()).load(nameOf(of));
  if (bytes === null) return null;
  try {
    return unpackInputs(bytes);
  } catch (error) {
    ports.report.line(messageOf(error));
    return null;
  }
}

function nameOf({ pipeline, plan }: { readonly pipeline: string; readonly plan: FeaturePlan }): string {
  return `inputs-train-${sha256(`${pipeline}\n${plan.hash}`).slice(0, 24)}`;
}

/** Looks at what the champion judges. */
export class ServedInputs {
  private readonly ports: Ports;
  private readonly pipeline: string;
  private readonly counters: Pick<Counters, "fieldLacking">;
  private readonly logger: EngineLog;
  private scorer: Scorer | null = null;
  private readonly trained = new WeakMap<Scorer, TrainedInputs>();
  private before: InputTally | null = null;
  private now: InputTally | null = null;
  private readonly onLack: (field: string, how: "absent" | "null" | "text") => void;

  constructor(given: {
    readonly ports: Ports;
    readonly pipeline: string;
    readonly counters: Pick<Counters, "fieldLacking">;
    readonly logger: EngineLog;
  }) {
    this.ports = given.ports;
    this.pipeline = given.pipeline;
    this.counters = given.counters;
    this.logger = given.logger;
    this.onLack = (field, how) => this.counters.fieldLacking(field, how);
  }

  /** Counts a transaction that this bundle judged. */
  judged(scorer: Scorer, transaction: Transaction): void {
    if (scorer !== this.scorer || this.now === null) {
      this.scorer = scorer;
      this.before = null;
      this.now = this.begin(scorer);
    } else if (this.now.rows >= WINDOW_ROWS) {
      this.before = this.now;
      this.now = this.begin(scorer);
    }
    this.now.add(transaction, this.onLack);
  }

  /** The fuller of the last two windows; null before the first transaction. Keys are not shown as they are spelled. */
  report(): InputReport | null {
    const { now, before } = this;
    const shown = before !== null && now !== null && now.rows < WINDOW_ROWS / 10 ? before : now;
    return shown?.report({ examples: false }) ?? null;
  }

  /** Reads what training kept of a bundle before it serves; never throws. */
  async prepare(scorer: Scorer): Promise<void> {
    try {
      const trained = await loadInputs(this.ports, { pipeline: this.pipeline, plan: scorer.plan });
      if (trained !== null) this.trained.set(scorer, trained);
    } catch (error) {
      this.logger.warn({ error: messageOf(error) }, "what training kept of its keys cannot be read");
    }
  }

  private begin(scorer: Scorer): InputTally {
    return new InputTally(scorer.plan, this.trained.get(scorer) ?? null);
  }
}
