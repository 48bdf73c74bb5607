// The protobuf wire format, as much of it as ONNX needs: writing fields, and reading them back.
import { joined } from "../../core/bytes.ts";

/** Wire types of the encoding (protobuf.dev, "Encoding"). */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** 64 bits, seven a byte; a negative number takes all of them. */
const VARINT_BYTES_MAX = 10;

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

/** The fields of a message in their order. Throws a RangeError where the bytes are none. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  eachField(bytes, ({ number, wire, value, from, to }) => {
    fields.push({ number, value, bytes: wire === VARINT ? new Uint8Array(0) : bytes.subarray(from, to) });
  });
  return fields;
}

/** Whole numbers of a repeated field, packed or one by one, as other writers choose. */
export function repeatedNumbers(bytes: Uint8Array, number: number): Float64Array {
  const list = growing();
  eachField(bytes, (seen) => {
    if (seen.number !== number) return;
    if (seen.wire === VARINT) list.push(seen.value);
    else
      for (let at = seen.from; at < seen.to; ) {
        const { value, end } = readVarint(bytes, at);
        list.push(value);
        at = end;
      }
  });
  return list.done();
}

/** Float32 numbers of a repeated field, packed or one by one. */
export function repeatedFloats(bytes: Uint8Array, number: number): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list = growing();
  eachField(bytes, (seen) => {
    if (seen.number !== number) return;
    for (let at = seen.from; at + 4 <= seen.to; at += 4) list.push(view.getFloat32(at, true));
  });
  return list.done();
}

/** A field of a message copied as it stands. */
export function copyField(bytes: Uint8Array, seen: SeenField): Uint8Array {
  return bytes.subarray(seen.start, seen.to);
}

/** Where a field stands: from its key at `start`, its content from `from`, up to `to`. */
export interface SeenField {
  readonly number: number;
  readonly wire: number;
  /** The number of a varint; 0 for any other. */
  readonly value: number;
  readonly start: number;
  readonly from: number;
  readonly to: number;
}

/** Visits the fields of a message in their order. Throws a RangeError where the bytes are none. */
export function eachField(bytes: Uint8Array, visit: (field: SeenField) => void): void {
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const key = readVarint(bytes, at);
    const wire = key.value % 8;
    const number = Math.floor(key.value / 8);
    if (wire === VARINT) {
      const { value, end } = readVarint(bytes, key.end);
      visit({ number, wire, value, start, from: key.end, to: end });
      at = end;
      continue;
    }
    const counted = wire === LENGTH ? readVarint(bytes, key.end) : { value: fixedLength(wire), end: key.end };
    at = counted.end + counted.value;
    if (!(at <= bytes.length && counted.value >= 0)) throw new RangeError(`field ${number} ends after the message`);
    visit({ number, wire, value: 0, start, from: counted.end, to: at });
  }
}

function growing() {
  let values = new Float64Array(64);
  let count = 0;
  return {
    push(value: number): void {
      if (count === values.length) {
        const larger = new Float64Array(2 * count);
        larger.set(values);
        values = larger;
      }
      values[count++] = value;
    },
    done: (): Float64Array => values.slice(0, count),
  };
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
    // Ten bytes are a negative number in two's complement: near −2⁶⁴ a double would round it, so it is read again.
    if (byte < 128) return { value: i < 9 ? value : negative(bytes, start), end: start + i + 1 };
  }
  throw new RangeError(`no whole number at byte ${start}`);
}

function negative(bytes: Uint8Array, start: number): number {
  let value = 0n;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) value |= BigInt(bytes[start + i] % 128) << BigInt(7 * i);
  return Number(BigInt.asIntN(64, value));
}

function fixedLength(wire: number): number {
  if (wire === FIXED64) return 8;
  if (wire === FIXED32) return 4;
  throw new RangeError(`unknown wire type ${wire}`);
}
