// What can happen to a registry while the built command uses it: killed promotions, two at once, a full disk, a server that goes away.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "libsql";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../src/drivers/registry/mlflow/driver.ts";
import { verifyRegistry } from "../../src/lifecycle/verify.ts";
import { makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "../cli/sentinel.ts";
import { aRun, aVersion, codeOf, draft, NOW } from "../contracts/registry.ts";
import { type FaultyProxy, startFaultyProxy } from "../drivers/faulty-proxy.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";
import { tinyDisk } from "../drivers/tiny-disk.ts";
import { livePayments, postJson, SMALL_WORLD, writeHistory } from "./traffic.ts";

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

describe("the embedded registry", () => {
  test("a promotion killed at any moment happened or did not; the registry is sound, and the next one works", async () => {
    const random = new Random(5);
    let killed = 0;
    for (let turn = 0; turn < 8; turn++) {
      const before = (await run(["registry", "list"])).json.aliases.champion;
      const to = before === "2" ? "3" : "2";
      const ran = await sentinel(["promote", "--to", to, ...force("killed")], {
        cwd: dir,
        started: (child) => setTimeout(() => child.kill("SIGKILL"), random.uniform(150, 900)),
      });
      if (ran.signal === "SIGKILL") killed++;
      const { champion } = (await run(["registry", "list"])).json.aliases;
      expect([before, to]).toContain(champion);
      expect(await run(["registry", "verify"])).toMatchObject({ code: 0, json: { faults: [] } });
    }
    expect(killed).toBeGreaterThan(0);
    expect((await run(["promote", "--to", "1", ...force("the next")])).code).toBeLessThan(2);
    expect((await run(["registry", "list"])).json.aliases.champion).toBe("1");
  });

  test("a promotion or a rollback killed at each of its steps: every alias moved or none, as the journal says", async () => {
    const models = path.join(dir, "models");
    const look = async () => {
      const registry = createLocalRegistry({ dir: models });
      const aliases = await registry.aliases("card-fraud");
      const entries = (await registry.journal("card-fraud")).length;
      const { faults } = await verifyRegistry(registry, { model: "card-fraud", files: false, report: quiet });
      await registry.close();
      return { aliases, entries, faults };
    };
    const hook = path.join(import.meta.dirname, "kill-at.mjs");
    const killedAt = async (args: readonly string[], killAt: number) =>
      sentinel(args, { cwd: dir, env: { KILL_AT: String(killAt) }, nodeArgs: ["--import", hook] });
    const before = await look();
    const { candidate } = before.aliases;
    expect(before.aliases).toEqual({ champion: "1", candidate });
    const promoted = { champion: candidate, previous: "1" };
    const back = { champion: "1", previous: candidate };
    for (const [args, from, to] of [
      [["promote", ...force("killed")], before.aliases, promoted],
      [["rollback", "--reason", "killed"], promoted, back],
    ] as const) {
      const kept = mkdtempSync(path.join(tmpdir(), "sentinel-models-"));
      cpSync(models, kept, { recursive: true });
      const { entries } = await look();
      const moved: boolean[] = [];
      let end: Awaited<ReturnType<typeof killedAt>> | null = null;
      for (let at = 1; end?.signal !== null && at <= 100; at++) {
        rmSync(models, { recursive: true });
        cpSync(kept, models, { recursive: true });
        end = await killedAt(args, at);
        const now = await look();
        moved.push(now.entries > entries);
        expect(now, `${args[0]} killed at step ${at}`).toEqual(
          moved.at(-1) ? { aliases: to, entries: entries + 1, faults: [] } : { aliases: from, entries, faults: [] },
        );
      }
      rmSync(kept, { recursive: true });
      expect(end, end?.stderr).toMatchObject({ code: 0, signal: null });
      // Killed on both sides of the commit, and in the middle of the transaction: eight statements write three aliases and an entry.
      expect(moved.indexOf(true)).toBeGreaterThan(8);
      expect(moved.filter(Boolean).length).toBeGreaterThan(2);
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

if (!mlflowInstalled) console.warn("SKIPPED 4 tests of a server in trouble: no .cache/venv-mlflow");

describe.runIf(mlflowInstalled)("the registry on a server", () => {
  let server: MlflowProcess;
  let proxy: FaultyProxy;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    server = await borrowMlflow();
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    server.empty();
    proxy = await startFaultyProxy(server.uri);
    env = { MLFLOW_TRACKING_URI: proxy.uri };
    expect((await run(["registry", "push", "--to", server.uri])).code).toBe(0);
  });
  afterEach(() => proxy.close());

  test("a promotion killed between its steps is completed by the next one, with one entry", async () => {
    for (const step of [/POST .*log-parameter/, /POST .*registered-models\/alias/, /POST .*set-tag/]) {
      const champion: string = (await run(["registry", "list"], env)).json.aliases.champion;
      const to = champion === "2" ? "3" : "2";
      const entries = (await run(["registry", "history"], env)).json.entries.length;
      const args = ["promote", "--to", to, ...force(`killed at ${step.source.slice(6)}`)];
      const killed = await sentinel(args, {
        cwd: dir,
        env,
        started: (child) => {
          proxy.hold = async (line) => {
            if (!step.test(line)) return;
            proxy.hold = async () => {};
            child.kill("SIGKILL");
            await sleep(200);
          };
        },
      });
      expect(killed.signal).toBe("SIGKILL");
      expect((await run(args, env)).code).toBe(0);
      const { entries: after, chain } = (await run(["registry", "history"], env)).json;
      const moves = after.slice(entries).filter(({ alias }: { alias: string }) => alias === "champion");
      expect(moves.map((entry: { to: string }) => entry.to)).toEqual([to]);
      expect(chain.ok).toBe(true);
      // What follows a champion has followed, too.
      expect((await run(["registry", "list"], env)).json.aliases.previous).toBe(champion);
      expect((await run(["registry", "list"], env)).json.aliases.champion).toBe(to);
      expect(await run(["registry", "verify", "--no-files"], env)).toMatchObject({ code: 0, json: { faults: [] } });
    }
  });

  test("a promotion or a rollback killed before each of its requests: aliases and journal agree afterwards", async () => {
    const registry = createMlflowRegistry({ server: { uri: server.uri } });
    const model = "card-fraud";
    const put = async (wanted: Readonly<Record<string, string>>) => {
      const aliases = await registry.aliases(model);
      for (const alias of new Set([...Object.keys(aliases), ...Object.keys(wanted)])) {
        const [from, to] = [aliases[alias] ?? null, wanted[alias] ?? null];
        if (from !== to) await registry.moveAlias({ model, alias, from, to, entry: draft({ evidence: "" }) });
      }
    };
    const { candidate } = await registry.aliases(model);
    const promoted = { champion: candidate, previous: "1" };
    for (const [args, from, to] of [
      [["promote", "--to", candidate, ...force("killed")], { champion: "1", candidate }, promoted],
      [["rollback", "--to", "1", "--reason", "killed"], promoted, { champion: "1", previous: candidate }],
    ] as const) {
      const lines: string[] = [];
      for (let at = 1; lines.length === at - 1 && at <= 50; at++) {
        await put(from);
        const entries = (await registry.journal(model)).length;
        let writes = 0;
        const ran = await sentinel(args, {
          cwd: dir,
          env,
          started: (child) => {
            proxy.hold = async (line) => {
              if (!/^(POST|PUT|PATCH|DELETE)/.test(line) || /search/.test(line) || ++writes !== at) return;
              lines.push(line);
              proxy.fault = () => "lose-request";
              child.kill("SIGKILL");
            };
          },
        });
        proxy.hold = async () => {};
        proxy.fault = () => null;
        if (ran.signal === null) expect(ran.code, ran.stderr).toBe(0);
        const happened = (await registry.journal(model)).length > entries;
        // Whoever comes next completes it, without a second entry: the same command, or a look at the registry.
        if (at % 2 === 0 && happened) expect((await run(args, env)).code).toBe(0);
        const verified = await run(["registry", "verify", "--no-files"], env);
        expect(verified, `${args[0]} killed at ${lines.at(-1)}`).toMatchObject({ code: 0, json: { faults: [] } });
        expect(await registry.aliases(model)).toEqual(happened ? to : from);
        expect(await registry.journal(model)).toHaveLength(entries + (happened ? 1 : 0));
      }
      const named = lines.map((line) => /alias|log-parameter|set-tag/.exec(line)?.[0] ?? "");
      // The entry, then its aliases, then the word that they have followed.
      expect(named.filter((name) => name !== "")).toEqual([
        "log-parameter",
        ...Array.from({ length: args[0] === "promote" ? 3 : 2 }, () => "alias"),
        "set-tag",
      ]);
    }
    await registry.close();
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
      const requests = livePayments(1).requests;
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
