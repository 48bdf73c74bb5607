// Tensors of the Open Inference Protocol: JSON or raw bytes in, columns of cells out, and back.
import { isUtf8 } from "node:buffer";
import type { SentinelError } from "../../core/errors.ts";
import type { Cell, NamedColumn } from "../columns.ts";
import { type FieldFault, invalidRequest } from "../faults.ts";

/** A request of the protocol, as far as it is read. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly columns: readonly NamedColumn[];
  /** True where the tensors are columns of a matrix: [n, 1], not [n]. */
  readonly matrix: boolean;
  /** What the client asks for, and whether as raw bytes; null: everything. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[] | null;
  /** How outputs are sent that do not say it themselves. */
  readonly binary: boolean;
}

export interface OutputTensor {
  readonly name: string;
  readonly datatype: "FP64" | "BYTES";
  /** Numbers of an FP64, null where there is none; texts of a BYTES. */
  readonly values: readonly (number | string | null)[];
}

/** How a datatype's raw value is read: bytes a value, and the value at an offset. */
const RAW: Readonly<
  Record<string, { readonly size: number; read(view: DataView, at: number): number | bigint | boolean }>
> = {
  BOOL: { size: 1, read: (view, at) => view.getUint8(at) !== 0 },
  UINT8: { size: 1, read: (view, at) => view.getUint8(at) },
  UINT16: { size: 2, read: (view, at) => view.getUint16(at, true) },
  UINT32: { size: 4, read: (view, at) => view.getUint32(at, true) },
  UINT64: { size: 8, read: (view, at) => view.getBigUint64(at, true) },
  INT8: { size: 1, read: (view, at) => view.getInt8(at) },
  INT16: { size: 2, read: (view, at) => view.getInt16(at, true) },
  INT32: { size: 4, read: (view, at) => view.getInt32(at, true) },
  INT64: { size: 8, read: (view, at) => view.getBigInt64(at, true) },
  FP32: { size: 4, read: (view, at) => view.getFloat32(at, true) },
  FP64: { size: 8, read: (view, at) => view.getFloat64(at, true) },
};
const DATATYPES = ["BYTES", ...Object.keys(RAW)];
/** Bytes of the length before each raw text. */
const LENGTH_BYTES = 4;

/** Reads a request; `raw` is what follows the JSON of a binary one. Throws `request.invalid`, with the tensor's name as field. */
export function readRequest(document: unknown, raw: Uint8Array): InferRequest {
  const request = recordOf(document, "the document");
  const { inputs, outputs, id } = request;
  if (!Array.isArray(inputs)) throw fault("inputs", "must be an array of tensors");
  if (id !== undefined && typeof id !== "string") throw fault("id", "must be a text");
  let at = 0;
  const shapes: (readonly number[])[] = [];
  const columns = inputs.map((value: unknown, index): NamedColumn => {
    const tensor = headOf(value, `inputs/${index}`);
    shapes.push(tensor.shape);
    const size = tensor.binarySize;
    if (size === null) return { name: tensor.name, cells: fromJson(tensor) };
    if (at + size > raw.length) throw fault(tensor.name, "has more binary data than the request");
    const cells = fromRaw(tensor, raw.subarray(at, at + size));
    at += size;
    return { name: tensor.name, cells };
  });
  if (at !== raw.length) throw fault("inputs", `leave ${raw.length - at} bytes of the binary data unread`);
  return {
    id,
    columns,
    matrix: shapes.some((shape) => shape.length === 2),
    outputs: outputs === undefined ? null : outputsOf(outputs),
    binary: flagOf(request.parameters, "binary_data_output"),
  };
}

/** The JSON of an answer, and the raw bytes behind it (empty where none were asked for). */
export function writeTensors(
  tensors: readonly (OutputTensor & { readonly binary: boolean })[],
  shape: readonly number[],
): { readonly outputs: readonly object[]; readonly raw: Buffer } {
  const pieces: Buffer[] = [];
  const outputs = tensors.map(({ name, datatype, values, binary }) => {
    if (!binary) return { name, datatype, shape, data: values };
    const bytes = datatype === "FP64" ? rawNumbers(values) : rawTexts(values);
    pieces.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  });
  return { outputs, raw: Buffer.concat(pieces) };
}

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly rows: number;
  readonly data: unknown;
  /** Bytes of the tensor's raw data; null where it is JSON. */
  readonly binarySize: number | null;
}

