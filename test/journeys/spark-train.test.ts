// A model that XGBoost trained on Spark lives like our own: through the gates beside a champion that one machine trained, in shadow with XGBoost's own scores, promoted.
import { execFileSync } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { calibrate } from "../../src/ml/calibration/apply.ts";
import { type BundleManifest, readManifest } from "../../src/online/bundle.ts";
import type { PredictionRecord, ShadowPair } from "../../src/ports/log.ts";
import { edit, makeWorkspace, ROOT, removeWorkspace, sentinelJson, serve } from "../cli/sentinel.ts";
import { livePayments, load, SMALL_WORLD, writeHistory } from "./traffic.ts";

const PYTHON = path.join(ROOT, ".cache", "venv-spark", "bin", "python");
/** A table of the pipeline's columns in the place of the simulated one, for the long form. */
const DATA = process.env.SENTINEL_SPARK_DATA;
const TOLERANCE = 1e-6;
const REQUESTS = 150;
const MINUTES = 60_000;

/** What XGBoost says of vectors, by its own interface: log-odds. */
const MARGINS = `
import json, sys
import numpy as np, xgboost as xgb
asked = json.load(sys.stdin)
booster = xgb.Booster(model_file=asked["model"])
rows = np.array([[np.nan if v is None else v for v in row] for row in asked["rows"]], dtype=np.float32)
rounds = (0, booster.best_iteration + 1) if "best_iteration" in booster.attributes() else (0, 0)
data = xgb.DMatrix(rows, feature_names=booster.feature_names)
print(json.dumps(booster.predict(data, output_margin=True, iteration_range=rounds).tolist()))
`;

if (!/^(build|long)$/.test(process.env.SENTINEL_SPARK ?? "")) {
  console.warn("NOT TESTED: training on Spark, a minute of processes that start; SENTINEL_SPARK=build asks for it");
  test("training on Spark is asked for by SENTINEL_SPARK=build, with what scripts/setup-spark installs", () => {
    expect(existsSync(path.join(ROOT, "scripts", "setup-spark"))).toBe(true);
  });
} else {
  describe("a model that was trained on Spark", () => {
    let dir: string;
    const run = (...args: string[]) => sentinelJson(args, { cwd: dir, env: { SENTINEL_SPARK_PYTHON: PYTHON } });

    beforeAll(async () => {
      dir = makeWorkspace();
      // Of so few frauds no recall is known well enough for the default margin; the long form keeps it.
      const margin = DATA === undefined ? "margin: 0.2  #" : "margin: 0.05  #";
      edit(dir, "pipelines/card.yaml", (text) =>
        text.replace("timeout: 250ms", "timeout: 5s").replace("margin: 0.05  ", margin),
      );
      if (DATA === undefined) await writeHistory(dir, SMALL_WORLD);
      else symlinkSync(DATA, path.join(dir, "data", "transactions.parquet"));
    });
    afterAll(() => removeWorkspace(dir));

    test(
      "passes the gates, and ranks as well as the champion that one machine trained",
      async () => {
        expect(await run("train")).toMatchObject({ code: 0 });
        expect(await run("promote")).toMatchObject({ code: 0, json: { moved: true, to: "1" } });
        const engine = ["--engine", "spark", "--master", "local[2]", "--partitions", "2"];
        const trained = await run("train", ...engine, "--out", "report");
        expect(trained).toMatchObject({
          code: 0,
          json: {
            version: { version: "2" },
            imported: { format: "xgboost", title: "XGBoost 3.2.0" },
            run: { engine: "Spark 4.3.0", library: "XGBoost 3.2.0", reused: false },
          },
        });
        expect(trained.json.run.differenceMax).toBeLessThanOrEqual(TOLERANCE);
        const verdicts = trained.json.verdicts as readonly { readonly gate: string; readonly verdict: string }[];
        expect(verdicts.map(({ gate, verdict }) => [gate, verdict])).toEqual(
          ["data", "training", "logic"].map((gate) => [gate, "pass"]),
        );
        const { checks } = trained.json.verdicts[1] as {
          readonly checks: readonly { name: string; observed: string }[];
        };
        const { observed } = checks.find(({ name }) => name === "average precision against champion")!;
        // A paired interval, by customer: what lies between the two is noise.
        const [, low, high] = /difference (-?[\d.e-]+) to (-?[\d.e-]+) \(95 %\)/.exec(observed)!.map(Number);
        expect(low).toBeGreaterThan(-0.05);
        expect(high).toBeGreaterThanOrEqual(0);
      },
      30 * MINUTES,
    );

    test(
      "shadows with XGBoost's own scores, and is promoted",
      async () => {
        const server = await serve(dir);
        try {
          const payments = livePayments(2, SMALL_WORLD).requests.slice(0, REQUESTS);
          const answered = await load(server.url, payments, { clients: 2 });
          expect(answered.filter(({ status }) => status !== 200)).toEqual([]);
          await expect.poll(async () => (await logged()).pairs.length, { timeout: 60_000 }).toBe(REQUESTS);
        } finally {
          await server.stop("SIGTERM");
        }
        const { pairs, records } = await logged();
        const { manifest, model } = await candidate();
        const names = manifest.features.features.map(({ name }) => name);
        const byId = new Map(records.map((record) => [record.transactionId, record]));
        const rows = pairs.map(({ transactionId }) => Array.from(byId.get(transactionId)!.vector, nullable));
        expect(rows[0]).toHaveLength(names.length);
        const input = JSON.stringify({ model, rows });
        const theirs = JSON.parse(execFileSync(PYTHON, ["-c", MARGINS], { input, encoding: "utf8" })) as number[];
        pairs.forEach(({ candidate: answer }, i) => {
          const difference = Math.abs(answer.score - calibrate(manifest.calibration, theirs[i]));
          expect(difference).toBeLessThanOrEqual(TOLERANCE);
        });
        expect(new Set(theirs).size).toBeGreaterThan(20);
        const promoted = await run("promote", "--force", "--reason", "a test of Spark");
        expect(promoted).toMatchObject({ code: 0, json: { moved: true, from: "1", to: "2" } });
      },
      5 * MINUTES,
    );

    async function logged(): Promise<{ readonly records: PredictionRecord[]; readonly pairs: ShadowPair[] }> {
      const log = createSqliteLog({ file: path.join(dir, "models", "state", "card-log.db") });
      try {
        const pairs: ShadowPair[] = [];
        for await (const pair of log.pairs("2")) pairs.push(pair);
        return { records: [...(await log.recent(2 * REQUESTS))], pairs };
      } finally {
        await log.close();
      }
    }

    /** The bundle's manifest, and the model as XGBoost wrote it. */
    async function candidate(): Promise<{ readonly manifest: BundleManifest; readonly model: string }> {
      const registry = createLocalRegistry({ dir: path.join(dir, "models") });
      try {
        const manifest = readManifest(await registry.load("card-fraud", "2"));
        return { manifest, model: path.join(dir, "report", "xgboost.json") };
      } finally {
        await registry.close();
      }
    }
  });
}

function nullable(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
