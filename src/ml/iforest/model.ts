// The isolation forest: flat trees whose leaves hold path lengths, and its form as bytes.
import { SentinelError } from "../../core/errors.ts";
import { decodeModel, encodeModel, type ModelFormat } from "../codec.ts";
import type { FlatTrees } from "../trees.ts";

/** A leaf's `value` is the path length of what falls into it: its depth plus c(rows it held). */
export interface IsolationForest extends FlatTrees {
  /** Rows each tree was grown on. */
  readonly sample: number;
}

const FORMAT: ModelFormat = {
  magic: "SIFO",
  version: 1,
  sets: false,
  title: "isolation forest",
  numbers: 1,
  nodeColumns: 0,
};

/** Euler's constant. */
const EULER = 0.5772156649015329;

/** Mean path length of an unsuccessful search among n: c(n) of Liu, Ting & Zhou 2008, eq. 1. */
export function meanPath(n: number): number {
  if (n <= 1) return 0;
  if (n === 2) return 1;
  return 2 * (Math.log(n - 1) + EULER) - (2 * (n - 1)) / n;
}

export function encodeForest(forest: IsolationForest): Uint8Array {
  return encodeModel({ trees: forest, numbers: [forest.sample], nodeColumns: [] }, FORMAT);
}

/** Errors: `bundle.unsupported`, `bundle.corrupt`. What it returns is safe to score with. */
export function decodeForest(bytes: Uint8Array): IsolationForest {
  const { trees, numbers } = decodeModel(bytes, FORMAT);
  const sample = numbers[0];
  const negative = trees.value.some((path) => path < 0);
  if (!Number.isInteger(sample) || sample < 2 || trees.roots.length === 0 || negative) {
    throw new SentinelError("bundle.corrupt", "the isolation forest cannot be read: its numbers make no forest", {
      hint: "fetch the bundle again, or register the model again with `sentinel train`",
    });
  }
  return { ...trees, sample };
}
