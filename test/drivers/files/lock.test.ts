// Locks as files: one holder at a time, the dead ones' taken over.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFileLock } from "../../../src/drivers/files/lock.ts";
import type { Clock, Lock } from "../../../src/ports/ports.ts";
import { codeOf } from "../../contracts/registry.ts";

const CHILD = fileURLToPath(new URL("./lock-child.mjs", import.meta.url));
const SINCE = Date.UTC(2026, 10, 21, 7);
const clock: Clock = { now: () => SINCE, elapsed: () => 0 };

let dir: string;
let lock: Lock;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "sentinel-lock-"));
  lock = createFileLock({ dir, clock });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A process that holds the lock once it has said so. */
async function holder(name: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, dir, name], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

const claim = (changes: object) => writeFile(path.join(dir, "retrain.lock"), JSON.stringify(changes));

test("one holds, another is told who and since when; after the release it is free", async () => {
  const held = await lock.acquire("retrain");
  await expect(createFileLock({ dir }).acquire("retrain")).rejects.toMatchObject({
    code: "lifecycle.locked",
    message: `retrain is locked by process ${process.pid} on ${hostname()}, since 2026-11-21T07:00:00.000Z`,
    hint: expect.stringContaining("retrain.lock"),
  });
  await (await lock.acquire("train")).release();
  await held.release();
  await held.release();
  expect(await readdir(dir)).toEqual([]);
  await (await lock.acquire("retrain")).release();
});

test("of many at once one wins", async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => lock.acquire("retrain")));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await readdir(dir)).toEqual(["retrain.lock"]);
});

test("another process' lock holds while it lives, and falls with it", async () => {
  const child = await holder("retrain");
  await expect(lock.acquire("retrain")).rejects.toMatchObject({
    message: expect.stringContaining(`process ${child.pid} on`),
  });
  await kill(child);
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => lock.acquire("retrain")));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await readdir(dir)).toEqual(["retrain.lock"]);
});

test("a late release does not free the next holder's lock", async () => {
  const first = await lock.acquire("retrain");
  await rm(path.join(dir, "retrain.lock"));
  const second = await lock.acquire("retrain");
  await first.release();
  expect(await codeOf(lock.acquire("retrain"))).toBe("lifecycle.locked");
  await second.release();
});

test.runIf(process.platform === "linux")("a pid that now is another process' does not hold", async () => {
  await claim({ pid: process.pid, host: hostname(), started: "another boot/1", since: SINCE });
  await (await lock.acquire("retrain")).release();
});

test("another machine's holder is believed", async () => {
  await claim({ pid: 1, host: "elsewhere.example", started: "", since: SINCE });
  await expect(lock.acquire("retrain")).rejects.toMatchObject({
    message: expect.stringContaining("elsewhere.example"),
  });
});

test.each(["", "{", "[]", "null", '{"pid":"1","host":"a","started":"","since":1}'])(
  "an unreadable claim %j is respected",
  async (text) => {
    await writeFile(path.join(dir, "retrain.lock"), text);
    expect(await codeOf(lock.acquire("retrain"))).toBe("lifecycle.locked");
    expect(await readFile(path.join(dir, "retrain.lock"), "utf8")).toBe(text);
  },
);

test.each(["", "../x", "A", "a/b", ".a", "a".repeat(101)])("%j names no lock", async (name) => {
  expect(await codeOf(lock.acquire(name))).toBe("workspace.unwritable");
});

test("a folder that cannot be made is an error of the workspace", async () => {
  await writeFile(path.join(dir, "file"), "");
  expect(await codeOf(createFileLock({ dir: path.join(dir, "file") }).acquire("a"))).toBe("workspace.unwritable");
  expect(await codeOf(createFileLock({ dir: path.join(dir, "file", "locks") }).acquire("a"))).toBe(
    "workspace.unwritable",
  );
});
