// Skew: what the server logged and what a replay of raw history computes are the same bits, restarts and labels included.
import { fork } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { afterEach, expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import type { SqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import { tinyDisk } from "../drivers/tiny-disk.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  type Payment,
  payments,
  post,
  reply,
  SPEC_A,
  SPEC_B,
  serve,
  until,
  type World,
} from "./world.ts";

/** Built, since Node 20 runs no TypeScript: compiling the server's modules in the process took most of this file's time. */
const CHILD = fileURLToPath(new URL("../../dist/test/server/server-child.js", import.meta.url));

interface Model {
  readonly champion: { readonly version: string } | null;
}

let world: World;
afterEach(async () => world.remove());

/** Traffic after the history: some payments late, labels of earlier ones in between. */
const TRAFFIC = payments(240, { seed: 9, from: HISTORY[HISTORY.length - 1].time, prefix: "s" });

async function send(server: SentinelServer, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    // Every seventh comes five places late.
    const payment = TRAFFIC[i % 7 === 0 && i >= from + 5 ? i - 5 : i];
    const response = await post(server, "/predict", bodyOf(payment));
    expect(response.status).toBe(200);
    if (i % 3 === 0 && i > from + 10) await label(server, TRAFFIC[i - 10]);
  }
}

async function label(server: SentinelServer, payment: Payment): Promise<void> {
  const known = { transaction_id: payment.transaction_id, fraud: payment.is_fraud };
  await post(server, "/feedback", known);
}

function report(ports: Ports) {
  return replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
}

test("vectors and scores replay bit for bit, across a restart and a champion with other windows", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const first = await serve(world);
  await send(first.server, 0, 80);
  await first.stop();

  const second = await serve(world);
  await send(second.server, 80, 120);
  // The next champion reads other windows: its state is made from its own training snapshot and the log.
  await world.alias("champion", await world.register(makeBundle(SPEC_B, 2)));
  await post(second.server, "/admin/reload", "");
  while ((await reply(second.server.app.request("/model"))).champion.version !== "2") {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await send(second.server, 120, 180);
  await second.stop();

  const third = await serve(world);
  await send(third.server, 180, 240);
  const result = await report(third.ports);
  expect(result.mismatches).toEqual([]);
  expect(result).toMatchObject({ verdict: "pass", skipped: { degraded: 0, "no-origin": 0, "bundle-gone": 0 } });
  expect(result.compared).toBe(result.predictions);
  expect(result.scoresCompared).toBe(result.predictions);
  const { predictions, labels } = await (await third.ports.log()).counts();
  expect(result.predictions).toBe(predictions);
  expect(predictions).toBeGreaterThan(180);
  expect(labels).toBeGreaterThan(40);
  await third.stop();
});

test("a server that began without a state replays as well", async () => {
  world = makeWorld();
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const first = await serve(world);
  await send(first.server, 0, 40);
  await first.stop();
  const second = await serve(world);
  await send(second.server, 40, 80);
  // Training leaves a state while a cold one serves; the restart takes it, and a new era begins.
  await world.saveState(SPEC_A);
  await second.stop();
  const third = await serve(world);
  expect((await reply(third.server.app.request("/model"))).champion.state.warm).toBe(true);
  await send(third.server, 80, 120);
  const result = await report(third.ports);
  expect(result.mismatches).toEqual([]);
  expect(result.verdict).toBe("pass");
  await third.stop();
});

test("a skew is found and named", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  await send(running.server, 0, 40);
  const changed = historyTable();
  const amounts = changed.columns.get("amount");
  if (amounts?.kind !== "number") throw new Error("the table has amounts");
  for (let row = 0; row < changed.rows; row++) amounts.values[row] += 1;
  const result = await replay(running.ports, { pipeline: world.pipeline, history: async () => changed });
  expect(result.verdict).toBe("fail");
  expect(result.mismatches[0]).toMatchObject({
    feature: "customer_mean_7d",
    transactionId: expect.stringMatching(/^s/),
  });
  expect(result.mismatches[0].logged).not.toBe(result.mismatches[0].replayed);
  expect(result.reasons[0]).toContain("customer_mean_7d");
  await running.stop();
});

