// Models as bytes: little-endian, with magic and version; reading trusts nothing and allocates nothing it cannot fill.
import { SentinelError } from "../core/errors.ts";
import { type CategorySets, type FlatTrees, treeFault } from "./trees.ts";

/**
 * Layout: magic (4 ASCII bytes), version u16, zero u16, u32 counts of names, trees, nodes; per name u16 length and UTF-8
 * bytes; numbers of the kind of model as f64; roots i32; per node, as columns: feature i16, missing-left u8, number f32
 * (an inner node's threshold, a leaf's value), left i32, right i32, then the kind's own f32 columns. Trees with sets of
 * categories are one version up: after all that, per node the words of its set u16, then all words u32.
 */
export interface ModelParts {
  readonly trees: FlatTrees;
  readonly numbers: readonly number[];
  readonly nodeColumns: readonly Float32Array[];
}

export interface ModelFormat {
  /** Four ASCII letters. */
  readonly magic: string;
  /** Of trees without sets of categories. */
  readonly version: number;
  /** Whether trees may have such sets. */
  readonly sets: boolean;
  /** For messages. */
  readonly title: string;
  readonly numbers: number;
  readonly nodeColumns: number;
}

const HEADER_BYTES = 20;
const NODE_BYTES = 2 + 1 + 4 + 4 + 4;
const NAMES_MAX = 32_767;
const NAME_BYTES_MAX = 65_535;

export function encodeModel(parts: ModelParts, format: ModelFormat): Uint8Array {
  const { trees, numbers, nodeColumns } = parts;
  const fault = treeFault(trees);
  if (fault !== null) throw new Error(`assertion failed: a ${format.title} to encode is sound (${fault})`);
  const names = trees.names.map((name) => new TextEncoder().encode(name));
  const nodes = trees.feature.length;
  const nameBytes = names.reduce((sum, name) => sum + 2 + name.length, 0);
  const nodeBytes = NODE_BYTES + 4 * nodeColumns.length;
  const { sets } = trees;
  const setBytes = sets === undefined ? 0 : 2 * nodes + 4 * sets.words.length;
  const bytes = new Uint8Array(
    HEADER_BYTES + nameBytes + 8 * numbers.length + 4 * trees.roots.length + nodeBytes * nodes + setBytes,
  );
  const out = writer(bytes);
  for (const letter of format.magic) out.u8(letter.charCodeAt(0));
  out.u16(sets === undefined ? format.version : format.version + 1);
  out.u16(0);
  for (const count of [names.length, trees.roots.length, nodes]) out.u32(count);
  for (const name of names) out.name(name);
  for (const number of numbers) out.f64(number);
  for (const root of trees.roots) out.i32(root);
  for (const feature of trees.feature) out.i16(feature);
  for (const side of trees.missingLeft) out.u8(side);
  for (let i = 0; i < nodes; i++) out.f32(trees.feature[i] < 0 ? trees.value[i] : trees.threshold[i]);
  for (const child of trees.left) out.i32(child);
  for (const child of trees.right) out.i32(child);
  for (const column of nodeColumns) for (const number of column) out.f32(number);
  if (sets !== undefined) {
    for (let node = 0; node < nodes; node++) out.u16(sets.starts[node + 1] - sets.starts[node]);
    for (const word of sets.words) out.u32(word);
  }
  return bytes;
}

/** Errors: `bundle.unsupported` for another format or a newer version, `bundle.corrupt` for anything that does not add up. */
export function decodeModel(bytes: Uint8Array, format: ModelFormat): ModelParts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const withSets = checkHeader(view, format) > format.version;
  const nameCount = view.getUint32(8, true);
  const treeCount = view.getUint32(12, true);
  const nodes = view.getUint32(16, true);
  if (nameCount > NAMES_MAX) corrupt(format, `it claims ${nameCount} columns`);
  const input = reader(view, HEADER_BYTES);
  const names: string[] = [];
  for (let i = 0; i < nameCount; i++) names.push(readName(input, format));
  const nodeBytes = NODE_BYTES + 4 * format.nodeColumns + (withSets ? 2 : 0);
  const rest = 8 * format.numbers + 4 * treeCount + nodeBytes * nodes;
  if (withSets ? input.left() < rest : input.left() !== rest) {
    corrupt(format, `${rest} bytes should follow the names, ${input.left()} do`);
  }

  const numbers = Array.from({ length: format.numbers }, () => input.f64());
  const roots = Int32Array.from({ length: treeCount }, () => input.i32());
  const feature = Int32Array.from({ length: nodes }, () => input.i16());
  const missingLeft = Uint8Array.from({ length: nodes }, () => input.u8());
  const threshold = Float32Array.from({ length: nodes }, () => input.f32());
  const left = Int32Array.from({ length: nodes }, () => input.i32());
  const right = Int32Array.from({ length: nodes }, () => input.i32());
  const nodeColumns = Array.from({ length: format.nodeColumns }, () =>
    Float32Array.from({ length: nodes }, () => input.f32()),
  );
  const value = new Float32Array(nodes);
  for (let i = 0; i < nodes; i++) {
    if (feature[i] >= 0) continue;
    value[i] = threshold[i];
    threshold[i] = 0;
  }
  const plain: FlatTrees = { names, roots, feature, threshold, left, right, missingLeft, value };
  const trees = withSets ? { ...plain, sets: readSets(input, nodes, format) } : plain;
  const fault = treeFault(trees);
  if (fault !== null) corrupt(format, fault);
  if (!numbers.every(Number.isFinite)) corrupt(format, "one of its numbers is not finite");
  if (!nodeColumns.every((column) => column.every(Number.isFinite))) corrupt(format, "a node's number is not finite");
  return { trees, numbers, nodeColumns };
}

