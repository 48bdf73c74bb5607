// The gateway: an answer in time whatever the brains do, and every transaction in the ledger once.
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { httpBrain } from "../../src/drivers/brain/http/driver.ts";
import { namedBrains } from "../../src/drivers/brain/named.ts";
import { systemClock } from "../../src/drivers/clock/system.ts";
import { openSpool } from "../../src/drivers/ledger/spool.ts";
import { openLibsqlStore } from "../../src/drivers/store/libsql/driver.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { Pool } from "../../src/gateway/pool.ts";
import { LedgerWriter } from "../../src/gateway/writer.ts";
import { load } from "../../src/lifecycle/chaos.ts";
import { brainUrls } from "../../src/lifecycle/gateway.ts";
import type { Brain, Brains } from "../../src/ports/brain.ts";
import { LEDGER_APPENDED_MAX, type Ledger, type LedgerEntry } from "../../src/ports/ledger.ts";
import { Access } from "../../src/server/access.ts";
import { serveGateway } from "../../src/server/gateway.ts";
import { GatewayMeasures } from "../../src/server/gateway-measures.ts";
import { type OpenStore, ofDefault } from "../drivers/store/of-default.ts";
import { silent, until } from "./world.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sentinel-gateway-"));
let store: OpenStore;
beforeAll(async () => {
  store = await ofDefault(openLibsqlStore({ file: path.join(folder, "store.db"), clock: systemClock }));
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

let number = 0;
const freshId = (): string => `txn-${number++}`;
const bodyOf = (id: string, more: object = {}): string =>
  JSON.stringify({ transaction_id: id, amount: 150.5, currency: "USD", user_id: "user_123", ...more });

/** What a brain does with its next requests. */
type Mood = "answer" | "fail" | "hang" | "refuse" | "cut";

interface FakeBrain {
  readonly url: string;
  mood: Mood;
  delayMs: number;
  readonly asked: string[];
  stop(): Promise<void>;
}

/** A server that answers as `sentinel serve` does, or badly. */
async function fakeBrain(decision = "approve"): Promise<FakeBrain> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => {
      body += String(piece);
    });
    request.on("end", () => {
      const { transaction_id: id } = JSON.parse(body) as { readonly transaction_id: string };
      asked.push(id);
      const reply = (status: number, value: object): void => {
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify(value));
      };
      if (brain.mood === "hang") return;
      if (brain.mood === "cut") response.destroy();
      else if (brain.mood === "fail") reply(503, { code: "server.not-ready" });
      else if (brain.mood === "refuse") reply(422, { code: "request.invalid", status: 422 });
      else setTimeout(() => reply(200, { transaction_id: id, score: 0.25, decision }), brain.delayMs);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const brain: FakeBrain = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: "answer",
    delayMs: 0,
    asked,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  closing.push(() => brain.stop());
  return brain;
}

interface Given {
  readonly deadlineMs?: number;
  readonly hedgeMs?: number;
  readonly breakMs?: number;
  readonly ledger?: Ledger;
  /** Long, so that a busy machine makes nobody use the spool. */
  readonly appendMsMax?: number;
  readonly durability?: "sync" | "async";
}

/** A whole gateway in front of these brains. */
async function begin(urls: readonly string[], given: Given = {}) {
  const {
    deadlineMs = 400,
    hedgeMs = 100,
    breakMs = 300,
    ledger = store.ledger,
    durability = "sync",
    appendMsMax = 10_000,
  } = given;
  const clock = systemClock;
  const measures = new GatewayMeasures({ process: false });
  const brains = namedBrains({ urls: brainUrls(urls, null), make: httpBrain({ key: null }) });
  await brains.open();
  const pool = new Pool({
    brains,
    clock,
    failuresMax: 3,
    breakMs,
    hedgeMs,
    onFailure: (where) => measures.failed(where),
    onHedge: () => measures.hedged(),
  });
  const spoolFile = path.join(folder, `spool-${number++}.ndjson`);
  const spool = await openSpool(spoolFile);
  const writer = new LedgerWriter({ ledger, spool, clock, appendMsMax, retryMs: 20, spoolBytesMax: 1e6 });
  writer.open();
  const gateway = new Gateway({
    pool,
    writer,
    ledger,
    clock,
    deadlineMs,
    policy: "approve",
    durability,
    counters: measures.counters,
  });
  const access = new Access({ clock, logger: silent, store: null, fixed: [], admin: null });
  const at = await serveGateway(
    { gateway, pool, writer, measures, clock, access, logger: silent },
    { host: "127.0.0.1", port: 0 },
  );
  const url = `http://127.0.0.1:${at.port}`;
  closing.push(async () => {
    await at.close({ announceMs: 0, msMax: 500 });
    await writer.close();
    brains.close();
    await spool.close();
  });
  const get = async (route: string) => (await fetch(`${url}${route}`)).json() as Promise<Record<string, unknown>>;
  const pay = async (body: string) => {
    const response = await fetch(`${url}/transaction`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const stop = (times: Parameters<typeof at.close>[0]): Promise<void> => at.close(times);
  return { url, get, pay, gateway, pool, writer, spool, spoolFile, stop };
}

test("a transaction gets the brain's decision and a line in the ledger; again, the same answer; with other content, a refusal", async () => {
  const brain = await fakeBrain("block");
  const { pay, get, url } = await begin([brain.url]);
  const id = freshId();
  const first = await pay(bodyOf(id));
  expect(first).toMatchObject({
    status: 200,
    body: {
      transaction_id: id,
      score: 0.25,
      decision: "block",
      is_fraud: true,
      answered_by: "brain",
      brain: brain.url.slice(7),
    },
  });
  expect(await store.ledger.find(id)).toMatchObject({
    transaction: bodyOf(id),
    answer: JSON.stringify(first.body),
    by: "brain",
  });
  expect(await pay(bodyOf(id))).toEqual(first);
  expect(await pay(bodyOf(id, { amount: 1 }))).toMatchObject({ status: 409, body: { code: "request.duplicate" } });
  expect(await get("/health")).toMatchObject({ status: "ok", circuit: "closed", brains: [{ breaker: "closed" }] });
  expect(await get("/circuit/status")).toMatchObject({ state: "closed" });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('sentinel_gateway_answers_total{by="brain"} 1');
  expect(metrics).toContain('sentinel_gateway_answers_total{by="repeat"} 1');
});

test.each([
  ["no JSON", "{", 400, "request.malformed"],
  ["a list", "[]", 422, "request.invalid"],
  ["no id", "{}", 422, "request.invalid"],
  ["an empty id", '{"transaction_id":""}', 422, "request.invalid"],
  ["an id beyond 2^53", '{"transaction_id":9007199254740993}', 422, "request.invalid"],
  ["an id of the prototype", '{"__proto__":{"transaction_id":"x"}}', 422, "request.invalid"],
  [
    "more than one transaction's bytes",
    `{"transaction_id":"x","note":"${"a".repeat(70_000)}"}`,
    413,
    "request.body-too-large",
  ],
])("%s is refused, and no brain is asked", async (_, body, status, code) => {
  const brain = await fakeBrain();
  const { pay } = await begin([brain.url]);
  expect(await pay(body)).toMatchObject({ status, body: { code } });
  expect(brain.asked).toEqual([]);
});

test("a body in pieces and a compressed one are transactions as others; one that grows beyond the limit is none", async () => {
  const brain = await fakeBrain();
  const { url } = await begin([brain.url]);
  const send = (
    body: string | Uint8Array<ArrayBuffer> | ReadableStream,
    headers: Record<string, string> = {},
  ): Promise<Response> =>
    fetch(`${url}/transaction`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
      ...(typeof body === "string" ? {} : { duplex: "half" }),
    });
  const pieces = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of bodyOf("in-pieces").match(/.{1,20}/g)!) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  expect((await send(pieces)).status).toBe(200);
  expect((await send(gzipSync(bodyOf("compressed")), { "content-encoding": "gzip" })).status).toBe(200);
  expect(brain.asked).toEqual(["in-pieces", "compressed"]);
  const bomb = await send(gzipSync(bodyOf("bomb", { note: "a".repeat(200_000) })), { "content-encoding": "gzip" });
  expect([bomb.status, await bomb.json()]).toMatchObject([
    413,
    { code: "request.body-too-large", hint: "send one transaction" },
  ]);
  const strange = await send(bodyOf("strange"), { "content-encoding": "zip" });
  expect(strange.status).toBe(415);
});

test("a gateway that stops says so at once, answers what is under way, and then takes nothing more", async () => {
  const brain = await fakeBrain();
  brain.delayMs = 150;
  const { url, pay, get, stop } = await begin([brain.url]);
  const [id, late] = [freshId(), freshId()];
  const paying = pay(bodyOf(id));
  await until(() => brain.asked.includes(id));
  const stopping = stop({ announceMs: 300, msMax: 2000 });
  expect(await get("/readyz")).toMatchObject({ status: 503, code: "server.not-ready" });
  expect(await get("/livez")).toEqual({ status: "ok" });
  expect(await paying).toMatchObject({ status: 200, body: { answered_by: "brain" } });
  // While it is announced, transactions are still taken.
  expect(await pay(bodyOf(late))).toMatchObject({ status: 200 });
  await stopping;
  await expect(fetch(`${url}/livez`)).rejects.toThrow();
  for (const one of [id, late]) expect(await store.ledger.find(one)).not.toBeNull();
});

test("what a brain refuses is passed on, and is no transaction", async () => {
  const brain = await fakeBrain();
  brain.mood = "refuse";
  const { pay, get } = await begin([brain.url]);
  const id = freshId();
  for (let i = 0; i < 5; i++)
    expect(await pay(bodyOf(id))).toMatchObject({ status: 422, body: { code: "request.invalid" } });
  expect(await store.ledger.find(id)).toBeNull();
  // A refusal is an answer: the brain is well.
  expect(await get("/circuit/status")).toMatchObject({ state: "closed" });
});

test("a brain that fails is asked three times, then left alone; the policy answers, flagged, and the brain scores it afterwards", async () => {
  const brain = await fakeBrain("block");
  brain.mood = "fail";
  const { pay, get, gateway } = await begin([brain.url]);
  const ids = Array.from({ length: 5 }, freshId);
  const answers = [];
  for (const id of ids) answers.push((await pay(bodyOf(id))).body);
  expect(brain.asked).toEqual(ids.slice(0, 3));
  for (const [i, answer] of answers.entries()) {
    expect(answer).toMatchObject({ decision: "approve", is_fraud: false, degraded: true, answered_by: "policy" });
    expect(answer.circuit).toBe(i < 3 ? "closed" : "open");
  }
  expect(await get("/circuit/status")).toMatchObject({ state: "open" });
  expect(await get("/health")).toMatchObject({ status: "degraded" });
  expect(await gateway.settle()).toBe(0);
  brain.mood = "answer";
  await new Promise((resolve) => setTimeout(resolve, 320));
  const id = freshId();
  expect((await pay(bodyOf(id))).body).toMatchObject({ answered_by: "brain" });
  expect(await get("/circuit/status")).toMatchObject({ state: "closed" });
  expect(await gateway.settle()).toBe(5);
  for (const [i, one] of ids.entries()) {
    const record = await store.ledger.find(one);
    expect(JSON.parse(record!.answer)).toEqual(answers[i]);
    expect(JSON.parse(record!.later!.answer)).toMatchObject({ decision: "block", score: 0.25 });
  }
  // What was answered stays the answer.
  expect((await pay(bodyOf(ids[0]))).body).toEqual(answers[0]);
});

test("with all brains away every answer is there within the deadline, and a slow brain gets company", async () => {
  const [slow, quick] = [await fakeBrain(), await fakeBrain()];
  const { pay, url } = await begin([slow.url, quick.url], { deadlineMs: 600, hedgeMs: 50 });
  slow.delayMs = 2000;
  const begun = performance.now();
  for (let i = 0; i < 4; i++) expect((await pay(bodyOf(freshId()))).body).toMatchObject({ answered_by: "brain" });
  expect(performance.now() - begun).toBeLessThan(4 * 480);
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/sentinel_gateway_hedges_total [12345]/);
  slow.mood = "hang";
  quick.mood = "hang";
  const { body } = await pay(bodyOf(freshId()));
  expect(body).toMatchObject({ answered_by: "policy", why: "no brain answered in time" });
  await slow.stop();
  quick.mood = "cut";
  expect((await pay(bodyOf(freshId()))).body).toMatchObject({ answered_by: "policy" });
});