test("a killed server goes on where its log ends", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const child = fork(CHILD, [world.dir], { execArgv: [] });
  const [port] = (await once(child, "message")) as [number];
  const url = `http://127.0.0.1:${port}`;
  const headers = { "content-type": "application/json" };
  for (const [i, payment] of TRAFFIC.slice(0, 60).entries()) {
    await fetch(`${url}/predict`, { method: "POST", headers, body: JSON.stringify(bodyOf(payment)) });
    if (i % 4 !== 0 || i < 10) continue;
    const known = { transaction_id: TRAFFIC[i - 10].transaction_id, fraud: TRAFFIC[i - 10].is_fraud };
    await fetch(`${url}/feedback`, { method: "POST", headers, body: JSON.stringify(known) });
  }
  child.kill("SIGKILL");
  await once(child, "exit");
  const after = await serve(world);
  await send(after.server, 60, 120);
  const result = await report(after.ports);
  expect(result.mismatches).toEqual([]);
  expect(result.verdict).toBe("pass");
  // How many of those before the kill are left is the machine's affair; with `log.durability: sync` all of them are.
  expect(result.predictions).toBeGreaterThanOrEqual(60);
  await after.stop();
});

test("with log.durability sync a server killed under load has logged every answer it gave, and replays clean", async () => {
  const sync = "log: { durability: sync }\n";
  world = makeWorld({ pipeline: sync });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const child = fork(CHILD, [world.dir, sync], { execArgv: [] });
  const [port] = (await once(child, "message")) as [number];
  const headers = { "content-type": "application/json" };
  const answered: string[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < TRAFFIC.length) {
      const payment = TRAFFIC[next++];
      const body = JSON.stringify(bodyOf(payment));
      const response = await fetch(`http://127.0.0.1:${port}/predict`, { method: "POST", headers, body });
      await response.text();
      if (response.status === 200) answered.push(payment.transaction_id);
      if (answered.length === 150) child.kill("SIGKILL");
    }
  };
  await Promise.allSettled(Array.from({ length: 8 }, client));
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  expect(answered.length).toBeGreaterThanOrEqual(150);
  const { ports } = world.open();
  const log = await ports.log();
  for (const id of answered) expect(await log.find(id)).not.toBeNull();
  expect(await report(ports)).toMatchObject({ mismatchCount: 0, verdict: "pass" });
});

test("a full disk: readiness ends at once, no answer is given that the log may lose, and all goes on when there is room", async () => {
  world = makeWorld({ log: { pagesMax: 60, lagMsMax: 300 } });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  const ready = async (): Promise<number> => (await running.server.app.request("/readyz")).status;
  expect(await ready()).toBe(200);
  const note = "x".repeat(3000);
  const answered: string[] = [];
  const log = await running.ports.log();
  let sent = 0;
  while (log.health().fault === null) {
    const response = await post(running.server, "/predict", { ...bodyOf(TRAFFIC[sent]), note });
    expect(response.status).toBe(200);
    answered.push(TRAFFIC[sent++].transaction_id);
    await until(() => log.health().unwritten === 0 || log.health().fault !== null);
  }
  expect(await ready()).toBe(503);
  await until(() => log.refusal() !== null);
  const refusal = await (await post(running.server, "/predict", { ...bodyOf(TRAFFIC[sent]), note })).json();
  expect(refusal).toMatchObject({ status: 503, code: "log.unwritable", hint: expect.stringContaining("full") });
  expect(await ready()).toBe(503);
  expect(await (await running.server.app.request("/readyz")).json()).toMatchObject({
    reason: "the log cannot be written",
    log: { fault: expect.stringContaining("full") },
  });
  const metrics = await (await running.server.app.request("/metrics")).text();
  expect(metrics).toMatch(/^sentinel_log_fault\{pipeline="card"\} 1$/m);
  expect(metrics).toMatch(/^sentinel_ready\{pipeline="card"\} 0$/m);
  expect(metrics).toMatch(
    /^sentinel_log_oldest_unwritten_seconds\{pipeline="card"\} 0\.\d+|^sentinel_log_oldest_unwritten_seconds\{pipeline="card"\} [1-9]/m,
  );
  expect(metrics).toMatch(/^sentinel_log_write_failures_total\{pipeline="card"\} [1-9]/m);
  // Repeats of what was answered are answered: the records wait in memory.
  const repeat = await post(running.server, "/predict", { ...bodyOf(TRAFFIC[0]), note });
  expect(repeat.status).toBe(200);
  const db = new Database(path.join(world.dir, "state", "log.db"));
  db.exec("PRAGMA busy_timeout = 10000; UPDATE predictions SET extra = '{}'");
  db.exec("VACUUM");
  db.close();
  for (let tries = 0; tries < 1000 && (await ready()) !== 200; tries++) await new Promise((r) => setTimeout(r, 10));
  expect(await ready()).toBe(200);
  await log.flush();
  for (const id of answered) expect(await log.find(id)).not.toBeNull();
  expect((await report(running.ports)).mismatches).toEqual([]);
  await running.stop();
});

