// What can happen to a registry while the built command uses it: killed promotions, two at once, a full disk, a server that goes away.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../src/drivers/registry/mlflow/driver.ts";
import { verifyRegistry } from "../../src/lifecycle/verify.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "../cli/sentinel.ts";
import { aRun, aVersion, codeOf, draft, NOW } from "../contracts/registry.ts";
import { type FaultyProxy, startFaultyProxy } from "../drivers/faulty-proxy.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";
import { tinyDisk } from "../drivers/tiny-disk.ts";
import { shadowed } from "../lifecycle/records.ts";
import { livePayments, postJson, SMALL_WORLD, writeHistory } from "./traffic.ts";

/** Whether a process dies in earnest at every step of a promotion and of a rollback, which takes minutes, or at two of each. */
const KILLS_ALL = process.env.SENTINEL_REGISTRY_KILLS === "all";

const force = (reason: string): string[] => ["--force", "--reason", reason];
const quiet = { line: () => {}, progress: () => {} };

/** A workspace with a champion and two more versions. */
let made: string;
let dir: string;

beforeAll(async () => {
  made = makeWorkspace();
  await writeHistory(made, SMALL_WORLD);
  // Two trainings at once: numbers of their own; whose word on `candidate` came second is told so.
  const seeds = ["1", "7", "9"];
  const ends = await Promise.all(
    seeds.map((seed) => sentinelJson(["train", "--seed", seed, ...force("two at once")], { cwd: made })),
  );
  for (const { code, json } of ends) if (code !== 0) expect(json.error.code).toBe("registry.conflict");
  expect(ends.some(({ code }) => code === 0)).toBe(true);
  const { versions } = (await sentinelJson(["registry", "list"], { cwd: made })).json;
  expect(versions.map(({ version }: { version: string }) => version)).toEqual(["1", "2", "3"]);
  expect(new Set(versions.map(({ bundle }: { bundle: string }) => bundle)).size).toBe(3);
  expect((await sentinel(["promote", "--to", "1", ...force("the first")], { cwd: made })).code).toBe(0);
});
afterAll(() => removeWorkspace(made));
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-chaos-"));
  cpSync(made, dir, { recursive: true });
});
afterEach(() => removeWorkspace(dir));

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  sentinelJson(args, { cwd: dir, env });

/** Live traffic by which a champion is far worse than version 1 before it, and a pipeline that may go back by itself. */
async function logBroken(champion: string): Promise<void> {
  const file = path.join(dir, "pipelines", "card.yaml");
  const text = readFileSync(file, "utf8");
  const gates = "gates: { promotion: { resamples: 100 }, rollback: { automatic: true } }\n";
  if (!text.includes("automatic: true")) writeFileSync(file, `${text.replace(/^gates:\n( .*\n)*/m, "")}${gates}`);
  const log = createSqliteLog({ file: path.join(dir, "models", "state", "card-log.db") });
  const ports = { log: async () => log } as Pick<Ports, "log"> as Ports;
  await shadowed(ports, { champion, candidate: "1", skill: { champion: 0.3, candidate: 0.95 }, days: 15 });
  await log.close();
}

