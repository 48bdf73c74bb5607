// What `monitor` costs beside a log of millions: seconds and memory of the first look, which counts all rows, and of a later one.
import { statSync } from "node:fs";
import path from "node:path";
import { loadConfig } from "../src/config.ts";
import { DAY_MS } from "../src/core/duration.ts";
import { numberAt, type Table, textAt } from "../src/core/table.ts";
import { readSource } from "../src/lifecycle/data/source.ts";
import { vectorsOf } from "../src/lifecycle/data/vectors.ts";
import { init } from "../src/lifecycle/init.ts";
import { promote } from "../src/lifecycle/promote.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import { train } from "../src/lifecycle/train.ts";
import { copyRow } from "../src/ml/matrix.ts";
import { loadVersion } from "../src/online/score.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { openPorts } from "../src/wiring.ts";
import type { Bench, Figures } from "./bench.ts";
import { fillLog } from "./log-fill.ts";
import type { MonitorMeasured, MonitorTask } from "./monitor-own.ts";
import { runOwn } from "./peers.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

/** Rows of the log, unless told otherwise. */
const ROWS = 10_000_000;
/** Days that they are spread over. */
const DAYS = 60;
/** What a later look finds new. */
const NEW_SHARE = 0.001;
const FRAUD_EVERY = 500;
const WORLD = { customers: 500, terminals: 1000, days: 80, start: "2026-01-01" } as const;
const LEARNED_DAYS = 70;
const TREES = 50;
const MIB = 1024 * 1024;

export const bench: Bench = {
  async run({ seed, rows = ROWS, print }): Promise<Figures> {
    const dir = temporaryFolder();
    init({ dir, packageRoot: ROOT });
    const log = await begin(dir, seed);
    const stepMs = (DAYS * DAY_MS) / rows;
    const filled = fillLog(log, { rows, stepMs, fraudEvery: FRAUD_EVERY });
    print(`${filled.toLocaleString("en")} rows over ${DAYS} days, ${(statSync(log).size / MIB).toFixed(0)} MiB`);
    const look = (): Promise<MonitorMeasured> => runOwn<MonitorMeasured>("monitor-own", { dir } satisfies MonitorTask);
    const first = await look();
    print(`  first look: ${words(first)}`);
    const grown = fillLog(log, { rows: filled + Math.ceil(NEW_SHARE * filled), stepMs, fraudEvery: FRAUD_EVERY });
    const again = await look();
    print(`  after ${(grown - filled).toLocaleString("en")} more: ${words(again)}`);
    return {
      rows: filled,
      firstSeconds: first.seconds,
      firstMiB: first.rssBytes / MIB,
      againSeconds: again.seconds,
      againMiB: again.rssBytes / MIB,
      maturedFrauds: first.frauds,
    };
  },
};

/** A champion and its answers of ten days, written into the log as a server writes them; the log's file. */
async function begin(dir: string, seed: number): Promise<string> {
  const loaded = loadPipeline(dir, "card");
  const pipeline = { ...loaded, modelParameters: { ...loaded.modelParameters, trees: TREES } };
  const config = loadConfig({ workspace: dir, environment: {} });
  const report = { line: () => {}, progress: () => {} };
  const { ports, close } = openPorts(config, { report, pipeline: "card", settings: () => pipeline });
  const dataset = await ports.dataset();
  const days: Table[] = [...simulateDays({ ...WORLD, seed })];
  await dataset.write(pipeline.source, days.slice(0, LEARNED_DAYS));
  const whole = path.join(dir, "data", "whole.parquet");
  await dataset.write(whole, days);
  const by = { pipeline, actor: "bench", forced: "a bench needs a champion" };
  const made = await train(ports, { ...by, path: pipeline.source, packageVersion: "0", seed, verb: "train" });
  await promote(ports, { ...by, to: made.version!.version, seed });
  const scorer = await loadVersion(await ports.registry(), { model: pipeline.model, version: made.version!.version });
  const { table } = await readSource(dataset, pipeline, { path: whole, plans: [scorer.plan], labelled: false });
  const { x } = vectorsOf(table, { plan: scorer.plan, pipeline, report });
  const log = await ports.log();
  const from = days.slice(0, LEARNED_DAYS).reduce((sum, day) => sum + day.rows, 0);
  for (let row = from; row < table.rows; row++) {
    const vector = new Float32Array(x.names.length);
    copyRow(x, row, vector);
    const time = numberAt(table.columns.get("time")!, row);
    const amount = numberAt(table.columns.get("amount")!, row);
    log.appendPrediction({
      ...scorer.score(vector),
      transactionId: `own-${row}`,
      time,
      receivedAt: time,
      fields: { amount, customer_id: textAt(table.columns.get("customer_id")!, row) },
      extra: {},
      vector,
      version: scorer.version,
      bundle: scorer.bundle,
      latencyMs: 1,
      degraded: false,
    });
    if (row % 1000 === 0) await log.flush();
  }
  await log.flush();
  await close();
  return log.where;
}

function words({ seconds, rssBytes, frauds }: MonitorMeasured): string {
  return `${seconds.toFixed(1)} s, ${(rssBytes / MIB).toFixed(0)} MiB at most; ${frauds === null ? "too few" : frauds} matured frauds judged`;
}
