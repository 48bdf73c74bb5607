// The whole life of a model, by the built command and a real server: train, promote, serve, shadow, swap, kill, replay, roll back.

import { writeFileSync } from "node:fs";
import path from "node:path";
import Database from "libsql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { loadScorer, type Scorer } from "../../src/online/score.ts";
import { edit, makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "../cli/sentinel.ts";
import { type Answered, livePayments, load, postJson, SMALL_WORLD, writeHistory } from "./traffic.ts";

const POLL_MS = 200;
/** A busy machine may be this much late with a poll, a load and a warm-up. */
const SLACK_MS = 10_000;

let dir: string;
const live = livePayments(60, SMALL_WORLD);
/** Requests before the kill, at most. */
const FIRST = 15_000;
const answers: Answered[] = [];

const run = (...args: string[]) => sentinelJson(args, { cwd: dir });
const logFile = (): string => path.join(dir, "models", "state", "card-log.db");
const champion = async (): Promise<string> => (await run("registry", "list")).json.aliases.champion;

beforeAll(async () => {
  dir = makeWorkspace();
  // On few frauds the difference of two seeds is chance; a version that failed the training gate is rejected, whatever its traffic would say.
  edit(dir, "pipelines/card.yaml", (text) => text.replace("margin: 0.05 ", "margin: 0.25 "));
  await writeHistory(dir, SMALL_WORLD);
});

afterAll(() => removeWorkspace(dir));

test("the first training becomes candidate, its promotion champion", async () => {
  expect(await run("validate")).toMatchObject({ code: 0, json: { verdict: { verdict: "pass" } } });
  const trained = await run("train");
  expect(trained).toMatchObject({ code: 0, json: { version: { version: "1", model: "card-fraud" } } });
  expect((await run("registry", "list")).json.aliases).toEqual({ candidate: "1" });
  expect(await run("promote")).toMatchObject({
    code: 0,
    json: { moved: true, from: null, to: "1", verdict: { verdict: "PROMOTE" } },
  });
  expect((await run("registry", "list")).json.aliases).toEqual({ champion: "1" });
});

test("the next training becomes candidate beside it; without shadow traffic the promotion gate holds", async () => {
  const other = await run("train", "--seed", "7");
  expect(other.code).toBe(0);
  expect((await run("registry", "list")).json.aliases).toEqual({ champion: "1", candidate: "2" });
  const held = await run("promote");
  expect(held).toMatchObject({ code: 1, json: { moved: false, verdict: { verdict: "HOLD" } } });
  expect(await champion()).toBe("1");
});

test("a promotion under load is picked up, with no failed request and no answer of a mixture", async () => {
  const server = await serve(dir);
  try {
    let promotedAt = Number.POSITIVE_INFINITY;
    const late = (answered: readonly Answered[]): number =>
      answered.filter(({ sentAt, body }) => sentAt > promotedAt && body.model?.version === "2").length;
    const loading = load(server.url, live.requests.slice(0, FIRST), {
      clients: 6,
      answered: answers,
      enough: (answered) => late(answered) >= 150 || performance.now() > promotedAt + POLL_MS + SLACK_MS,
    });
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBeGreaterThan(100);
    const promoted = await run("promote", "--force", "--reason", "a test of swapping");
    promotedAt = performance.now();
    expect(promoted).toMatchObject({ code: 0, json: { moved: true, from: "1", to: "2" } });
    await loading;
    expect(late(answers)).toBeGreaterThanOrEqual(150);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(answers.map(({ body }) => body.model.version))).toEqual(new Set(["1", "2"]));
    // Each client sees the swap once: nothing sent after the first answer of the new version got the old one's, but what was on its way.
    const first = answers.findIndex(({ body }) => body.model.version === "2");
    const swappedAt = Math.max(...answers.slice(0, first + 6).map(({ sentAt }) => sentAt));
    expect(answers.filter(({ sentAt, body }) => sentAt > swappedAt && body.model.version === "1")).toEqual([]);
  } finally {
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
  }
  await expectNamedVersionsAnswers(answers);
});

test("replay finds every logged vector and score again", async () => {
  const replayed = await run("replay");
  expect(replayed).toMatchObject({ code: 0, json: { verdict: "pass", mismatchCount: 0 } });
  expect(replayed.json.compared).toBe(answers.length);
});

