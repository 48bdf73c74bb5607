// The Open Inference Protocol over REST: the scores, repeats and refusals of /predict, as JSON tensors and as raw ones.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRequest, writeTensors } from "../../src/online/oip.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  serve,
  type World,
} from "./world.ts";

const INFER = "/v2/models/card-fraud/infer";
let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const stream = payments(200, { seed: 31, from: NOW - 86_400_000, prefix: "o" }).map(bodyOf);
let next = 0;
const fresh = (count: number): Record<string, unknown>[] => {
  next += count;
  return stream.slice(next - count, next);
};

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world, { packageVersion: "1.2.3" }));
});

afterAll(async () => {
  await stop();
  await world.remove();
});

function datatypeOf(value: unknown): string {
  if (typeof value === "string") return "BYTES";
  return Number.isInteger(value) && (value as number) > 1e9 ? "INT64" : "FP64";
}

/** Transactions as tensors, a column each. */
function inputsOf(rows: readonly Record<string, unknown>[]) {
  return Object.keys(rows[0]).map((name) => ({
    name,
    datatype: datatypeOf(rows[0][name]),
    shape: [rows.length],
    data: rows.map((row) => row[name]),
  }));
}

/** The tensors of an answer by name. */
async function outputsOf(response: Response): Promise<Readonly<Record<string, readonly unknown[]>>> {
  expect(response.status).toBe(200);
  const { outputs } = (await response.json()) as { outputs: { name: string; data: unknown[] }[] };
  return Object.fromEntries(outputs.map(({ name, data }) => [name, data]));
}

async function logged(): Promise<number> {
  return (await reply(server.app.request("/health"))).log.predictions;
}

test("tensors are answered as /predict answers the same transactions, and count once", async () => {
  const rows = fresh(20);
  const before = await logged();
  const outputs = await outputsOf(await post(server, INFER, { inputs: inputsOf(rows) }));
  const singles = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
  expect(outputs.score).toEqual(singles.map(({ score }) => score));
  expect(outputs.decision).toEqual(singles.map(({ decision }) => decision));
  expect(outputs.transaction_id).toEqual(rows.map(({ transaction_id }) => transaction_id));
  expect(await logged()).toBe(before + 20);
});

test("the matrix shape and an id come back, and outputs are what was asked for", async () => {
  const inputs = inputsOf(fresh(3)).map((one) => ({ ...one, shape: [3, 1], data: one.data.map((value) => [value]) }));
  const response = await post(server, INFER, { id: "x-1", inputs, outputs: [{ name: "decision" }, { name: "score" }] });
  const body = (await response.json()) as { id: string; outputs: { name: string; shape: number[] }[] };
  expect(body).toMatchObject({ id: "x-1", model_name: "card-fraud", model_version: "1" });
  expect(body.outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ["decision", [3, 1]],
    ["score", [3, 1]],
  ]);
});

test("aliases name the same fields, and a missing value is a missing field", async () => {
  const [row] = fresh(1);
  const inputs = inputsOf([row]).map((one) => (one.name === "amount" ? { ...one, name: "tx_amount" } : one));
  await outputsOf(await post(server, INFER, { inputs }));
  expect((await post(server, "/predict", row)).status).toBe(200);
  const gap = inputsOf(fresh(2)).map((one) => (one.name === "amount" ? { ...one, data: [1, null] } : one));
  expect((await reply(post(server, INFER, { inputs: gap }))).errors).toEqual([
    { field: "1/amount", message: "is missing" },
  ]);
});

