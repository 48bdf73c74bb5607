// Appending trees: a model with the trees that boosting added to it.
import { assert } from "../../../core/errors.ts";
import { type FlatTrees, setsOf } from "../../trees.ts";
import type { GbdtModel } from "../model.ts";

/** The trees of both, `added` after those it was trained on top of: a row's margin is the sum of its two margins. Columns must be the same. */
export function appendTrees(model: GbdtModel, added: GbdtModel): GbdtModel {
  assert(model.names.join("\n") === added.names.join("\n"), "added trees read the columns of the model");
  const nodes = model.feature.length;
  const moved = (children: Int32Array): Int32Array =>
    children.map((child, node) => (added.feature[node] < 0 ? child : child + nodes));
  const sets = setsOf([...wordsOfNodes(model), ...wordsOfNodes(added)]);
  return {
    names: model.names,
    baseMargin: model.baseMargin + added.baseMargin,
    roots: joined(
      model.roots,
      added.roots.map((root) => root + nodes),
    ),
    feature: joined(model.feature, added.feature),
    threshold: floats(model.threshold, added.threshold),
    left: joined(model.left, moved(added.left)),
    right: joined(model.right, moved(added.right)),
    missingLeft: bytes(model.missingLeft, added.missingLeft),
    value: floats(model.value, added.value),
    gain: floats(model.gain, added.gain),
    cover: floats(model.cover, added.cover),
    ...(sets === undefined ? {} : { sets }),
  };
}

function wordsOfNodes({ sets, feature }: FlatTrees): (Uint32Array | null)[] {
  return Array.from(feature, (_, node) => {
    if (sets === undefined || sets.starts[node] === sets.starts[node + 1]) return null;
    return sets.words.slice(sets.starts[node], sets.starts[node + 1]);
  });
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  const both = new Int32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function floats(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function bytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
