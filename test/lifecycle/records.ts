// Log records and registry versions made by hand, for tests that need no model.
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import type { PredictionRecord, ShadowRecord } from "../../src/ports/log.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { ModelVersion } from "../../src/ports/registry.ts";
import { START } from "./world.ts";

export function prediction(given: Partial<PredictionRecord>): Omit<PredictionRecord, "sequence"> {
  return {
    transactionId: "t",
    time: START,
    receivedAt: START,
    fields: { amount: 10, customer_id: "c1" },
    extra: {},
    vector: Float32Array.of(1, 2),
    score: 0.01,
    anomalyScore: 0.4,
    decision: "approve",
    version: "1",
    bundle: "b",
    latencyMs: 1,
    degraded: false,
    ...given,
  };
}

/** A version with its own gates' words; its one file is no model. */
export async function version(
  ports: Ports,
  model: string,
  gates: { readonly training: string; readonly logic: string } = { training: "pass", logic: "pass" },
  tags: Readonly<Record<string, string>> = {},
): Promise<ModelVersion> {
  const registry = await ports.registry();
  const runId = await registry.startRun({
    experiment: "card",
    name: "by hand",
    startedAt: START,
    user: "tester",
    tags: {},
  });
  return registry.register({
    model,
    runId,
    files: new Map([["note.txt", new TextEncoder().encode(runId)]]),
    description: "by hand",
    tags: { "sentinel.gate.training": gates.training, "sentinel.gate.logic": gates.logic, ...tags },
    at: START,
  });
}

/**
 * Shadow traffic of thirty days with mature labels: champion and candidate see frauds by their `skill` (0 nothing, 1 all),
 * each otherwise at random.
 */
export async function shadowed(
  ports: Ports,
  given: {
    readonly champion: string;
    readonly candidate: string;
    readonly skill: { readonly champion: number; readonly candidate: number };
    /** Days of traffic, at the same rate (default 30). */
    readonly days?: number;
  },
): Promise<void> {
  const log = await ports.log();
  const random = new Random(5);
  const { days = 30 } = given;
  const rows = Math.round((4000 * days) / 30);
  for (let i = 0; i < rows; i++) {
    const id = `${given.champion}-${given.candidate}-${i}`;
    const time = START + (i * days * DAY_MS) / rows;
    const fraud = i % 20 === 0;
    const side = (version: string, skill: number): ShadowRecord["champion"] => {
      const score = fraud && random.next() < skill ? random.uniform(0.6, 1) : random.next() ** 8 * 0.5;
      return { version, score, decision: score >= 0.5 ? "review" : "approve" };
    };
    const champion = side(given.champion, given.skill.champion);
    log.appendPrediction(
      prediction({
        transactionId: id,
        time,
        version: given.champion,
        score: champion.score,
        decision: champion.decision,
        fields: { amount: 10 + (i % 90), customer_id: `c${(i * 7 + Math.floor(i / 200)) % 200}` },
      }),
    );
    log.appendShadow({
      transactionId: id,
      time,
      champion,
      candidate: side(given.candidate, given.skill.candidate),
      bundle: "b2",
      latencyMs: 1,
      championLatencyMs: 1,
      vectorHash: "",
    });
    log.appendLabel({ transactionId: id, fraud, knownAt: time + DAY_MS, source: "test", receivedAt: time + DAY_MS });
    if (i % 500 === 0) await log.flush();
  }
  log.addCoverage(given.candidate, rows, {});
  await log.flush();
}
