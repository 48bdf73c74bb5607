// Tensors of gRPC messages: typed contents as the raw bytes that the protocol has for them, so that one reader reads both; and answers as either.
import { invalidRequest } from "../online/faults.ts";
import { type OutputTensor, rawNumbers, rawTexts } from "../online/oip.ts";

/** An InferTensorContents; 64-bit integers as text, so that every digit is there. */
export interface TensorContents {
  readonly bool_contents?: readonly boolean[];
  readonly int_contents?: readonly number[];
  readonly int64_contents?: readonly string[];
  readonly uint_contents?: readonly number[];
  readonly uint64_contents?: readonly string[];
  readonly fp32_contents?: readonly number[];
  readonly fp64_contents?: readonly number[];
  readonly bytes_contents?: readonly Buffer[];
}

type Field = keyof TensorContents;

/** Where the values of a datatype stand, how many bytes a raw one has, and how it is written. */
interface Kind {
  readonly field: Field;
  readonly size: number;
  write(view: DataView, at: number, value: unknown): void;
  /** Whole numbers of fewer bits than their field: what they may be. */
  readonly range?: readonly [low: number, high: number];
}

const whole = (field: "int_contents" | "uint_contents", bits: 8 | 16 | 32): Kind => {
  const signed = field === "int_contents";
  const high = 2 ** (signed ? bits - 1 : bits) - 1;
  const range = [signed ? -high - 1 : 0, high] as const;
  const write: Kind["write"] = (view, at, value) => {
    if (bits === 8) view.setInt8(at, value as number);
    else if (bits === 16) view.setInt16(at, value as number, true);
    else view.setInt32(at, value as number, true);
  };
  return { field, size: bits / 8, range, write };
};

const KINDS: Readonly<Record<string, Kind>> = {
  BOOL: { field: "bool_contents", size: 1, write: (view, at, value) => view.setUint8(at, value === true ? 1 : 0) },
  INT8: whole("int_contents", 8),
  INT16: whole("int_contents", 16),
  INT32: whole("int_contents", 32),
  UINT8: whole("uint_contents", 8),
  UINT16: whole("uint_contents", 16),
  UINT32: whole("uint_contents", 32),
  INT64: {
    field: "int64_contents",
    size: 8,
    write: (view, at, value) => view.setBigInt64(at, BigInt(value as string), true),
  },
  UINT64: {
    field: "uint64_contents",
    size: 8,
    write: (view, at, value) => view.setBigUint64(at, BigInt(value as string), true),
  },
  FP32: { field: "fp32_contents", size: 4, write: (view, at, value) => view.setFloat32(at, value as number, true) },
  FP64: { field: "fp64_contents", size: 8, write: (view, at, value) => view.setFloat64(at, value as number, true) },
};
const TEXTS: Field = "bytes_contents";
/** Bytes of the length before each raw text. */
const LENGTH_BYTES = 4;

/**
 * The raw bytes of a tensor's typed contents; empty for an unknown datatype, which the reader of raw tensors refuses. Throws
 * `request.invalid` for values in another field than the datatype's, or beyond its range.
 */
export function rawContents(
  name: string,
  { datatype, contents }: { readonly datatype: string; readonly contents: TensorContents },
): Buffer {
  const kind = Object.hasOwn(KINDS, datatype) ? KINDS[datatype] : null;
  const field = kind?.field ?? TEXTS;
  if (kind === null && datatype !== "BYTES") return Buffer.alloc(0);
  const foreign = Object.keys(contents).find((one) => one !== field && isFilled(contents, one as Field));
  if (foreign !== undefined) throw fault(name, `has values in ${foreign}; those of ${datatype} belong into ${field}`);
  const values = contents[field] ?? [];
  if (kind === null) return rawBytes(values as readonly Buffer[]);
  const bytes = Buffer.alloc(values.length * kind.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [row, value] of values.entries()) {
    if (kind.range !== undefined && ((value as number) < kind.range[0] || (value as number) > kind.range[1])) {
      throw fault(name, `has a value that is no ${datatype}`);
    }
    kind.write(view, row * kind.size, value);
  }
  return bytes;
}

/** An answer's tensor as raw bytes. */
export function rawTensor({ datatype, values }: OutputTensor): Buffer {
  return datatype === "FP64" ? rawNumbers(values) : rawTexts(values);
}

/** An answer's tensor as typed contents; what is missing is NaN or an empty text, as in raw ones. */
export function typedTensor({ datatype, values }: OutputTensor): TensorContents {
  if (datatype === "FP64")
    return { fp64_contents: values.map((value) => (value === null ? Number.NaN : Number(value))) };
  return { bytes_contents: values.map((value) => Buffer.from(value === null ? "" : String(value), "utf8")) };
}

function isFilled(contents: TensorContents, field: Field): boolean {
  return (contents[field] ?? []).length > 0;
}

function rawBytes(values: readonly Buffer[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(value.length);
      return [length, value];
    }),
  );
}

function fault(field: string, message: string) {
  return invalidRequest([{ field, message }], "the inference request");
}