/** The store's ledger, which can be taken away. */
function ledgerThatGoes(): {
  readonly ledger: Ledger;
  mood: "there" | "away" | "silent";
  readonly late: (() => void)[];
} {
  const late: (() => void)[] = [];
  const self = {
    mood: "there" as "there" | "away" | "silent",
    late,
    ledger: {
      ...store.ledger,
      append: async (entries: readonly LedgerEntry[]) => {
        if (self.mood === "away") throw new Error("connection refused");
        // It comes through after all, when nobody waits for it any more.
        if (self.mood === "silent") await new Promise<void>((resolve) => late.push(resolve));
        return store.ledger.append(entries);
      },
    },
  };
  return self;
}

test("while the ledger is away or silent entries wait on this machine, in order, and go there when it is back: none lost, none twice", async () => {
  const brain = await fakeBrain();
  const world = ledgerThatGoes();
  const { pay, get, writer, spool } = await begin([brain.url], { ledger: world.ledger, appendMsMax: 50 });
  const ids: string[] = [];
  const payOne = async (): Promise<void> => {
    const id = freshId();
    ids.push(id);
    expect((await pay(bodyOf(id))).body).toMatchObject({ answered_by: "brain" });
  };
  await payOne();
  world.mood = "silent";
  await payOne();
  world.mood = "away";
  for (let i = 0; i < 5; i++) await payOne();
  expect(await get("/health")).toMatchObject({ status: "degraded", ledger: { spooling: true } });
  expect(spool.bytes).toBeGreaterThan(0);
  world.mood = "there";
  for (const come of world.late) come();
  while (writer.status().spooling) await new Promise((resolve) => setTimeout(resolve, 10));
  for (const id of ids) expect(await store.ledger.find(id)).toMatchObject({ id, by: "brain" });
  expect(spool.bytes).toBe(0);
  await payOne();
  expect(await store.ledger.find(ids.at(-1)!)).not.toBeNull();
});