function headOf(value: unknown, where: string): Tensor {
  const tensor = recordOf(value, where);
  const { name, datatype, shape, data, parameters } = tensor;
  if (typeof name !== "string" || name === "") throw fault(`${where}/name`, "must be a text");
  if (typeof datatype !== "string" || !DATATYPES.includes(datatype)) {
    throw fault(name, `has a datatype that is none of ${DATATYPES.join(", ")}`);
  }
  if (!isShape(shape)) throw fault(name, "must have the shape [n] or [n, 1]");
  const size = parameters === undefined ? undefined : recordOf(parameters, `${where}/parameters`).binary_data_size;
  if (size !== undefined && !(Number.isSafeInteger(size) && (size as number) >= 0)) {
    throw fault(name, "has a binary_data_size that is no whole number");
  }
  return { name, datatype, shape, rows: shape[0], data, binarySize: size === undefined ? null : (size as number) };
}

function isShape(shape: unknown): shape is number[] {
  if (!Array.isArray(shape) || (shape.length !== 1 && shape.length !== 2)) return false;
  return Number.isSafeInteger(shape[0]) && shape[0] >= 0 && (shape.length === 1 || shape[1] === 1);
}

function fromJson({ name, datatype, rows, data }: Tensor): Cell[] {
  if (!Array.isArray(data)) throw fault(name, "must have its values as an array in `data`");
  if (data.length !== rows) throw fault(name, `has ${data.length} values, its shape says ${rows}`);
  return data.map((value: unknown) => {
    const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
    if (one === null) return undefined;
    if (!isOf(one, datatype)) throw fault(name, `has a value that is no ${datatype}`);
    return one;
  });
}

function isOf(value: unknown, datatype: string): boolean {
  if (datatype === "BYTES") return typeof value === "string";
  if (datatype === "BOOL") return typeof value === "boolean";
  if (datatype.startsWith("FP")) return typeof value === "number";
  // Beyond 2^53 JSON has rounded it already.
  return Number.isSafeInteger(value) && (!datatype.startsWith("U") || (value as number) >= 0);
}

function fromRaw(tensor: Tensor, bytes: Uint8Array): Cell[] {
  const { name, datatype, rows } = tensor;
  if (datatype === "BYTES") return textsOf(tensor, bytes);
  const { size, read } = RAW[datatype];
  if (bytes.length !== rows * size) {
    throw fault(name, `has ${bytes.length} bytes, its shape and ${datatype} make ${rows * size}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: rows }, (_, row) => {
    const value = read(view, row * size);
    if (typeof value === "bigint") {
      const number = Number(value);
      // As text it is exact, and an id may be a text.
      return Number.isSafeInteger(number) ? number : String(value);
    }
    if (typeof value === "boolean" || Number.isFinite(value)) return value;
    if (Number.isNaN(value)) return undefined;
    throw fault(name, "has a value that is not finite");
  });
}

function textsOf({ name, rows }: Tensor, bytes: Uint8Array): Cell[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cells: Cell[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + LENGTH_BYTES > bytes.length) throw fault(name, "ends within the length of a text");
    const length = view.getUint32(at, true);
    at += LENGTH_BYTES;
    if (at + length > bytes.length) throw fault(name, "has a text that is longer than the tensor");
    const text = bytes.subarray(at, at + length);
    if (!isUtf8(text)) throw fault(name, "has a text that is not UTF-8");
    cells.push(Buffer.from(text).toString("utf8"));
    at += length;
  }
  if (cells.length !== rows) throw fault(name, `has ${cells.length} values, its shape says ${rows}`);
  return cells;
}

/** Raw values of an FP64; NaN where there is none. */
export function rawNumbers(values: OutputTensor["values"]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, row) => void bytes.writeDoubleLE(value === null ? Number.NaN : Number(value), row * 8));
  return bytes;
}

/** Raw values of a BYTES: each text after its length. */
export function rawTexts(values: OutputTensor["values"]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const text = Buffer.from(value === null ? "" : String(value), "utf8");
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(text.length);
      return [length, text];
    }),
  );
}

function outputsOf(outputs: unknown): InferRequest["outputs"] {
  if (!Array.isArray(outputs)) throw fault("outputs", "must be an array");
  if (outputs.length === 0) return null;
  return outputs.map((value: unknown, index) => {
    const { name, parameters } = recordOf(value, `outputs/${index}`);
    if (typeof name !== "string") throw fault(`outputs/${index}/name`, "must be a text");
    return { name, binary: flagOf(parameters, "binary_data") };
  });
}

function flagOf(parameters: unknown, name: string): boolean {
  return parameters !== undefined && recordOf(parameters, "parameters")[name] === true;
}

function recordOf(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw fault(field, "must be a JSON object");
  return value as Readonly<Record<string, unknown>>;
}

function fault(field: FieldFault["field"], message: string): SentinelError {
  return invalidRequest([{ field, message }], "the inference request");
}
