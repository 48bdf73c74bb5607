// Snapshots as files: whole or not at all, under plain names.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFileSnapshots } from "../../../src/drivers/files/snapshots.ts";
import type { SnapshotStore } from "../../../src/ports/ports.ts";
import { codeOf } from "../../contracts/registry.ts";

let dir: string;
let snapshots: SnapshotStore;
beforeEach(async () => {
  dir = path.join(await mkdtemp(path.join(tmpdir(), "sentinel-snapshots-")), "state");
  snapshots = createFileSnapshots({ dir });
});
afterEach(() => rm(path.dirname(dir), { recursive: true, force: true }));

test("what was saved last is loaded, by whoever opens the folder", async () => {
  expect(await snapshots.load("card")).toBeNull();
  await snapshots.save("card", Uint8Array.of(1, 2, 3));
  await snapshots.save("card", Uint8Array.of(0, 255));
  await snapshots.save("wire.v2", new Uint8Array(0));
  const again = createFileSnapshots({ dir });
  expect(await again.load("card")).toEqual(Uint8Array.of(0, 255));
  expect(await again.load("wire.v2")).toEqual(new Uint8Array(0));
  expect(await readdir(dir)).toEqual(["card", "wire.v2"]);
});

test("saves at once leave one of them, whole", async () => {
  const size = 200_000;
  await Promise.all([1, 2, 3, 4].map((byte) => snapshots.save("card", new Uint8Array(size).fill(byte))));
  const loaded = (await snapshots.load("card"))!;
  expect(loaded).toHaveLength(size);
  expect(new Set(loaded).size).toBe(1);
  expect(await readdir(dir)).toEqual(["card"]);
});

test("what a dead process left half-written goes at the next save; a living one's and other names' stay", async () => {
  await snapshots.save("card", Uint8Array.of(1));
  const dead = 2 ** 22 + 1; // Above Linux' largest pid.
  const stay = [`.card.${process.pid}.99.tmp`, `.wire.${dead}.0.tmp`];
  for (const name of [`.card.${dead}.0.tmp`, ...stay]) await writeFile(path.join(dir, name), "half");
  expect(await snapshots.load("card")).toEqual(Uint8Array.of(1));
  await snapshots.save("card", Uint8Array.of(2));
  expect((await readdir(dir)).sort()).toEqual([...stay, "card"].sort());
});

test.each(["", ".", "..", "../x", "a/b", "A", ".card.1.0.tmp", "a".repeat(101)])(
  "%j names no snapshot",
  async (name) => {
    expect(await codeOf(snapshots.save(name, new Uint8Array(1)))).toBe("workspace.unwritable");
    expect(await codeOf(snapshots.load(name))).toBe("workspace.unwritable");
  },
);

test("a folder that takes no files is an error, and the old snapshot stays", async () => {
  await writeFile(path.join(path.dirname(dir), "file"), "");
  const nowhere = createFileSnapshots({ dir: path.join(path.dirname(dir), "file") });
  expect(await codeOf(nowhere.save("card", new Uint8Array(1)))).toBe("workspace.unwritable");
  expect(await nowhere.load("card")).toBeNull();
  await mkdir(path.join(dir, "card"), { recursive: true });
  expect(await codeOf(snapshots.save("card", new Uint8Array(1)))).toBe("workspace.unwritable");
  expect(await codeOf(snapshots.load("card"))).toBe("state.corrupt");
  expect(await readdir(dir)).toEqual(["card"]);
});
