// Avro as JSON readers want it: types whose values are numbers, texts and objects that JSON could have held, and the bytes around a record.
import avro from "avsc";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import type { Compatibility, WrittenField } from "../../../ports/schemas.ts";

/** Confluent's wire format: a zero, the schema's number in four bytes, the record. */
const MAGIC = 0;
export const HEAD_BYTES = 5;
const DEPTH_MAX = 32;

/** Whole numbers beyond 2^53 as texts, as whoever writes JSON must give them. */
const LONG = avro.types.LongType.__with({
  fromBuffer(buffer: Buffer): number | string {
    const value = buffer.readBigInt64LE();
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  },
  toBuffer(value: number | string): Buffer {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: (value: number | string) => value,
  toJSON: (value: number | string) => value,
  // A text of digits stays a text where a field may be either.
  isValid: (value: unknown) => Number.isSafeInteger(value),
  compare: (a: number | string, b: number | string) => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0),
});

/** Microseconds since 1970 as milliseconds, which is what a time in JSON is. */
class Micros extends avro.types.LogicalType {
  override _fromValue(value: number | string): number {
    return Math.floor(Number(value) / 1000);
  }
  override _toValue(value: number): number {
    return value * 1000;
  }
  override _resolve(type: avro.Type): ((value: number | string) => number) | undefined {
    return type.typeName.endsWith("long") ? (value) => this._fromValue(value) : undefined;
  }
}

/** Days since 1970 as a date. */
class Days extends avro.types.LogicalType {
  override _fromValue(value: number): string {
    return new Date(value * 86_400_000).toISOString().slice(0, 10);
  }
  override _toValue(value: string): number {
    return Date.parse(value) / 86_400_000;
  }
  override _resolve(type: avro.Type): ((value: number) => string) | undefined {
    return type.typeName === "int" ? (value) => this._fromValue(value) : undefined;
  }
}

/** Decimals of fixed scale as numbers. */
class Decimal extends avro.types.LogicalType {
  private readonly scale: number;
  constructor(schema: avro.Schema, options?: object) {
    super(schema, options);
    this.scale = Number((schema as { readonly scale?: unknown }).scale ?? 0);
  }
  override _fromValue(value: Buffer): number {
    let digits = 0n;
    for (const byte of value) digits = (digits << 8n) | BigInt(byte);
    // Through the text: a division by a power of ten would round twice.
    return Number(`${BigInt.asIntN(8 * value.length, digits)}e-${this.scale}`);
  }
  override _toValue(): Buffer {
    throw new Error("decimals are read, not written");
  }
  override _resolve(type: avro.Type): ((value: Buffer) => number) | undefined {
    return type.typeName === "bytes" || type.typeName === "fixed" ? (value) => this._fromValue(value) : undefined;
  }
}

/** Throws `schemas.invalid`. */
export function typeOf(schema: unknown): avro.Type {
  let type: avro.Type;
  try {
    type = avro.Type.forSchema(
      schema as avro.Schema,
      {
        registry: { long: LONG },
        logicalTypes: { "timestamp-micros": Micros, "local-timestamp-micros": Micros, date: Days, decimal: Decimal },
      } as Partial<avro.ForSchemaOptions>,
    );
  } catch (error) {
    throw invalid(`it is no Avro schema that can be read: ${messageOf(error)}`);
  }
  if (type.typeName !== "record") throw invalid("it is no record");
  refuseEmpty(type, 0);
  return type;
}

/** Lists of what takes no byte are refused: four bytes could announce a thousand million of them. */
function refuseEmpty(type: avro.Type, depth: number): void {
  if (depth > DEPTH_MAX) throw invalid(`it is nested deeper than ${DEPTH_MAX}`);
  for (const part of partsOf(type)) refuseEmpty(part, depth + 1);
  if (type instanceof avro.types.ArrayType && takesNothing(type.itemsType, 0)) {
    throw invalid("it has a list of items that take no byte");
  }
}

function takesNothing(type: avro.Type, depth: number): boolean {
  if (depth > DEPTH_MAX) return false;
  if (type.typeName === "null") return true;
  if (type instanceof avro.types.FixedType) return type.size === 0;
  return type instanceof avro.types.RecordType && type.fields.every((field) => takesNothing(field.type, depth + 1));
}

