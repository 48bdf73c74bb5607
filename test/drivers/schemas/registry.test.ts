// Avro by a schema registry: what JSON readers see of it, what a registry is asked, what hostile bytes and schemas do, what may follow what.
import avro from "avsc";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRegistrySchemas } from "../../../src/drivers/schemas/registry/driver.ts";
import type { Schemas } from "../../../src/ports/schemas.ts";
import { type RegistryServer, startRegistry } from "../schema-registry.ts";

let server: RegistryServer;
let schemas: Schemas;
beforeEach(async () => {
  server = await startRegistry();
  schemas = createRegistrySchemas({ url: server.url, login: null });
});
afterEach(() => server.dispose());

const record = (...fields: readonly object[]) => ({ type: "record", name: "T", fields });
const V1 = record({ name: "id", type: "string" }, { name: "amount", type: "double" });
const V2 = record(...V1.fields, { name: "country", type: ["null", "string"], default: null });

/** As a registry's own serializer writes it, by plain avsc. */
function framed(id: number, schema: object, value: object): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, avro.Type.forSchema(schema as avro.Schema).toBuffer(value)]);
}

test("a record written by anybody's serializer is what JSON would have held; its schema is asked for once", async () => {
  const schema = record(
    { name: "id", type: ["string", "long"] },
    { name: "small", type: "int" },
    { name: "ratio", type: "float" },
    { name: "ok", type: "boolean" },
    { name: "kind", type: { type: "enum", name: "K", symbols: ["A", "B"] } },
    { name: "raw", type: "bytes" },
    { name: "tags", type: { type: "array", items: "string" } },
    { name: "place", type: { type: "record", name: "P", fields: [{ name: "lat", type: "double" }] } },
    { name: "none", type: ["null", "string"] },
    { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
    { name: "micros", type: { type: "long", logicalType: "timestamp-micros" } },
    { name: "day", type: { type: "int", logicalType: "date" } },
    { name: "money", type: { type: "bytes", logicalType: "decimal", precision: 10, scale: 2 } },
  );
  await schemas.encoder("t-value", schema);
  const bytes = framed(1, schema, {
    id: { long: 7 }.long,
    small: -3,
    ratio: 0.5,
    ok: true,
    kind: "B",
    raw: Buffer.from("hi"),
    tags: ["a", "b"],
    place: { lat: 1.5 },
    none: null,
    at: 1_700_000_000_123,
    micros: 1_700_000_000_123_456,
    day: 20_454,
    // -12345 in two's complement.
    money: Buffer.from([0xcf, 0xc7]),
  });
  const seen = await schemas.decode(bytes);
  expect(seen).toEqual({
    id: 7,
    small: -3,
    ratio: 0.5,
    ok: true,
    kind: "B",
    raw: "aGk=",
    tags: ["a", "b"],
    place: { lat: 1.5 },
    none: null,
    at: 1_700_000_000_123,
    micros: 1_700_000_000_123,
    day: "2026-01-01",
    money: -123.45,
  });
  expect(schemas.decode(bytes)).toEqual(seen);
  expect(server.asked.filter((line) => line.startsWith("GET /schemas/"))).toEqual(["GET /schemas/ids/1"]);
});

test("whole numbers beyond 2^53 keep their digits, as texts", async () => {
  const schema = record({ name: "id", type: "long" });
  await schemas.encoder("t-value", schema);
  // 2^60 + 1 as avro's zigzag varint.
  const body: number[] = [];
  for (let rest = (2n ** 60n + 1n) << 1n; rest > 0n; rest >>= 7n)
    body.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  expect(await schemas.decode(Uint8Array.from([0, 0, 0, 0, 1, ...body]))).toEqual({ id: "1152921504606846977" });
});

test("what is written is read again, whatever the row holds", async () => {
  const schema = record(
    { name: "id", type: ["string", "long"] },
    { name: "amount", type: "double" },
    { name: "card", type: ["null", "string", "long"], default: null },
    { name: "flag", type: ["null", "boolean"], default: null },
  );
  const encode = await schemas.encoder("t-value", schema);
  const row = fc.record({
    id: fc.oneof(fc.string(), fc.maxSafeInteger()),
    amount: fc.double({ noNaN: true }),
    card: fc.oneof(fc.constant(null), fc.string(), fc.maxSafeInteger()),
    flag: fc.oneof(fc.constant(null), fc.boolean()),
  });
  await fc.assert(
    fc.asyncProperty(row, async (value) => {
      expect(await schemas.decode(encode(value))).toEqual(value);
    }),
  );
});

test("bytes that are no such record are malformed; an unknown schema is asked for again only later; a registry that is away is tried again", async () => {
  await schemas.encoder("t-value", V1);
  const decode = async (bytes: Uint8Array): Promise<unknown> => schemas.decode(bytes);
  const good = framed(1, V1, { id: "a", amount: 1 });
  for (const bytes of [
    new Uint8Array(0),
    Buffer.from('{"id":"a"}'),
    good.subarray(0, good.length - 1),
    Buffer.concat([good, Buffer.from([0])]),
  ]) {
    await expect(decode(bytes)).rejects.toMatchObject({ code: "request.malformed" });
  }
  for (let time = 0; time < 3; time++) {
    await expect(decode(framed(9, V1, { id: "a", amount: 1 }))).rejects.toMatchObject({
      code: "request.malformed",
      message: expect.stringContaining("schema 9"),
    });
  }
  expect(server.asked.filter((line) => line.endsWith("/9"))).toHaveLength(1);
  const other = createRegistrySchemas({ url: server.url, login: null });
  server.away = true;
  const asked = (async () => other.decode(good))();
  await expect(asked).rejects.toMatchObject({ code: "schemas.unreachable", kind: { retryable: true } });
  server.away = false;
  expect(await other.decode(good)).toEqual({ id: "a", amount: 1 });
});

test("a few bytes never make a list of a thousand million: such schemas are refused", async () => {
  for (const items of ["null", { type: "record", name: "E", fields: [] }, { type: "fixed", name: "F", size: 0 }]) {
    const schema = record({ name: "list", type: { type: "array", items } });
    await expect(schemas.encoder("t-value", schema)).rejects.toMatchObject({ code: "schemas.invalid" });
  }
});

test("a field with a default may come; a type may not change and a field without a default may not come: said with the field", async () => {
  await schemas.encoder("t-value", V1);
  expect(await schemas.check("t-value", V2)).toEqual({ compatible: true, reasons: [] });
  const retyped = record({ name: "id", type: "string" }, { name: "amount", type: "string" });
  expect(await schemas.check("t-value", retyped)).toEqual({
    compatible: false,
    reasons: ["field amount was double and is string now"],
  });
  const strict = record(...V1.fields, { name: "country", type: "string" });
  expect(await schemas.check("t-value", strict)).toEqual({
    compatible: false,
    reasons: ["field country is new and has no default: older records lack it"],
  });
  await expect(schemas.encoder("t-value", retyped)).rejects.toMatchObject({
    code: "schemas.invalid",
    message: expect.stringContaining("field amount was double and is string now"),
  });
  await schemas.encoder("t-value", V2);
  expect((await schemas.versions("t-value")).map(({ version, id }) => [version, id])).toEqual([
    [1, 1],
    [2, 2],
  ]);
  expect(await schemas.versions("nobody-value")).toEqual([]);
});