test("a file system that is full to the last byte: what was answered is kept, readiness ends, and all goes on when there is room", async (context) => {
  const disk = tinyDisk(16);
  if (disk === null) {
    console.warn("SKIPPED the full file system: this user may not mount a tmpfs");
    world = makeWorld();
    context.skip();
    return;
  }
  try {
    world = makeWorld({ dir: path.join(disk.dir, "world"), log: { lagMsMax: 1000 } });
    await world.saveState(SPEC_A);
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    const running = await serve(world);
    const log = await running.ports.log();
    const status = async (path: string): Promise<number> => (await running.server.app.request(path)).status;
    const sendOne = async (payment: Payment): Promise<number> =>
      (await post(running.server, "/predict", { ...bodyOf(payment), note: "x".repeat(3000) })).status;
    const answered: string[] = [];
    for (const payment of TRAFFIC.slice(0, 20)) {
      expect(await sendOne(payment)).toBe(200);
      answered.push(payment.transaction_id);
    }
    await log.flush();
    disk.fill();
    let sent = 20;
    await until(async () => {
      if ((await sendOne(TRAFFIC[sent])) === 200) answered.push(TRAFFIC[sent].transaction_id);
      sent++;
      return log.health().fault !== null || sent === 200;
    });
    expect(log.health().fault).not.toBeNull();
    expect(await status("/readyz")).toBe(503);
    await until(() => log.refusal() !== null);
    expect(await sendOne(TRAFFIC[sent])).toBe(503);
    expect([await status("/livez"), await status("/model")]).toEqual([200, 200]);
    // The feature state cannot be saved either; that ends nothing.
    disk.free();
    await until(async () => (await status("/readyz")) === 200);
    await until(async () => (await sendOne(TRAFFIC[sent])) === 200);
    await log.flush();
    for (const id of answered) expect(await log.find(id), id).not.toBeNull();
    expect(await report(running.ports)).toMatchObject({ mismatchCount: 0, verdict: "pass" });
    await running.stop();
  } finally {
    await world.remove();
    disk.dispose();
  }
});

test("a batch is all or nothing, also when another client sends one of its ids with other content in between", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  const batch = TRAFFIC.slice(0, 100).map(bodyOf);
  const last = batch[99];
  const sent = post(running.server, "/predict/batch", batch);
  // While the batch is being judged, portion by portion.
  await new Promise((resolve) => setImmediate(resolve));
  const other = post(running.server, "/predict", { ...last, amount: 1 });
  const same = post(running.server, "/predict", last);
  const [first, refused, repeated] = await Promise.all([sent, other, same]);
  const statuses = [first.status, refused.status, repeated.status];
  const log = await running.ports.log();
  const { predictions } = await log.counts();
  if (first.status === 200) {
    expect(statuses).toEqual([200, 409, 200]);
    expect(await reply(repeated)).toEqual(((await first.json()) as unknown[])[99]);
    expect(predictions).toBe(100);
  } else {
    // The other client was first: then nothing of the batch was judged.
    expect(statuses).toEqual([409, 200, 409]);
    expect(predictions).toBe(1);
  }
  expect(await report(running.ports)).toMatchObject({ mismatchCount: 0, verdict: "pass" });
  await running.stop();
});