const TENSOR = { name: "amount", datatype: "FP64", shape: [1], data: [1] };
const INT = { name: "n", datatype: "INT64", shape: [1] };
const BAD: readonly (readonly [string, unknown, number, string])[] = [
  ["no tensors", {}, 422, "inputs"],
  ["an array", [], 422, "the document"],
  ["tensors that are none", { inputs: [1] }, 422, "inputs/0"],
  ["no rows", { inputs: [{ ...TENSOR, shape: [0], data: [] }] }, 422, "inputs"],
  ["a shape of two columns", { inputs: [{ ...TENSOR, shape: [1, 2], data: [1, 2] }] }, 422, "amount"],
  ["a shape that the data do not fill", { inputs: [{ ...TENSOR, shape: [1e15] }] }, 422, "amount"],
  ["an unknown datatype", { inputs: [{ ...TENSOR, datatype: "FP8" }] }, 422, "amount"],
  ["texts as numbers", { inputs: [{ ...TENSOR, data: ["1"] }] }, 422, "amount"],
  ["numbers as texts", { inputs: [{ ...TENSOR, datatype: "BYTES" }] }, 422, "amount"],
  ["a fraction as a whole number", { inputs: [{ ...INT, data: [1.5] }] }, 422, "n"],
  ["a whole number that JSON has rounded", { inputs: [{ ...INT, data: [2 ** 53] }] }, 422, "n"],
  ["two tensors of one name", { inputs: [TENSOR, TENSOR] }, 422, "amount"],
  ["tensors of different lengths", { inputs: [TENSOR, { ...TENSOR, name: "b", shape: [2], data: [1, 2] }] }, 422, "b"],
  ["an unknown output", { inputs: [TENSOR], outputs: [{ name: "probability" }] }, 422, "probability"],
  ["binary data that are not there", { inputs: [{ ...TENSOR, parameters: { binary_data_size: 8 } }] }, 422, "amount"],
  ["a field missing", { inputs: [TENSOR] }, 422, "0/transaction_id"],
];

test.each(BAD)("%s is refused, with the words where the protocol looks for them", async (_, body, status, field) => {
  const before = await logged();
  const response = await post(server, INFER, body);
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = (await response.json()) as Reply & { error: string };
  expect(problem.error).toBe(problem.detail);
  expect(problem.errors.map((fault) => fault.field)).toContain(field);
  expect(await logged()).toBe(before);
});

test("the same id with other content is refused whole", async () => {
  const [a, b] = fresh(2);
  await post(server, "/predict", a);
  const before = await logged();
  const response = await post(server, INFER, { inputs: inputsOf([{ ...a, amount: 1 }, b]) });
  expect([response.status, (await reply(response)).code]).toEqual([409, "request.duplicate"]);
  expect(await logged()).toBe(before);
});

test("more rows than a batch may have, other media types and broken JSON are refused as elsewhere", async () => {
  const many = { ...TENSOR, shape: [101], data: Array.from({ length: 101 }, () => 1) };
  expect((await post(server, INFER, { inputs: [many] })).status).toBe(413);
  expect((await post(server, INFER, "{", {})).status).toBe(400);
  expect((await post(server, INFER, "{}", { "content-type": "text/csv" })).status).toBe(415);
  expect((await post(server, INFER, "{}", { "inference-header-content-length": "99" })).status).toBe(400);
  expect((await post(server, INFER, "{}", { "inference-header-content-length": "-1" })).status).toBe(400);
});

test("another model and another version are not found, another method is not allowed", async () => {
  for (const path of ["/v2/models/nobody", "/v2/models/nobody/ready", "/v2/models/card-fraud/versions/9/ready"]) {
    const response = await server.app.request(path);
    expect([response.status, (await reply(response)).code]).toEqual([404, "request.not-found"]);
  }
  const response = await server.app.request(INFER);
  expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  expect((await server.app.request("/v2/models/a/b/infer")).status).toBe(404);
});

test("metadata name the tensors that the schema asks for, and each way of asking for health answers", async () => {
  const metadata = (await (await server.app.request("/v2/models/card-fraud/versions/1")).json()) as {
    inputs: { name: string; datatype: string; optional: boolean }[];
  };
  expect(metadata.inputs.map(({ name, datatype, optional }) => [name, datatype, optional])).toEqual([
    ["transaction_id", "BYTES", false],
    ["time", "BYTES", true],
    ["amount", "FP64", false],
    ["customer_id", "BYTES", false],
    ["terminal_id", "BYTES", false],
  ]);
  for (const path of ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/card-fraud/ready"]) {
    expect((await server.app.request(path)).status).toBe(200);
  }
});

