// The embedded registry as Python's MLflow sees it: the oldest that reads its schema, and the newest, which migrates the file.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleHash } from "../../src/core/bundle.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import type { Registry } from "../../src/ports/registry.ts";
import { bundle, draft, NOW } from "../contracts/registry.ts";
import { isInstalled, runPython } from "../python.ts";

const PLACES = [
  { venv: "venv-mlflow-server-oldest", version: /^3\.0\.0$/ },
  { venv: "venv-mlflow", version: /^3\.(1[7-9]|[2-9]\d)\./ },
];
const script = (name: string) => fileURLToPath(new URL(`./${name}.py`, import.meta.url));

/** What mlflow_check.py prints, as far as it is looked at here. */
interface Seen {
  readonly mlflow: string;
  readonly runs: readonly {
    readonly id: string;
    readonly name: string;
    readonly metrics: Readonly<Record<string, string>>;
  }[];
  readonly logged_models: readonly { readonly id: string; readonly status: string }[];
  readonly versions: readonly { readonly version: string }[];
  readonly aliases: Readonly<Record<string, unknown>>;
}

async function run(
  venv: string,
  options: { readonly dir: string; readonly args: readonly string[] },
): Promise<unknown> {
  const stdout = await runPython(venv, options.args, {
    cwd: options.dir,
    env: { ...process.env, MLFLOW_TRACKING_URI: "", MLFLOW_REGISTRY_URI: "", PYTHONWARNINGS: "ignore" },
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as unknown;
}

/** A run with everything a run may have, and the version it led to. */
async function trainOnce(
  registry: Registry,
  name: string,
): Promise<{ readonly runId: string; readonly version: string }> {
  const runId = await registry.startRun({
    experiment: "card",
    name,
    startedAt: NOW,
    user: "ana",
    tags: { stage: "1" },
  });
  await registry.logRun(runId, {
    params: { "gbdt.rounds": "200" },
    metrics: [
      { key: "ap", value: 0.75 },
      { key: "undefined", value: Number.NaN },
      { key: "limit", value: Number.NEGATIVE_INFINITY },
      ...[0, 1, 2].map((step) => ({ key: "loss", value: 1 / (1 + step), step })),
    ],
    datasets: [
      { name: "tx", digest: "d".repeat(36), sourceType: "local", source: '{"uri":"tx"}', context: "training" },
    ],
    at: NOW,
  });
  await registry.endRun(runId, "FINISHED", NOW + 60_000);
  const { version } = await registry.register({
    model: "card-fraud",
    runId,
    files: bundle(),
    description: "for people",
    tags: { gate: "pass" },
    at: NOW,
  });
  const { champion = null } = await registry.aliases("card-fraud");
  await registry.moveAlias({ model: "card-fraud", alias: "champion", from: champion, to: version, entry: draft() });
  return { runId, version };
}

for (const { venv, version: expected } of PLACES) {
  const tests = 4;
  const there = isInstalled(venv);
  if (!there) console.warn(`SKIPPED ${tests} tests: there is no .cache/${venv}; scripts/setup-python installs it`);
  if (!there && process.env.CI === "true") {
    test(`${venv} is installed`, () => {
      expect(there, "CI must run scripts/setup-python first").toBe(true);
    });
  }

  describe.runIf(there)(`MLflow of ${venv}`, () => {
    let dir: string;
    let registry: Registry;
    let first: { readonly runId: string; readonly version: string };
    let seen: Seen;
    const check = (...args: string[]) => run(venv, { dir, args: [script("mlflow_check"), ...args] }) as Promise<Seen>;

    beforeAll(async () => {
      dir = await mkdtemp(path.join(tmpdir(), "sentinel-mlflow-"));
      // One connection throughout, as a server holds it while MLflow migrates the file under it.
      registry = createLocalRegistry({ dir });
      first = await trainOnce(registry, "train");
      seen = await check("write");
    });
    afterAll(async () => {
      await registry?.close();
      await rm(dir, { recursive: true, force: true });
    });

    test("sees all that Sentinel wrote, and downloads the files", () => {
      expect(seen.mlflow).toMatch(expected);
      const modelId = seen.logged_models[0].id;
      expect(seen).toEqual({
        mlflow: seen.mlflow,
        experiments: ["Default", "card"],
        filtered: ["train"],
        runs: [
          {
            id: first.runId,
            name: "train",
            status: "FINISHED",
            user: "ana",
            params: { "gbdt.rounds": "200" },
            metrics: { ap: "0.75", undefined: "nan", limit: "-1.7976931348623157e+308", loss: String(1 / 3) },
            tags: {
              stage: "1",
              "mlflow.runName": "train",
              "mlflow.user": "ana",
              "mlflow.source.name": "sentinel",
              "mlflow.source.type": "LOCAL",
            },
            loss: [
              [0, 1],
              [1, 0.5],
              [2, 1 / 3],
            ],
            datasets: [["tx", "d".repeat(36), { "mlflow.data.context": "training" }]],
            models: [modelId],
            artifacts: 0,
          },
        ],
        logged_models: [
          {
            id: modelId,
            name: "card-fraud",
            status: "READY",
            params: { "gbdt.rounds": "200" },
            metrics: { ap: 0.75, limit: -Number.MAX_VALUE, loss: 1 / 3 },
            versions: [{ name: "card-fraud", version: 1 }],
          },
        ],
        models: ["card-fraud"],
        aliases: { champion: 1 },
        versions: [
          {
            version: "1",
            run: first.runId,
            status: "READY",
            description: "for people",
            tags: { gate: "pass", "sentinel.bundle": bundleHash(bundle()) },
          },
        ],
        champion: "1",
        downloads: { "models:/card-fraud@champion": 5_000, "models:/card-fraud/1": 5_000 },
      });
    });

    test("and Sentinel write in turns, across MLflow's migration", async () => {
      expect(await registry.aliases("card-fraud")).toEqual({ champion: "1", "by-mlflow": "1" });
      expect((await registry.version("card-fraud", "1")).tags).toEqual({ gate: "pass", seen: "yes" });
      expect((await registry.versions("card-fraud")).map(({ bundle: hash }) => hash)).toEqual([
        bundleHash(bundle()),
        "",
      ]);
      const byMlflow = (await registry.runs("card")).find(({ name }) => name === "by mlflow");
      expect(byMlflow).toMatchObject({ status: "FINISHED", metrics: { ap: 0.25 } });
      const third = await trainOnce(registry, "train again");
      expect(third.version).toBe("3");
      const again = await check();
      expect(again.runs.map(({ name }) => name).sort()).toEqual(["by mlflow", "train", "train again"]);
      expect(again.versions.map(({ version }) => version)).toEqual(["1", "2", "3"]);
      expect(again.aliases).toEqual({ champion: 3, "by-mlflow": 1 });
      expect(again.logged_models.map(({ status }) => status)).toEqual(["READY", "READY"]);
      const journal = await registry.journal("card-fraud");
      expect(journal.map(({ from, to }) => [from, to])).toEqual([
        [null, "1"],
        ["1", "3"],
      ]);
      expect(verifyJournal(journal).ok).toBe(true);
      expect((await registry.load("card-fraud", "3")).size).toBe(bundle().size);
    });

    test("makes the same tables itself", async () => {
      const args = [script("mlflow_schema"), path.join(dir, "fresh.db"), path.join(dir, "mlflow.db")];
      const [fresh, { sentinel_journal: journal, ...ours }] = (await run(venv, { dir, args })) as Record<
        string,
        unknown
      >[];
      expect(journal).toBeDefined();
      expect(ours).toEqual(fresh);
    });

    test("may have made the file: Sentinel writes into it", async () => {
      const elsewhere = path.join(dir, "made-by-mlflow");
      await mkdir(elsewhere);
      await run(venv, { dir: elsewhere, args: [script("mlflow_schema"), path.join(elsewhere, "mlflow.db")] });
      const other = createLocalRegistry({ dir: elsewhere });
      expect(await other.journal("card-fraud")).toEqual([]);
      expect((await trainOnce(other, "train")).version).toBe("1");
      expect((await other.load("card-fraud", "1")).size).toBe(bundle().size);
      expect(await other.journal("card-fraud")).toHaveLength(1);
      await other.close();
    });
  });
}
