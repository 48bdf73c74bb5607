// Nodes of a growing forest: columns that grow at their end, in the shape that scoring reads.
import type { FlatTrees } from "../../trees.ts";

type Columns = Omit<FlatTrees, "names" | "roots">;

/** Nodes in order of birth; a new one is a leaf of value 0. */
export class NodeColumns implements Columns {
  count = 0;
  feature: Int32Array;
  threshold: Float32Array;
  left: Int32Array;
  right: Int32Array;
  missingLeft: Uint8Array;
  value: Float32Array;

  constructor(capacity: number) {
    this.feature = new Int32Array(capacity);
    this.threshold = new Float32Array(capacity);
    this.left = new Int32Array(capacity);
    this.right = new Int32Array(capacity);
    this.missingLeft = new Uint8Array(capacity);
    this.value = new Float32Array(capacity);
  }

  /** Makes sure that `more` nodes can be added; doubles the columns when they cannot. */
  makeRoom(more: number): void {
    const needed = this.count + more;
    if (needed <= this.feature.length) return;
    this.feature = copiedInto(new Int32Array(2 * needed), this.feature);
    this.threshold = copiedInto(new Float32Array(2 * needed), this.threshold);
    this.left = copiedInto(new Int32Array(2 * needed), this.left);
    this.right = copiedInto(new Int32Array(2 * needed), this.right);
    this.missingLeft = copiedInto(new Uint8Array(2 * needed), this.missingLeft);
    this.value = copiedInto(new Float32Array(2 * needed), this.value);
  }

  /** The number of a new leaf, for which there must be room. */
  add(): number {
    const node = this.count++;
    this.feature[node] = -1;
    this.left[node] = -1;
    this.right[node] = -1;
    return node;
  }

  /** Copies without the room that is left. */
  trimmed(): Columns {
    const { count } = this;
    return {
      feature: this.feature.slice(0, count),
      threshold: this.threshold.slice(0, count),
      left: this.left.slice(0, count),
      right: this.right.slice(0, count),
      missingLeft: this.missingLeft.slice(0, count),
      value: this.value.slice(0, count),
    };
  }
}

function copiedInto<T extends Int32Array | Float32Array | Uint8Array>(room: T, values: T): T {
  room.set(values);
  return room;
}
