// The embedded registry's errors, made by SQLite itself, and what Sentinel says about them.
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "libsql";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inPlainWords, isBusy } from "../../../src/drivers/registry/local/errors.ts";

const WRITE = { doing: "write", file: "models/mlflow.db", waitedMs: 15_000 } as const;

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "sentinel-errors-"));
  file = path.join(dir, "a.db");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

test("a file that may not be written, under an extended result code", async () => {
  const database = new Database(file);
  database.exec("CREATE TABLE t(a)");
  await rename(file, `${file}.moved`);
  const error = thrownBy(() => database.exec("INSERT INTO t VALUES (1)"));
  database.close();
  expect((error as { rawCode: number }).rawCode).toBeGreaterThan(255);
  expect(inPlainWords(error, WRITE)).toMatchObject({ code: "registry.unwritable", cause: error });
  expect(inPlainWords(error, { ...WRITE, doing: "read" })).toMatchObject({ code: "registry.unreachable" });
});

test("a file that cannot be opened", () => {
  const error = thrownBy(() => new Database(path.join(dir, "missing", "a.db")));
  expect(inPlainWords(error, WRITE)).toMatchObject({ code: "registry.unwritable" });
});

test("a file that somebody else writes", () => {
  const [one, other] = [new Database(file), new Database(file)];
  one.exec("BEGIN IMMEDIATE");
  const error = thrownBy(() => other.exec("BEGIN IMMEDIATE"));
  one.close();
  other.close();
  expect(isBusy(error)).toBe(true);
  expect(inPlainWords(error, WRITE)).toMatchObject({
    code: "registry.unreachable",
    message: "models/mlflow.db has been locked by another process for 15 s",
  });
});

test("a statement that does not fit", () => {
  const database = new Database(file);
  const error = thrownBy(() => database.prepare("SELECT * FROM nothing"));
  database.close();
  expect(inPlainWords(error, WRITE)).toMatchObject({ code: "registry.corrupt" });
});
