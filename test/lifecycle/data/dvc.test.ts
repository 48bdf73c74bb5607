// DVC's files as Sentinel reads them: which entry counts for a data file, and what is left alone.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dvcEntryOf } from "../../../src/lifecycle/data/dvc.ts";

const MD5 = "4e58af523ea0a6d19d808e192cab86ea";
const OTHER = "d41d8cd98f00b204e9800998ecf8427e";
let dir: string;
let faults: string[];

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-dvc-"));
  faults = [];
  put(".dvc/config", "");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function put(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
  writeFileSync(path.join(dir, name), text);
}

const entryOf = (name: string) => dvcEntryOf(path.join(dir, name), (what) => faults.push(what));

/** A dvc.lock with one output a stage. */
function lockOf(
  outs: Readonly<Record<string, { readonly path: string; readonly md5: string; readonly hash?: string }>>,
): string {
  const stages = Object.entries(outs).map(([name, out]) => {
    const hash = out.hash === "" ? "" : `\n      hash: ${out.hash ?? "md5"}`;
    return `  ${name}:\n    cmd: x\n    deps:\n    - path: data/t.csv\n      hash: md5\n      md5: ${OTHER}\n    outs:\n    - path: ${out.path}${hash}\n      md5: ${out.md5}\n      size: 3\n`;
  });
  return `schema: '2.0'\nstages:\n${stages.join("")}`;
}

test("nothing where DVC has said nothing", () => {
  expect(entryOf("data/t.csv")).toBeNull();
  put("dvc.lock", "");
  expect(entryOf("data/t.csv")).toBeNull();
  expect(faults).toEqual([]);
});

test("an output of a stage counts, what a stage merely read does not", () => {
  put("dvc.lock", lockOf({ other: { path: "data/u.csv", md5: OTHER } }));
  expect(entryOf("data/t.csv")).toBeNull();
  put("dvc.lock", lockOf({ other: { path: "data/u.csv", md5: OTHER }, simulate: { path: "data/t.csv", md5: MD5 } }));
  expect(entryOf("data/t.csv")).toEqual({
    file: path.join(dir, "dvc.lock"),
    stage: "simulate",
    path: "data/t.csv",
    md5: MD5,
  });
});

test("a .dvc file beside the data counts, before the lock", () => {
  put("data/t.csv.dvc", `outs:\n- md5: ${MD5}\n  size: 3\n  hash: md5\n  path: t.csv\n`);
  put("dvc.lock", lockOf({ simulate: { path: "data/t.csv", md5: OTHER } }));
  expect(entryOf("data/t.csv")).toEqual({ file: path.join(dir, "data/t.csv.dvc"), stage: "", path: "t.csv", md5: MD5 });
});

test("a file in a tracked folder is found in the folder's list, when the cache has it", () => {
  put("data.dvc", `outs:\n- md5: ${OTHER}.dir\n  nfiles: 2\n  hash: md5\n  path: data\n`);
  expect(entryOf("data/deep/t.csv")).toBeNull();
  const list = JSON.stringify([
    { md5: OTHER, relpath: "t.csv" },
    { md5: MD5, relpath: "deep/t.csv" },
  ]);
  put(`.dvc/cache/files/md5/${OTHER.slice(0, 2)}/${OTHER.slice(2)}.dir`, list);
  expect(entryOf("data/deep/t.csv")).toMatchObject({ md5: MD5, path: "data" });
  expect(entryOf("data/none.csv")).toBeNull();
});

test("the search ends at DVC's root", () => {
  put("inner/.dvc/config", "");
  put("dvc.lock", lockOf({ simulate: { path: "inner/data/t.csv", md5: MD5 } }));
  expect(entryOf("inner/data/t.csv")).toBeNull();
});

test("hashes of DVC 2 are not compared with, and a broken file is told, not thrown", () => {
  put("dvc.lock", lockOf({ simulate: { path: "data/t.csv", md5: MD5, hash: "" } }));
  expect(entryOf("data/t.csv")).toBeNull();
  put("dvc.lock", lockOf({ simulate: { path: "data/t.csv", md5: "nonsense" } }));
  expect(entryOf("data/t.csv")).toBeNull();
  expect(faults).toEqual([]);
  for (const text of [
    "<<<<<<< HEAD\nschema: '2.0'\n=======\n",
    "stages: [1, {outs: 3}]\nouts: 7",
    "stages:\n  a: null",
    "7",
  ]) {
    put("dvc.lock", text);
    expect(entryOf("data/t.csv")).toBeNull();
  }
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(/dvc\.lock cannot be read: /);
});
