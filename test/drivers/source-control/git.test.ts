// Where the code comes from: commit and dirty flag, or nothing.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGit } from "../../../src/drivers/source-control/git.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "sentinel-git-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function git(...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "commit.gpgsign=false"];
  return (await promisify(execFile)("git", [...identity, ...args], { cwd: dir })).stdout.trim();
}

test("nothing outside a repository, before the first commit, or without the folder", async () => {
  expect(await createGit({ dir }).describe()).toBeNull();
  expect(await createGit({ dir: path.join(dir, "missing") }).describe()).toBeNull();
  await git("init", "--quiet", "--initial-branch", "main");
  expect(await createGit({ dir }).describe()).toBeNull();
});

test("the commit; dirty with any change that git does not ignore", async () => {
  await git("init", "--quiet", "--initial-branch", "main");
  await writeFile(path.join(dir, "features.ts"), "1");
  await writeFile(path.join(dir, ".gitignore"), "data/\n");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  const commit = await git("rev-parse", "HEAD");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: false, branch: "main" });
  await mkdir(path.join(dir, "data"));
  await writeFile(path.join(dir, "data", "big"), "");
  expect(await createGit({ dir: path.join(dir, "data") }).describe()).toEqual({ commit, dirty: false, branch: "main" });
  await writeFile(path.join(dir, "new.ts"), "");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: true, branch: "main" });
  await rm(path.join(dir, "new.ts"));
  await writeFile(path.join(dir, "features.ts"), "2");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: true, branch: "main" });
});

test("a detached commit is on no branch", async () => {
  await git("init", "--quiet");
  await writeFile(path.join(dir, "a"), "");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  await git("checkout", "--quiet", "--detach");
  expect(await createGit({ dir }).describe()).toMatchObject({ dirty: false, branch: "" });
});

test("results of the workspace's own stages do not make it dirty, those of another folder do", async () => {
  const workspace = path.join(dir, "workspace");
  await mkdir(path.join(workspace, "reports"), { recursive: true });
  await git("init", "--quiet");
  await writeFile(path.join(workspace, "dvc.lock"), "1");
  await writeFile(path.join(workspace, "reports", "old.json"), "1");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  await writeFile(path.join(workspace, "dvc.lock"), "2");
  await writeFile(path.join(workspace, "reports", "new.json"), "1");
  await rm(path.join(workspace, "reports", "old.json"));
  expect(await createGit({ dir: workspace }).describe()).toMatchObject({ dirty: false });
  // The whole repository is looked at, from wherever.
  await writeFile(path.join(dir, "features.ts"), "");
  expect(await createGit({ dir: workspace }).describe()).toMatchObject({ dirty: true });
  await rm(path.join(dir, "features.ts"));
  await writeFile(path.join(dir, "dvc.lock"), "1");
  expect(await createGit({ dir: workspace }).describe()).toMatchObject({ dirty: true });
});

test("a file is held by the commit when it is there as on disk", async () => {
  const held = (name: string) => createGit({ dir }).holds(path.join(dir, name));
  expect(await held("dvc.lock")).toBe(false);
  await git("init", "--quiet");
  await mkdir(path.join(dir, "data"));
  for (const name of ["dvc.lock", "data/*.dvc", "-x"]) await writeFile(path.join(dir, name), "1");
  expect(await held("dvc.lock")).toBe(false);
  await git("add", "--", "dvc.lock", "data");
  expect(await held("dvc.lock")).toBe(false);
  await git("commit", "--quiet", "--message", "first");
  expect(await held("dvc.lock")).toBe(true);
  expect(await held("data/*.dvc")).toBe(true);
  expect(await held("data/a.dvc")).toBe(false);
  expect(await held("-x")).toBe(false);
  await writeFile(path.join(dir, "dvc.lock"), "2");
  expect(await held("dvc.lock")).toBe(false);
  await rm(path.join(dir, "dvc.lock"));
  expect(await held("dvc.lock")).toBe(false);
});

test("nothing without git", async () => {
  await git("init", "--quiet", "--initial-branch", "main");
  await writeFile(path.join(dir, "a"), "");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  const { PATH } = process.env;
  try {
    process.env.PATH = dir;
    expect(await createGit({ dir }).describe()).toBeNull();
  } finally {
    process.env.PATH = PATH;
  }
  expect(await createGit({ dir }).describe()).not.toBeNull();
});
