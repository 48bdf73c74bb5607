// Where the code comes from: commit and dirty flag, or nothing.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGit } from "../../src/drivers/git.ts";

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
  await git("init", "--quiet");
  expect(await createGit({ dir }).describe()).toBeNull();
});

test("the commit; dirty with any change that git does not ignore", async () => {
  await git("init", "--quiet");
  await writeFile(path.join(dir, "features.ts"), "1");
  await writeFile(path.join(dir, ".gitignore"), "data/\n");
  await git("add", ".");
  await git("commit", "--quiet", "--message", "first");
  const commit = await git("rev-parse", "HEAD");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: false });
  await mkdir(path.join(dir, "data"));
  await writeFile(path.join(dir, "data", "big"), "");
  expect(await createGit({ dir: path.join(dir, "data") }).describe()).toEqual({ commit, dirty: false });
  await writeFile(path.join(dir, "new.ts"), "");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: true });
  await rm(path.join(dir, "new.ts"));
  await writeFile(path.join(dir, "features.ts"), "2");
  expect(await createGit({ dir }).describe()).toEqual({ commit, dirty: true });
});

test("nothing without git", async () => {
  await git("init", "--quiet");
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
