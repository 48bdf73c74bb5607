// The contract is true: what /openapi.json allows is taken, and every answer is what it says.
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { INTAKE_LIMITS } from "../../src/server/intake.ts";
import { platformDocument } from "../../src/server/openapi.ts";
import { PREFIX } from "../../src/server/parts.ts";
import { ROUTES } from "../../src/server/routes.ts";
import { createServer, type SentinelServer } from "../../src/server/server.ts";
import { type Document, type Documented, documentedBy } from "./documented.ts";
import { makeBundle, makeWorld, NOW, SCHEMA, SPEC_A, silent, type World } from "./world.ts";

/** Schemas as careless people write them: ids and times may be null, empty or anything. */
const CARELESS = {
  ...SCHEMA,
  properties: {
    ...SCHEMA.properties,
    transaction_id: { type: ["string", "integer", "null"] },
    time: { type: ["string", "integer", "number", "null"] },
    customer_id: { type: ["string", "integer", "null"] },
    note: {},
  },
};

let world: World;
let empty: World;
let server: SentinelServer;
let unready: SentinelServer;
let document: Document;
let documents: Documented;

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  empty = makeWorld();
  const make = (of: World) =>
    createServer({
      ports: of.open().ports,
      pipeline: of.pipeline,
      schema: CARELESS,
      options: { logger: silent, aheadMaxMs: DAY_MS },
    });
  [server, unready] = [await make(world), await make(empty)];
  document = (await (await server.app.request("/openapi.json")).json()) as Document;
  documents = documentedBy(document);
});
afterAll(async () => {
  await server.stop();
  await unready.stop();
  await world.remove();
  await empty.remove();
});

const check = (schema: object) => documents.check(schema);

async function documented(response: Response, at: { readonly path: string; readonly method: string }): Promise<void> {
  // Without a socket everything happens in one turn of the event loop; the log's thread must be heard now and then.
  await new Promise((resolve) => setImmediate(resolve));
  const { status, headers } = response;
  documents.answer({ status, type: headers.get("content-type"), text: await response.text() }, at);
}

const post = (path: string, body: string, type = "application/json") =>
  server.app.request(path, { method: "POST", headers: { "content-type": type }, body });

const id = fc.oneof(
  fc.uuid(),
  fc.integer(),
  fc.constantFrom<unknown>("", null, "x".repeat(200), "x".repeat(201), 1.5, true, {}, 2 ** 53),
);
const time = fc.oneof(
  fc.integer({ min: NOW - 90 * DAY_MS, max: NOW + 2 * DAY_MS }),
  fc.constantFrom<unknown>(
    "",
    null,
    0,
    -1,
    1.5,
    NOW / 1000,
    "2026-02-01",
    "2026-02-01T10:00:00Z",
    "0000-01-01T00:00:00Z",
    "2026-13-01",
    "now",
    true,
  ),
);
const field = fc.constantFrom<unknown>("c1", "c2", "c3", 7, 8, 9, "", null, "x".repeat(1001), true, [], {}, 0.5);
const transactionArbitrary = fc.record(
  {
    transaction_id: id,
    time,
    amount: fc.constantFrom<unknown>(0, 12.5, 99, 7, 1e9, -1, null, "5"),
    customer_id: field,
    terminal_id: field,
    note: field,
  },
  { requiredKeys: ["transaction_id", "amount", "customer_id", "terminal_id"] },
);

test("what the document allows is taken: transactions", async () => {
  const { schema } = document.paths["/predict"].post.requestBody!.content["application/json"];
  const counts = { allowed: 0, taken: 0 };
  await fc.assert(
    fc.asyncProperty(transactionArbitrary, async (transaction) => {
      const response = await post("/predict", JSON.stringify(transaction));
      const allowed = check(schema)(transaction);
      if (allowed) {
        counts.allowed++;
        expect([200, 409], JSON.stringify([transaction, await response.clone().text()])).toContain(response.status);
      }
      if (response.status === 200) counts.taken++;
      await documented(response, { path: "/predict", method: "POST" });
    }),
    { numRuns: 1500 },
  );
  expect(counts.allowed).toBeGreaterThan(50);
  expect(counts.taken).toBeGreaterThan(50);
});