const QUIET = { clock: systemClock, appendMsMax: 1000, retryMs: 10, spoolBytesMax: 1e6 } as const;
const entryOf = (id: string): LedgerEntry => ({
  id,
  transaction: "{}",
  answer: "{}",
  by: "brain",
  brain: "b",
  receivedAt: 1,
  answeredAt: 2,
});

test("an entry that reaches the spool while the last of the others leaves it goes to the ledger as they do", async () => {
  const world = ledgerThatGoes();
  world.mood = "away";
  const real = await openSpool(path.join(folder, `race-${number++}.ndjson`));
  closing.push(() => real.close());
  // The append of the second entry has begun, and its bytes count only when the drain has looked.
  let hold: Promise<void> = Promise.resolve();
  const spool = {
    get bytes() {
      return real.bytes;
    },
    append: async (entries: readonly LedgerEntry[]) => {
      await hold;
      await real.append(entries);
    },
    oldest: (limit: number) => real.oldest(limit),
    remove: (count: number) => real.remove(count),
    close: () => real.close(),
  };
  const writer = new LedgerWriter({ ...QUIET, ledger: world.ledger, spool });
  closing.push(() => writer.close());
  writer.open();
  const [one, two] = [freshId(), freshId()];
  await writer.write(entryOf(one));
  let go = (): void => {};
  hold = new Promise((resolve) => {
    go = resolve;
  });
  const late = writer.write(entryOf(two));
  await new Promise((resolve) => setTimeout(resolve, 5));
  world.mood = "there";
  await until(() => !writer.status().spooling);
  go();
  await late;
  await until(() => writer.status().spoolBytes === 0);
  for (const id of [one, two]) expect(await store.ledger.find(id)).not.toBeNull();
});

