// Names within a foreign ONNX graph, set apart from ours by a prefix, down to the branches and loops inside of nodes.
import { joined } from "../../../core/bytes.ts";
import { bytesField, copyField, eachField, textField } from "../../onnx/protobuf.ts";
import type { OnnxModel, OnnxNode } from "./model.ts";

/** Names of ours have no slash. */
const PREFIX = "model/";

/** What the foreign value is called beside ours. An absent optional input has no name. */
export function foreignName(name: string): string {
  return name === "" ? "" : PREFIX + name;
}

/** Fields of the messages (onnx.proto) that hold names, or messages with names. */
const NODE = { input: 1, output: 2, attribute: 5 } as const;
const ATTRIBUTE = { graph: 6, graphs: 11 } as const;
const GRAPH = { node: 1, constant: 5, input: 11, output: 12, value: 13 } as const;
const TENSOR_NAME = 8;
const VALUE_NAME = 1;

/** What a value needs, in the order of the graph: labels and maps of probabilities are left behind. */
export function partsBehind(
  model: OnnxModel,
  value: string,
): { readonly nodes: readonly Uint8Array[]; readonly constants: readonly Uint8Array[] } {
  const makers = new Map(model.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const needed = new Set<OnnxNode>();
  const names = new Set<string>();
  const open = [value];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    names.add(name);
    const node = makers.get(name);
    if (node === undefined || needed.has(node)) continue;
    needed.add(node);
    open.push(...node.inputs, ...innerNames(node.bytes));
  }
  return {
    nodes: model.nodes.filter((node) => needed.has(node)).map(({ bytes }) => renameNode(bytes)),
    constants: [...model.constants]
      .filter(([name]) => names.has(name))
      .map(([, bytes]) => renameField(bytes, TENSOR_NAME)),
  };
}

function renameNode(bytes: Uint8Array): Uint8Array {
  return rewritten(bytes, (number, content) => {
    if (number === NODE.input || number === NODE.output) return textField(number, foreignName(decode(content)));
    return number === NODE.attribute ? bytesField(number, renameAttribute(content)) : null;
  });
}

/** Every name that graphs inside of a node ask for; those they make themselves do no harm. */
function innerNames(node: Uint8Array): string[] {
  const names: string[] = [];
  const ofGraph = (graph: Uint8Array): void => {
    eachField(graph, ({ number, from, to }) => {
      const content = graph.subarray(from, to);
      if (number === GRAPH.output) names.push(nameIn(content, VALUE_NAME));
      if (number !== GRAPH.node) return;
      eachField(content, (inner) => {
        if (inner.number === NODE.input) names.push(decode(content.subarray(inner.from, inner.to)));
      });
      names.push(...innerNames(content));
    });
  };
  eachField(node, ({ number, from, to }) => {
    if (number !== NODE.attribute) return;
    const attribute = node.subarray(from, to);
    eachField(attribute, (field) => {
      if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs) {
        ofGraph(attribute.subarray(field.from, field.to));
      }
    });
  });
  return names;
}

function renameAttribute(bytes: Uint8Array): Uint8Array {
  return rewritten(bytes, (number, content) =>
    number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs ? bytesField(number, renameGraph(content)) : null,
  );
}

function renameGraph(bytes: Uint8Array): Uint8Array {
  return rewritten(bytes, (number, content) => {
    if (number === GRAPH.node) return bytesField(number, renameNode(content));
    if (number === GRAPH.constant) return bytesField(number, renameField(content, TENSOR_NAME));
    const isValue = number === GRAPH.input || number === GRAPH.output || number === GRAPH.value;
    return isValue ? bytesField(number, renameField(content, VALUE_NAME)) : null;
  });
}

function renameField(bytes: Uint8Array, wanted: number): Uint8Array {
  return rewritten(bytes, (number, content) =>
    number === wanted ? textField(number, foreignName(decode(content))) : null,
  );
}

/** A message with some of its fields written again; null keeps a field as it stands. */
function rewritten(bytes: Uint8Array, change: (number: number, content: Uint8Array) => Uint8Array | null): Uint8Array {
  const parts: Uint8Array[] = [];
  eachField(bytes, (field) => {
    parts.push(change(field.number, bytes.subarray(field.from, field.to)) ?? copyField(bytes, field));
  });
  return joined(parts);
}

function nameIn(bytes: Uint8Array, wanted: number): string {
  let name = "";
  eachField(bytes, ({ number, from, to }) => {
    if (number === wanted) name = decode(bytes.subarray(from, to));
  });
  return name;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