test("what the document allows is taken: labels", async () => {
  await post(
    "/predict",
    JSON.stringify({ transaction_id: "known", amount: 1, customer_id: "c", terminal_id: "t", time: NOW }),
  );
  const { schema } = document.paths["/feedback"].post.requestBody!.content["application/json"];
  const label = fc.record(
    {
      transaction_id: fc.oneof(fc.constant("known"), id),
      fraud: fc.constantFrom<unknown>(true, 0, 1, 2, null, "yes"),
      source: fc.constantFrom<unknown>("x", "", null, 5, "s".repeat(101)),
      time,
    },
    { requiredKeys: ["transaction_id", "fraud"] },
  );
  await fc.assert(
    fc.asyncProperty(label, async (body) => {
      const response = await post("/feedback", JSON.stringify([body]));
      if (check(schema)(body)) expect(response.status, JSON.stringify(body)).toBe(200);
      await documented(response, { path: "/feedback", method: "POST" });
    }),
    { numRuns: 800 },
  );
});

test("every route answers as documented: well, badly, and before it is ready", async () => {
  const bad: readonly (readonly [string, string, string?])[] = [
    ["/predict", "{"],
    ["/predict", "{}", "text/plain"],
    ["/predict?explain=maybe", "{}"],
    ["/predict/batch", "[{}]"],
    ["/predict/batch", '{"a":1}\n\nnull\n{\n', "application/x-ndjson"],
    ["/explain", '{"transaction_id": "nobody"}'],
    ["/explain", '{"transaction_id": "nobody", "against": 5}'],
    ["/feedback", '{"transaction_id": "nobody", "fraud": true}'],
    ["/admin/reload", ""],
  ];
  for (const [path, body, type] of bad) {
    await documented(await post(path, body, type), { path: path.split("?")[0], method: "POST" });
  }
  for (const path of Object.keys(document.paths)) {
    if (document.paths[path].get === undefined) continue;
    for (const one of [server, unready]) await documented(await one.app.request(path), { path, method: "GET" });
  }
  expect((await unready.app.request("/readyz")).status).toBe(503);
});

test("a status that no route may answer is none of the contract, and those that it may have their headers", async () => {
  const { responses } = document.paths["/predict"].post;
  expect(Object.keys(responses)).toEqual([
    "200",
    "400",
    "401",
    "403",
    "404",
    "405",
    "408",
    "409",
    "413",
    "415",
    "417",
    "422",
    "429",
    "431",
    "503",
  ]);
  const text = JSON.stringify({ type: "", title: "", status: 500, detail: "", code: "bug.unexpected", hint: "" });
  const planted = { status: 500, type: "application/problem+json", text };
  for (const path of Object.keys(document.paths))
    for (const method of Object.keys(document.paths[path]))
      expect(() => documents.answer(planted, { path, method })).toThrow(/answers 500/);
  expect(() => documents.answer({ ...planted, status: 503 }, { path: "/predict", method: "POST" })).not.toThrow();
  const headersOf = (name: string): readonly string[] =>
    Object.keys((document.components.responses[name] as unknown as { readonly headers: object }).headers);
  expect(headersOf("Problem405")).toEqual(["X-Request-Id", "Allow"]);
  for (const status of [408, 429, 503]) expect(headersOf(`Problem${status}`)).toEqual(["X-Request-Id", "Retry-After"]);
  expect(headersOf("Problem422")).toEqual(["X-Request-Id"]);
});

const ROOT = path.join(import.meta.dirname, "..", "..");
const SERVING = readFileSync(path.join(ROOT, "docs", "serving.md"), "utf8");

