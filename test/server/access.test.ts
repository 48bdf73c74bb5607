// Keys: who may ask what, on which address, how often; made, changed without a gap and revoked while the server runs.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { findKey, isKeyRecord, type KeyRecord, newKey, ROLES, type Role } from "../../src/core/key.ts";
import { createFileKeys } from "../../src/drivers/files/keys.ts";
import { createFileLock } from "../../src/drivers/files/lock.ts";
import { addKey, listKeys, revokeKey } from "../../src/lifecycle/keys.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { createServer, type SentinelServer, type ServerOptions } from "../../src/server/server.ts";
import {
  bodyOf,
  HISTORY,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  reply,
  SCHEMA,
  SPEC_A,
  silent,
  until,
  type World,
} from "./world.ts";

const BUNDLE = makeBundle(SPEC_A, 1);
const PAYMENTS = payments(400, { seed: 31, from: HISTORY.at(-1)!.time, prefix: "k" }).map(bodyOf);
let used = 0;
const payment = () => PAYMENTS[used++];

let world: World;
let ports: Ports;
let server: SentinelServer | null = null;
let file: string;
const clock = { time: NOW, now: () => clock.time, elapsed: () => clock.time };

beforeEach(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(BUNDLE));
  file = path.join(world.dir, "state", "keys.json");
  const keys = createFileKeys({ file });
  const lock = createFileLock({ dir: path.join(world.dir, "state", "locks") });
  clock.time = NOW;
  ports = { ...world.open().ports, clock, keys: async () => keys, lock: async () => lock };
});
afterEach(async () => {
  await server?.stop();
  server = null;
  await world.remove();
});

async function begin(options: ServerOptions = {}): Promise<SentinelServer> {
  server = await createServer({
    ports,
    pipeline: world.pipeline,
    schema: SCHEMA,
    options: { logger: silent, announceMs: 0, ...options },
  });
  return server;
}

const make = (
  role: Role,
  more: {
    readonly name?: string;
    readonly rate?: { perSecond: number; burst: number };
    readonly validMs?: number;
    readonly pipelines?: readonly string[];
  } = {},
) =>
  addKey(ports, {
    role,
    name: more.name ?? "test",
    actor: "tester",
    validMs: more.validMs ?? null,
    rate: more.rate ?? null,
    pipelines: more.pipelines ?? null,
    random: randomBytes,
  });
const bearing = (key: string) => ({ authorization: `Bearer ${key}` });

/** Every route with what it needs, and a body that it takes. */
const ROUTES: readonly (readonly [string, string, () => unknown, readonly Role[]])[] = [
  ["POST", "/predict", payment, ["predict", "admin"]],
  ["POST", "/predict/batch", () => [payment()], ["predict", "admin"]],
  ["POST", "/explain", payment, ["predict", "admin"]],
  ["POST", "/feedback", () => [], ["label", "admin"]],
  ["GET", "/shadow/report", () => null, ROLES],
  ["GET", "/model", () => null, ROLES],
  ["GET", "/openapi.json", () => null, ROLES],
  ["GET", "/docs", () => null, ROLES],
  ["POST", "/admin/reload", () => ({}), ["admin"]],
];
const OPEN = ["/livez", "/readyz", "/health", "/metrics", "/circuit/status"];