describe("the embedded registry", () => {
  test("a promotion or a rollback, by hand or by itself, killed at each of its steps: every alias moved or none, as the journal says", async () => {
    const models = path.join(dir, "models");
    const look = async (folder = models) => {
      const registry = createLocalRegistry({ dir: folder });
      const aliases = await registry.aliases("card-fraud");
      const entries = (await registry.journal("card-fraud")).length;
      const { faults } = await verifyRegistry(registry, { model: "card-fraud", files: false, report: quiet });
      await registry.close();
      return { aliases, entries, faults };
    };
    const hook = path.join(import.meta.dirname, "steps.mjs");
    const watched = (args: readonly string[], env: Readonly<Record<string, string>>) =>
      sentinel(args, { cwd: dir, env, nodeArgs: ["--import", hook] });
    const before = await look();
    const { candidate } = before.aliases;
    expect(before.aliases).toEqual({ champion: "1", candidate });
    const promoted = { champion: candidate, previous: "1" };
    const back = { champion: "1", previous: candidate };
    // Only the first reign of a version is undone by itself.
    const other = ["2", "3"].find((version) => version !== candidate)!;
    const broken = async (): Promise<void> => {
      expect((await run(["promote", "--to", other, ...force("to be found broken")])).code).toBe(0);
      await logBroken(other);
    };
    for (const { args, from, to, code = 0, prepare } of [
      { args: ["promote", ...force("killed")], from: before.aliases, to: promoted },
      { args: ["rollback", "--reason", "killed"], from: promoted, to: back },
      {
        args: ["rollback", "--if-broken"],
        from: { champion: other, previous: "1" },
        to: { champion: "1", previous: other },
        // A broken guard rail is said by exit 1, also where it was undone.
        code: 1,
        prepare: broken,
      },
    ]) {
      await prepare?.();
      const kept = mkdtempSync(path.join(tmpdir(), "sentinel-models-"));
      cpSync(models, path.join(kept, "before"), { recursive: true });
      const { entries } = await look();
      const end = await watched(args, { STEPS_OF: models, STEPS_TO: kept });
      expect(end, end.stderr).toMatchObject({ code, signal: null });
      const happened = { aliases: to, entries: entries + 1, faults: [] };
      const moved: boolean[] = [];
      for (let at = 1; existsSync(path.join(kept, String(at))); at++) {
        const now = await look(path.join(kept, String(at)));
        moved.push(now.entries > entries);
        expect(now, `${args[0]} killed at step ${at}`).toEqual(
          moved.at(-1) ? happened : { aliases: from, entries, faults: [] },
        );
      }
      expect(await look()).toEqual(happened);
      // Killed on both sides of the commit, and in the middle of the transaction: eight statements write three aliases and an entry.
      expect(moved.indexOf(true)).toBeGreaterThan(8);
      expect(moved.filter(Boolean).length).toBeGreaterThan(1);
      // Starting a process for each step takes minutes: else the last step before the commit and the first after it are died at in earnest.
      const edges = [moved.indexOf(true), moved.indexOf(true) + 1];
      for (const at of KILLS_ALL ? moved.map((_, step) => step + 1) : edges) {
        rmSync(models, { recursive: true });
        cpSync(path.join(kept, "before"), models, { recursive: true });
        expect(await watched(args, { KILL_AT: String(at) })).toMatchObject({ signal: "SIGKILL" });
        const left = moved[at - 1] ? happened : { aliases: from, entries, faults: [] };
        expect(await look(), `${args[0]} died at step ${at}`).toEqual(left);
      }
      if (KILLS_ALL) console.log(`${args.slice(0, 2).join(" ")}: died at each of ${moved.length} steps`);
      expect(await look()).toEqual(happened);
      rmSync(kept, { recursive: true });
    }
  });

  test("of two promotions at once one wins, and the other is told", async () => {
    // Nobody may write until both have decided: each keeps its evidence just before it moves the alias.
    const evidence = path.join(dir, "models", "evidence");
    const before = readdirSync(evidence).length;
    const holder = new Database(path.join(dir, "models", "mlflow.db"));
    holder.exec("BEGIN IMMEDIATE");
    const both = ["2", "3"].map((to) => run(["promote", "--to", to, ...force(`for ${to}`)]));
    await expect.poll(() => readdirSync(evidence).length, { timeout: 10_000, interval: 20 }).toBe(before + 2);
    await sleep(100);
    holder.exec("ROLLBACK");
    holder.close();
    const ends = await Promise.all(both);
    expect(ends.map(({ code }) => code).sort()).toEqual([0, 2]);
    expect(ends.find(({ code }) => code === 2)?.json.error.code).toBe("registry.conflict");
    const { champion } = (await run(["registry", "list"])).json.aliases;
    expect(champion).toBe(ends[0].code === 0 ? "2" : "3");
    expect(await run(["registry", "verify"])).toMatchObject({ code: 0, json: { faults: [] } });
  });

  test("files that may not grow, as on a full quota: told, nothing half-done, and it goes on afterwards", async () => {
    const main = path.join(import.meta.dirname, "..", "..", "dist", "src", "cli", "main.js");
    const limited = spawn(
      "bash",
      ["-c", `ulimit -f 64; exec "${process.execPath}" "${main}" train --seed 11 ${force("x").join(" ")} --json`],
      {
        cwd: dir,
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    let text = "";
    limited.stdout.on("data", (part: Buffer) => {
      text += part;
    });
    const code = await new Promise((resolve) => limited.once("close", resolve));
    expect(code, text).toBe(2);
    expect(JSON.parse(text).error.code).toMatch(/^registry\.unwritable$/);
    const { versions, aliases } = (await run(["registry", "list"])).json;
    expect(versions).toHaveLength(3);
    expect(aliases.champion).toBe("1");
    expect(await run(["registry", "verify"])).toMatchObject({ code: 0, json: { faults: [] } });
    expect((await run(["train", "--seed", "11", ...force("again")])).code).toBe(0);
  });
});

test("a full disk under the embedded registry: no version, no move, and all goes on when there is space", async (context) => {
  const disk = tinyDisk(1);
  if (disk === null) {
    console.warn("SKIPPED the full disk: this user may not mount a tmpfs");
    context.skip();
    return;
  }
  try {
    const registry = createLocalRegistry({ dir: path.join(disk.dir, "models") });
    await aVersion(registry);
    await registry.moveAlias({
      model: "card-fraud",
      alias: "champion",
      from: null,
      to: "1",
      entry: draft({ evidence: "" }),
    });
    const runId = await aRun(registry);
    const files = new Map([["a.bin", new Uint8Array(2_000_000).fill(1)]]);
    const input = { model: "card-fraud", runId, files, description: "", tags: {}, at: NOW };
    expect(await codeOf(registry.register(input))).toBe("registry.unwritable");
    expect(await registry.versions("card-fraud")).toHaveLength(1);
    // Now to the last byte.
    disk.fill();
    const away = { model: "card-fraud", alias: "champion", from: "1", to: null, entry: draft({ evidence: "" }) };
    expect(await codeOf(registry.moveAlias(away))).toBe("registry.unwritable");
    expect(await codeOf(aRun(registry))).toBe("registry.unwritable");
    expect(await registry.aliases("card-fraud")).toEqual({ champion: "1" });
    expect(await registry.journal("card-fraud")).toHaveLength(1);
    expect((await registry.load("card-fraud", "1")).size).toBeGreaterThan(0);
    disk.free();
    await registry.moveAlias(away);
    const { faults } = await verifyRegistry(registry, { model: "card-fraud", files: true, report: quiet });
    expect(faults).toEqual([]);
    await registry.close();
  } finally {
    disk.dispose();
  }
});

if (!mlflowInstalled) console.warn("SKIPPED 3 tests of a server in trouble: no .cache/venv-mlflow");

// Some thirty states are looked at in one test: minutes where others want the machine too.
describe.runIf(mlflowInstalled)("the registry on a server", { timeout: KILLS_ALL ? 3_600_000 : 300_000 }, () => {
  let server: MlflowProcess;
  let proxy: FaultyProxy;
  let env: Readonly<Record<string, string>>;
  let asPushed: () => Promise<void>;
  beforeAll(async () => {
    server = await borrowMlflow();
    expect((await sentinelJson(["registry", "push", "--to", server.uri], { cwd: made })).code).toBe(0);
    asPushed = await server.keep();
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    await asPushed();
    proxy = await startFaultyProxy(server.uri);
    env = { MLFLOW_TRACKING_URI: proxy.uri };
  });
  afterEach(() => proxy.close());

  test("a promotion or a rollback, by hand or by itself, killed before each of its requests: aliases and journal agree afterwards", async () => {
    const registry = createMlflowRegistry({ server: { uri: server.uri } });
    const model = "card-fraud";
    const models = path.join(dir, "models");
    const { candidate } = await registry.aliases(model);
    const promoted = { champion: candidate, previous: "1" };
    /** Only the first reign of a version is undone by itself. */
    const broken = async () => {
      const version = await aVersion(registry);
      const entry = draft({ evidence: "", verb: "promote" });
      const also = [{ alias: "previous", from: candidate, to: "1" }];
      await registry.moveAlias({ model, alias: "champion", from: "1", to: version, also, entry });
      await logBroken(version);
      return { from: { champion: version, previous: "1" }, to: { champion: "1", previous: version } };
    };
    const as = (from: Readonly<Record<string, string>>, to: Readonly<Record<string, string>>) => async () => ({
      from,
      to,
    });
    /** All that there is now, on the server and here; the answer puts it back. */
    const keep = async (): Promise<() => Promise<void>> => {
      const there = await server.keep();
      const here = mkdtempSync(path.join(tmpdir(), "sentinel-models-"));
      folders.push(here);
      cpSync(models, here, { recursive: true });
      return async () => {
        await there();
        rmSync(models, { recursive: true });
        cpSync(here, models, { recursive: true });
      };
    };
    const folders: string[] = [];
    /** Runs the command, with `before` called before each request that writes. */
    const watched = async (args: readonly string[], before: (line: string, child: ChildProcess) => Promise<void>) => {
      const ran = await sentinel(args, {
        cwd: dir,
        env,
        started: (child) => {
          proxy.hold = async (line) => {
            if (/^(POST|PUT|PATCH|DELETE)/.test(line) && !/search/.test(line)) await before(line, child);
          };
        },
      });
      proxy.hold = async () => {};
      proxy.fault = () => null;
      return ran;
    };
    for (const { args, prepare, code = 0 } of [
      { args: ["promote", "--to", candidate, ...force("killed")], prepare: as({ champion: "1", candidate }, promoted) },
      {
        args: ["rollback", "--to", "1", "--reason", "killed"],
        prepare: as(promoted, { champion: "1", previous: candidate }),
      },
      { args: ["rollback", "--if-broken"], prepare: broken, code: 1 },
    ]) {
      const { from, to } = await prepare();
      expect(await registry.aliases(model)).toEqual(from);
      const entries = (await registry.journal(model)).length;
      // Killed before a request, a process leaves what is there now: keeping that takes a tenth of the time of starting one for each.
      const lines: string[] = [];
      const states: (() => Promise<void>)[] = [];
      const ran = await watched(args, async (line) => {
        lines.push(line);
        states.push(await keep());
      });
      expect(ran.code, ran.stderr).toBe(code);
      const after = await keep();
      const named = lines.map((line) => /alias|log-parameter|set-tag/.exec(line)?.[0] ?? "");
      // The entry, then its aliases, then the word that they have followed.
      expect(named.filter((name) => name !== "")).toEqual([
        "log-parameter",
        ...Array.from({ length: args[0] === "promote" ? 3 : 2 }, () => "alias"),
        "set-tag",
      ]);
      const look = async (at: number, again: boolean): Promise<void> => {
        const happened = (await registry.journal(model)).length > entries;
        expect(happened, `${args[0]} killed at ${lines[at]}`).toBe(at > named.indexOf("log-parameter"));
        // Whoever comes next completes it, without a second entry: the same command, which also does what did not happen, or a look at the registry.
        // What it completes is no champion to go back from any more: then there is nothing broken.
        const second = code === 1 && happened ? 0 : code;
        if (again) expect((await run(args, env)).code).toBe(second);
        const verified = await run(["registry", "verify", "--no-files"], env);
        expect(verified, `${args[0]} killed at ${lines[at]}`).toMatchObject({ code: 0, json: { faults: [] } });
        expect(await registry.aliases(model)).toEqual(happened || again ? to : from);
        expect(await registry.journal(model)).toHaveLength(entries + (happened || again ? 1 : 0));
      };
      for (const [at, restore] of states.entries()) {
        await restore();
        await look(at, at % 2 === 0);
      }
      // Before the entry and before the first alias it dies in earnest, or before each of its requests.
      const edges = [named.indexOf("log-parameter"), named.indexOf("alias")];
      for (const at of KILLS_ALL ? lines.keys() : edges) {
        await states[0]();
        let writes = 0;
        const killed = await watched(args, async (_line, child) => {
          if (writes++ !== at) return;
          proxy.fault = () => "lose-request";
          child.kill("SIGKILL");
        });
        expect(killed.signal).toBe("SIGKILL");
        await look(at, at % 2 === 1);
      }
      if (KILLS_ALL) console.log(`${args.slice(0, 2).join(" ")}: died before each of ${lines.length} requests`);
      await after();
    }
    await registry.close();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  test("of two promotions at once one wins, and the other is told", async () => {
    let waiting = 0;
    let release = (): void => {};
    const both = new Promise<void>((resolve) => {
      release = resolve;
    });
    proxy.hold = async (line) => {
      if (!/POST .*log-parameter/.test(line) || waiting >= 2) return;
      if (++waiting === 2) release();
      await both;
    };
    const ends = await Promise.all(["2", "3"].map((to) => run(["promote", "--to", to, ...force(`for ${to}`)], env)));
    expect(ends.map(({ code }) => code).sort()).toEqual([0, 2]);
    expect(ends.find(({ code }) => code === 2)?.json.error.code).toBe("registry.conflict");
    expect((await run(["registry", "list"], env)).json.aliases.champion).toBe(ends[0].code === 0 ? "2" : "3");
    expect(await run(["registry", "verify", "--no-files"], env)).toMatchObject({ code: 0, json: { faults: [] } });
  });

  test("a server killed while it is polled: scoring goes on and says how stale it is; the next champion is picked up", async () => {
    const serving = await serve(dir, { env: { MLFLOW_TRACKING_URI: server.uri } });
    try {
      const requests = livePayments(1, SMALL_WORLD).requests;
      const ask = async (at: number) =>
        (await postJson(`${serving.url}/predict`, requests[at])) as {
          readonly status: number;
          readonly body: { readonly model: { readonly version: string } };
        };
      // biome-ignore lint/suspicious/noExplicitAny: an answer of a route, read field by field
      const model = async (): Promise<any> => (await fetch(`${serving.url}/model`)).json();
      const { registry: fresh } = await model();
      await server.kill();
      await expect.poll(async () => (await model()).registry.age_ms, { timeout: 60_000 }).toBeGreaterThan(2_000);
      expect(await ask(0)).toMatchObject({ status: 200, body: { model: { version: "1" } } });
      expect((await fetch(`${serving.url}/readyz`)).status).toBe(200);
      expect(fresh.age_ms).toBeLessThan(60_000);
      await server.restart();
      expect(
        (await run(["promote", "--to", "2", ...force("after the fall")], { MLFLOW_TRACKING_URI: server.uri })).code,
      ).toBe(0);
      let at = 1;
      await expect.poll(async () => (await ask(at++)).body.model.version, { timeout: 60_000, interval: 300 }).toBe("2");
    } finally {
      await serving.stop("SIGTERM");
    }
  });
});
