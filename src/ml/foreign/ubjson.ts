// Universal Binary JSON, as much of it as model files hold: read once, no value larger than the bytes it stands in.
import { invalidModel } from "./flatten.ts";

/** Nesting of a model file is under ten. */
const DEPTH_MAX = 64;

/** Bytes and reader of each number type (ubjson.org, "Value Types"); big-endian. */
const NUMBERS: Readonly<
  Record<string, { readonly size: number; readonly read: (view: DataView, at: number) => number }>
> = {
  i: { size: 1, read: (view, at) => view.getInt8(at) },
  U: { size: 1, read: (view, at) => view.getUint8(at) },
  I: { size: 2, read: (view, at) => view.getInt16(at) },
  l: { size: 4, read: (view, at) => view.getInt32(at) },
  L: { size: 8, read: (view, at) => Number(view.getBigInt64(at)) },
  d: { size: 4, read: (view, at) => view.getFloat32(at) },
  D: { size: 8, read: (view, at) => view.getFloat64(at) },
};

/** The document: objects without a prototype, lists, and Float64Arrays where a list is of one number type. */
export function parseUbjson(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(reader.marker(), 0);
  reader.end();
  return value;
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The next byte that says something, as a letter; N says nothing. */
  marker(): string {
    for (;;) {
      const letter = String.fromCharCode(this.bytes[this.take(1)]);
      if (letter !== "N") return letter;
    }
  }

  value(marker: string, depth: number): unknown {
    if (depth > DEPTH_MAX) throw this.broken(`it is nested deeper than ${DEPTH_MAX}`);
    if (Object.hasOwn(NUMBERS, marker)) return this.number(marker);
    switch (marker) {
      case "Z":
        return null;
      case "T":
        return true;
      case "F":
        return false;
      case "C":
        return String.fromCharCode(this.bytes[this.take(1)]);
      case "S":
        return this.text();
      case "[":
        return this.list(depth);
      case "{":
        return this.object(depth);
    }
    throw this.broken(`${JSON.stringify(marker)} is no type`);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw this.broken("the document ends before the file does");
  }

  private number(marker: string): number {
    const { size, read } = NUMBERS[marker];
    return read(this.view, this.take(size));
  }

  private text(): string {
    const length = this.count(this.marker());
    const start = this.take(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }

  /** A length; never more than the bytes that are left, so that nothing is made that the file cannot fill. */
  private count(marker: string): number {
    const count = Object.hasOwn(NUMBERS, marker) ? this.number(marker) : Number.NaN;
    if (Number.isInteger(count) && count >= 0 && count <= this.bytes.length - this.at) return count;
    throw this.broken(`a length of ${count}`);
  }

  /** `$` type and `#` count of an optimized container; type "" and count −1 where there are none. */
  private head(): { readonly type: string; readonly count: number } {
    let type = "";
    if (this.peek() === "$") {
      this.at++;
      type = String.fromCharCode(this.bytes[this.take(1)]);
      if (this.peek() !== "#") throw this.broken("a typed container without a count");
    }
    if (this.peek() !== "#") return { type, count: -1 };
    this.at++;
    return { type, count: this.count(this.marker()) };
  }

  private list(depth: number): unknown {
    const { type, count } = this.head();
    if (Object.hasOwn(NUMBERS, type)) {
      const { size, read } = NUMBERS[type];
      const start = this.take(size * count);
      return Float64Array.from({ length: count }, (_, i) => read(this.view, start + i * size));
    }
    const list: unknown[] = [];
    while (count < 0 || list.length < count) {
      const marker = type === "" ? this.marker() : type;
      if (count < 0 && marker === "]") break;
      list.push(this.value(marker, depth + 1));
    }
    return list;
  }

  private object(depth: number): unknown {
    const { type, count } = this.head();
    const object: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (let i = 0; count < 0 || i < count; i++) {
      if (count < 0 && this.peek() === "}") {
        this.at++;
        break;
      }
      const name = this.text();
      object[name] = this.value(type === "" ? this.marker() : type, depth + 1);
    }
    return object;
  }

  private peek(): string {
    return this.at < this.bytes.length ? String.fromCharCode(this.bytes[this.at]) : "";
  }

  /** The place of the next bytes, which are then behind. */
  private take(length: number): number {
    if (length > this.bytes.length - this.at) throw this.broken("it ends in the middle of a value");
    this.at += length;
    return this.at - length;
  }

  private broken(what: string): Error {
    return invalidModel(`at byte ${this.at}: ${what}`);
  }
}
