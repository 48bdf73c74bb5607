// Lineage on runs and versions, in the embedded registry and on a real MLflow server: what was made from what, by whom, with what.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256 } from "../../../src/core/hash.ts";
import { createMlflowRegistry } from "../../../src/drivers/registry/mlflow/driver.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { loadSpec } from "../../../src/lifecycle/data/spec-file.ts";
import { importModel } from "../../../src/lifecycle/import.ts";
import { lineageRows } from "../../../src/lifecycle/lineage/rows.ts";
import { retrain } from "../../../src/lifecycle/retrain.ts";
import { train } from "../../../src/lifecycle/train.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import type { Registry } from "../../../src/ports/registry.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../../drivers/mlflow-server.ts";
import { runPython } from "../../python.ts";
import { makePlace, type Place } from "../world.ts";

const WORLD = { customers: 200, terminals: 300, days: 60, seed: 7 };
/** On versions alone: they say how the registration came about. */
const OF_VERSIONS = ["sentinel.promotion_rules", "sentinel.learned_up_to", "sentinel.evidence", "sentinel.forced"];
/** On runs alone: MLflow's own, and the driver's mark of a request. */
const OF_RUNS = ["mlflow.runName", "mlflow.source.name", "mlflow.source.type", "sentinel.request"];

if (!mlflowInstalled) {
  console.warn("SKIPPED lineage on an MLflow server: no .cache/venv-mlflow; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("MLflow is installed", () => {
    expect(mlflowInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

/** A workspace in git, its data, and ports whose registry may be another. */
interface Setting {
  readonly place: Place;
  readonly ports: Ports;
  readonly registry: Registry;
  git(...args: string[]): string;
  train(actor?: string): ReturnType<typeof train>;
}

async function settingOf(registryOf: (place: Place) => Promise<Registry>): Promise<Setting> {
  const place = await makePlace(WORLD);
  const registry = await registryOf(place);
  const ports: Ports = { ...place.ports, registry: async () => registry };
  const identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "commit.gpgsign=false"];
  const git = (...args: string[]) =>
    execFileSync("git", [...identity, ...args], { cwd: place.dir, encoding: "utf8" }).trim();
  git("init", "--quiet", "--initial-branch", "main");
  git("add", ".");
  git("commit", "--quiet", "--message", "first");
  return {
    place,
    ports,
    registry,
    git,
    train: (actor = "ana") => {
      // A server lists runs by their time.
      place.clock.time += 60_000;
      return train(ports, {
        pipeline: place.pipeline,
        path: place.pipeline.source,
        actor,
        packageVersion: "1.2.3",
        seed: 5,
        forced: "a test needs a model",
        verb: "train",
      });
    },
  };
}

/** A dvc.lock that says `md5` of the table. */
function writeLock(dir: string, md5: string): void {
  mkdirSync(path.join(dir, ".dvc"), { recursive: true });
  const out = `    - path: data/transactions.parquet\n      hash: md5\n      md5: ${md5}\n      size: 1\n`;
  writeFileSync(path.join(dir, "dvc.lock"), `schema: '2.0'\nstages:\n  simulate:\n    cmd: x\n    outs:\n${out}`);
}

function lineageSuite(driver: string, registryOf: (place: Place) => Promise<Registry>): void {
  describe(`${driver}: lineage`, () => {
    let here: Setting;
    beforeAll(async () => {
      here = await settingOf(registryOf);
    });
    afterAll(async () => {
      await here?.place.close();
    });

    /** Tags of the newest run and of the newest version. */
    const newest = async () => {
      const run = (await here.registry.runs("card")).at(-1)!;
      const version = (await here.registry.versions("card-fraud")).at(-1)!;
      expect(version.runId).toBe(run.runId);
      return { run, version };
    };
    const dataFile = () => readFileSync(here.place.pipeline.source);
    const dataMd5 = () => createHash("md5").update(dataFile()).digest("hex");

    test("a first training outside DVC says everything that is known", async () => {
      const { version: made, runId } = await here.train();
      const { run, version } = await newest();
      expect([run.runId, version.version]).toEqual([runId, made?.version]);
      const { pipeline } = here.place;
      const expected = {
        "mlflow.user": "ana",
        "mlflow.source.git.commit": here.git("rev-parse", "HEAD"),
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.dirty": "false",
        "sentinel.verb": "train",
        "sentinel.data_hash": sha256(dataFile()),
        "sentinel.data_path": pipeline.source,
        "sentinel.data_rows": String((await (await here.ports.dataset()).describe(pipeline.source)).rows),
        "sentinel.feature_hash": compileSpec(await loadSpec(pipeline)).hash,
        "sentinel.pipeline_hash": pipeline.hash,
        "sentinel.seed": "5",
        "sentinel.parent": "",
        "sentinel.package_version": "1.2.3",
        "sentinel.node_version": process.version,
      };
      for (const { tags } of [run, version]) {
        expect(tags).toMatchObject(expected);
        expect(JSON.parse(tags["sentinel.parameters"])).toMatchObject({ trees: 40, seed: 5, learningRate: 0.1 });
        expect(Object.keys(tags).filter((key) => key.startsWith("dvc."))).toEqual([]);
      }
      const parameters = JSON.parse(run.tags["sentinel.parameters"]) as Record<string, unknown>;
      expect(run.params).toEqual(
        Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, String(value)])),
      );
      const only = (tags: Readonly<Record<string, string>>, left: readonly string[]) =>
        Object.fromEntries(Object.entries(tags).filter(([key]) => !left.includes(key)));
      expect(only(version.tags, OF_VERSIONS)).toEqual(only(run.tags, OF_RUNS));
    });

    test("the data's version in DVC is named when it is that data; the same bundle, whoever, whatever is uncommitted", async () => {
      const first = await newest();
      const commit = first.run.tags["mlflow.source.git.commit"];
      writeLock(here.place.dir, dataMd5());
      appendFileSync(path.join(here.place.dir, "features", "card.ts"), "// a thought\n");
      await here.train("bob");
      const second = await newest();
      expect(second.version.bundle).toBe(first.version.bundle);
      for (const { tags } of [second.run, second.version]) {
        expect(tags).toMatchObject({
          "mlflow.user": "bob",
          "mlflow.source.git.commit": commit,
          "mlflow.source.git.dirty": "true",
          "dvc.md5": dataMd5(),
          "dvc.path": "data/transactions.parquet",
          "dvc.file": "dvc.lock",
          "dvc.stage": "simulate",
          "dvc.state": "current",
        });
        expect(tags).not.toHaveProperty("dvc.rev");
      }
    });

    test("once dvc.lock is committed, the commit that has it is named; the champion is the parent", async () => {
      here.git("add", "--all");
      here.git("commit", "--quiet", "--message", "data");
      const { version } = await newest();
      await here.registry.moveAlias({
        model: "card-fraud",
        alias: "champion",
        from: null,
        to: version.version,
        entry: { at: 1, actor: "ana", verb: "promote", verdict: "FORCED", evidence: "", reason: "a test" },
      });
      await here.train();
      const third = await newest();
      for (const { tags } of [third.run, third.version]) {
        expect(tags).toMatchObject({
          "dvc.rev": here.git("rev-parse", "HEAD"),
          "mlflow.source.git.dirty": "false",
          "sentinel.parent": version.version,
        });
      }
      const told = new Map(lineageRows(third.version.tags));
      expect(told.get("data in DVC")).toBe(
        `${dataMd5()} (dvc.lock, stage simulate, commit ${here.git("rev-parse", "HEAD").slice(0, 12)})`,
      );
      expect(told.get("parent")).toBe(`version ${version.version}, the champion then`);
      expect(told.get("code")).toBe(`${here.git("rev-parse", "HEAD")} on main`);
    });

    test("data that changed after DVC saw it does not get its name; a retraining says so too", async () => {
      const other = createHash("md5").update("other").digest("hex");
      writeLock(here.place.dir, other);
      const lines: string[] = [];
      here.place.clock.time += 60_000;
      const { pipeline, dir } = here.place;
      const report = { line: (text: string) => lines.push(text), progress: () => {} };
      const result = await retrain(
        { ...here.ports, report },
        {
          pipeline,
          path: pipeline.source,
          monitorPath: pipeline.source,
          workspace: dir,
          actor: "cron",
          packageVersion: "1.2.3",
          forced: "a test",
        },
      );
      const words = `dvc.lock is behind: it says ${other}, the file is ${dataMd5()}`;
      expect(lines).toContain(`  ${words}`);
      const run = (await here.registry.runs("card")).at(-1)!;
      expect(run.tags).toMatchObject({
        "sentinel.verb": "retrain",
        "mlflow.user": "cron",
        "dvc.state": words,
        "sentinel.data_hash": sha256(dataFile()),
      });
      expect(run.tags).not.toHaveProperty("dvc.md5");
      if (result.trained?.version !== null) expect((await newest()).version.tags).toMatchObject({ "dvc.state": words });
    });
  });
}

