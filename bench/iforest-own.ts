// Measured isolation forests of ours, in a process of its own: reads raw files, prints one line of JSON.
import { writeFileSync } from "node:fs";
import { scoreAnomalyMatrix } from "../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../src/ml/iforest/train.ts";
import type { ForestMeasured, ForestTask } from "./iforest.ts";
import { timed } from "./stopwatch.ts";
import { readMatrix } from "./synthetic.ts";

const { table, trees, sample, seed, scores } = JSON.parse(process.argv[2]) as ForestTask;
const x = readMatrix(table);
const train = () => timed(() => trainIsolationForest({ x, trees, sample, seed }));
const cold = train();
const trained = train();
const scored = timed(() => scoreAnomalyMatrix(trained.result, x));
writeFileSync(scores, Float32Array.from(scored.result));
const measured: ForestMeasured = {
  ...trained.measured,
  coldSeconds: cold.measured.seconds,
  scoreSeconds: scored.measured.seconds,
  scoreCpuSeconds: scored.measured.cpuSeconds,
};
console.log(JSON.stringify(measured));
