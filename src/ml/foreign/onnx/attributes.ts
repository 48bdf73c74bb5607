// Attributes of an ONNX node, read by the type that is wanted.
import { eachField, type Field, fieldsOf, repeatedFloats, repeatedNumbers } from "../../onnx/protobuf.ts";
import type { OnnxNode } from "./model.ts";

/** The attributes of one node; every reader has a fallback for one that is not there. */
export interface Attributes {
  has(name: string): boolean;
  number(name: string, fallback: number): number;
  /** A single Float32. */
  float(name: string, fallback: number): number;
  text(name: string, fallback: string): string;
  numbers(name: string): Float64Array;
  floats(name: string): Float64Array;
  texts(name: string): readonly string[];
}

/** Fields of AttributeProto. */
const ATTRIBUTE = { name: 1, float: 2, number: 3, text: 4, floats: 7, numbers: 8, texts: 9 } as const;
const NODE_ATTRIBUTE = 5;

export function attributesOf(node: OnnxNode): Attributes {
  const found = new Map<string, Uint8Array>();
  eachField(node.bytes, ({ number, from, to }) => {
    if (number !== NODE_ATTRIBUTE) return;
    const bytes = node.bytes.subarray(from, to);
    let name = "";
    eachField(bytes, (seen) => {
      if (seen.number === ATTRIBUTE.name) name = decode(bytes.subarray(seen.from, seen.to));
    });
    found.set(name, bytes);
  });
  const fields = (name: string, number: number): Field[] => {
    const bytes = found.get(name);
    return bytes === undefined ? [] : fieldsOf(bytes).filter((field) => field.number === number);
  };
  const none = new Uint8Array(0);
  return {
    has: (name) => found.has(name),
    float: (name, fallback) => repeatedFloats(found.get(name) ?? none, ATTRIBUTE.float)[0] ?? fallback,
    number: (name, fallback) => fields(name, ATTRIBUTE.number)[0]?.value ?? fallback,
    text: (name, fallback) => {
      const field = fields(name, ATTRIBUTE.text)[0];
      return field === undefined ? fallback : decode(field.bytes);
    },
    numbers: (name) => repeatedNumbers(found.get(name) ?? none, ATTRIBUTE.numbers),
    floats: (name) => repeatedFloats(found.get(name) ?? none, ATTRIBUTE.floats),
    texts: (name) => fields(name, ATTRIBUTE.texts).map(({ bytes }) => decode(bytes)),
  };
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
