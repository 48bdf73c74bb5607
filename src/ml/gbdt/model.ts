// The boosted model: flat trees, the margin they start from, and its form as bytes.
import { decodeModel, encodeModel, type ModelFormat } from "../codec.ts";
import type { FlatTrees } from "../trees.ts";

/** A leaf's `value` is what it adds to the margin (log-odds). */
export interface GbdtModel extends FlatTrees {
  /** Log-odds every score starts from. */
  readonly baseMargin: number;
  /** Loss reduction of each inner node's split; 0 at leaves. */
  readonly gain: Float32Array;
  /** Sum of second derivatives of the training rows that reached each node. */
  readonly cover: Float32Array;
}

const FORMAT: ModelFormat = {
  magic: "SGBT",
  version: 1,
  sets: true,
  title: "boosted model",
  numbers: 1,
  nodeColumns: 2,
};

export function encodeGbdt(model: GbdtModel): Uint8Array {
  return encodeModel({ trees: model, numbers: [model.baseMargin], nodeColumns: [model.gain, model.cover] }, FORMAT);
}

/** Errors: `bundle.unsupported`, `bundle.corrupt`. What it returns is safe to score with. */
export function decodeGbdt(bytes: Uint8Array): GbdtModel {
  const { trees, numbers, nodeColumns } = decodeModel(bytes, FORMAT);
  return { ...trees, baseMargin: numbers[0], gain: nodeColumns[0], cover: nodeColumns[1] };
}
