// The online step: one arrival against a feature state. An answer, the parity check and a replay of the log all take it.
import type { Transaction } from "../core/transaction.ts";
import type { FeaturePlan } from "./plan.ts";
import type { FeatureState, Learned } from "./state.ts";

/** What a feature state learns, in order of arrival. `knownAt` is in milliseconds on the clock of event time. */
export type FeatureArrival =
  | {
      readonly kind: "transaction";
      readonly transaction: Transaction;
      /** When it arrived, by the clock in milliseconds; absent for a table, which tells no arrivals. */
      readonly receivedAt?: number;
    }
  | { readonly kind: "label"; readonly transaction: Transaction; readonly fraud: boolean; readonly knownAt: number };

/** Vectors made at once: memory of its own for each would cost a sixth of the whole step. One that is kept keeps so many. */
const SLAB_VECTORS = 32;
let slab = new Float32Array(0);
let slabUsed = 0;

/**
 * The vector of `tx` as of its event time (plan.width long, NaN where missing); changes nothing. The vector is the caller's, its `buffer`
 * is shared with other vectors: mind `byteOffset`.
 */
export function encode(
  state: FeatureState,
  plan: FeaturePlan,
  tx: Transaction,
  out: Float32Array = newVector(plan.width),
): Float32Array {
  state.read(plan, tx, out);
  return out;
}

/** As {@link encode}, unrounded, the plan's features first; overwritten by the next look at this plan. `out` has plan.width values. */
export function encodeUnrounded(
  state: FeatureState,
  plan: FeaturePlan,
  tx: Transaction,
  out: Float32Array,
): Float64Array {
  state.read(plan, tx, out);
  return state.unrounded(plan);
}

/** Learns one arrival; gives what became of a transaction. One that was learned recently is not learned again. */
export function learnArrival(state: FeatureState, arrival: FeatureArrival): Learned | null {
  if (arrival.kind === "transaction") return state.learn(arrival.transaction, arrival.receivedAt);
  state.learnLabel(arrival);
  return null;
}

/** Reads, then learns: what a server does with a transaction that it accepts. A repeat is answered the same and learned once. */
export function encodeAndLearn(
  state: FeatureState,
  plan: FeaturePlan,
  tx: Transaction,
): { readonly vector: Float32Array; readonly learned: Learned } {
  const vector = encode(state, plan, tx);
  return { vector, learned: state.learn(tx) };
}

function newVector(width: number): Float32Array {
  if (slabUsed + width > slab.length) {
    slab = new Float32Array(SLAB_VECTORS * width);
    slabUsed = 0;
  }
  const vector = new Float32Array(slab.buffer, slabUsed * Float32Array.BYTES_PER_ELEMENT, width);
  slabUsed += width;
  return vector;
}