async function statusOf(
  method: string,
  route: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<number> {
  if (method === "POST") return (await post(server!, route, body, headers)).status;
  return (await server!.app.request(route, { headers })).status;
}

test("each role may do what it is for, and nothing else; probes and metrics are open", async () => {
  const keys: Record<string, string> = {};
  for (const role of ROLES) keys[role] = (await make(role)).key;
  await begin();
  for (const [method, route, body, allowed] of ROUTES) {
    expect(await statusOf(method, route, body(), {}), `${route} without a key`).toBe(401);
    expect(await statusOf(method, route, body(), bearing("sentinel_0_wrong")), `${route} with a wrong key`).toBe(401);
    for (const role of ROLES) {
      const wanted = allowed.includes(role) ? 200 : 403;
      expect(await statusOf(method, route, body(), bearing(keys[role])), `${route} as ${role}`).toBe(wanted);
      expect(await statusOf(method, route, body(), { "x-api-key": keys[role] }), `${route} as ${role}`).toBe(wanted);
    }
  }
  for (const route of OPEN) expect(await statusOf("GET", route, null, {}), route).toBe(200);
  const refused = await post(server!, "/feedback", [], bearing(keys.predict));
  expect(await reply(refused)).toMatchObject({
    code: "server.key-role",
    detail: expect.stringMatching(/predict.*label/),
  });
});

test("a key of one pipeline opens its routes alone, on every road, and none that is about all of them", async () => {
  const [own, other, whole] = [
    await make("predict", { pipelines: ["card"] }),
    await make("predict", { pipelines: ["shop", "crypto"] }),
    await make("predict"),
  ].map(({ key }) => bearing(key));
  await begin();
  const { port } = await server!.start({ host: "127.0.0.1", port: 0 });
  const infer = () => {
    const tensors = Object.entries(payment()).map(([name, value]) => {
      const datatype = typeof value !== "number" ? "BYTES" : name === "time" ? "INT64" : "FP64";
      return { name, datatype, shape: [1], data: [value] };
    });
    return { inputs: tensors };
  };
  const routes: readonly (readonly [string, string, () => unknown])[] = [
    ["POST", "/predict", payment],
    ["POST", "/pipelines/card/predict", payment],
    ["POST", "/pipelines/card/predict/batch", () => [payment()]],
    ["POST", "/v2/models/card-fraud/infer", infer],
    ["GET", "/v2/models/card-fraud", () => null],
    ["GET", "/model", () => null],
  ];
  for (const [method, route, body] of routes) {
    expect(await statusOf(method, route, body(), own), route).toBe(200);
    expect(await statusOf(method, route, body(), whole), route).toBe(200);
    expect(await statusOf(method, route, body(), other), route).toBe(403);
  }
  for (const route of ["/predict", "/pipelines/card/predict"]) {
    const ask = async (headers: Record<string, string>): Promise<number> => {
      const body = JSON.stringify(payment());
      const sent = { "content-type": "application/json", ...headers };
      return (await fetch(`http://127.0.0.1:${port}${route}`, { method: "POST", headers: sent, body })).status;
    };
    expect([await ask(own), await ask(whole), await ask(other)], route).toEqual([200, 200, 403]);
  }
  for (const route of ["/pipelines", "/openapi.json", "/docs"]) {
    expect(await statusOf("GET", route, null, own), route).toBe(403);
    expect(await statusOf("GET", route, null, whole), route).toBe(200);
  }
  expect(await statusOf("GET", "/pipelines/card/openapi.json", null, own)).toBe(200);
  expect(await (await server!.app.request("/health", { headers: other })).text()).not.toContain("history.parquet");
  // A list that holds no name must not be read as all of them.
  expect(isKeyRecord({ ...newRecord(), pipelines: [] })).toBe(false);
  expect(isKeyRecord({ ...newRecord(), pipelines: "card" })).toBe(false);
  expect(isKeyRecord({ ...newRecord(), pipelines: ["card"] })).toBe(true);
});

function newRecord(): KeyRecord {
  const times = { createdAt: 0, expiresAt: null, revokedAt: null };
  return { id: "1", name: "n", role: "label", hash: "a".repeat(64), createdBy: "t", rate: null, ...times };
}

test("without keys a loopback address asks nobody, but for the admin routes; another address is refused", async () => {
  await begin();
  expect(await statusOf("POST", "/predict", payment(), {})).toBe(200);
  expect(await statusOf("POST", "/admin/reload", {}, {})).toBe(401);
  for (const host of ["0.0.0.0", "::"]) {
    await expect(server!.start({ host, port: 0 })).rejects.toMatchObject({
      code: "server.keys-needed",
      hint: expect.stringMatching(/sentinel keys add/),
    });
  }
  const { port } = await server!.start({ host: "127.0.0.1", port: 0 });
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
});

test("on another address the administrator's key alone is enough, and everybody is asked; unless --insecure is said", async () => {
  await begin({ adminKey: "a-long-administrator-key" });
  expect(await statusOf("POST", "/predict", payment(), {})).toBe(200);
  await server!.start({ host: "0.0.0.0", port: 0 });
  expect(await statusOf("POST", "/predict", payment(), {})).toBe(401);
  expect(await statusOf("POST", "/predict", payment(), bearing("a-long-administrator-key"))).toBe(200);
  await server!.stop();
  await begin({ insecure: true });
  await server!.start({ host: "0.0.0.0", port: 0 });
  expect(await statusOf("POST", "/predict", payment(), {})).toBe(200);
});

test("a key is changed without a gap while the server runs, and a file that breaks opens nothing", async () => {
  const old = await make("predict");
  await begin();
  const next = await make("predict");
  const ask = (key: string) => statusOf("POST", "/predict", payment(), bearing(key));
  await until(async () => (await ask(next.key)) === 200);
  expect(await ask(old.key)).toBe(200);
  await revokeKey(ports, old.record.id);
  await until(async () => (await ask(old.key)) === 401);
  expect(await ask(next.key)).toBe(200);
  await revokeKey(ports, next.record.id);
  await until(async () => (await ask(next.key)) === 401);
  // With revoked keys alone the server stays closed.
  expect(await statusOf("POST", "/predict", payment(), {})).toBe(401);
  expect((await listKeys(ports)).map(({ state }) => state)).toEqual(["revoked", "revoked"]);
  await expect(revokeKey(ports, "none")).rejects.toMatchObject({ code: "keys.unknown" });
});

test("a key expires; what is kept is no key, in a file that only its owner reads", async () => {
  const { key, record } = await make("predict", { validMs: 1000 });
  await begin();
  expect(await statusOf("POST", "/predict", payment(), bearing(key))).toBe(200);
  clock.time += 1000;
  expect(await statusOf("POST", "/predict", payment(), bearing(key))).toBe(401);
  const kept = readFileSync(file, "utf8");
  expect(kept).toContain(sha256(key));
  // What is random may begin with an underscore itself.
  expect(kept).not.toContain(key.split("_").slice(2).join("_"));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(record).not.toHaveProperty("hash");
});

test("over a socket /predict asks for the key too, limits its rate, and its answers carry the safety headers", async () => {
  const { key } = await make("predict", { rate: { perSecond: 1, burst: 1 } });
  const { key: label } = await make("label");
  await begin();
  const { port } = await server!.start({ host: "127.0.0.1", port: 0 });
  const ask = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${port}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(payment()),
    });
  expect((await ask({})).status).toBe(401);
  expect((await ask(bearing(label))).status).toBe(403);
  const answered = await ask(bearing(key));
  expect([answered.status, answered.headers.get("x-content-type-options")]).toEqual([200, "nosniff"]);
  const limited = await ask({ "x-api-key": key });
  expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "1"]);
  expect(limited.headers.get("x-content-type-options")).toBe("nosniff");
});