test("behind batches of a slow ledger an entry's time is over before its turn: it goes to the spool", async () => {
  let now = 0;
  const appended: string[] = [];
  const slow: Ledger = {
    ...store.ledger,
    append: async (entries) => {
      appended.push(...entries.map(({ id }) => id));
      // Half of the time, and a batch before took the other.
      now += 60;
      return entries.map(() => null);
    },
  };
  const spool = await openSpool(path.join(folder, `slow-${number++}.ndjson`));
  closing.push(() => spool.close());
  const clock = { elapsed: () => now };
  const writer = new LedgerWriter({ ...QUIET, clock, appendMsMax: 100, ledger: slow, spool });
  const entries = Array.from({ length: 3 * LEDGER_APPENDED_MAX }, () => entryOf(freshId()));
  await Promise.all(entries.map((entry) => writer.write(entry)));
  expect(appended).toEqual(entries.slice(0, 2 * LEDGER_APPENDED_MAX).map(({ id }) => id));
  expect((await spool.oldest(LEDGER_APPENDED_MAX)).map(({ id }) => id)).toEqual(
    entries.slice(2 * LEDGER_APPENDED_MAX).map(({ id }) => id),
  );
  await writer.close();
});

test("a transaction that no brain can judge keeps no other from being scored afterwards", async () => {
  const poison = Array.from({ length: 4 }, freshId);
  const sound = freshId();
  const brain: Brain = {
    where: "b",
    score: async (body) => {
      const { transaction_id: id } = JSON.parse(body) as { readonly transaction_id: string };
      if (poison.includes(id)) throw new Error("no");
      return { kind: "answer", answer: { decision: "approve" } };
    },
  };
  const brains: Brains = { all: () => [brain], open: async () => {}, close: () => {} };
  const pool = new Pool({ brains, clock: systemClock, failuresMax: 1000, breakMs: 1, hedgeMs: 10_000 });
  const pending = new Set([...poison, sound]);
  const settled: string[] = [];
  const ledger: Ledger = {
    ...store.ledger,
    pending: async () => [...pending].map((id) => ({ ...entryOf(id), transaction: bodyOf(id), later: null })),
    settle: async (id) => {
      pending.delete(id);
      settled.push(id);
    },
  };
  const writer = new LedgerWriter({ ...QUIET, ledger, spool: await openSpool(path.join(folder, `p-${number++}`)) });
  const gateway = new Gateway({
    ...{ pool, writer, ledger, clock: systemClock, deadlineMs: 400, policy: "approve", durability: "sync" },
  });
  await gateway.settle();
  await gateway.settle();
  expect(settled).toEqual([sound]);
  expect(await gateway.settle()).toBe(0);
});

