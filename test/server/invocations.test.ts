// MLflow's scoring protocol: frames, instances, columns and CSV give the answers of /predict, and its refusals.
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCsv } from "../../src/server/invocations/csv.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import { pipelineOf } from "../lifecycle/world.ts";
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

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const stream = payments(100, { seed: 41, from: NOW - 86_400_000, prefix: "i" }).map(bodyOf);
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

const invoke = (body: unknown): Promise<Response> => post(server, "/invocations", body);
const csv = (text: string): Promise<Response> => post(server, "/invocations", text, { "content-type": "text/csv" });

async function predictionsOf(response: Response): Promise<readonly Reply[]> {
  expect(response.status).toBe(200);
  return ((await response.json()) as { predictions: Reply[] }).predictions;
}

test("each way gives the answer of /predict, and each transaction counts once", async () => {
  const rows = fresh(8);
  const columns = Object.keys(rows[0]);
  const before = (await reply(server.app.request("/health"))).log.predictions;
  const data = rows.map((row) => columns.map((name) => row[name]));
  const split = await predictionsOf(await invoke({ dataframe_split: { index: [0], columns, data } }));
  expect(split.map(({ transaction_id }) => transaction_id)).toEqual(rows.map((row) => row.transaction_id));
  for (const body of [
    { dataframe_records: rows, params: {} },
    { instances: rows },
    { inputs: rows },
    { inputs: Object.fromEntries(columns.map((name, at) => [name, data.map((row) => row[at])])) },
    { inputs: Object.fromEntries(columns.map((name, at) => [name, data.map((row) => [row[at]])])) },
  ]) {
    expect(await predictionsOf(await invoke(body))).toEqual(split);
  }
  expect(await predictionsOf(await invoke({ inputs: rows[0] }))).toEqual([split[0]]);
  const text = [columns.join(","), ...data.map((row) => row.join(","))].join("\r\n");
  expect(await predictionsOf(await csv(`\uFEFF${text}\r\n`))).toEqual(split);
  const singles = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
  expect(split).toEqual(singles);
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(before + 8);
});

test("a cell of CSV is what the schema allows: digits of an id stay digits, a quoted cell keeps its commas and lines", async () => {
  const [a] = fresh(1);
  const customer = '007, "so called"\nagent';
  const text = `amount,customer_id,terminal_id,transaction_id,time\n12.50,"${customer.replaceAll('"', '""')}",0042,0815,${a.time}\n`;
  const [answer] = await predictionsOf(await csv(text));
  expect(answer.transaction_id).toBe("0815");
  const same = { amount: 12.5, customer_id: customer, terminal_id: "0042", transaction_id: "0815", time: a.time };
  expect(await reply(post(server, "/predict", same))).toEqual(answer);
  expect((await post(server, "/predict", { ...same, terminal_id: "42" })).status).toBe(409);
});

test("a missing cell is a missing field", async () => {
  const [a] = fresh(1);
  const text = `transaction_id,time,amount,customer_id,terminal_id,note\n${a.transaction_id},,${a.amount},c1,t1,\n`;
  await predictionsOf(await csv(text));
  const untimed = { transaction_id: a.transaction_id, amount: a.amount, customer_id: "c1", terminal_id: "t1" };
  expect((await post(server, "/predict", untimed)).status).toBe(200);
  const refused = await reply(invoke({ dataframe_records: [{ ...a, amount: null }] }));
  expect(refused.errors).toEqual([{ field: "0/amount", message: "is missing" }]);
});

test("a cell's type is found in parts, by patterns and behind references; upper and lower case are one", () => {
  const schema = {
    $defs: { money: { type: ["number", "null"] } },
    properties: { amount: { $ref: "#/$defs/money" }, flag: { anyOf: [{ type: "integer" }, { type: "null" }] } },
    patternProperties: { "^V\\d+$": { type: ["number", "null"] } },
    allOf: [{ properties: { customer_id: { type: ["string", "integer"] } } }],
  };
  const pipeline = pipelineOf("aliases: { amount: [tx_amount] }\n");
  expect(readCsv("TX_Amount,flag,V17,Customer_ID\n1.50,1,0.25,007\n", { schema, pipeline })).toEqual([
    { TX_Amount: 1.5, flag: 1, V17: 0.25, Customer_ID: "007" },
  ]);
});

test("a time is a count where it is written as one, and keeps its digits where a format says how", () => {
  const timeIn = (cell: string, time: string, type: readonly string[]): unknown => {
    const schema = { properties: { time: { type } } };
    return readCsv(`transaction_id,time\na,${cell}\n`, { schema, pipeline: pipelineOf("", "/w", time) })[0].time;
  };
  const seconds = "{ column: time, unit: s, origin: 2024-01-01 }";
  expect(timeIn("406.5", seconds, ["number", "null"])).toBe(406.5);
  expect(timeIn("406.0", seconds, ["number", "null"])).toBe(406);
  expect(timeIn("1714557600000", "time", ["string", "integer"])).toBe(1714557600000);
  expect(timeIn("2024-05-01 10:00:00", "time", ["string", "integer"])).toBe("2024-05-01 10:00:00");
  expect(timeIn("01052024", '{ column: time, format: "%d%m%Y" }', ["string"])).toBe("01052024");
});

