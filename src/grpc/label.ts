// Label: the late truth, as POST /feedback takes it.
import { SentinelError } from "../core/errors.ts";
import { idOf } from "../core/transaction.ts";
import { type FieldFault, invalidRequest } from "../online/faults.ts";
import { refusedLabel, takeAllAndCount } from "../online/feedback.ts";
import type { LabelDraft } from "../online/label.ts";
import { chargeOf, type Door, engineOf, messageOfJson, type UnaryMethod, withinBatch } from "./calls.ts";

/** A TransactionLabel of the contract. */
interface LabelMessage {
  readonly transaction_id?: string;
  readonly fraud?: boolean;
  readonly source?: string;
  /** int64 as text. */
  readonly known_at?: { readonly seconds?: string; readonly nanos?: number };
  readonly known_after_delay?: boolean;
}

export function labelMethod(door: Door): UnaryMethod {
  return {
    terms: { need: "label", shed: true, streams: false },
    async run(call) {
      const engine = engineOf(door, call);
      const { batchMax } = engine.pipeline.serve;
      const labels = call.request.labels as readonly LabelMessage[];
      if (labels.length === 0) throw invalidRequest([{ field: "labels", message: "are missing" }], "the message");
      if (labels.length > batchMax) {
        throw new SentinelError("request.body-too-large", `${labels.length} labels at once`, {
          hint: `send at most ${batchMax} (serve.batch_max)`,
        });
      }
      const faults: FieldFault[] = [];
      const drafts = labels.map((label, index) => draftOf(label, { at: `labels/${index}/`, faults }));
      if (faults.length > 0) throw invalidRequest(faults, "the labels");
      chargeOf(door, call)(drafts.length - 1);
      const items = await withinBatch(door, { engine, answer: takeAllAndCount(engine, drafts) });
      if (items.length === 1 && !items[0].accepted) throw refusedLabel(items[0]);
      const accepted = items.filter((item) => item.accepted).length;
      return { accepted, rejected: items.length - accepted, items: items.map(messageOfJson) };
    },
  };
}

function draftOf(label: LabelMessage, to: { readonly at: string; readonly faults: FieldFault[] }): LabelDraft {
  const fault = (field: string, message: string): void => void to.faults.push({ field: `${to.at}${field}`, message });
  const transactionId = idOf(label.transaction_id);
  if (transactionId === null) fault("transaction_id", "must be the id of a transaction");
  if (label.fraud === undefined) fault("fraud", "must be set, also where it is false");
  const knownAt = knownAtOf(label);
  if (Number.isNaN(knownAt)) fault("known_at", "is no time that a Timestamp may hold");
  return {
    transactionId: transactionId ?? "",
    fraud: label.fraud === true,
    source: label.source || "analyst",
    knownAt,
  };
}

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what a google.protobuf.Timestamp may hold. */
const SECONDS_MIN = -62_135_596_800;
const SECONDS_MAX = 253_402_300_799;

/** NaN: not a time. */
function knownAtOf({ known_at: at, known_after_delay: afterDelay }: LabelMessage): LabelDraft["knownAt"] {
  if (afterDelay === true) return "after-delay";
  if (at === undefined) return "now";
  const seconds = Number(at.seconds ?? 0);
  const { nanos = 0 } = at;
  if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos > 999_999_999) return Number.NaN;
  return seconds * 1000 + Math.floor(nanos / 1e6);
}
