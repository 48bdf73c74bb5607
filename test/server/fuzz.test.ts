// Generated malformed requests on every route, by socket: no answer is a fault of the server, and every one is what /openapi.json says.
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { type Answered, type Document, documentedBy } from "./documented.ts";
import { LINES, type MalformedRequest, malformed, type RouteSeed, sampleOf } from "./malformed.ts";
import { Side } from "./side.ts";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, SPEC_A, serve, type World } from "./world.ts";

/** SENTINEL_FUZZ_REQUESTS=20000 SENTINEL_FUZZ_SEED=7 draws more, and others. */
const REQUESTS = Number(process.env.SENTINEL_FUZZ_REQUESTS ?? 2000);
const SEED = Number(process.env.SENTINEL_FUZZ_SEED ?? 1);
const AT_ONCE = 16;
const SILENCE_MS_MAX = 60_000;
/** Unfinished bodies end soon, so that they are answered within the test. */
const INTAKE = { graceMs: 200, msMax: 1500, lineMsMax: 500 };

let world: World;
let stop: () => Promise<void>;
let port = 0;
let document: Document;

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
  const served = await serve(world, { announceMs: 0, packageVersion: "1.0.0", intake: INTAKE });
  ({ stop } = served);
  ({ port } = await served.server.start({ host: "127.0.0.1", port: 0 }));
  document = (await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).json()) as Document;
});
afterAll(async () => {
  await stop();
  await world.remove();
});

/** Valid requests of every operation of the document. */
function seedsOf(): readonly RouteSeed[] {
  const rows = payments(40, { seed: 5, from: HISTORY.at(-1)!.time, prefix: "f" }).map(bodyOf);
  const label = { transaction_id: "f1", fraud: true, source: "test" };
  const tensors = {
    id: "1",
    inputs: Object.keys(rows[0]).map((name) => {
      const values = rows.slice(2, 4).map((row) => row[name]);
      const datatype = typeof values[0] === "string" ? "BYTES" : name === "time" ? "INT64" : "FP64";
      return { name, shape: [2], datatype, data: values };
    }),
  };
  const columns = Object.keys(rows[0]);
  const json = (...values: readonly unknown[]) => values.map((value) => ({ type: "application/json", value }));
  const bodies: Readonly<Record<string, RouteSeed["bodies"]>> = {
    "/predict": json(rows[0], rows[1]),
    "/predict/batch": [
      ...json(rows.slice(4, 7)),
      { type: "application/x-ndjson", value: [LINES, ...rows.slice(7, 10)] },
    ],
    "/explain": json({ transaction_id: "f1" }, rows[11], { ...rows[12], against: "candidate" }),
    "/feedback": json(label, [label, { ...label, transaction_id: "nobody" }]),
    "/invocations": [
      ...json(
        { dataframe_records: rows.slice(13, 15) },
        { dataframe_split: { columns, data: rows.slice(15, 17).map((row) => columns.map((name) => row[name])) } },
        { instances: rows.slice(17, 18) },
        { inputs: Object.fromEntries(columns.map((name) => [name, [rows[18][name]]])) },
      ),
      { type: "text/csv", value: `${columns.join(",")}\n${columns.map((name) => rows[19][name]).join(",")}\n` },
    ],
  };
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).flatMap((method) => {
      const seed = {
        method: method.toUpperCase(),
        path,
        bodies: bodies[path] ?? (path.endsWith("/infer") ? json(tensors) : []),
      };
      // Where there is a body there is more to break.
      return seed.bodies.length === 0 ? [seed] : Array.from({ length: 4 }, () => seed);
    }),
  );
}

interface Seen extends Answered {
  /** No byte came back before the connection ended. */
  readonly silent: boolean;
  readonly late: boolean;
}

/** Sends the bytes, and waits for an answer or the end of the connection. */
function send({ bytes, method }: MalformedRequest, at: number): Promise<Seen> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let late = false;
    const socket = connect({ port: at, host: "127.0.0.1", allowHalfOpen: true });
    const timer = setTimeout(() => {
      late = true;
      socket.destroy();
    }, SILENCE_MS_MAX);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (isWhole(Buffer.concat(chunks), method)) socket.destroy();
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ ...answerIn(Buffer.concat(chunks).toString("utf8")), late, silent: chunks.length === 0 });
    });
    socket.write(bytes);
  });
}

const CONTINUE = /^HTTP\/1\.1 100 Continue\r\n\r\n/;

/** Whether a whole answer came, where its length can be told: what keeps the connection open is no longer waited for. */
function isWhole(bytes: Buffer, method: string): boolean {
  const text = bytes.toString("latin1").replace(CONTINUE, "");
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  if (method === "HEAD") return true;
  const length = /^content-length: *(\d+)\r$/im.exec(text.slice(0, end + 1))?.[1];
  return length === undefined ? text.endsWith("\r\n0\r\n\r\n") : text.length >= end + 4 + Number(length);
}

