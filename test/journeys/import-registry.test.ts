// What a scientist logged with MLflow becomes servable in place: the same version, run, parameters and files, with a bundle beside them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Database from "libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { createMlflowRegistry } from "../../src/drivers/registry/mlflow/driver.ts";
import { readManifest } from "../../src/online/bundle.ts";
import type { Registry } from "../../src/ports/registry.ts";
import { makeWorkspace, removeWorkspace, sentinelJson, serve } from "../cli/sentinel.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled } from "../drivers/mlflow-server.ts";
import { SMALL_WORLD, writeHistory } from "./traffic.ts";

const MODEL = "card-fraud";
const BOOSTER = fileURLToPath(new URL("../reference/foreign/card-xgboost.json", import.meta.url));
/** As mlflow.xgboost.log_model writes it, shortened; what stands in two places is written once, as Python's YAML does. */
const MLMODEL = `artifact_path: model
flavors:
  python_function: {data: model.json, loader_module: mlflow.xgboost, python_version: 3.11.7, env: &id001 {conda: conda.yaml}}
  xgboost: {code: null, data: model.json, model_class: xgboost.core.Booster, model_format: json, xgb_version: 3.2.0}
env: *id001
mlflow_version: 3.17.2
`;
const PICKLED = "flavors:\n  python_function: {loader_module: mlflow.sklearn}\n  sklearn: {pickled_model: model.pkl}\n";
const FORCED = ["--calibrate", "none", "--force", "--reason", "a test of importing"];

interface Place {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  open(): Registry;
  /** Stores files as somebody else does, registers them as a version of the model, and gives it the alias. */
  log(
    files: Readonly<Record<string, string>>,
    alias: string,
  ): Promise<{ readonly version: string; readonly runId: string }>;
  /** Stores files as MLflow 3's log_model does, and registers nothing. */
  logModel(files: Readonly<Record<string, string>>): Promise<{ readonly modelId: string; readonly runId: string }>;
}

async function listed(place: Place): Promise<readonly { readonly version: string }[]> {
  const registry = place.open();
  try {
    return await registry.versions(MODEL);
  } finally {
    await registry.close();
  }
}