test("a spool that was left behind goes to the ledger, but for a line that was cut off", async () => {
  const file = path.join(folder, "left.ndjson");
  const entry = entryOf;
  const [one, two] = [freshId(), freshId()];
  writeFileSync(
    file,
    `${JSON.stringify(entry(one))}\n${JSON.stringify(entry(two))}\n${JSON.stringify(entry("cut")).slice(0, 30)}`,
  );
  const spool = await openSpool(file);
  const writer = new LedgerWriter({ ...QUIET, ledger: store.ledger, spool });
  writer.open();
  const third = freshId();
  await writer.write(entry(third));
  while (writer.status().spooling) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const id of [one, two, third]) expect(await store.ledger.find(id)).not.toBeNull();
  expect(await store.ledger.find("cut")).toBeNull();
  await writer.close();
  await spool.close();
  expect(readFileSync(file, "utf8")).toBe("");
});

test("a full spool refuses transactions rather than losing them", async () => {
  const brain = await fakeBrain();
  const world = ledgerThatGoes();
  world.mood = "away";
  const spool = await openSpool(path.join(folder, "full.ndjson"));
  const writer = new LedgerWriter({ ...QUIET, ledger: world.ledger, spool, retryMs: 1000, spoolBytesMax: 100 });
  const entry = {
    id: freshId(),
    transaction: "{}",
    answer: "{}",
    by: "brain",
    brain: "b",
    receivedAt: 1,
    answeredAt: 2,
  } as const;
  writer.admit();
  await writer.write(entry);
  expect(() => writer.admit()).toThrow(expect.objectContaining({ code: "store.unwritable" }));
  await writer.close();
  await spool.close();
  expect(brain.asked).toEqual([]);
});