/** The version of the bytes, which is one this program reads. */
function checkHeader(view: DataView, format: ModelFormat): number {
  if (view.byteLength < HEADER_BYTES) corrupt(format, `it has only ${view.byteLength} bytes`);
  const magic = String.fromCharCode(...[0, 1, 2, 3].map((at) => view.getUint8(at)));
  const version = view.getUint16(4, true);
  const newest = format.version + (format.sets ? 1 : 0);
  if (magic === format.magic && version >= format.version && version <= newest) {
    if (view.getUint16(6, true) !== 0) corrupt(format, "reserved bytes are set");
    return version;
  }
  const seen = magic === format.magic ? `format version ${version}` : "another kind of file";
  throw new SentinelError("bundle.unsupported", `the ${format.title} is ${seen}; this program reads ${newest}`, {
    hint: "use the version of Sentinel that wrote the bundle, or train the model again",
  });
}

function readSets(input: ReturnType<typeof reader>, nodes: number, format: ModelFormat): CategorySets {
  const starts = new Int32Array(nodes + 1);
  for (let node = 0; node < nodes; node++) starts[node + 1] = starts[node] + input.u16();
  const count = starts[nodes];
  if (input.left() !== 4 * count) corrupt(format, `${4 * count} bytes of sets should end it, ${input.left()} do`);
  return { starts, words: Uint32Array.from({ length: count }, () => input.u32()) };
}

function corrupt(format: ModelFormat, fault: string): never {
  throw new SentinelError("bundle.corrupt", `the ${format.title} cannot be read: ${fault}`, {
    hint: "fetch the bundle again, or register the model again with `sentinel train`",
  });
}

function readName(input: ReturnType<typeof reader>, format: ModelFormat): string {
  if (input.left() < 2) corrupt(format, "it ends within the names");
  const length = input.u16();
  if (input.left() < length) corrupt(format, "it ends within the names");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input.bytes(length));
  } catch {
    return corrupt(format, "a column's name is not UTF-8");
  }
}

function writer(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer);
  let at = 0;
  const step = (size: number): number => {
    at += size;
    return at - size;
  };
  return {
    u8: (value: number) => view.setUint8(step(1), value),
    u16: (value: number) => view.setUint16(step(2), value, true),
    i16: (value: number) => view.setInt16(step(2), value, true),
    u32: (value: number) => view.setUint32(step(4), value, true),
    i32: (value: number) => view.setInt32(step(4), value, true),
    f32: (value: number) => view.setFloat32(step(4), value, true),
    f64: (value: number) => view.setFloat64(step(8), value, true),
    name: (text: Uint8Array) => {
      if (text.length > NAME_BYTES_MAX) throw new Error("assertion failed: a column's name fits 65,535 bytes");
      view.setUint16(step(2), text.length, true);
      bytes.set(text, step(text.length));
    },
  };
}

function reader(view: DataView, start: number) {
  let at = start;
  const step = (size: number): number => {
    at += size;
    return at - size;
  };
  return {
    left: () => view.byteLength - at,
    u8: () => view.getUint8(step(1)),
    u16: () => view.getUint16(step(2), true),
    i16: () => view.getInt16(step(2), true),
    u32: () => view.getUint32(step(4), true),
    i32: () => view.getInt32(step(4), true),
    f32: () => view.getFloat32(step(4), true),
    f64: () => view.getFloat64(step(8), true),
    bytes: (length: number) => new Uint8Array(view.buffer, view.byteOffset + step(length), length),
  };
}
