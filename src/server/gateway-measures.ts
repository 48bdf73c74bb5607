// Measures of a gateway: what Prometheus reads of it.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { GatewayCounters } from "../gateway/gateway.ts";
import type { Pool } from "../gateway/pool.ts";
import type { LedgerWriter } from "../gateway/writer.ts";
import { type Described, describedOf } from "./measures.ts";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What Prometheus reads of a gateway. */
export class GatewayMeasures {
  readonly counters: GatewayCounters;
  readonly contentType: string;
  private readonly registry = new Registry();
  private readonly failures: Counter<"brain">;
  private readonly hedges: Counter;
  private readonly conflicts: Counter;
  private readonly breakers: Gauge<"brain">;
  private readonly spooled: Gauge;
  private readonly waiting: Gauge;
  private readonly collecting: boolean;

  constructor({ process: ofProcess = true }: { readonly process?: boolean } = {}) {
    const registers = [this.registry];
    this.contentType = this.registry.contentType;
    this.collecting = ofProcess;
    if (this.collecting) collectDefaultMetrics({ register: this.registry });
    const answers = new Counter({
      name: "sentinel_gateway_answers_total",
      help: "Answers, by who gave them.",
      labelNames: ["by"],
      registers,
    });
    const policies = new Counter({
      name: "sentinel_gateway_policy_total",
      help: "Answers of the policy, by why no brain gave one.",
      labelNames: ["why"],
      registers,
    });
    const refusals = new Counter({
      name: "sentinel_gateway_refused_total",
      help: "Transactions that a brain refused, by status.",
      labelNames: ["status"],
      registers,
    });
    const settled = new Counter({
      name: "sentinel_gateway_settled_total",
      help: "Answers of the policy that a brain scored afterwards.",
      registers,
    });
    const lost = new Counter({
      name: "sentinel_gateway_ledger_lost_total",
      help: "Entries of an asynchronous ledger that could be kept nowhere.",
      registers,
    });
    const seconds = new Histogram({
      name: "sentinel_gateway_seconds",
      help: "Seconds from a transaction's arrival to its answer.",
      labelNames: ["by"],
      buckets: SECONDS,
      registers,
    });
    this.failures = new Counter({
      name: "sentinel_gateway_brain_failures_total",
      help: "Calls that a brain did not answer.",
      labelNames: ["brain"],
      registers,
    });
    this.hedges = new Counter({
      name: "sentinel_gateway_hedges_total",
      help: "Transactions that were sent to a second brain because the first was slow.",
      registers,
    });
    this.conflicts = new Counter({
      name: "sentinel_gateway_ledger_conflicts_total",
      help: "Entries from the spool whose id the ledger had with another answer.",
      registers,
    });
    this.breakers = new Gauge({
      name: "sentinel_gateway_brain_open",
      help: "1 while a brain is left alone after failures.",
      labelNames: ["brain"],
      registers,
    });
    this.spooled = new Gauge({
      name: "sentinel_gateway_spool_bytes",
      help: "Bytes of entries that wait on this machine for the ledger.",
      registers,
    });
    this.waiting = new Gauge({
      name: "sentinel_gateway_ledger_waiting",
      help: "Entries that wait for a batch.",
      registers,
    });
    this.counters = {
      answered: (by, ms) => {
        answers.inc({ by });
        seconds.observe({ by }, ms / 1000);
      },
      policy: (why) => policies.inc({ why }),
      refused: (status) => refusals.inc({ status: String(status) }),
      settled: () => settled.inc(),
      lost: () => lost.inc(),
    };
  }

  /** Every metric, for people. */
  described(): readonly Described[] {
    return describedOf(this.registry, []);
  }

  failed(where: string): void {
    this.failures.inc({ brain: where });
  }

  hedged(): void {
    this.hedges.inc();
  }

  conflicted(count: number): void {
    this.conflicts.inc(count);
  }

  page({ pool, writer }: { readonly pool: Pool; readonly writer: LedgerWriter }): Promise<string> {
    const { spoolBytes, waiting } = writer.status();
    this.spooled.set(spoolBytes);
    this.waiting.set(waiting);
    // Brains come and go with their pods.
    this.breakers.reset();
    for (const { where, breaker } of pool.status()) this.breakers.set({ brain: where }, breaker === "closed" ? 0 : 1);
    return this.registry.metrics();
  }
}
