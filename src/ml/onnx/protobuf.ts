// The protobuf wire format, as much of it as ONNX needs: writing fields, and reading them back.

/** Wire types of the encoding (protobuf.dev, "Encoding"). */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Varints here are counts, indices and type numbers. */
const VARINT_BYTES_MAX = 8;

/** One field as it stands in a message: its number, and its bytes or its whole number. */
export interface Field {
  readonly number: number;
  /** The number of a varint; 0 for any other. */
  readonly value: number;
  /** The bytes of a length-delimited or fixed field; empty for a varint. */
  readonly bytes: Uint8Array;
}

/** A whole number ≥ 0 as a field. */
export function numberField(number: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8 + VARINT), ...varint(value)]);
}

export function textField(number: number, text: string): Uint8Array {
  return bytesField(number, new TextEncoder().encode(text));
}

/** A message within a message, from its fields. */
export function messageField(number: number, fields: readonly Uint8Array[]): Uint8Array {
  return bytesField(number, joined(fields));
}

export function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  return joined([Uint8Array.from([...varint(number * 8 + LENGTH), ...varint(bytes.length)]), bytes]);
}

/** Float32 numbers, packed. */
export function floatsField(number: number, values: ArrayLike<number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i], true);
  return bytesField(number, new Uint8Array(view.buffer));
}

/** Whole numbers ≥ 0, packed. */
export function numbersField(number: number, values: ArrayLike<number>): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < values.length; i++) for (const byte of varint(values[i])) bytes.push(byte);
  return bytesField(number, Uint8Array.from(bytes));
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The fields of a message in their order. Throws a RangeError where the bytes are none. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  while (at < bytes.length) {
    const key = readVarint(bytes, at);
    at = key.end;
    const wire = key.value % 8;
    const number = Math.floor(key.value / 8);
    if (wire === VARINT) {
      const { value, end } = readVarint(bytes, at);
      fields.push({ number, value, bytes: new Uint8Array(0) });
      at = end;
      continue;
    }
    const counted = wire === LENGTH ? readVarint(bytes, at) : { value: fixedLength(wire), end: at };
    at = counted.end + counted.value;
    if (at > bytes.length) throw new RangeError(`field ${number} ends after the message`);
    fields.push({ number, value: 0, bytes: bytes.subarray(counted.end, at) });
  }
  return fields;
}

/** The whole numbers of a packed field. */
export function unpackNumbers(bytes: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = readVarint(bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}

/** The Float32 numbers of a packed field. */
export function unpackFloats(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length >>> 2 }, (_, i) => view.getFloat32(4 * i, true));
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX && start + i < bytes.length; i++) {
    const byte = bytes[start + i];
    value += (byte % 128) * 128 ** i;
    if (byte < 128) return { value, end: start + i + 1 };
  }
  throw new RangeError(`no whole number at byte ${start}`);
}

function fixedLength(wire: number): number {
  if (wire === FIXED64) return 8;
  if (wire === FIXED32) return 4;
  throw new RangeError(`unknown wire type ${wire}`);
}
