// What a workspace keeps of customers is its owner's alone, and what people wrote into it is shown without doing anything.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { edit, makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "./sentinel.ts";

const WORLD = ["--customers", "120", "--terminals", "200", "--days", "60", "--seed", "7"];
/** Stands in no file that Sentinel ships. */
const CUSTOMER = "zebra-4711";
const EVIL = "ok\u001b[2J\u009b31m\r\nversion 9 \u202echampion";
const SAFE = "ok\\x1b[2J\\x9b31m\\r\\nversion 9 \\u202echampion";

let dir: string;

const run = (...args: string[]) => sentinel(args, { cwd: dir, env: { SENTINEL_ACTOR: EVIL, FORCE_COLOR: "1" } });

interface Kept {
  readonly name: string;
  readonly mode: string;
  readonly isFolder: boolean;
}

function keptIn(folder: string): Kept[] {
  return [folder, ...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => path.join(folder, name))]
    .map((file) => ({ file, stat: statSync(file) }))
    .map(({ file, stat }) => ({
      name: path.relative(dir, file),
      mode: (stat.mode & 0o777).toString(8),
      isFolder: stat.isDirectory(),
    }));
}

function expectPrivate(kept: readonly Kept[]): void {
  for (const { name, mode, isFolder } of kept) expect(mode, name).toBe(isFolder ? "700" : "600");
}

beforeAll(async () => {
  // The usual mask of a user, whatever this machine's is.
  process.umask(0o022);
  dir = makeWorkspace();
  // Texts as ids, so that they can be found again wherever they are kept.
  const made = await run("simulate", "--out", "data/transactions.csv", ...WORLD);
  expect(made.code).toBe(0);
  edit(dir, "pipelines/card.yaml", (text) => text.replace("data/transactions.parquet", "data/transactions.csv"));
  expect(await run("train", "--force", "--reason", EVIL)).toMatchObject({ code: 0 });
  expect(await run("promote", "--force", "--reason", EVIL)).toMatchObject({ code: 0 });
});
afterAll(() => removeWorkspace(dir));

test("log, feature state, snapshots and locks are private while a server runs and after it", async () => {
  const state = path.join(dir, "models", "state");
  const server = await serve(dir);
  try {
    for (let i = 0; i < 20; i++) {
      const body = {
        ...{ id: `${CUSTOMER}-${i}`, amount: 40 + i, user_id: 7, merchant_id: 3 },
        time: Date.UTC(2018, 6, 1) + i * 1000,
      };
      const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      expect((await fetch(`${server.url}/predict`, init)).status).toBe(200);
    }
    const kept = keptIn(state);
    expect(kept.map(({ name }) => path.basename(name))).toEqual(
      expect.arrayContaining(["card-log.db", "card-log.db-wal", "serve-card.lock"]),
    );
    expectPrivate(kept);
  } finally {
    await server.stop("SIGTERM");
  }
  const kept = keptIn(state);
  expect(kept.some(({ name, isFolder }) => name.includes("snapshots/") && !isFolder)).toBe(true);
  expectPrivate(kept);
});

test("tables, reports and whatever else names a customer are private", async () => {
  expect(await run("featurise", "--out", "data/vectors.parquet")).toMatchObject({ code: 0 });
  const validated = await sentinelJson(["validate"], { cwd: dir });
  expect(validated.code).toBe(0);
  for (const file of ["data/vectors.parquet", "data/transactions.csv", "models/reports/card-validation.html"])
    expect((statSync(path.join(dir, file)).mode & 0o777).toString(8), file).toBe("600");
  const naming = keptIn(dir).filter(
    ({ name, isFolder }) => !isFolder && readFileSync(path.join(dir, name)).includes(CUSTOMER),
  );
  expect(naming.length).toBeGreaterThan(0);
  expectPrivate(naming);
});

test("a table that its owner opened to others stays open when it is written again", async () => {
  const file = path.join(dir, "data", "shared.csv");
  writeFileSync(file, "");
  chmodSync(file, 0o640);
  expect(await run("simulate", "--out", file, ...WORLD)).toMatchObject({ code: 0 });
  expect((statSync(file).mode & 0o777).toString(8)).toBe("640");
});

test("a folder of state from before is left as it is, and doctor says so", async () => {
  const older = makeWorkspace();
  try {
    const state = path.join(older, "models", "state");
    mkdirSync(state);
    chmodSync(state, 0o755);
    const { findings } = (await sentinelJson(["doctor"], { cwd: older })).json;
    const privacy = findings.find(({ what }: { what: string }) => what === "privacy");
    expect(privacy).toMatchObject({ state: "note", found: expect.stringContaining("0755") });
    expect((statSync(state).mode & 0o777).toString(8)).toBe("755");
    expect(existsSync(path.join(state, "card-log.db"))).toBe(true);
    chmodSync(state, 0o700);
    const again = (await sentinelJson(["doctor"], { cwd: older })).json.findings;
    expect(again.find(({ what }: { what: string }) => what === "privacy").state).toBe("ok");
  } finally {
    removeWorkspace(older);
  }
});

test("escapes in a reason or an actor's name are shown and not done, in history and elsewhere", async () => {
  for (const args of [
    ["registry", "history"],
    ["registry", "history", "--at", "2100-01-01"],
    ["registry", "show", "1"],
    ["registry", "verify"],
    ["promote", "--to", "1"],
    ["doctor"],
  ]) {
    const { stdout, stderr } = await run(...args);
    const said = (stdout + stderr).replaceAll("\n", "").replaceAll(/\p{Cc}\[(?:1|2|22|3[1-6]|39)m/gu, "");
    expect(said, args.join(" ")).not.toMatch(/[\p{Cc}\u202e]/u);
    if (args[1] === "history") expect(stdout.split(SAFE).length, args.join(" ")).toBeGreaterThan(2);
  }
  expect(await run("train", "--seed", "\u001b[2J")).toMatchObject({
    code: 2,
    stderr: expect.not.stringContaining("\u001b[2J"),
  });
  // Kept as it was written: the journal's chain of hashes is over the very text.
  const { entries } = (await sentinelJson(["registry", "history"], { cwd: dir })).json;
  expect(entries.filter(({ reason }: { reason: string }) => reason.includes(EVIL)).length).toBeGreaterThan(0);
  expect(entries.map(({ actor }: { actor: string }) => actor)).toContain(EVIL);
});