function journey(name: string, placeOf: () => Promise<Place>): void {
  describe(name, () => {
    let place: Place;
    const run = (...args: string[]) => sentinelJson(args, { cwd: place.dir, env: place.env });
    beforeAll(async () => {
      place = await placeOf();
      await writeHistory(place.dir, SMALL_WORLD);
    }, 240_000);
    afterAll(() => removeWorkspace(place?.dir));

    test("the version itself gets a bundle and is served; its run stays the scientist's", async () => {
      const logged = await place.log({ MLmodel: MLMODEL, "model.json": readFileSync(BOOSTER, "utf8") }, "candidate");
      const server = await serve(place.dir, { env: place.env, isReady: false });
      const model = async () => (await (await fetch(`${server.url}/model`)).json()) as Record<string, unknown>;
      try {
        await expect
          .poll(model, { timeout: 20_000 })
          .toMatchObject({ broken: [{ version: logged.version, code: "registry.no-bundle" }] });
        const imported = await run("import", `models:/${MODEL}@candidate`, ...FORCED);
        expect(imported).toMatchObject({
          code: 0,
          json: {
            version: { version: logged.version, runId: logged.runId },
            imported: { format: "xgboost", file: "model.json" },
          },
        });
        expect(imported.json.imported.notes[0]).toMatch(/that version becomes servable/);
        await expect.poll(model, { timeout: 20_000 }).toMatchObject({ broken: [] });
      } finally {
        await server.stop("SIGTERM");
      }
      const registry = place.open();
      try {
        expect(await registry.aliases(MODEL)).toEqual({ candidate: logged.version });
        expect(await registry.versions(MODEL)).toHaveLength(1);
        const files = await registry.load(MODEL, logged.version);
        expect(readManifest(files).provenance.imported).toMatchObject({ title: "XGBoost 3.2.0" });
        expect(await registry.inspect(MODEL, logged.version)).toEqual([]);
        const stored = await registry.stored({ kind: "version", model: MODEL, version: logged.version });
        expect(new TextDecoder().decode((await stored.read("MLmodel", 10_000))!)).toBe(MLMODEL);
        expect(stored.runId).toBe(logged.runId);
        expect(await stored.read("nothing", 10_000)).toBeNull();
        expect((await registry.journal(MODEL)).at(-1)).toMatchObject({ verb: "import", to: logged.version });
        const again = { model: MODEL, version: logged.version, files, tags: {}, at: 1 };
        await expect(registry.attach(again)).rejects.toMatchObject({ code: "registry.conflict" });
      } finally {
        await registry.close();
      }
      for (const place of [logged.version, "latest"]) {
        expect(await run("import", `models:/${MODEL}/${place}`)).toMatchObject({
          code: 2,
          json: { error: { code: "registry.conflict", message: expect.stringMatching(/has its bundle already/) } },
        });
      }
    });

    test("what cannot be is refused with words", async () => {
      const logged = await place.log({ MLmodel: PICKLED, "model.pkl": "x" }, "other");
      const empty = await place.log({ "model.json": "{}" }, "empty");
      const cases: readonly (readonly [uri: string, code: string, says: RegExp])[] = [
        [`models:/${MODEL}/${logged.version}`, "ml.model-unsupported", /flavor sklearn, which runs Python/],
        [`models:/${MODEL}@empty`, "registry.missing", /no file MLmodel/],
        [`models:/${MODEL}@nobody`, "registry.missing", /no alias nobody/],
        [`models:/${MODEL}/99`, "registry.version-unknown", /version 99/],
        ["runs:/0123456789/model", "registry.missing", /no run 0123456789/],
        ["models:/m-00000000000000000000000000000000", "registry.missing", /m-00000000000000000000000000000000/],
        ["models:/nobody/latest", "registry.missing", /no version of a model nobody/],
        [`models:/${MODEL}/Production`, "cli.usage", /names no model/],
        [`models:/${MODEL}`, "cli.usage", /names no model/],
        [`runs:/${empty.runId}/../x`, "cli.usage", /names no model/],
      ];
      for (const [uri, code, says] of cases) {
        const ran = await run("import", uri);
        expect(ran, uri).toMatchObject({ code: 2, json: { error: { code, message: expect.stringMatching(says) } } });
      }
    });

    test("a logged model that nobody registered becomes a version, by the URI that log_model returns", async () => {
      const { modelId, runId } = await place.logModel({
        MLmodel: MLMODEL,
        "model.json": readFileSync(BOOSTER, "utf8"),
      });
      const imported = await run("import", `models:/${modelId}`, ...FORCED);
      expect(imported, imported.stderr).toMatchObject({ code: 0, json: { version: { runId } } });
      expect(imported.json.imported.notes[0]).toMatch(/it becomes a new version of card-fraud/);
    });

    test("the same version is promoted, compared with the next one, and serves", { timeout: 240_000 }, async () => {
      const [{ version }] = await listed(place);
      const forced = ["--force", "--reason", "a test needs a champion"];
      expect(await run("promote", "--to", version, ...forced)).toMatchObject({
        code: 0,
        json: { to: version, moved: true },
      });
      const trained = await run("train", ...forced);
      expect(trained.code, trained.stderr).toBe(0);
      const next = trained.json.version.version as string;
      const compared = await run("compare", "--data", "data/transactions.parquet");
      expect(compared.json, compared.stderr).toMatchObject({ champion: version, candidate: next });
      expect(compared.json.data.metrics.averagePrecision).toMatchObject({
        observedA: expect.any(Number),
        observedB: expect.any(Number),
      });
      const server = await serve(place.dir, { env: place.env });
      try {
        await expect
          .poll(async () => (await fetch(`${server.url}/model`)).json(), { timeout: 20_000 })
          .toMatchObject({ champion: { version }, broken: [] });
        const answer = await fetch(`${server.url}/predict`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ transaction_id: "after-import", amount: 12, customer_id: 1, terminal_id: 1 }),
        });
        expect(await answer.json()).toMatchObject({ score: expect.any(Number) });
      } finally {
        await server.stop("SIGTERM");
      }
    });
  });
}

