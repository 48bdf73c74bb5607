// Other people's clients, tritonclient and MLflow's, are given the scores of /predict.
import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  serve,
  type World,
} from "./world.ts";

const CACHE = fileURLToPath(new URL("../../.cache", import.meta.url));
const SCRIPT = fileURLToPath(new URL("./clients.py", import.meta.url));

/** Whether a venv is whole; says so loudly, and fails under CI, when it is not. */
function isThere(venv: string): boolean {
  const there = existsSync(path.join(CACHE, venv, "sentinel-stamp"));
  if (!there) console.warn(`SKIPPED a client's tests: there is no .cache/${venv}; scripts/setup-python installs it`);
  if (!there && process.env.CI === "true") {
    test(`${venv} is installed`, () => expect.fail(`CI needs .cache/${venv}: scripts/setup-python`));
  }
  return there;
}

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
let url = "";
let file = "";
let expected: Reply[] = [];
// An id that only its digits distinguish from a number, a text with what CSV quotes, and texts beyond ASCII.
const rows: readonly Readonly<Record<string, unknown>>[] = payments(12, {
  seed: 21,
  from: NOW - 3_600_000,
  prefix: "k",
}).map((payment, index) => ({
  ...bodyOf(payment),
  ...(index === 1 ? { customer_id: "007" } : {}),
  ...(index === 2 ? { customer_id: 'a "quoted", one' } : {}),
  ...(index === 3 ? { customer_id: "Müller €" } : {}),
}));

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world, { packageVersion: "1.2.3" }));
  const at = await server.start({ host: "127.0.0.1", port: 0 });
  url = `http://${at.host}:${at.port}`;
  file = path.join(world.dir, "rows.json");
  writeFileSync(file, JSON.stringify(rows));
  expected = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
});

afterAll(async () => {
  await stop();
  await world.remove();
});

async function ask(venv: string, which: string): Promise<unknown> {
  const python = path.join(CACHE, venv, "bin", "python");
  const env = { ...process.env, PYTHONWARNINGS: "ignore", NO_PROXY: "127.0.0.1" };
  const { stdout } = await promisify(execFile)(python, [SCRIPT, which, url, file], { env, maxBuffer: 1 << 26 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

function expectScores(scores: readonly number[]): void {
  expect(scores).toHaveLength(expected.length);
  scores.forEach((score, row) => void expect(Math.abs(score - expected[row].score)).toBeLessThanOrEqual(1e-6));
}

interface Tensors {
  readonly score: readonly number[];
  readonly decision: readonly string[];
  readonly transaction_id?: readonly string[];
  readonly version?: readonly string[];
  readonly shape: readonly number[];
}

describe.runIf(isThere("venv-oip"))("tritonclient", () => {
  test("is given the scores of /predict, as JSON and as raw tensors, and the words of a refusal", async () => {
    const seen = (await ask("venv-oip", "triton")) as Readonly<
      Record<"binary" | "json" | "matrix" | "fresh", Tensors>
    > &
      Readonly<Record<string, unknown>>;
    expect(seen).toMatchObject({
      live: true,
      ready: true,
      model_ready: true,
      version_ready: true,
      other_ready: false,
      server: { name: "sentinel", version: "1.2.3", extensions: ["binary_tensor_data"] },
      model: { name: "card-fraud", versions: ["1"], platform: "sentinel" },
      id: "ab-1",
    });
    for (const answers of [seen.binary, seen.json, seen.matrix]) {
      expectScores(answers.score);
      expect(answers.decision).toEqual(expected.map(({ decision }) => decision));
    }
    expect(seen.binary.transaction_id).toEqual(rows.map(({ transaction_id }) => transaction_id));
    expect(seen.binary.version).toEqual(rows.map(() => "1"));
    expect([seen.json.transaction_id, seen.binary.shape, seen.matrix.shape]).toEqual([undefined, [12], [12, 1]]);
    expect(seen.fresh.score).toHaveLength(12);
    expect(seen.refusal).toEqual({ status: "422", message: expect.stringContaining("0/transaction_id is missing") });
  });

  test("every way of MLflow's protocol gives the scores of /predict", async () => {
    const seen = (await ask("venv-oip", "plain")) as Readonly<Record<string, readonly Reply[]>>;
    expect(Object.keys(seen)).toEqual(["dataframe_split", "dataframe_records", "instances", "inputs", "csv"]);
    for (const predictions of Object.values(seen)) expect(predictions).toEqual(expected);
    // All of them were repeats, and the fresh ones of the other test may have been before.
    const { predictions } = (await reply(server.app.request("/health"))).log;
    expect(predictions % rows.length).toBe(0);
  });
});

describe.runIf(isThere("venv-mlflow"))("MLflow's own client of a scoring server", () => {
  test("is given the scores of /predict", async () => {
    const seen = (await ask("venv-mlflow", "mlflow")) as {
      readonly version: string;
      readonly predictions: readonly Reply[];
    };
    expect(seen.version).toBe("1.2.3");
    expectScores(seen.predictions.map(({ score }) => score));
    expect(seen.predictions.map(({ transaction_id }) => transaction_id)).toEqual(
      rows.map(({ transaction_id }) => transaction_id),
    );
  });
});
