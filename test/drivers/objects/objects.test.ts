// Objects in a folder and in a bucket: one contract, and what only a network can do.
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { loadConfig, s3Login } from "../../../src/config.ts";
import { bucketPlace } from "../../../src/core/remote.ts";
import { createFolderObjects } from "../../../src/drivers/objects/folder/driver.ts";
import { createS3Objects } from "../../../src/drivers/objects/s3/driver.ts";
import type { ObjectStore } from "../../../src/ports/objects.ts";
import { type FaultyProxy, startFaultyProxy } from "../faulty-proxy.ts";
import { BUCKET, type S3Process, s3Installed, startS3 } from "../s3-server.ts";
import { type TinyDisk, tinyDisk } from "../tiny-disk.ts";

if (!s3Installed) {
  console.warn("SKIPPED objects in a bucket: no moto in .cache/; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("moto is installed", () => {
    expect(s3Installed, "CI must run scripts/setup-python first").toBe(true);
  });
}

const folder = mkdtempSync(path.join(tmpdir(), "sentinel-objects-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bytes = (text: string): { readonly bytes: Uint8Array } => ({ bytes: new TextEncoder().encode(text) });
const textOf = async (store: ObjectStore, key: string): Promise<string | null> => {
  const read = await store.read(key);
  return read === null ? null : new TextDecoder().decode(read);
};

function contract(name: string, open: () => Promise<ObjectStore>): void {
  describe(name, () => {
    let store: ObjectStore;
    beforeEach(async () => {
      store = await open();
    });
    const keys = async (prefix = ""): Promise<readonly string[]> => (await store.list(prefix)).map(({ key }) => key);

    test("an object is made once, whole, from bytes or a file, and listed in order", async () => {
      expect([await keys(), await store.read("a/b")]).toEqual([[], null]);
      expect(await store.create("date=2024-01-01/ü x+y%20&'1.txt", bytes("one"))).toBe(true);
      expect(await store.create("a/b", bytes("two"))).toBe(true);
      expect(await store.create("a/b", bytes("other"))).toBe(false);
      const large = path.join(folder, "large");
      writeFileSync(large, Buffer.alloc(3_000_000, 7));
      expect(await store.create("a/large", { file: large })).toBe(true);
      expect(await keys()).toEqual(["a/b", "a/large", "date=2024-01-01/ü x+y%20&'1.txt"]);
      expect([await keys("a/"), await keys("a/l"), await keys("b")]).toEqual([["a/b", "a/large"], ["a/large"], []]);
      expect([await textOf(store, "a/b"), await textOf(store, "date=2024-01-01/ü x+y%20&'1.txt")]).toEqual([
        "two",
        "one",
      ]);
      expect((await store.list("a/large"))[0].bytes).toBe(3_000_000);
      await store.scratch(async (own) => {
        expect(readFileSync(await store.file("a/large", own)).equals(Buffer.alloc(3_000_000, 7))).toBe(true);
      });
      await expect(store.file("a/none", folder)).rejects.toMatchObject({ code: "archive.unreadable" });
    });

    test("an object takes the place of one of its key, or of none, whole", async () => {
      await store.create("r/a", bytes("before"));
      await store.replace("r/a", bytes("after"));
      await store.replace("r/b", bytes("new"));
      await store.scratch(async (own) => {
        writeFileSync(path.join(own, "c"), "file");
        await store.replace("r/c", { file: path.join(own, "c") });
      });
      expect([await textOf(store, "r/a"), await textOf(store, "r/b"), await textOf(store, "r/c")]).toEqual([
        "after",
        "new",
        "file",
      ]);
      expect(await keys("r/")).toEqual(["r/a", "r/b", "r/c"]);
    });

    test("a move gives another name, keeps what is there, and is no fault when there is nothing to move", async () => {
      await store.create("d/_next", bytes("new"));
      await store.move("d/_next", "d/name");
      expect([await keys(), await textOf(store, "d/name")]).toEqual([["d/name"], "new"]);
      await store.move("d/_next", "d/name");
      await store.create("d/_next", bytes("late"));
      await store.move("d/_next", "d/name");
      expect([await keys(), await textOf(store, "d/name")]).toEqual([["d/name"], "new"]);
      await store.remove(["d/name", "d/none"]);
      expect(await keys()).toEqual([]);
      expect(await store.create("d/name", bytes("again"))).toBe(true);
    });
  });
}

let made = 0;
const openFolder = async (root = path.join(folder, `root-${made++}`)): Promise<ObjectStore> =>
  createFolderObjects({ root, now: Date.now });
contract("a folder", () => openFolder());

test("a folder's files and folders are for their owner alone, and a killed process's leftovers go", async () => {
  const root = path.join(folder, "private");
  const store = await openFolder(root);
  await store.create("d/a", bytes("x"));
  expect([statSync(path.join(root, "d")).mode & 0o777, statSync(path.join(root, "d", "a")).mode & 0o777]).toEqual([
    0o700, 0o600,
  ]);
  let left = "";
  await store.scratch(async (own) => {
    left = path.join(path.dirname(own), path.basename(own).replace(`~${process.pid}~`, "~4194000~"));
    writeFileSync(left, "half a file");
    await store.scratch(async () => {});
    expect(readdirSync(path.dirname(own))).toEqual([path.basename(own)]);
  });
});

describe("a full disk", () => {
  let disk: TinyDisk | null;
  beforeAll(() => {
    disk = tinyDisk(2);
  });
  afterAll(() => disk?.dispose());

  test("is told from other faults, leaves nothing half, and is over when there is room", async (context) => {
    if (disk === null) return context.skip("this user may not mount a file system");
    const store = await openFolder(path.join(disk.dir, "root"));
    await store.create("a", bytes("before"));
    disk.fill();
    const large = { bytes: new Uint8Array(500_000) };
    await expect(store.create("b", large)).rejects.toMatchObject({
      code: "archive.unwritable",
      hint: expect.stringContaining("disk is full"),
    });
    expect((await store.list("")).map(({ key }) => key)).toEqual(["a"]);
    disk.free();
    expect(await store.create("b", large)).toBe(true);
  });
});

describe.runIf(s3Installed)("a bucket", () => {
  let s3: S3Process;
  let proxy: FaultyProxy;
  beforeAll(async () => {
    s3 = await startS3();
    proxy = await startFaultyProxy(s3.uri);
  });
  afterAll(async () => {
    await proxy?.close();
    await s3?.dispose();
  });
  const at = (
    place: string,
    environment = s3.environment(),
    patience = { waitsMs: [1, 1, 1], tryMsMax: 2000 },
    readBytesMax?: number,
  ): ObjectStore => {
    const login = s3Login(loadConfig({ environment }));
    return createS3Objects({
      place: bucketPlace(place),
      login,
      patience,
      ...(readBytesMax === undefined ? {} : { readBytesMax }),
    });
  };
  contract("its objects", async () => {
    await s3.empty();
    return at(`s3://${BUCKET}/some/prefix/`);
  });

  test("a large file is sent as it is read, again where a request is lost, and no file stays open", async () => {
    await s3.empty();
    const patience = { waitsMs: [1, 1, 1], tryMsMax: 5000 };
    const store = at(`s3://${BUCKET}/large`, s3.environment(proxy.uri), patience, 1000);
    const large = path.join(folder, "sent-as-read");
    const content = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => i % 251));
    writeFileSync(large, content);
    const lost = new Set<string>();
    proxy.fault = (line) => {
      if (lost.has(line)) return null;
      lost.add(line);
      return { status: 503, text: "" };
    };
    expect(await store.create("a", { file: large })).toBe(true);
    proxy.fault = () => null;
    expect(await store.create("a", { file: large })).toBe(false);
    await store.replace("b", { file: large });
    writeFileSync(path.join(folder, "empty-file"), "");
    await store.replace("empty", { file: path.join(folder, "empty-file") });
    for (const key of ["a", "b"]) expect(content.equals((await store.read(key))!)).toBe(true);
    expect((await store.list("")).map(({ key, bytes: size }) => [key, size])).toEqual([
      ["a", content.length],
      ["b", content.length],
      ["empty", 0],
    ]);
    const open = readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return [];
      }
    });
    expect(open).not.toContain(large);
  });

  test("more objects than one answer lists", async () => {
    await s3.empty();
    const names = Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(4, "0")}`);
    await Promise.all(names.map((name) => fetch(`${s3.uri}/${BUCKET}/many/${name}`, { method: "PUT", body: "x" })));
    const login = s3Login(loadConfig({ environment: s3.environment() }));
    const store = createS3Objects({ place: bucketPlace(`s3://${BUCKET}/many`), login, pageKeys: 10 });
    expect((await store.list("")).map(({ key }) => key)).toEqual(names);
  });

  test("a request that fails is repeated, and an answer that was lost changes nothing", async () => {
    await s3.empty();
    const store = at(`s3://${BUCKET}/p`, s3.environment(proxy.uri));
    for (const fault of [
      "lose-request",
      "lose-answer",
      { status: 503, text: "" },
      { status: 500, text: "" },
    ] as const) {
      const key = `k${JSON.stringify(fault).length}`;
      const failed = new Set<string>();
      proxy.fault = (line) => {
        if (failed.has(line)) return null;
        failed.add(line);
        return fault;
      };
      await store.create(key, bytes("once"));
      expect(await textOf(store, key)).toBe("once");
      await store.move(key, `${key}-moved`);
      await store.remove([`${key}-moved`]);
      expect(await store.list("")).toEqual([]);
      expect(failed.size).toBeGreaterThan(4);
    }
    proxy.fault = () => ({ status: 503, text: "" });
    await expect(store.create("x", bytes("y"))).rejects.toMatchObject({ code: "archive.unreachable" });
    proxy.fault = () => "hang";
    await expect(
      at(`s3://${BUCKET}/p`, s3.environment(proxy.uri), { waitsMs: [1], tryMsMax: 50 }).list(""),
    ).rejects.toMatchObject({
      code: "archive.unreachable",
    });
    proxy.fault = () => null;
  });

  test("what is wrong is said: no bucket, a key that may not, no key, no address", async () => {
    await expect(at("s3://nobody/p").create("a", bytes("b"))).rejects.toMatchObject({
      code: "archive.unwritable",
      hint: expect.stringContaining("make the bucket"),
    });
    const denied = "<Error><Code>AccessDenied</Code><Message>Access Denied &amp; more</Message></Error>";
    proxy.fault = () => ({ status: 403, text: denied });
    await expect(at(`s3://${BUCKET}/p`, s3.environment(proxy.uri)).list("")).rejects.toMatchObject({
      code: "archive.unreadable",
      message: expect.stringContaining("AccessDenied (Access Denied & more)"),
      hint: expect.stringContaining("AWS_SECRET_ACCESS_KEY"),
    });
    proxy.fault = () => null;
    expect(() => at(`s3://${BUCKET}/p`, {})).toThrow(expect.objectContaining({ code: "config.invalid" }));
    expect(() => at(`s3://${BUCKET}/p`, { ...s3.environment(), AWS_ENDPOINT_URL_S3: "ftp://x" })).toThrow(
      "is not the address",
    );
    for (const place of ["s3://", "s3:///x", "s3://b/../c"])
      expect(() => bucketPlace(place)).toThrow(expect.objectContaining({ code: "config.invalid" }));
  });
});
