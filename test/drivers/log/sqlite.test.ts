// The SQLite prediction log: the contract, and what is its own (limits, broken files, killed processes, pruning).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { afterAll, expect, test } from "vitest";
import { createSqliteLog } from "../../../src/drivers/log/sqlite/driver.ts";
import { collect, predictionLogContract } from "../../contracts/prediction-log.ts";
import { label, prediction, shadow } from "../records.ts";

const folder = mkdtempSync(path.join(tmpdir(), "log-sqlite-"));
let made = 0;
const newFile = (): string => path.join(folder, `log-${made++}.db`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let contractFile = "";
predictionLogContract("sqlite", {
  fresh: async () => {
    contractFile = newFile();
  },
  open: async () => createSqliteLog({ file: contractFile }),
});

/** Waits for what the log's thread does in its own time. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2000 && !(await isSo()); tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await isSo()).toBe(true);
}

test("a full buffer drops and says so; after a flush there is room again", async () => {
  const log = createSqliteLog({ file: newFile(), options: { bufferMax: 3, flushMs: 3_600_000 } });
  const taken = ["a", "b", "c", "d"].map((id) => log.appendPrediction(prediction(id)));
  expect(taken).toEqual([true, true, true, false]);
  expect(log.appendLabel(label("a"))).toBe(false);
  expect(log.appendShadow(shadow("a"))).toBe(false);
  await log.flush();
  expect(log.appendLabel(label("a"))).toBe(true);
  expect(await log.find("d")).toBeNull();
  await log.close();
});

test("records reach the file by themselves, over many chunks of memory, in their order and whatever their size", async () => {
  const file = newFile();
  const log = createSqliteLog({ file, options: { batchRowsMax: 10 } });
  const reader = createSqliteLog({ file });
  const large = "x".repeat(300_000);
  for (let i = 0; i < 1500; i++) {
    const fields = { customer_id: `c${i}`, note: i % 500 === 3 ? large : i % 7 === 0 ? "ŵïde ☃" : "narrow" };
    log.appendPrediction(prediction(`t${i}`, { fields, vector: new Float32Array(i % 60).fill(i) }));
  }
  await until(async () => (await reader.counts()).predictions === 1500);
  const entries = await collect(reader.scan(0));
  expect(entries.map(({ record }) => record.transactionId)).toEqual(Array.from({ length: 1500 }, (_, i) => `t${i}`));
  const found = await reader.find("t503");
  expect(found).toMatchObject({ fields: { customer_id: "c503", note: large } });
  expect(found!.vector).toEqual(new Float32Array(503 % 60).fill(503));
  expect((await reader.find("t7"))!.fields.note).toBe("ŵïde ☃");
  expect(log.health()).toMatchObject({ unwritten: 0, unwrittenBytes: 0, oldestMs: 0, fault: null, failures: 0 });
  await log.close();
  await reader.close();
});

test("a prediction is recalled from memory, written or not, until newer ones take its place", async () => {
  const log = createSqliteLog({ file: newFile(), options: { recentMax: 100, flushMs: 3_600_000 } });
  const given = prediction("t0", { applied: 4 });
  log.appendPrediction(given);
  log.appendPrediction(prediction("t0", { score: 0.9 }));
  expect(log.recall("t0")).toEqual({ ...given, sequence: 0 });
  await log.flush();
  expect(log.recall("t0")).toEqual({ ...given, sequence: 0 });
  expect(log.recall("never")).toBeNull();
  for (let i = 1; i < 3000; i++) log.appendPrediction(prediction(`t${i}`));
  await log.flush();
  expect(log.recall("t0")).toBeNull();
  expect((await log.find("t0"))!.sequence).toBe(1);
  await log.close();
});

test("sync: the wait for one record ends when it is in the file, together with those that came meanwhile", async () => {
  const file = newFile();
  const log = createSqliteLog({ file, options: { durability: "sync" } });
  const reader = new Database(file);
  const has = (id: string): boolean =>
    reader.prepare("SELECT 1 FROM predictions WHERE transaction_id = ?").raw().all([id]).length === 1;
  const waits = Array.from({ length: 300 }, async (_, i) => {
    log.appendPrediction(prediction(`t${i}`));
    await log.durable(`t${i}`);
    expect(has(`t${i}`)).toBe(true);
  });
  await Promise.all(waits);
  expect(log.durable("t1")).toBeNull();
  reader.close();
  await log.close();
});

test("a full disk is told at once, refuses more beyond the limit, and everything is written once there is room", async () => {
  const file = newFile();
  let now = 0;
  const options = { pagesMax: 70, flushMs: 1, lagMsMax: 1000, elapsed: () => now } as const;
  const log = createSqliteLog({ file, options });
  const told: string[] = [];
  log.watch({ failed: (error) => told.push(error.hint), recovered: () => told.push("recovered") });
  const extra = { filler: "x".repeat(2000) };
  for (let i = 0; i < 40; i++) log.appendPrediction(prediction(`a${i}`, { extra }));
  await log.flush();
  expect(log.refusal()).toBeNull();
  for (let i = 0; i < 40; i++) log.appendPrediction(prediction(`b${i}`, { extra }));
  await expect(log.flush()).rejects.toMatchObject({ code: "log.unwritable" });
  expect(told).toEqual([expect.stringContaining("the disk is full")]);
  expect(log.health()).toMatchObject({ unwritten: 40, fault: expect.stringContaining("full") });
  // What came within the limit was answered; what is older than it refuses the rest.
  now = 1001;
  expect(log.health().oldestMs).toBe(1001);
  expect(log.refusal()).toMatchObject({ code: "log.unwritable" });
  const other = new Database(file);
  other.exec("DELETE FROM predictions WHERE transaction_id LIKE 'a%'");
  other.close();
  await until(() => log.health().unwritten === 0);
  expect(told.at(-1)).toBe("recovered");
  expect(log.refusal()).toBeNull();
  expect(await log.find("b39")).not.toBeNull();
  await log.close();
});

test("a log that cannot be written closes all the same, and says that records are lost", async () => {
  const log = createSqliteLog({ file: newFile(), options: { pagesMax: 20 } });
  for (let i = 0; i < 40; i++) log.appendPrediction(prediction(`a${i}`, { extra: { filler: "x".repeat(3000) } }));
  await expect(log.close()).rejects.toMatchObject({ code: "log.unwritable" });
  expect(log.appendPrediction(prediction("late"))).toBe(false);
});

test("a thread that lags refuses more, also when nothing failed", async () => {
  let now = 0;
  const log = createSqliteLog({
    file: newFile(),
    options: { flushMs: 3_600_000, lagMsMax: 500, bufferMax: 10, elapsed: () => now },
  });
  log.appendPrediction(prediction("a"));
  expect(log.refusal()).toBeNull();
  expect(log.refusal(10)).toMatchObject({ code: "server.overloaded" });
  now = 501;
  expect(log.refusal()).toMatchObject({ code: "log.unwritable", hint: expect.stringContaining("log.lag_max") });
  await log.flush();
  expect(log.refusal()).toBeNull();
  await log.close();
});

test("ignored duplicates are counted", async () => {
  const log = createSqliteLog({ file: newFile() });
  log.appendPrediction(prediction("t1"));
  log.appendPrediction(prediction("t1"));
  await log.flush();
  log.appendPrediction(prediction("t1"));
  log.appendShadow(shadow("t1"));
  log.appendShadow(shadow("t1"));
  await log.flush();
  expect(log.duplicates()).toBe(3);
  await log.close();
});

test("while another process holds the write lock nothing is lost, and the background write comes later", async () => {
  const file = newFile();
  const failures: Error[] = [];
  const log = createSqliteLog({ file, options: { busyMsMax: 20 } });
  log.watch({ failed: (error) => void failures.push(error) });
  const other = new Database(file);
  other.exec("BEGIN IMMEDIATE");
  log.appendPrediction(prediction("t1"));
  await expect(log.flush()).rejects.toMatchObject({ code: "log.unwritable" });
  expect((await log.find("t1"))!.sequence).toBe(0);
  other.exec("COMMIT");
  other.close();
  await until(async () => (await log.find("t1"))!.sequence === 1);
  expect(failures).toEqual([]);
  await log.close();
});

test("a path that cannot be written, a file that is no log", async () => {
  const garbage = newFile();
  writeFileSync(garbage, "this is not a database ".repeat(400));
  const codeOf = (file: string): string => {
    try {
      createSqliteLog({ file });
      return "opened";
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(codeOf(garbage)).toBe("log.unreadable");
  expect(codeOf(path.join(garbage, "below-a-file.db"))).toBe("log.unwritable");
  expect(codeOf(folder)).toBe("log.unwritable");
  const foreign = newFile();
  const other = new Database(foreign);
  other.exec("CREATE TABLE runs (id)");
  other.close();
  expect(codeOf(foreign)).toBe("log.unreadable");
  const newer = newFile();
  await createSqliteLog({ file: newer }).close();
  const future = new Database(newer);
  future.exec("PRAGMA user_version = 99");
  future.close();
  expect(codeOf(newer)).toBe("log.unreadable");
});

test("a log from before servers could share a state goes on, and is readable by nobody older", async () => {
  const file = newFile();
  const first = createSqliteLog({ file });
  first.appendPrediction(prediction("old"));
  first.appendLabel(label("old"));
  await first.close();
  const db = new Database(file);
  db.exec("DROP INDEX predictions_applied; DROP INDEX labels_applied");
  db.exec("ALTER TABLE predictions DROP COLUMN rules");
  for (const table of ["predictions", "labels"]) db.exec(`ALTER TABLE ${table} DROP COLUMN applied`);
  for (const name of ["explored", "adapted", "position"]) db.exec(`ALTER TABLE predictions DROP COLUMN ${name}`);
  db.exec("ALTER TABLE labels DROP COLUMN review; PRAGMA user_version = 1");
  db.close();
  // Two at once, as two servers start.
  const logs = [createSqliteLog({ file }), createSqliteLog({ file })];
  logs[0].appendPrediction(prediction("new", { applied: 5 }));
  await logs[0].flush();
  expect(await collect(logs[1].scanApplied(1))).toMatchObject([{ record: { transactionId: "new", applied: 5 } }]);
  expect((await collect(logs[1].scan(0))).map(({ record }) => record.transactionId)).toEqual(["old", "old", "new"]);
  for (const log of logs) await log.close();
});

test.each([
  [3, ["explored", "adapted", "position"]],
  [4, ["adapted", "position"]],
] as const)("a log of format %i, from before draws or moving thresholds, goes on", async (format, missing) => {
  const file = newFile();
  const first = createSqliteLog({ file });
  first.appendPrediction(prediction("old"));
  await first.close();
  const db = new Database(file);
  for (const name of missing) db.exec(`ALTER TABLE predictions DROP COLUMN ${name}`);
  db.exec(`ALTER TABLE labels DROP COLUMN review; PRAGMA user_version = ${format}`);
  db.close();
  const log = createSqliteLog({ file });
  const more = { explored: { propensity: 0.25, upTo: 100, rules: "abc" }, adapted: { review: 0.5, rules: "def" } };
  log.appendPrediction(prediction("new", more));
  await log.flush();
  for (const name of ["explored", "adapted"]) expect(await log.find("old")).not.toHaveProperty(name);
  expect(await log.find("new")).toMatchObject(more);
  await log.close();
});

test("a log from before streams goes on", async () => {
  const file = newFile();
  const first = createSqliteLog({ file });
  first.appendPrediction(prediction("old"));
  await first.close();
  const db = new Database(file);
  db.exec("ALTER TABLE predictions DROP COLUMN position; ALTER TABLE labels DROP COLUMN review");
  db.exec("PRAGMA user_version = 5");
  db.close();
  const log = createSqliteLog({ file });
  log.appendPrediction(prediction("new", { position: "payments/3/17" }));
  await log.flush();
  expect(await log.find("old")).not.toHaveProperty("position");
  expect(await log.find("new")).toMatchObject({ position: "payments/3/17" });
  await log.close();
});

test("a log from before reviews stood behind labels goes on", async () => {
  const file = newFile();
  const first = createSqliteLog({ file });
  first.appendPrediction(prediction("old"));
  first.appendLabel(label("old"));
  await first.close();
  const db = new Database(file);
  db.exec("ALTER TABLE labels DROP COLUMN review; PRAGMA user_version = 6");
  db.close();
  const log = createSqliteLog({ file });
  const review = { case: 7, closing: 1, why: "rule", propensity: 1 } as const;
  log.appendLabel({ ...label("old"), review });
  expect((await log.labelsOf("old")).map((one) => one.review)).toEqual([undefined, review]);
  await log.close();
});

test("a killed process keeps what it flushed, loses the rest, and leaves a sound file", async () => {
  const file = newFile();
  const script = fileURLToPath(new URL("./sqlite-child.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "jiti/register", script, file], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const log = createSqliteLog({ file });
  expect(await log.counts()).toEqual({ predictions: 500, labels: 0, shadows: 0 });
  expect(await log.find("kept499")).not.toBeNull();
  expect(await log.find("lost0")).toBeNull();
  await log.close();
  const db = new Database(file);
  expect(db.prepare("PRAGMA integrity_check").raw().all([])).toEqual([["ok"]]);
  db.close();
});

test("a log that is kept for an archive forgets nothing that is not archived, and no label before its time", async () => {
  const file = newFile();
  const log = createSqliteLog({ file, options: { archivedOnly: true, rowsMax: 5 } });
  for (let i = 0; i < 30; i++) log.appendPrediction(prediction(`t${i}`, { receivedAt: i }));
  log.appendLabel(label("t2"));
  await log.flush();
  expect([await log.forget(1000), (await log.counts()).predictions]).toEqual([0, 30]);
  await log.archived(10);
  expect([await log.prune({ before: 1000 }), await log.counts()]).toEqual([
    10,
    { predictions: 20, labels: 1, shadows: 0 },
  ]);
  const [first] = await collect(log.scan(0));
  expect(first).toMatchObject({ record: { transactionId: "t10" } });
  await log.archived((await log.last()).sequence);
  expect([await log.forget(1000), (await log.counts()).labels]).toEqual([20, 1]);
  // A label of nobody goes with what came after it.
  log.appendPrediction(prediction("t30", { receivedAt: 30 }));
  await log.flush();
  await log.archived((await log.last()).sequence);
  expect(await log.forget(1000)).toBe(1);
  expect(await log.counts()).toEqual({ predictions: 0, labels: 0, shadows: 0 });
  await log.close();
});

test("pruning forgets the oldest with their labels and shadows, by age and by number", async () => {
  const log = createSqliteLog({ file: newFile(), options: { batchRowsMax: 7 } });
  for (let i = 0; i < 100; i++) {
    log.appendPrediction(prediction(`t${i}`, { receivedAt: i }));
    log.appendShadow(shadow(`t${i}`));
  }
  for (let i = 0; i < 100; i += 2) log.appendLabel(label(`t${i}`));
  expect(await log.prune({ before: 30 })).toBe(30);
  expect(await log.counts()).toEqual({ predictions: 70, labels: 35, shadows: 70 });
  expect(await log.prune({ rowsMax: 10 })).toBe(60);
  expect(await log.counts()).toEqual({ predictions: 10, labels: 5, shadows: 10 });
  expect((await collect(log.pairs("4"))).map((pair) => pair.transactionId)).toEqual(
    Array.from({ length: 10 }, (_, i) => `t${90 + i}`),
  );
  expect(await log.prune({ before: 30, rowsMax: 10 })).toBe(0);
  await log.close();
});

test("the log comes back to its limits by itself, says where it begins, and never gives a number twice", async () => {
  const log = createSqliteLog({ file: newFile(), options: { batchRowsMax: 10, rowsMax: 50 } });
  let told = 0;
  log.watch({
    pruned(predictions) {
      told += predictions;
    },
  });
  for (let i = 0; i < 200; i++) log.appendPrediction(prediction(`t${i}`, { time: 1000 + i }));
  await log.flush();
  await until(async () => (await log.counts()).predictions === 50);
  await until(() => told === 150);
  expect(await log.begin()).toEqual({ through: 150, time: 1149, applied: 0 });
  expect(log.health().pruned).toBe(150);
  await log.prune({ rowsMax: 0 });
  log.appendPrediction(prediction("after"));
  await log.flush();
  expect((await log.find("after"))!.sequence).toBe(201);
  await log.close();
});

test("predictions older than they may be kept go, and the labels that came later for them with them", async () => {
  const log = createSqliteLog({ file: newFile(), options: { keptMsMax: 1000 } });
  log.appendPrediction(prediction("old", { receivedAt: 5000 }));
  log.appendPrediction(prediction("young", { receivedAt: 5900 }));
  log.appendLabel(label("old"));
  await log.flush();
  expect(await log.begin()).toEqual({ through: 0, time: 0, applied: 0 });
  log.appendPrediction(prediction("now", { receivedAt: 6500 }));
  await until(async () => (await log.counts()).predictions === 2);
  expect(await log.counts()).toEqual({ predictions: 2, labels: 0, shadows: 0 });
  expect((await log.begin()).through).toBe(3);
  await log.close();
});

test("checkpoints reach the database file while the log is open, and fail for nobody", async () => {
  const file = newFile();
  const failures: Error[] = [];
  const log = createSqliteLog({ file, options: { batchRowsMax: 4 } });
  log.watch({ failed: (error) => void failures.push(error) });
  const sizeBefore = statSync(file).size;
  for (let i = 0; i < 200; i++) log.appendPrediction(prediction(`t${i}`));
  await log.flush();
  for (let wait = 0; wait < 1000 && statSync(file).size <= sizeBefore; wait++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(statSync(file).size).toBeGreaterThan(sizeBefore);
  expect(failures).toEqual([]);
  await log.close();
});

test("card and amount come from the fields the options name", async () => {
  const log = createSqliteLog({ file: newFile(), options: { card: "pan", amount: "value" } });
  log.appendPrediction(prediction("t1", { fields: { pan: "p9", value: 3, customer_id: "x", amount: 1 } }));
  log.appendPrediction(prediction("t2", { fields: {} }));
  for (const id of ["t1", "t2"]) log.appendShadow(shadow(id));
  const pairs = await collect(log.pairs("4"));
  expect(pairs.map((pair) => [pair.card, pair.amount])).toEqual([
    ["p9", 3],
    ["t2", Number.NaN],
  ]);
  await log.close();
});