test("an imported model has the lineage of its file beside that of the table it was judged on", async () => {
  const { ports, place, registry } = await settingOf((made) => made.ports.registry());
  try {
    const { pipeline } = place;
    const file = fileURLToPath(new URL("../../reference/foreign/xgboost-logistic.json", import.meta.url));
    const features = compileSpec(await loadSpec(pipeline)).names.slice(0, 6);
    const { version } = await importModel(ports, {
      file,
      columns: { features, map: null },
      pipeline,
      path: pipeline.source,
      actor: "ana",
      packageVersion: "1.2.3",
      forced: "a test: this model knows nothing of payments",
    });
    const [run] = await registry.runs("card");
    for (const tags of [run.tags, version?.tags ?? {}]) {
      expect(tags).toMatchObject({
        "sentinel.verb": "import",
        "sentinel.import_file": "xgboost-logistic.json",
        "sentinel.import_sha256": sha256(readFileSync(file)),
        "sentinel.import_format": "xgboost",
        "sentinel.data_hash": sha256(readFileSync(pipeline.source)),
        "mlflow.source.git.dirty": "false",
      });
    }
    expect(new Map(lineageRows(run.tags)).get("imported")).toMatch(/^xgboost-logistic\.json of XGBoost/);
  } finally {
    await place.close();
  }
});

