// One measured isolation forest of ours, in a process of its own: reads raw files, prints one line of JSON.
import { writeFileSync } from "node:fs";
import { scoreAnomalyMatrix } from "../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../src/ml/iforest/train.ts";
import type { ForestMeasured, ForestTask } from "./iforest.ts";
import { timed } from "./stopwatch.ts";
import { readMatrix } from "./synthetic.ts";

const { table, trees, sample, seed, scores } = JSON.parse(process.argv[2]) as ForestTask;
const x = readMatrix(table);
const trained = timed(() => trainIsolationForest({ x, trees, sample, seed }));
const scored = timed(() => scoreAnomalyMatrix(trained.result, x));
writeFileSync(scores, Float32Array.from(scored.result));
const measured: ForestMeasured = { ...trained.measured, scoreSeconds: scored.measured.seconds };
console.log(JSON.stringify(measured));