test("a damaged file of keys keeps the server from starting", async () => {
  await make("predict");
  const { writeFileSync } = await import("node:fs");
  writeFileSync(file, '{"format": "sentinel-keys/1", "keys": [{"id": "x"}]}');
  await expect(begin()).rejects.toMatchObject({ code: "config.invalid" });
});

test("a key has its rate: one request too many waits, a batch counts by its items", async () => {
  const { key } = await make("predict", { rate: { perSecond: 2, burst: 4 } });
  await begin();
  const headers = bearing(key);
  for (let i = 0; i < 4; i++) expect(await statusOf("POST", "/predict", payment(), headers)).toBe(200);
  const limited = await post(server!, "/predict", payment(), headers);
  expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "1"]);
  expect((await reply(limited)).code).toBe("server.rate-limited");
  clock.time += 500;
  expect(await statusOf("POST", "/predict", payment(), headers)).toBe(200);
  clock.time += 10_000;
  const batch = await post(server!, "/predict/batch", Array.from({ length: 9 }, payment), headers);
  expect(batch.status).toBe(200);
  // Nine of four are five in debt.
  const indebted = await post(server!, "/predict", payment(), headers);
  expect([indebted.status, indebted.headers.get("retry-after")]).toEqual([429, "3"]);
  clock.time += 10_000;
  const lines = Array.from({ length: 9 }, () => JSON.stringify(payment())).join("\n");
  const streamed = await post(server!, "/predict/batch", lines, { ...headers, "content-type": "application/x-ndjson" });
  const codes = (await streamed.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).code ?? "answered");
  expect(codes.filter((code) => code === "answered")).toHaveLength(4);
  expect(codes.filter((code) => code === "server.rate-limited")).toHaveLength(5);
});

