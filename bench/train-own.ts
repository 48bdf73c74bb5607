// One measured training of our boosted trees, in a process of its own: reads raw files, prints one line of JSON.
import { writeFileSync } from "node:fs";
import { scoreMatrix, sigmoid } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../src/ml/gbdt/train/threads.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { timedAsync } from "./stopwatch.ts";
import { readLabels, readMatrix } from "./synthetic.ts";
import type { TrainTask } from "./training.ts";

const { train, test, predictions, seed, threads, ...given } = JSON.parse(process.argv[2]) as TrainTask;
const x = readMatrix(train);
const y = readLabels(train);
const { result, measured } = await timedAsync(async () => {
  const { trees, depthMax, learningRate, lambda, minChildWeight, binsMax, startRate } = given;
  const own = { trees, depthMax, learningRate, lambda, minChildWeight, binsMax, startRate };
  const task = { x, y, params: { ...defaultGbdtParams, ...own }, seed };
  return threads === 1 ? trainGbdt(task) : trainGbdtThreads(task, { threads });
});
if (predictions !== null) {
  writeFileSync(predictions, Float32Array.from(scoreMatrix(result.model, readMatrix(test)), sigmoid));
}
console.log(JSON.stringify(measured));