test("a server killed under load and started again still replays without a mismatch", async () => {
  const requests = live.requests.slice(answers.length);
  const killed = await serve(dir);
  const before: Answered[] = [];
  const loading = load(killed.url, requests, {
    clients: 6,
    answered: before,
    enough: (answered) => answered.at(-1)?.status === 0,
  });
  await expect.poll(() => before.length, { timeout: 20_000 }).toBeGreaterThan(400);
  expect(await killed.stop("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
  await loading;
  const server = await serve(dir);
  try {
    const after = await load(server.url, requests.slice(before.length, before.length + 300), { clients: 6 });
    expect(after.filter(({ status }) => status !== 200)).toEqual([]);
    // While the server runs, as an operator would.
    expect(await run("replay")).toMatchObject({ code: 0, json: { mismatchCount: 0 } });
  } finally {
    await server.stop("SIGTERM");
  }
  const replayed = await run("replay");
  expect(replayed).toMatchObject({ code: 0, json: { verdict: "pass", mismatchCount: 0 } });
  expect(replayed.json.compared).toBeGreaterThanOrEqual(answers.length + 300);
  const log = createSqliteLog({ file: logFile() });
  try {
    expect(replayed.json.compared).toBe((await log.counts()).predictions);
  } finally {
    await log.close();
  }
});

test("requests as people send them are answered, and what no pipeline knows is kept in the log", async () => {
  const server = await serve(dir);
  const few = { id: 1, amount: 150_000 };
  const more = { transaction_id: "txn_001", amount: 150.5, currency: "USD", user_id: "user_123" };
  try {
    expect(await postJson(`${server.url}/predict`, few)).toMatchObject({ status: 200, body: { transaction_id: "1" } });
    expect(await postJson(`${server.url}/predict`, more)).toMatchObject({
      status: 200,
      body: { transaction_id: "txn_001" },
    });
  } finally {
    await server.stop("SIGTERM");
  }
  const log = createSqliteLog({ file: logFile() });
  try {
    const record = await log.find("txn_001");
    expect(record?.extra).toEqual({ currency: "USD" });
    expect(record?.fields).toMatchObject({ amount: 150.5, customer_id: "user_123" });
  } finally {
    await log.close();
  }
  expect(await run("replay")).toMatchObject({ code: 0, json: { mismatchCount: 0 } });
});

test("labels come from a file, through the running server or without it", async () => {
  const seen = answers.map(({ id }) => ({ transaction_id: id, tx_fraud: live.frauds.get(id) ? 1 : 0 }));
  const half = Math.floor(seen.length / 2);
  const file = path.join(dir, "labels.ndjson");
  const write = (rows: readonly object[]) =>
    writeFileSync(file, `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`);
  const server = await serve(dir);
  try {
    write([...seen.slice(0, half), { transaction_id: "nobody", tx_fraud: 1 }]);
    expect(await run("label", file)).toMatchObject({ code: 2, json: { error: { code: "lifecycle.locked" } } });
    expect(await run("label", file, "--url", server.url)).toMatchObject({
      code: 0,
      json: { read: half + 1, written: half, unknown: ["nobody"] },
    });
  } finally {
    await server.stop("SIGTERM");
  }
  write(seen.slice(half));
  expect(await run("label", file)).toMatchObject({
    code: 0,
    json: { read: seen.length - half, written: seen.length - half, unknownCount: 0 },
  });
  expect(await run("replay")).toMatchObject({ code: 0, json: { mismatchCount: 0 } });
});

test("compare, monitor and a forced retraining answer from the log; a retraining never makes a champion", async () => {
  const compared = await run("compare", "--to", "1");
  expect(compared).toMatchObject({ code: 0, json: { champion: "2", candidate: "1" } });
  expect(compared.json.shadow.pairs).toBeGreaterThan(100);
  const seen = await run("monitor", "--until", live.requests[answers.length - 1].tx_datetime);
  expect([0, 1]).toContain(seen.code);
  expect(seen.json).toMatchObject({ version: "2", alarm: seen.code === 1 });
  const retrained = await run("retrain", "--force", "--reason", "a test of retraining");
  expect(retrained.json.error).toBeUndefined();
  expect(["trained", "refused"]).toContain(retrained.json.outcome);
  expect(retrained.code).toBe(retrained.json.outcome === "trained" ? 0 : 1);
  expect(retrained.json.data).toContain(path.join("data", "retrain"));
  expect(await run("retrain")).toMatchObject({ code: 0, json: { outcome: "cooldown" } });
  expect(await champion()).toBe("2");
});

test("a rollback puts the first champion back, and the journal knows who reigned when", async () => {
  expect(await run("rollback", "--reason", "a test")).toMatchObject({ code: 0, json: { from: "2", to: "1" } });
  expect(await run("rollback")).toMatchObject({ code: 2, json: { error: { code: "registry.version-unknown" } } });
  const { json } = await run("registry", "history");
  expect(json.chain.ok).toBe(true);
  const reigns = json.entries.filter(({ alias }: { alias: string }) => alias === "champion");
  expect(reigns.map(({ from, to, verdict }: Record<string, unknown>) => [from, to, verdict])).toEqual([
    [null, "1", "PROMOTE"],
    ["1", "2", "FORCED"],
    ["2", "1", "ROLLBACK"],
  ]);
  expect(reigns[1].reason).toBe("a test of swapping");
  const at = await run("registry", "history", "--at", new Date(reigns[1].at).toISOString());
  expect(at.json.entry.to).toBe("2");
  expect((await run("registry", "history", "--at", "2001-01-01")).json.entry).toBeNull();
  expect(await run("doctor")).toMatchObject({ code: 0 });
});

test("with --quiet a yes says nothing at all", async () => {
  for (const args of [
    ["validate"],
    ["compare", "--to", "2"],
    ["replay"],
    ["registry", "list"],
    ["registry", "show"],
    ["doctor"],
  ]) {
    expect(await sentinel([...args, "--quiet"], { cwd: dir }), args.join(" ")).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "",
    });
  }
});

