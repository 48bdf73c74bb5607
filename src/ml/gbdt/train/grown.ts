// A tree as it comes out of growing, linked and with what only growing knows; flatten.ts makes the one that scores.

/** Nodes in order of birth, children side by side. Leaves have column −1. */
export interface GrownTree {
  readonly nodes: readonly GrownNode[];
}

export interface GrownNode {
  column: number;
  /** Bins up to this one go left, which is the same as values below the threshold. */
  bin: number;
  threshold: number;
  /** Of categories: 256 bits, 1 for the bins that go left; null for numbers. */
  set: Uint32Array | null;
  missingLeft: boolean;
  left: number;
  gain: number;
  /** Sum of second derivatives of the node's rows. */
  cover: number;
  /** Of a leaf: what it adds to the margin, learning rate included, and its number among the leaves. */
  value: number;
  leaf: number;
}

/** A leaf until it is split. */
export function newNode(): GrownNode {
  return {
    column: -1,
    bin: 0,
    threshold: 0,
    set: null,
    missingLeft: false,
    left: -1,
    gain: 0,
    cover: 0,
    value: 0,
    leaf: -1,
  };
}