test("a table as wide as a request may be is taken, and one wider is refused", () => {
  const wide = (columns: number): string => {
    const names = Array.from({ length: columns }, (_, i) => `V${i}`).join(",");
    return `${names}\n${names.replaceAll("V", "")}\n`;
  };
  const given = { schema: {}, pipeline: pipelineOf() };
  expect(Object.keys(readCsv(wide(432), given)[0])).toHaveLength(432);
  expect(() => readCsv(wide(1201), given)).toThrow(/more than 1200 columns/);
});

test("a number that is missing comes from MLflow's own client as NaN; within texts it is a text", async () => {
  const [row, other] = fresh(2);
  const frame = {
    columns: [...Object.keys(row), "note", 'NaN "x'],
    data: [[...Object.values(row), "#", 'NaN, \\"NaN\\\\']],
  };
  const text = JSON.stringify({ dataframe_split: frame }).replace('"#"', "NaN");
  expect(text).toContain(",NaN,");
  const first = await invoke(text);
  expect(first.status).toBe(200);
  // The same content as without it.
  const same = await invoke({ instances: [{ ...row, 'NaN "x': frame.data[0].at(-1) }] });
  expect(await same.json()).toEqual(await first.json());
  const records = await invoke(
    `{"dataframe_records":[${JSON.stringify({ ...other, time: "#" }).replace('"#"', "NaN")}]}`,
  );
  expect(records.status).toBe(200);
});

const HEAD = "transaction_id,amount,customer_id,terminal_id";
const BAD: readonly (readonly [string, () => Promise<Response>, number, string])[] = [
  ["no frame", () => invoke({}), 422, "the document must have exactly one of"],
  ["two frames", () => invoke({ instances: [], inputs: [] }), 422, "it has instances and inputs"],
  ["an array", () => invoke([]), 422, "must be a JSON object"],
  ["instances that are no objects", () => invoke({ instances: [[1, 2]] }), 422, "instances/0 must be a JSON object"],
  ["no rows", () => invoke({ instances: [] }), 422, "holds no transaction"],
  ["a row of other length", () => invoke({ dataframe_split: { columns: ["a"], data: [[1, 2]] } }), 422, "1 values"],
  ["a column twice", () => invoke({ dataframe_split: { columns: ["a", "a"], data: [[1, 2]] } }), 422, "twice"],
  ["columns of two lengths", () => invoke({ inputs: { a: [1], b: [1, 2] } }), 422, "b has 2 values"],
  ["parameters", () => invoke({ instances: [{}], params: { top: 3 } }), 422, "params must be empty"],
  ["a bad row among good ones", () => invoke({ instances: [...fresh(1), {}] }), 422, "1/transaction_id is missing"],
  [
    "NaN for what must be there",
    () => invoke('{"instances":[{"transaction_id":"a","amount":NaN}]}'),
    422,
    "0/amount is missing",
  ],
  ["Infinity", () => invoke('{"instances":[{"amount":-Infinity}]}'), 400, "is no JSON"],
  ["NaN with a sign", () => invoke('{"instances":[{"amount":-NaN}]}'), 400, "is no JSON"],
  ["a text without an end", () => invoke('{"instances":[{"a":NaN,"b":"NaN'), 400, "is no JSON"],
  ["an empty CSV", () => csv(""), 400, "line 1 of the CSV is empty"],
  ["a header alone", () => csv(`${HEAD}\n`), 422, "holds no transaction"],
  ["a line too short", () => csv(`${HEAD}\n\na,1,c\n`), 400, "line 3 of the CSV has 3 cells"],
  ["an open quote", () => csv(`${HEAD}\na,1,"c,t\n`), 400, "line 2 of the CSV opens a quote"],
  ["text after a quote", () => csv(`${HEAD}\na,1,"c"x,t\n`), 400, "after a closing quote"],
  ["a number that is none", () => csv(`${HEAD}\na,1x,c,t\n`), 422, "0/amount must be number"],
  ["a number that no double holds", () => csv(`${HEAD}\na,1e999,c,t\n`), 422, "0/amount must be number"],
  ["a header that repeats itself", () => csv("amount,amount\n1,2\n"), 422, "twice"],
  ["another media type", () => post(server, "/invocations", "x", { "content-type": "text/html" }), 415, "text/html"],
  ["too many rows", () => invoke({ instances: Array.from({ length: 101 }, () => ({})) }), 413, "101 transactions"],
];

test.each(BAD)("%s is refused", async (_, send, status, words) => {
  const response = await send();
  expect(response.status).toBe(status);
  const problem = await reply(response);
  expect(problem.detail).toContain(words);
  expect(problem.hint).not.toBe("");
});

test("ping and version answer as a scoring server does", async () => {
  expect(await (await server.app.request("/ping")).text()).toBe("\n");
  expect(await (await server.app.request("/version")).text()).toBe("1.2.3");
});