journey("the embedded registry", async () => {
  const dir = makeWorkspace();
  const open = (): Registry => createLocalRegistry({ dir: path.join(dir, "models") });
  let count = 0;
  return {
    dir,
    env: {},
    open,
    async log(files, alias) {
      const version = String(++count);
      const registry = open();
      const runId = await registry.startRun({
        experiment: "science",
        name: "ada",
        startedAt: 1,
        user: "ada",
        tags: {},
      });
      await registry.close();
      const folder = path.join(dir, "mlruns", version);
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
      const database = new Database(path.join(dir, "models", "mlflow.db"));
      database.exec(`
        INSERT OR IGNORE INTO registered_models(name, creation_time, last_updated_time) VALUES ('${MODEL}', 1, 1);
        INSERT INTO model_versions(name, version, creation_time, last_updated_time, current_stage, source, run_id, status, storage_location)
          VALUES ('${MODEL}', ${version}, 1, 1, 'None', '${folder}', '${runId}', 'READY', '${folder}');
        INSERT INTO registered_model_aliases(alias, version, name) VALUES ('${alias}', ${version}, '${MODEL}');`);
      database.close();
      return { version, runId };
    },
    async logModel(files) {
      const modelId = "m-0a1b2c3d4e5f60718293a4b5c6d7e8f9";
      const registry = open();
      const runId = await registry.startRun({ experiment: "science", name: "m", startedAt: 1, user: "ada", tags: {} });
      await registry.close();
      const folder = path.join(dir, "mlruns", modelId);
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
      const database = new Database(path.join(dir, "models", "mlflow.db"));
      database.exec(`INSERT INTO logged_models(model_id, experiment_id, name, artifact_location, creation_timestamp_ms,
        last_updated_timestamp_ms, status, lifecycle_stage, source_run_id)
        SELECT '${modelId}', experiment_id, 'model', '${folder}', 1, 1, 2, 'active', run_uuid FROM runs WHERE run_uuid = '${runId}';`);
      database.close();
      return { modelId, runId };
    },
  };
});

describe.runIf(mlflowInstalled)("on a server", () => {
  let server: MlflowProcess;
  beforeAll(async () => {
    server = await borrowMlflow();
  }, 120_000);
  afterAll(() => server?.dispose());

  journey("MLflow", async () => {
    const api = `${server.uri}/api/2.0`;
    const post = async (route: string, body: object) => {
      const answer = await fetch(`${api}/mlflow/${route}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await answer.json()) as Record<string, Record<string, unknown>>;
    };
    const { experiment_id: experiment } = await post("experiments/create", { name: "science" });
    await post("registered-models/create", { name: MODEL });
    return {
      dir: makeWorkspace(),
      env: { MLFLOW_TRACKING_URI: server.uri },
      open: () => createMlflowRegistry({ server }),
      async log(files, alias) {
        const made = await post("runs/create", { experiment_id: experiment, run_name: "ada", start_time: 1 });
        const { run_id: runId, artifact_uri: artifacts } = made.run.info as Record<string, string>;
        const folder = artifacts.replace(/^mlflow-artifacts:\/*/, "");
        for (const [name, text] of Object.entries(files)) {
          await fetch(`${api}/mlflow-artifacts/artifacts/${folder}/model/${name}`, { method: "PUT", body: text });
        }
        const source = `runs:/${runId}/model`;
        const { model_version: version } = await post("model-versions/create", { name: MODEL, source, run_id: runId });
        await post("registered-models/alias", { name: MODEL, alias, version: version.version });
        return { version: String(version.version), runId };
      },
      async logModel(files) {
        const made = await post("runs/create", { experiment_id: experiment, run_name: "m", start_time: 1 });
        const { run_id: runId } = made.run.info as Record<string, string>;
        const { model } = await post("logged-models", {
          experiment_id: experiment,
          name: "model",
          source_run_id: runId,
        });
        const { model_id: modelId, artifact_uri: artifacts } = model.info as Record<string, string>;
        const folder = artifacts.replace(/^mlflow-artifacts:\/*/, "");
        for (const [name, text] of Object.entries(files)) {
          await fetch(`${api}/mlflow-artifacts/artifacts/${folder}/${name}`, { method: "PUT", body: text });
        }
        return { modelId, runId };
      },
    };
  });
});