function partsOf(type: avro.Type): readonly avro.Type[] {
  if (type instanceof avro.types.RecordType) return type.fields.map((field) => field.type);
  if (type instanceof avro.types.ArrayType) return [type.itemsType];
  if (type instanceof avro.types.MapType) return [type.valuesType];
  if (type instanceof avro.types.WrappedUnionType || type instanceof avro.types.UnwrappedUnionType) return type.types;
  return [];
}

/** The schema's number. Throws `request.malformed`. */
export function idOf(bytes: Uint8Array): number {
  if (bytes.length < HEAD_BYTES || bytes[0] !== MAGIC) {
    throw new SentinelError(
      "request.malformed",
      "the record is no Avro of a schema registry: it does not begin with a zero and a number",
      {
        hint: "let the producer use a registry's serializer; or set stream.format: json",
      },
    );
  }
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

/** Throws `request.malformed`. */
export function decodeBy(type: avro.Type, bytes: Uint8Array, id: number): unknown {
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset + HEAD_BYTES, bytes.byteLength - HEAD_BYTES);
    return plain(type.fromBuffer(buffer));
  } catch (error) {
    throw new SentinelError("request.malformed", `the record is not what its schema ${id} says: ${messageOf(error)}`, {
      hint: "the producer wrote another layout under this schema's number: write with the schema that was registered",
    });
  }
}

export function encodeBy(type: avro.Type, value: Readonly<Record<string, unknown>>, id: number): Uint8Array {
  const body = type.toBuffer(value);
  const bytes = Buffer.alloc(HEAD_BYTES + body.length);
  bytes.writeUInt32BE(id, 1);
  body.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** Bytes as base64, and objects as JSON makes them. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Buffer.isBuffer(value)) return value.toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  // A union of kinds of numbers comes with the name of its branch around it.
  if ("unwrap" in value && typeof value.unwrap === "function") return plain(value.unwrap());
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

/** Whether a reader of the newer schema can read what the older one wrote. */
export function follows(older: unknown, newer: unknown): Compatibility {
  const [from, to] = [typeOf(older), typeOf(newer)];
  try {
    to.createResolver(from);
    return { compatible: true, reasons: [] };
  } catch (error) {
    return { compatible: false, reasons: [reasonOf(from, to) ?? messageOf(error)] };
  }
}

/** The first field that stands in the way, in words. */
function reasonOf(from: avro.Type, to: avro.Type): string | null {
  if (!(from instanceof avro.types.RecordType) || !(to instanceof avro.types.RecordType)) return null;
  const before = new Map(from.fields.map((field) => [field.name, field.type]));
  for (const field of to.fields) {
    const written = [field.name, ...field.aliases].map((name) => before.get(name)).find((type) => type !== undefined);
    if (written === undefined) {
      if (field.defaultValue() === undefined)
        return `field ${field.name} is new and has no default: older records lack it`;
      continue;
    }
    try {
      field.type.createResolver(written);
    } catch {
      return `field ${field.name} was ${wordOf(written)} and is ${wordOf(field.type)} now`;
    }
  }
  return null;
}

function wordOf(type: avro.Type): string {
  return JSON.stringify(type.schema({ noDeref: true } as Partial<avro.SchemaOptions>)).replaceAll('"', "");
}

/** As a reader of JSON sees the fields of a record. */
export function fieldsOf(schema: unknown): readonly WrittenField[] {
  const type = typeOf(schema);
  if (!(type instanceof avro.types.RecordType)) return [];
  return type.fields.map(({ name, type: of }) => ({ name, types: [...new Set(jsonTypes(of))] }));
}

const JSON_TYPES: Readonly<Record<string, readonly string[]>> = {
  null: ["null"],
  boolean: ["boolean"],
  int: ["integer"],
  // Beyond 2^53 a text.
  "abstract:long": ["integer"],
  long: ["integer"],
  float: ["number"],
  double: ["number"],
  bytes: ["string"],
  fixed: ["string"],
  string: ["string"],
  enum: ["string"],
  array: ["array"],
  map: ["object"],
  record: ["object"],
};

function jsonTypes(type: avro.Type): readonly string[] {
  if (type instanceof avro.types.UnwrappedUnionType || type instanceof avro.types.WrappedUnionType) {
    return type.types.flatMap(jsonTypes);
  }
  if (type instanceof Decimal) return ["number"];
  if (type instanceof Days) return ["string"];
  if (type instanceof Micros) return ["integer"];
  return JSON_TYPES[type.typeName] ?? ["integer"];
}

function invalid(what: string): SentinelError {
  return new SentinelError("schemas.invalid", what, {
    hint: "register an Avro record of fields, as the producer's serializer does",
  });
}