test("the table of routes in docs/serving.md has every route, and no other", () => {
  const rows = SERVING.slice(SERVING.indexOf("## Routes")).split("\n\n")[1].split("\n").slice(2);
  const told = rows.flatMap((row) => [...row.split(" | ")[0].matchAll(/`(?:[A-Z]+ )?(\/[^`]*)`/g)].map(([, at]) => at));
  const isOf = (at: string) => (where: string) => (at.endsWith("…") ? where.startsWith(at.slice(0, -1)) : where === at);
  const all = ROUTES.map((route) => route.path).filter((where) => !where.startsWith(PREFIX));
  expect(all.filter((where) => !told.some((at) => isOf(at)(where)))).toEqual([]);
  expect(told.filter((at) => !all.some(isOf(at)))).toEqual([]);
});

test("limits that docs/serving.md quotes are those of the code", () => {
  const limitIn = (file: string, name: string): number => {
    const found = new RegExp(`const ${name} = ([\\d_]+)(?: << (\\d+))?;`).exec(
      readFileSync(path.join(ROOT, "src", file), "utf8"),
    )!;
    return Number(found[1].replaceAll("_", "")) * 2 ** Number(found[2] ?? 0);
  };
  const inWords = (value: number): string => value.toLocaleString("en-US");
  for (const words of [
    `wait longer than ${limitIn("server/pace.ts", "WAIT_MS_FINE")} ms`,
    `within some ${limitIn("server/pace.ts", "WAIT_MS_AIM")} ms`,
    `has waited ${limitIn("server/pace.ts", "WAIT_MS_MAX")} ms is refused`,
    `fewer than ${limitIn("server/pace.ts", "WAITING_MIN")} requests at once`,
    `is ${limitIn("server/server.ts", "LAG_MS_MAX")} ms late`,
    `over ${inWords(limitIn("server/server.ts", "IN_FLIGHT_MAX"))} requests being answered`,
    `${limitIn("server/listen.ts", "PIPELINED_MAX")} requests sent ahead`,
    `not there within ${limitIn("server/body.ts", "BODY_MS_MAX") / 1000} s`,
    `A line of more than ${limitIn("server/body.ts", "SKIPPED_BYTES_MAX") / 2 ** 20} MB`,
    `was not there ${limitIn("online/answer.ts", "BUDGET_MS") / 1000} s after its body`,
    `labels not after ${limitIn("online/answer.ts", "BATCH_BUDGET_MS") / 1000} s`,
    `line ${inWords(INTAKE_LIMITS.linesMax + 1)}`,
    `${INTAKE_LIMITS.streamsMax} streams may be open at once`,
    `${inWords(INTAKE_LIMITS.bodiesMax)} bodies and ${INTAKE_LIMITS.bytesMax / 2 ** 20} MB of them`,
    `after ${INTAKE_LIMITS.graceMs / 1000} s`,
  ])
    expect(SERVING).toContain(words);
});

test("the document that the dashboard is typed by has every route that is no pipeline's own, and no other", () => {
  const { paths } = platformDocument(ROUTES, "0") as Document;
  const named = Object.entries(paths).flatMap(([at, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${at}`),
  );
  const own = ROUTES.filter((route) => "runServer" in route).map(({ method, path }) => `${method} ${path}`);
  expect(named.sort()).toEqual(own.sort());
});

test("the types of ui/ are those of the document", async () => {
  const root = path.join(import.meta.dirname, "..", "..");
  const script = pathToFileURL(path.join(root, "scripts", "ui-types.mjs")).href;
  const { typesText } = (await import(script)) as { readonly typesText: (document: object) => string };
  const text = typesText(JSON.parse(JSON.stringify(platformDocument(ROUTES, "0"))) as object);
  expect(readFileSync(path.join(root, "ui", "api.gen.ts"), "utf8"), "run `npm run map`").toBe(text);
});