test("people never read NaN, undefined or an object's bare name", async () => {
  const verbs = [["validate"], ["compare", "--to", "2"], ["promote", "--to", "2"], ["monitor"], ["replay"]];
  for (const args of [...verbs, ["registry", "list"], ["registry", "show", "2"], ["registry", "history"], ["doctor"]]) {
    const { stdout, stderr } = await sentinel(args, { cwd: dir });
    expect(stdout.length, args.join(" ")).toBeGreaterThan(50);
    expect(stdout + stderr, args.join(" ")).not.toMatch(/\bNaN\b|undefined|\[object|Infinity/);
  }
});

test("one bit of one logged vector is found, and the transaction named", async () => {
  const { transaction, bit } = { transaction: answers[40].id, bit: 1 };
  const db = new Database(logFile());
  try {
    const [row] = db.prepare("SELECT vector FROM predictions WHERE transaction_id = ?").all([transaction]) as [
      { vector: ArrayBuffer },
    ];
    const bytes = new Uint8Array(row.vector);
    bytes[0] ^= bit;
    db.prepare("UPDATE predictions SET vector = ? WHERE transaction_id = ?").run([Buffer.from(bytes), transaction]);
  } finally {
    db.close();
  }
  const replayed = await run("replay");
  expect(replayed).toMatchObject({ code: 1, json: { verdict: "fail", mismatchCount: 1 } });
  expect(replayed.json.mismatches).toMatchObject([{ transactionId: transaction, feature: "amount" }]);
});

/** Recomputes each answer from its logged vector and the version it names. */
async function expectNamedVersionsAnswers(given: readonly Answered[]): Promise<void> {
  const registry = createLocalRegistry({ dir: path.join(dir, "models") });
  const log = createSqliteLog({ file: logFile() });
  const scorers = new Map<string, Scorer>();
  try {
    for (const { id, body } of given) {
      const { version, bundle } = body.model;
      const scorer =
        scorers.get(version) ??
        loadScorer(await registry.load("card-fraud", version), { model: "card-fraud", version });
      scorers.set(version, scorer);
      const record = (await log.find(id))!;
      expect(record, id).not.toBeNull();
      const again = scorer.score(record.vector);
      expect({ score: body.score, anomalyScore: body.anomaly_score, decision: body.decision, bundle }, id).toEqual({
        ...again,
        bundle: scorer.bundle,
      });
      expect(record).toMatchObject({ version, score: body.score, decision: body.decision });
    }
  } finally {
    await log.close();
    await registry.close();
  }
}
