// From the embedded registry to an MLflow server by the built command: killed on the way, then Python, MLflow and Sentinel score the same from both.
import { spawn } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { loadScorer } from "../../src/online/score.ts";
import { makeWorkspace, removeWorkspace, sentinel, sentinelJson, serve } from "../cli/sentinel.ts";
import { startFaultyProxy } from "../drivers/faulty-proxy.ts";
import { borrowMlflow, type MlflowProcess, mlflowInstalled, mlflowPython } from "../drivers/mlflow-server.ts";
import { runPython } from "../python.ts";
import { type Answered, livePayments, load, SMALL_WORLD, writeHistory } from "./traffic.ts";

const TOLERANCE = 1e-6;
const ADDRESS = "models:/card-fraud@champion";
const SCORES = fileURLToPath(new URL("../reference/mlflow_scores.py", import.meta.url));
const KILLS = 4;
const REQUESTS_MAX = 60;
const LOOKS_MAX = 600;

if (!mlflowInstalled) {
  console.warn(
    "SKIPPED 6 tests of push, load and serve with MLflow: no .cache/venv-mlflow; scripts/setup-python installs it",
  );
  test.runIf(process.env.CI === "true")("MLflow is installed", () => {
    expect(mlflowInstalled, "CI must run scripts/setup-python first").toBe(true);
  });
}

