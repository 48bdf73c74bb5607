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

/** A timer the test turns by hand. */
function handTimer(): { readonly later: (run: () => void) => () => void; readonly turn: () => void } {
  let due: (() => void) | null = null;
  return {
    later: (run) => {
      due = run;
      return () => {
        due = null;
      };
    },
    turn: () => {
      const run = due;
      due = null;
      run?.();
    },
  };
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

test("the timer writes at most one batch a turn, and goes on until nothing is left", async () => {
  const timer = handTimer();
  const file = newFile();
  const log = createSqliteLog({ file, options: { batchRowsMax: 10, later: timer.later } });
  const reader = createSqliteLog({ file });
  for (let i = 0; i < 25; i++) log.appendPrediction(prediction(`t${i}`));
  const seen: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    timer.turn();
    seen.push((await reader.counts()).predictions);
  }
  expect(seen).toEqual([10, 20, 25, 25]);
  await log.close();
  await reader.close();
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
  const timer = handTimer();
  const failures: Error[] = [];
  const log = createSqliteLog({
    file,
    options: { later: timer.later, busyMsMax: 20, onFailure: (error) => failures.push(error) },
  });
  const other = new Database(file);
  other.exec("BEGIN IMMEDIATE");
  log.appendPrediction(prediction("t1"));
  timer.turn();
  await expect(log.flush()).rejects.toMatchObject({ code: "log.unwritable" });
  expect((await log.find("t1"))!.sequence).toBe(0);
  other.exec("COMMIT");
  other.close();
  timer.turn();
  expect((await log.find("t1"))!.sequence).toBe(1);
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
  for (const table of ["predictions", "labels"]) db.exec(`ALTER TABLE ${table} DROP COLUMN applied`);
  db.exec("PRAGMA user_version = 1");
  db.close();
  // Two at once, as two servers start.
  const logs = [createSqliteLog({ file }), createSqliteLog({ file })];
  logs[0].appendPrediction(prediction("new", { applied: 5 }));
  await logs[0].flush();
  expect(await collect(logs[1].scanApplied(1))).toMatchObject([{ record: { transactionId: "new", applied: 5 } }]);
  expect((await collect(logs[1].scan(0))).map(({ record }) => record.transactionId)).toEqual(["old", "old", "new"]);
  for (const log of logs) await log.close();
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

test("the log never keeps more predictions than its limit, and never gives a number twice", async () => {
  const log = createSqliteLog({ file: newFile(), options: { batchRowsMax: 10, rowsMax: 50 } });
  for (let i = 0; i < 200; i++) log.appendPrediction(prediction(`t${i}`));
  await log.flush();
  expect((await log.counts()).predictions).toBe(50);
  await log.prune({ rowsMax: 0 });
  log.appendPrediction(prediction("after"));
  await log.flush();
  expect((await log.find("after"))!.sequence).toBe(201);
  await log.close();
});

test("checkpoints reach the database file while the log is open, and fail for nobody", async () => {
  const file = newFile();
  const failures: Error[] = [];
  const log = createSqliteLog({ file, options: { batchRowsMax: 4, onFailure: (error) => failures.push(error) } });
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