lineageSuite("registry-local", (place) => place.ports.registry());

describe.runIf(mlflowInstalled)("on a server", () => {
  let server: MlflowProcess;
  beforeAll(async () => {
    server = await borrowMlflow();
    console.info(`lineage against MLflow ${await server.version()}`);
  });
  afterAll(() => server?.dispose());

  lineageSuite("registry-mlflow", async () => createMlflowRegistry({ server }));

  test("Python's MLflow reads the same tags and the dataset with DVC's hash as its digest", async () => {
    const script = [
      "import json, mlflow",
      "client = mlflow.MlflowClient()",
      "version = client.get_model_version_by_alias('card-fraud', 'champion')",
      "run = client.get_run(version.run_id)",
      "data = run.inputs.dataset_inputs[0].dataset",
      "print(json.dumps({'run': run.data.tags, 'version': version.tags, 'digest': data.digest, 'type': data.source_type, 'source': json.loads(data.source), 'commit': run.data.tags[mlflow.utils.mlflow_tags.MLFLOW_GIT_COMMIT]}))",
    ];
    const stdout = await runPython("venv-mlflow", ["-c", script.join("\n")], {
      cwd: server.dir,
      env: { ...process.env, MLFLOW_TRACKING_URI: server.uri, PYTHONWARNINGS: "ignore" },
    });
    const seen = JSON.parse(stdout.trim().split("\n").at(-1)!) as {
      readonly [key in "run" | "version" | "source"]: Readonly<Record<string, string>>;
    } & { readonly digest: string; readonly type: string; readonly commit: string };
    expect(seen.digest).toMatch(/^[0-9a-f]{32}$/);
    expect(seen).toMatchObject({
      digest: seen.run["dvc.md5"],
      type: "dvc",
      source: { uri: "data/transactions.parquet", stage: "simulate", sha256: seen.run["sentinel.data_hash"] },
      commit: seen.version["mlflow.source.git.commit"],
    });
    expect(seen.version["dvc.md5"]).toBe(seen.run["dvc.md5"]);
  });
});