describe.runIf(mlflowInstalled)("a registry that moves to a server", () => {
  let dir: string;
  let copy: string;
  let server: MlflowProcess;
  let columns: string[];
  let rows: (number | null)[][];
  let own: number[];
  const run = (...args: string[]) => sentinelJson(args, { cwd: dir });
  const onServer = (...args: string[]) => sentinelJson(args, { cwd: dir, env: { MLFLOW_TRACKING_URI: server.uri } });

  beforeAll(async () => {
    server = await borrowMlflow();
    dir = makeWorkspace();
    await writeHistory(dir, SMALL_WORLD);
    for (const seed of ["1", "7"]) {
      expect((await run("train", "--seed", seed, "--force", "--reason", "a test needs two models")).code).toBe(0);
      expect((await run("promote", "--force", "--reason", "a test needs two champions")).code).toBe(0);
    }
    const registry = createLocalRegistry({ dir: path.join(dir, "models") });
    const { champion } = await registry.aliases("card-fraud");
    const files = await registry.load("card-fraud", champion);
    await registry.close();
    const scorer = loadScorer(files, { model: "card-fraud", version: champion });
    const json = (name: string) => JSON.parse(new TextDecoder().decode(files.get(name)));
    columns = json("input_example.json").columns;
    rows = json("golden.json").rows.map(({ vector }: { vector: (number | null)[] }) => vector);
    own = rows.map((row) => scorer.score(Float32Array.from(row, (value) => value ?? Number.NaN)).score);
    copy = `${dir}-copy`;
    cpSync(dir, copy, { recursive: true });
  });
  afterAll(async () => {
    await server?.dispose();
    removeWorkspace(dir);
    removeWorkspace(copy);
  });
  const close = (theirs: readonly number[]): void => {
    expect(theirs).toHaveLength(own.length);
    for (const [at, score] of theirs.entries()) expect(Math.abs(score - own[at])).toBeLessThanOrEqual(TOLERANCE);
  };

  test("a push that is killed again and again goes on, and arrives whole", async () => {
    const random = new Random(3);
    const proxy = await startFaultyProxy(server.uri);
    let killed = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      // By the request, so that a fast machine is killed as often as a slow one.
      const ran = await sentinel(["registry", "push", "--to", proxy.uri], {
        cwd: dir,
        started: (child) => {
          const last = proxy.seen.length + 1 + random.integer(REQUESTS_MAX);
          proxy.hold = async () => {
            if (proxy.seen.length >= last) child.kill("SIGKILL");
          };
        },
      });
      if (ran.signal === "SIGKILL") killed++;
    }
    await proxy.close();
    expect(killed).toBeGreaterThan(1);
    expect(await run("registry", "push", "--to", server.uri)).toMatchObject({ code: 0 });
    expect(await run("registry", "push", "--to", server.uri)).toMatchObject({
      code: 0,
      json: { runs: { moved: 0, there: 2 }, versions: { moved: 0, there: 2 }, entries: { moved: 0 }, kept: [] },
    });
    const [here, there] = [await run("registry", "list"), await onServer("registry", "list")];
    expect(there.json.aliases).toEqual(here.json.aliases);
    expect(there.json.versions.map(({ bundle }: { bundle: string }) => bundle)).toEqual(
      here.json.versions.map(({ bundle }: { bundle: string }) => bundle),
    );
    expect(await onServer("registry", "verify")).toMatchObject({ code: 0, json: { ok: true, faults: [] } });
    expect(await run("registry", "verify")).toMatchObject({ code: 0, json: { ok: true, faults: [] } });
    const who = ["registry", "history", "--at", new Date(Date.now()).toISOString()];
    const [before, after] = [await run(...who), await onServer(...who)];
    expect(after.json.entry).toMatchObject({ at: before.json.entry.at, to: before.json.entry.to });
  });

  test("a server that is not there is told, and a retry may help", async () => {
    const ran = await run("registry", "push", "--to", "http://127.0.0.1:9");
    expect(ran).toMatchObject({ code: 3, json: { error: { code: "registry.unreachable" } } });
    expect((await run("registry", "push")).json.error.code).toBe("cli.usage");
    expect((await run("registry", "push", "--to", "nowhere")).json.error).toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining("--to"),
    });
  });

  test.each(["embedded", "server"])("Python's MLflow lists, loads and scores it: %s", async (where) => {
    const asked = path.join(dir, "asked.json");
    writeFileSync(asked, JSON.stringify({ columns, rows }));
    const { PATH, HOME } = process.env;
    const stdout = await runPython("venv-mlflow", [SCORES, uriOf(where), ADDRESS, asked], {
      // The embedded registry's paths are relative to its folder.
      cwd: path.join(copy, "models"),
      env: { PATH, HOME, PYTHONWARNINGS: "ignore" },
    });
    const seen = JSON.parse(stdout.trim().split("\n").at(-1)!);
    console.info(`MLflow ${seen.mlflow} scored ${rows.length} rows from the ${where} registry`);
    expect(seen).toMatchObject({
      models: ["card-fraud"],
      versions: [1, 2],
      aliases: { champion: 2, previous: 1 },
      inputs: columns,
      outputs: ["score"],
      example: 3,
    });
    close(seen.pyfunc);
    close(seen.onnx);
  });

  // Python has loaded it from both by the same address above.
  test("`mlflow models serve` answers with the same scores from the server", async () => {
    const port = await freePort();
    const args = [
      "-m",
      "mlflow",
      "models",
      "serve",
      "-m",
      ADDRESS,
      "--env-manager",
      "local",
      "-h",
      "127.0.0.1",
      "-p",
      String(port),
    ];
    const { HOME } = process.env;
    // MLflow starts uvicorn by its name.
    const PATH = `${path.dirname(mlflowPython)}:${process.env.PATH}`;
    const { uri } = server;
    const child = spawn(mlflowPython, args, {
      cwd: path.join(copy, "models"),
      detached: true,
      stdio: "ignore",
      env: { PATH, HOME, MLFLOW_TRACKING_URI: uri, MLFLOW_REGISTRY_URI: uri, MLFLOW_DISABLE_TELEMETRY: "true" },
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      const url = `http://127.0.0.1:${port}`;
      for (let look = 0; look < LOOKS_MAX && child.exitCode === null; look++) {
        if ((await fetch(`${url}/ping`).catch(() => null))?.ok) break;
        await sleep(100);
      }
      const response = await fetch(`${url}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ dataframe_split: { columns, data: rows } }),
      });
      const text = await response.text();
      expect(response.status, text).toBe(200);
      close((JSON.parse(text) as { predictions: { score: number }[] }).predictions.map(({ score }) => score));
    } finally {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
      await ended;
    }
  });

  test("`sentinel serve` answers from both with the same champion and the same scores", async () => {
    const requests = livePayments(2, SMALL_WORLD).requests.slice(0, 200);
    const answersOf = async (cwd: string, env: Readonly<Record<string, string>>): Promise<readonly Answered[]> => {
      const serving = await serve(cwd, { env });
      try {
        return await load(serving.url, requests, { clients: 1 });
      } finally {
        await serving.stop("SIGTERM");
      }
    };
    const embedded = await answersOf(copy, { MLFLOW_TRACKING_URI: "" });
    const remote = await answersOf(dir, { MLFLOW_TRACKING_URI: server.uri });
    expect(embedded.filter(({ status }) => status !== 200)).toEqual([]);
    const told = ({ id, body }: Answered) => [id, body.score, body.anomaly_score, body.decision, body.model.bundle];
    expect(remote.map(told)).toEqual(embedded.map(told));
  });

  function uriOf(where: string): string {
    return where === "server" ? server.uri : "sqlite:///mlflow.db";
  }
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address();
      listener.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