test("a log that forgot its oldest entries is not called skewed: what cannot be recomputed is said, the rest is compared", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  await send(running.server, 0, 100);
  const log = (await running.ports.log()) as SqliteLog;
  await log.prune({ rowsMax: 60 });
  const pruned = await report(running.ports);
  expect(pruned).toMatchObject({ predictions: 60, compared: 0, mismatchCount: 0, verdict: "pass" });
  expect(pruned.skipped["history-pruned"]).toBe(60);
  expect(pruned.reasons[0]).toContain("nothing is proven");
  // A champion with other windows begins a new era: its state learns only what the log still has.
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(makeBundle(SPEC_B, 2)));
  const serving = async (): Promise<string | undefined> =>
    ((await (await running.server.app.request("/model")).json()) as Model).champion?.version;
  await until(async () => (await serving()) === "2");
  await send(running.server, 100, 140);
  expect(await report(running.ports)).toMatchObject({ compared: 35, mismatchCount: 0, verdict: "pass" });
  // A stop saves a state that a replay may begin with: what a restarted server answers is compared again.
  await running.stop();
  const again = await serve(world);
  await send(again.server, 140, 180);
  await ((await again.ports.log()) as SqliteLog).prune({ rowsMax: 70 });
  const result = await report(again.ports);
  expect(result).toMatchObject({ predictions: 70, mismatchCount: 0, verdict: "pass" });
  expect(result.compared).toBeGreaterThanOrEqual(35);
  await again.stop();
});

test("redacted fields are in no record, features never see them go, and a repeat is told all the same", async () => {
  world = makeWorld({ pipeline: "log: { redact: { fields: [email, note], how: hash } }\n" });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world, { redactKey: "a key of the workspace" });
  const body = { ...bodyOf(TRAFFIC[0]), email: "a@example.com", note: { to: "b" }, channel: "web" };
  const first = await reply(post(running.server, "/predict", body));
  expect(await reply(post(running.server, "/predict", body))).toEqual(first);
  expect((await post(running.server, "/predict", { ...body, email: "c@example.com" })).status).toBe(409);
  await send(running.server, 1, 40);
  const { extra } = (await (await running.ports.log()).find(TRAFFIC[0].transaction_id))!;
  expect(extra).toEqual({
    email: expect.stringMatching(/^hmac:[0-9a-f]{32}$/),
    note: expect.stringMatching(/^hmac:[0-9a-f]{32}$/),
    channel: "web",
  });
  expect(JSON.stringify(await (await running.ports.log()).recent(100))).not.toContain("example.com");
  expect(await report(running.ports)).toMatchObject({ mismatchCount: 0, verdict: "pass" });
  await running.stop();
});

test("a field that features read cannot be redacted: the version is not served, and says why", async () => {
  world = makeWorld({ pipeline: "log: { redact: { fields: [merchant_id], how: drop } }\n" });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const running = await serve(world);
  expect((await running.server.app.request("/readyz")).status).toBe(503);
  expect(await (await running.server.app.request("/model")).text()).toMatch(
    /log\.redact names terminal_id, which features of a read/,
  );
  await running.stop();
  const hashed = makeWorld({ pipeline: "log: { redact: { fields: [email], how: hash } }\n", dir: world.dir });
  await expect(serve(hashed)).rejects.toMatchObject({ code: "config.invalid" });
  await hashed.remove();
});

test("a payment dated 23 hours ahead does not make the others too late, not after a restart either", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  let running = await serve(world);
  const pay = async (id: string, time: number): Promise<void> => {
    const body = { transaction_id: id, time, amount: 5, customer_id: "c-ahead", terminal_id: "t3" };
    expect((await post(running.server, "/predict", body)).status).toBe(200);
  };
  const countOf = async (id: string): Promise<number> =>
    (await (await running.ports.log()).find(id))!.vector[
      SPEC_A.features.findIndex(({ name }) => name === "customer_count_1d")
    ];
  await pay("on-time-1", NOW - 60_000);
  await pay("ahead", NOW + 23 * HOUR_MS);
  await pay("on-time-2", NOW - 50_000);
  await running.stop();
  running = await serve(world);
  await pay("on-time-3", NOW - 40_000);
  await pay("late", NOW - 3 * HOUR_MS);
  // A label that comes now is not older than its payment.
  expect((await post(running.server, "/feedback", { transaction_id: "ahead", fraud: true })).status).toBe(200);
  const metrics = await (await running.server.app.request("/metrics")).text();
  await (await running.ports.log()).flush();
  expect(await Promise.all(["on-time-1", "on-time-2", "on-time-3"].map(countOf))).toEqual([1, 2, 3]);
  expect(metrics).toMatch(/^sentinel_too_late_total\{pipeline="card"\} 1$/m);
  expect((await report(running.ports)).reasons).toEqual(["5 vectors and 5 scores are the same, bit for bit"]);
  await running.stop();
});
