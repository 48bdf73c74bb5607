// Example records for the tests of prediction logs.
import type { LabelRecord, PredictionRecord, ShadowRecord } from "../../src/ports/log.ts";

type Prediction = Omit<PredictionRecord, "sequence">;

export function prediction(id: string, changes: Partial<Prediction> = {}): Prediction {
  return {
    transactionId: id,
    time: 1_700_000_000_000,
    receivedAt: 1_700_000_000_500,
    fields: { amount: 12.5, customer_id: "c1", terminal_id: 7, is_fraud: null },
    extra: { note: "ünïcode ☃", nested: { list: [1, null, true] } },
    vector: Float32Array.of(1.5, -0, Number.NaN, 3.4e38),
    score: 0.123456789012345,
    anomalyScore: 0.5,
    decision: "review",
    version: "3",
    bundle: "b".repeat(64),
    latencyMs: 0.75,
    degraded: false,
    ...changes,
  };
}

export function shadow(id: string, changes: Partial<ShadowRecord> = {}): ShadowRecord {
  return {
    transactionId: id,
    time: 1_700_000_000_000,
    champion: { version: "3", score: 0.1, decision: "approve" },
    candidate: { version: "4", score: 0.9, decision: "block" },
    bundle: "c".repeat(64),
    latencyMs: 1.25,
    championLatencyMs: 0.5,
    vectorHash: "",
    ...changes,
  };
}

export function label(id: string, changes: Partial<LabelRecord> = {}): Omit<LabelRecord, "sequence"> {
  return { transactionId: id, fraud: true, knownAt: 2000, source: "analyst", receivedAt: 2001, ...changes };
}