test("the pool asks the least busy brain, tries one again after its rest, and goes on with those that are left", async () => {
  let now = 0;
  const calls: string[] = [];
  const waiting: { readonly where: string; readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  const brainOf = (where: string): Brain => ({
    where,
    score: () =>
      new Promise((resolve, reject) => {
        calls.push(where);
        waiting.push({ where, resolve: () => resolve({ kind: "answer", answer: {} }), reject });
      }),
  });
  const all = [brainOf("a"), brainOf("b")];
  const brains: Brains = { all: () => all, open: async () => {}, close: () => {} };
  const pool = new Pool({ brains, clock: { elapsed: () => now }, failuresMax: 3, breakMs: 60_000, hedgeMs: 10_000 });
  const ask = () => pool.ask("{}", { requestId: "1", msMax: 5000 });
  const asked = [ask(), ask(), ask(), ask()];
  expect([...calls].sort()).toEqual(["a", "a", "b", "b"]);
  for (const one of waiting.splice(0)) one.resolve();
  await Promise.all(asked);
  // Each failure of a is made good by b.
  for (let i = 0; i < 8; i++) {
    const one = ask();
    for (let turns = 0; turns < 20; turns++) {
      for (const call of waiting.splice(0)) {
        if (call.where === "a") call.reject(new Error("no"));
        else call.resolve();
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await one).toMatchObject({ kind: "reply", where: "b" });
  }
  expect(calls.filter((where) => where === "a").length).toBe(2 + 3);
  expect(pool.status().map(({ breaker }) => breaker)).toEqual(["open", "closed"]);
  all.pop();
  expect(await ask()).toEqual({ kind: "none", why: "circuit-open" });
  expect(pool.isOpen()).toBe(false);
  now = 60_000;
  expect(pool.isOpen()).toBe(true);
  all.pop();
  expect(await ask()).toEqual({ kind: "none", why: "no-brain" });
});

test("brains are named by options, else as the environment of other gateways names them", () => {
  expect(
    brainUrls(["http://a:1", "b:2", "https://c/pipelines/x/predict"], { host: "z", port: "9" }).map(String),
  ).toEqual(["http://a:1/predict", "http://b:2/predict", "https://c/pipelines/x/predict"]);
  expect(brainUrls([], { host: "::1", port: "8000" }).map(String)).toEqual(["http://[::1]:8000/predict"]);
  expect(() => brainUrls([], null)).toThrow(/no brain is named/);
  for (const wrong of ["", "ftp://a", "http://u:p@a", "http://"])
    expect(() => brainUrls([wrong], null)).toThrow(/no address/);
});

test("chaos counts what became of each request", async () => {
  const brain = await fakeBrain();
  const { url } = await begin([brain.url], { durability: "async" });
  const ask = (requests: number) =>
    load({
      url: new URL(`${url}/transaction`),
      requests,
      workers: 4,
      random: new Random(1),
      prefix: freshId(),
      key: null,
      now: () => performance.now(),
    });
  expect(await ask(20)).toMatchObject({ requests: 20, success: 20, policy: 0, circuitOpen: 0, refused: 0, failed: 0 });
  brain.mood = "fail";
  const broken = await ask(20);
  expect(broken.success + broken.failed + broken.refused).toBe(0);
  expect(broken.circuitOpen).toBeGreaterThan(10);
  expect(broken.policy + broken.circuitOpen).toBe(20);
});
