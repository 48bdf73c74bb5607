// Records of applied changes as bytes: what waits in the shared store until a log has it.
import { emptyFields, type FieldValue, type Transaction } from "../../../core/transaction.ts";
import type { LabelRecord, PredictionRecord } from "../../../ports/log.ts";
import type { SharedPending } from "../../../ports/shared-store.ts";
import type { PredictionDraft } from "../contract.ts";

export type LabelDraft = Omit<LabelRecord, "sequence" | "applied"> & {
  /** The transaction it is about, so that a state can learn it without asking a log. */
  readonly transaction: Transaction;
};

export type AppliedRecord =
  | { readonly kind: "prediction"; readonly record: Omit<PredictionRecord, "sequence"> }
  | {
      readonly kind: "label";
      readonly record: Omit<LabelRecord, "sequence">;
      readonly transaction: Transaction;
    };

/** JSON, with the vector's bytes (Float32, little-endian) in base64: JSON has no NaN. */
export function packPrediction(draft: PredictionDraft): Uint8Array {
  const { buffer, byteOffset, byteLength } = draft.vector;
  const vector = Buffer.from(buffer, byteOffset, byteLength).toString("base64");
  return Buffer.from(JSON.stringify({ kind: "prediction", ...draft, vector }));
}

export function packLabel(draft: LabelDraft): Uint8Array {
  return Buffer.from(JSON.stringify({ kind: "label", ...draft }));
}

/** The record that waits, with its place in the order. */
export function unpackRecord(pending: SharedPending): AppliedRecord {
  const parsed = JSON.parse(Buffer.from(pending.record).toString()) as Packed;
  const applied = pending.sequence;
  if (parsed.kind === "label") {
    const { kind, transaction, ...record } = parsed;
    return { kind, transaction: withPlainFields(transaction), record: { ...record, applied } };
  }
  const { kind, vector, score, anomalyScore, fields, ...rest } = parsed;
  const bytes = Uint8Array.from(Buffer.from(vector, "base64"));
  const numbers = { score: score ?? Number.NaN, anomalyScore: anomalyScore ?? Number.NaN };
  const record = { ...rest, ...numbers, fields: plain(fields), vector: new Float32Array(bytes.buffer), applied };
  return { kind, record };
}

type Packed =
  | ({ readonly kind: "label" } & LabelDraft)
  | (Omit<PredictionDraft, "vector" | "score" | "anomalyScore"> & {
      readonly kind: "prediction";
      readonly vector: string;
      readonly score: number | null;
      readonly anomalyScore: number | null;
    });

function withPlainFields(transaction: Transaction): Transaction {
  return { ...transaction, fields: plain(transaction.fields) };
}

/** Prototype-free, as a parser gives them. */
function plain(fields: Readonly<Record<string, FieldValue>>): Record<string, FieldValue> {
  const own = emptyFields();
  for (const [name, value] of Object.entries(fields)) own[name] = value;
  return own;
}