function answerIn(text: string): Answered {
  const rest = text.replace(CONTINUE, "");
  const end = rest.indexOf("\r\n\r\n");
  const head = rest.slice(0, end);
  const header = (name: string): string | null => new RegExp(`^${name}: *(.*)$`, "im").exec(head)?.[1].trim() ?? null;
  let body = rest.slice(end + 4);
  if (header("transfer-encoding") === "chunked") body = unchunked(body);
  return { status: Number(head.slice(9, 12)), type: header("content-type"), text: body };
}

function unchunked(text: string): string {
  const bytes = Buffer.from(text);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const line = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.toString("latin1", at, line), 16);
    if (!(length > 0)) break;
    parts.push(bytes.subarray(line + 2, line + 2 + length));
    at = line + 4 + length;
  }
  return Buffer.concat(parts).toString("utf8");
}

interface Target {
  readonly port: number;
  readonly document: Document;
  readonly seeds: readonly RouteSeed[];
  readonly requests: number;
  /** What paths name, mostly. */
  readonly name?: string;
}

/** Sends so many; how often each status came, and which routes did what they were asked. */
async function fuzzed({ port: at, document: described, seeds, requests, name }: Target) {
  const documented = documentedBy(described);
  const random = new Random(SEED);
  const statuses = new Map<number, number>();
  const routes = new Set<string>();
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const request = malformed(random, seeds, name);
      const what = request.bytes.subarray(0, 2000).toString("latin1");
      const seen = await send(request, at);
      expect(seen.late, `no answer within ${SILENCE_MS_MAX} ms: ${what}`).toBe(false);
      statuses.set(seen.status, (statuses.get(seen.status) ?? 0) + 1);
      expect(seen.silent, `no answer: ${what}`).toBe(false);
      check(documented, { request, seen, what });
      if (seen.status < 300) routes.add(request.route);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  // And the server is as well as before.
  expect((await fetch(`http://127.0.0.1:${at}/readyz`)).status).toBe(200);
  return { statuses, routes };
}

test("malformed requests on every route are answered as documented, and nothing is a fault of the server", async () => {
  const { statuses, routes } = await fuzzed({ port, document, seeds: seedsOf(), requests: REQUESTS });
  // It tests something: routes were reached and answered, and much was refused.
  // This server keeps no store: nothing is found below /api.
  const paths = Object.keys(document.paths).filter((path) => !path.startsWith("/api/"));
  expect(routes.size).toBeGreaterThan(paths.length / 2);
  for (const status of [200, 400, 404, 405, 409, 413, 415, 422])
    expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(0);
}, 3_600_000);

test("so are those below /api, with bodies made of their schemas, where there is a store", async () => {
  const side = new Side({}, undefined, INTAKE);
  await side.start();
  try {
    const shop = await side.pipeline("Shop", { user_id: "string", amount: "float?" });
    await side.rule(shop, "amount > 10");
    const described = (await side.get("/openapi.json")).body as Document;
    const { schemas } = described.components;
    const seeds = Object.entries(described.paths)
      // What is watched live has no end.
      .filter(([path]) => path.startsWith("/api/") && path !== "/api/live")
      .flatMap(([path, operations]) =>
        Object.entries(operations).flatMap(([method, { requestBody }]) => {
          const schema = requestBody?.content["application/json"]?.schema;
          const bodies = schema === undefined ? [] : [{ type: "application/json", value: sampleOf(schema, schemas) }];
          return bodies.length === 0
            ? [{ method: method.toUpperCase(), path, bodies }]
            : Array.from({ length: 3 }, () => ({ method: method.toUpperCase(), path, bodies }));
        }),
      );
    const { port: at } = new URL(side.url);
    const target = { port: Number(at), document: described, seeds, requests: REQUESTS / 4, name: String(shop) };
    const { statuses, routes } = await fuzzed(target);
    expect(routes.size).toBeGreaterThan(10);
    for (const status of [200, 400, 404, 405, 422]) expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(0);
  } finally {
    await side.remove();
  }
}, 3_600_000);

function check(
  documented: ReturnType<typeof documentedBy>,
  {
    request,
    seen,
    what,
  }: {
    readonly request: { readonly method: string; readonly route: string };
    readonly seen: Seen;
    readonly what: string;
  },
): void {
  const { status, text } = seen;
  // A busy machine is overloaded or late; a candidate that is not warm explains nothing.
  const { code = "none" } = status < 500 ? {} : (JSON.parse(text) as { readonly code?: string });
  expect(
    ["none", "server.overloaded", "server.too-slow", "server.not-ready"],
    `${status} ${text} to ${what}`,
  ).toContain(code);
  expect(status < 500 || status === 503, `${status} ${text} to ${what}`).toBe(true);
  // Where the head itself cannot be read, nobody knows that it was to have no body.
  if (request.method === "HEAD" && text === "") return;
  if (status < 400) documented.answer(seen, { path: request.route, method: request.method });
  else documented.problem(seen);
}
