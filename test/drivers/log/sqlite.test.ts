// The SQLite prediction log: the contract, and what is its own (limits, broken files, killed processes, pruning).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { afterAll, expect, test } from "vitest";
import { createCheckpointer } from "../../../src/drivers/log/sqlite/checkpoint.ts";
import { createSqliteLog } from "../../../src/drivers/log/sqlite/driver.ts";
import { collect, predictionLogContract, until } from "../../contracts/prediction-log.ts";
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
  open: async (options) => createSqliteLog({ file: contractFile, options }),
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

test("many rows at once: one that is there already takes no number, whatever stands beside it in the statement", async () => {
  const file = newFile();
  const log = createSqliteLog({ file });
  const batch = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      log.appendPrediction(prediction(`t${i}`, { score: i }));
      log.appendShadow(shadow(`t${i}`));
      if (i % 10 === 0) log.appendLabel(label(`t${i}`));
    }
  };
  batch(0, 50);
  await log.flush();
  // Thirty of them are known, in the middle of the batch.
  batch(50, 70);
  batch(20, 50);
  batch(70, 90);
  await log.flush();
  expect(log.duplicates()).toBe(60);
  expect(await log.counts()).toEqual({ predictions: 90, labels: 12, shadows: 90 });
  const entries = await collect(log.scan(0));
  expect(entries.map(({ record }) => record.sequence)).toEqual(Array.from({ length: 102 }, (_, i) => i + 1));
  const predictions = entries.filter(({ kind }) => kind === "prediction").map(({ record }) => record.transactionId);
  expect(predictions).toEqual(Array.from({ length: 90 }, (_, i) => `t${i}`));
  await log.close();
});

test("many rows at once: columns that all have alike, some have alike and none has alike come back as they were", async () => {
  const file = newFile();
  const log = createSqliteLog({ file });
  // Sixteen rows are one statement: some of these blocks are alike, others are not in one column, or in the last row only.
  const wanted = Array.from({ length: 160 }, (_, i) => {
    const block = Math.floor(i / 16);
    const odd = block % 2 === 1 && i % 16 === 15;
    return prediction(`t${i}`, {
      time: i,
      version: odd && block === 1 ? "9" : String(1 + (block % 3)),
      extra: odd && block === 3 ? { note: i } : {},
      degraded: odd && block === 5,
      ...(odd && block === 7 ? { applied: i } : {}),
      ...(block === 9 ? { adapted: { review: i, rules: "r" } } : {}),
    });
  });
  for (const [i, one] of wanted.entries()) {
    log.appendPrediction(one);
    log.appendShadow(shadow(`t${i}`, { vectorHash: i % 20 === 0 ? `h${i}` : "" }));
    log.appendLabel(label(`t${i}`, { source: i === 40 ? "analyst" : "table" }));
  }
  await log.close();
  const reader = createSqliteLog({ file });
  const entries = await collect(reader.scan(0));
  const predictions = entries.flatMap((entry) => (entry.kind === "prediction" ? [entry.record] : []));
  expect(predictions.map(({ sequence: _, ...record }) => record)).toEqual(wanted);
  const labels = entries.flatMap((entry) => (entry.kind === "label" ? [entry.record.source] : []));
  expect(labels).toEqual(wanted.map((_, i) => (i === 40 ? "analyst" : "table")));
  const hashes = new Database(file).prepare("SELECT vector_hash FROM shadows ORDER BY time, id").raw().all([]);
  expect((hashes as string[][]).flat()).toEqual(wanted.map((_, i) => (i % 20 === 0 ? `h${i}` : "")));
  await reader.close();
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
  const script = fileURLToPath(new URL("../../../dist/test/drivers/log/sqlite-child.js", import.meta.url));
  const child = spawn(process.execPath, [script, file], { stdio: ["ignore", "pipe", "inherit"] });
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

test("a quiet log waits for the disk once in as many pages as a busy one, and gives its memory back meanwhile", async () => {
  const file = newFile();
  const db = new Database(file);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)");
  const grownBy = async (batches: number): Promise<{ readonly bytes: number; readonly quiet: number }> => {
    const before = statSync(file).size;
    const checkpointer = createCheckpointer(file, (error) => {
      throw error;
    });
    const insert = db.prepare("INSERT INTO t VALUES (?)");
    let quiet = 0;
    for (let i = 0; i < batches; i++) {
      insert.run(["x".repeat(5000)]);
      if (checkpointer.batchWritten(1)) quiet++;
    }
    await checkpointer.close();
    return { bytes: statSync(file).size - before, quiet };
  };
  expect(await grownBy(64)).toEqual({ bytes: 0, quiet: 2 });
  const { bytes, quiet } = await grownBy(200);
  expect(bytes).toBeGreaterThan(200 * 5000);
  expect(quiet).toBe(6);
  db.close();
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
