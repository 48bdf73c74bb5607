// Encode: the vector of one transaction, online.
import type { Transaction } from "../core/transaction.ts";
import type { FeaturePlan } from "./plan.ts";
import type { FeatureState, Learned } from "./state.ts";

/** The vector of `tx` as of its event time (plan.width long); changes nothing. */
export function encode(state: FeatureState, plan: FeaturePlan, tx: Transaction, out = new Float32Array(plan.width)) {
  state.read(plan, tx, out);
  return out;
}

/** Reads, then learns: what a server does with a transaction it accepts. A retry is answered the same and counts once. */
export function encodeAndLearn(
  state: FeatureState,
  plan: FeaturePlan,
  tx: Transaction,
): { readonly vector: Float32Array; readonly learned: Learned } {
  const vector = encode(state, plan, tx);
  return { vector, learned: state.learn(tx) };
}