test("without a champion health is not ready and inference is refused, for now", async () => {
  const empty = makeWorld();
  const running = await serve(empty);
  const { app } = running.server;
  expect((await app.request("/v2/health/ready")).status).toBe(503);
  expect((await app.request("/v2/models/card-fraud/ready")).status).toBe(503);
  expect((await app.request("/ping")).status).toBe(503);
  expect((await post(running.server, INFER, { inputs: inputsOf(fresh(1)) })).status).toBe(503);
  await running.stop();
  await empty.remove();
});

describe("raw tensors", () => {
  /** A request whose tensors are raw, made by the writer of answers. */
  function rawRequest(columns: Readonly<Record<string, readonly (number | string | null)[]>>) {
    const tensors = Object.entries(columns).map(([name, values]) => ({
      name,
      values,
      datatype: values.some((value) => typeof value === "string") ? ("BYTES" as const) : ("FP64" as const),
      binary: true,
    }));
    const { outputs, raw } = writeTensors(tensors, [Object.values(columns)[0].length]);
    return { inputs: outputs, raw };
  }

  test("what is written is read back, whatever the texts and numbers", () => {
    const column = fc.uniqueArray(
      fc.tuple(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string({ unit: "grapheme" })),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(column, (pairs) => {
        const numbers = pairs.map(([number]) => number);
        const texts = pairs.map(([, text]) => text);
        const { inputs, raw } = rawRequest({ n: numbers, t: texts });
        const { columns } = readRequest({ inputs }, raw);
        // A missing text column would be told as numbers, so that one at least is there.
        expect(columns).toEqual([
          { name: "n", cells: numbers },
          { name: "t", cells: texts },
        ]);
      }),
    );
  });

  test("whole numbers of every width are exact, beyond 2^53 as digits; NaN is missing", () => {
    const raw = Buffer.alloc(8 * 4 + 8);
    raw.writeBigInt64LE(-5n, 0);
    raw.writeBigInt64LE(9_007_199_254_740_993n, 8);
    raw.writeDoubleLE(Number.NaN, 16);
    raw.writeDoubleLE(0.1, 24);
    raw.writeInt16LE(-2, 32);
    raw.writeInt16LE(7, 34);
    raw.writeFloatLE(0.5, 36);
    const one = (name: string, datatype: string, rows: number, size: number) => ({
      ...{ name, datatype, shape: [rows] },
      parameters: { binary_data_size: size },
    });
    const inputs = [one("a", "INT64", 2, 16), one("b", "FP64", 2, 16), one("c", "INT16", 2, 4), one("d", "FP32", 1, 4)];
    expect(readRequest({ inputs }, raw).columns.map(({ cells }) => cells)).toEqual([
      [-5, "9007199254740993"],
      [undefined, 0.1],
      [-2, 7],
      [0.5],
    ]);
  });

  test("bytes of any kind are read or refused, never a bug", () => {
    const tensor = fc.record({
      datatype: fc.constantFrom("BYTES", "BOOL", "INT64", "FP64", "FP32", "UINT8"),
      rows: fc.nat(4),
      size: fc.nat(40),
    });
    fc.assert(
      fc.property(fc.array(tensor, { maxLength: 3 }), fc.uint8Array({ maxLength: 60 }), (tensors, raw) => {
        const inputs = tensors.map(({ datatype, rows, size }, index) => ({
          ...{ name: `t${index}`, datatype, shape: [rows] },
          parameters: { binary_data_size: size },
        }));
        try {
          for (const { cells } of readRequest({ inputs }, raw).columns) expect(cells.length).toBeLessThanOrEqual(4);
        } catch (error) {
          expect(error).toMatchObject({ code: "request.invalid" });
        }
      }),
    );
  });
});
