// Odd transactions through every door over HTTP: all doors take one alike, with the same answer, or all refuse it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import { makeBundle, makeWorld, NOW, SPEC_A, serve, type World } from "./world.ts";

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
let port = 0;

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world, { packageVersion: "1.2.3", announceMs: 0 }));
  ({ port } = await server.start({ host: "127.0.0.1", port: 0 }));
});
afterAll(async () => {
  await stop();
  await world.remove();
});

const JSON_TYPE = "application/json";
type Answer = { readonly refused: boolean; readonly body: unknown };

/** Where a transaction, as its JSON, goes in; and where its answer comes out. */
const DOORS: readonly (readonly [string, (json: string) => Promise<Answer>])[] = [
  ["the wire", (json) => send("/predict", json, JSON_TYPE, (body) => body)],
  ["a type with parameters", (json) => send("/predict", json, "application/json; charset=UTF-8", (body) => body)],
  ["reasons asked for", (json) => send("/predict?explain=false", json, JSON_TYPE, (body) => body)],
  ["an array", (json) => send("/predict/batch", `[${json}]`, JSON_TYPE, (body) => (body as unknown[])[0])],
  ["lines", (json) => send("/predict/batch", `${json}\n`, "application/x-ndjson", (body) => body)],
  [
    "instances",
    (json) =>
      send(
        "/invocations",
        `{"instances":[${json}]}`,
        JSON_TYPE,
        (body) => (body as { predictions: unknown[] }).predictions[0],
      ),
  ],
];

async function send(path: string, body: string, type: string, of: (body: unknown) => unknown): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": type },
  });
  const text = await response.text();
  const found: unknown = JSON.parse(text);
  // A line that is refused is answered by a problem in its place.
  const refused = response.status >= 400 || (typeof found === "object" && found !== null && "code" in found);
  expect(response.status, `${path}: ${text}`).toBeLessThan(500);
  return { refused, body: refused ? null : of(found) };
}

const AT = new Date(NOW - DAY_MS).toISOString();
let next = 0;
/** A transaction's JSON with some members written as given, others as they usually are. */
function written(over: Readonly<Record<string, string>>): string {
  const own = {
    transaction_id: JSON.stringify(`alike-${next++}`),
    time: JSON.stringify(AT),
    amount: "12.5",
    customer_id: '"c1"',
    terminal_id: '"t1"',
    ...over,
  };
  return `{${Object.entries(own)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(",")}}`;
}
const ISO = AT.slice(0, 19);

test.each<readonly [string, Readonly<Record<string, string>>, boolean]>([
  ["as usual", {}, false],
  ...[
    `"${ISO}"`,
    `"${ISO}.1239"`,
    `"${ISO},5"`,
    `"${ISO}+02:00"`,
    `"${ISO.replace("T", " ")} UTC"`,
    String(NOW - DAY_MS),
    `"${NOW - DAY_MS}"`,
  ].map((time) => [`time ${time}`, { time }, false] as const),
  ...[
    `"${ISO}+24:00"`,
    `"${AT.slice(0, 10)}T24:00:00"`,
    '"2016-12-31T23:59:60Z"',
    '"0000-01-01"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31"',
    '"2026-02-30"',
    '"01/02/2026"',
    '"1970-01-01"',
    '"NaN"',
    '""',
    '"now"',
    '"infinity"',
    "0",
    "-1",
    String((NOW - DAY_MS) / 1000),
    String((NOW - DAY_MS) * 1000),
    "1e400",
    "true",
    "{}",
    "[]",
    String(NOW + 400 * DAY_MS),
  ].map((time) => [`time ${time}`, { time }, true] as const),
  ...['"0"', '" a"', '"+5"', '"1e5"', '"\\u0000"', '"é"', '"e\\u0301"', '"\\ufeffx"', '"__proto__"'].map(
    (id) => [`id ${id}`, { transaction_id: `"alike${next++}${id.slice(1)}` }, false] as const,
  ),
  ...['""', "null", "1.5", "9007199254740993", "-9007199254740993", "1e22", "true", "{}", `"${"x".repeat(201)}"`].map(
    (id) => [`id ${id.slice(0, 30)}`, { transaction_id: id }, true] as const,
  ),
  ...[
    '"007"',
    '"+5"',
    '"0x10"',
    "7",
    "-0",
    '"NULL"',
    '"nan"',
    '"1,5"',
    '" 5"',
    '"5\\u00a0"',
    '"\\ufeff5"',
    '"\\ud800"',
    '"9007199254740993"',
  ].map((key) => [`key ${key}`, { customer_id: key }, false] as const),
  ...["9007199254740993", "1e300", "7.5", "[1]", `"${"x".repeat(1001)}"`].map(
    (key) => [`key ${key.slice(0, 30)}`, { customer_id: key }, true] as const,
  ),
  ...["0", "-0", "1e-300", "5e8"].map((amount) => [`amount ${amount}`, { amount }, false] as const),
  ...['"12.5"', "-1", "1e10", "1e400", "NaN", "Infinity", "true", "{}", "0x10", "01", "+1", ".5", "1_000"].map(
    (amount) => [`amount ${amount}`, { amount }, true] as const,
  ),
  ["two names of one field", { card_id: '"c2"' }, true],
  ["one name twice", { amount: '12.5,"amount":13' }, true],
  ["one name twice, once by an escape", { amount: '12.5,"\\u0061mount":13' }, true],
  ["one name twice in a field that nobody knows", { note: '{"a":1,"b":{},"a":2}' }, true],
  ["a name in another case", { customer_id: "", CUSTOMER_ID: '"c1"' }, false],
  ["an alias", { customer_id: "", card_id: '"c1"' }, false],
  ["a field that nobody knows", { note: '{"a":[1,null]}' }, false],
  ["a field that is missing", { amount: "" }, true],
  ["the label", { is_fraud: "1" }, false],
])("%s", async (_, over, refused) => {
  const json = written(over);
  const answers: [string, Answer][] = [];
  for (const [door, ask] of DOORS) answers.push([door, await ask(json)]);
  for (const [door, answer] of answers) {
    expect(answer.refused, door).toBe(refused);
    expect(answer.body, door).toEqual(answers[0][1].body);
  }
});