test("labels of an array count one by one as well, and an empty array gives nothing back", async () => {
  const { key } = await make("label", { rate: { perSecond: 1, burst: 4 } });
  await begin();
  const headers = bearing(key);
  for (const labels of [[], [], []]) expect((await post(server!, "/feedback", labels, headers)).status).toBe(200);
  const six = Array.from({ length: 6 }, (_, i) => ({ transaction_id: `nobody-${i}`, fraud: true }));
  clock.time += 10_000;
  expect((await post(server!, "/feedback", six, headers)).status).toBe(200);
  // Six of four are two in debt.
  const indebted = await post(server!, "/feedback", six, headers);
  expect([indebted.status, indebted.headers.get("retry-after")]).toEqual([429, "3"]);
  clock.time += 3000;
  for (const status of [200, 429]) expect((await post(server!, "/feedback", [], headers)).status).toBe(status);
});

test("/model and /health tell the training machine's paths only to those with a key", async () => {
  const { key } = await make("predict");
  await revokeKey(ports, (await make("label")).record.id);
  await begin();
  const told = async (route: string, headers: Record<string, string>) =>
    JSON.stringify(await (await server!.app.request(route, { headers })).json());
  expect(await told("/health", {})).not.toContain(world.dir);
  expect(await told("/health", {})).not.toContain("history.parquet");
  expect(await told("/health", bearing(key))).toContain("history.parquet");
  expect(await told("/model", bearing(key))).toContain("history.parquet");
});

test("a key is found by its hash alone, and two keys are never alike", () => {
  const made = Array.from({ length: 50 }, () => newKey(randomBytes));
  const records = made.map(({ id, hash }, i) => ({
    id,
    hash,
    name: "x",
    role: "predict" as const,
    createdAt: 0,
    createdBy: "x",
    expiresAt: i % 3 === 0 ? 10 : null,
    revokedAt: i % 3 === 1 ? 5 : null,
    rate: null,
  }));
  expect(new Set(made.map(({ key }) => key)).size).toBe(50);
  const found = made.map(({ key }) => findKey(records, key, 10)?.id ?? null);
  expect(found).toEqual(made.map(({ id }, i) => (i % 3 === 2 ? id : null)));
});

test("no key is called as a person is whom an identity provider vouches for", async () => {
  for (const name of ["oidc:jane", " OIDC:jane", "oidc:"]) {
    await expect(make("analyst", { name })).rejects.toMatchObject({ code: "keys.name" });
  }
  await expect(make("analyst", { name: "oidc" })).resolves.toBeDefined();
});

test("with a certificate the server speaks TLS, and tells browsers to stay with it", async () => {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(world.dir, name));
  const subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048", "-x509"];
  execFileSync("openssl", ["req", ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  await begin();
  const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  await expect(server!.start({ host: "127.0.0.1", port: 0, tls: { ...tls, key: "none" } })).rejects.toMatchObject({
    code: "config.invalid",
  });
  const { port } = await server!.start({ host: "127.0.0.1", port: 0, tls });
  const headers = await new Promise((resolve, reject) => {
    https
      .get({ host: "127.0.0.1", port, path: "/livez", ca: tls.cert, servername: "localhost" }, (response) => {
        response.resume();
        resolve(response.headers);
      })
      .on("error", reject);
  });
  expect(headers).toMatchObject({ "strict-transport-security": "max-age=31536000" });
});
