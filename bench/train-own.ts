// One measured training of our boosted trees, in a process of its own: reads raw files, prints one line of JSON.
import { writeFileSync } from "node:fs";
import { defaultGbdtParams } from "../src/ml/gbdt/params.ts";
import { scoreMatrix, sigmoid } from "../src/ml/gbdt/score.ts";
import { trainGbdt } from "../src/ml/gbdt/train.ts";
import { timed } from "./stopwatch.ts";
import { readLabels, readMatrix } from "./synthetic.ts";
import type { TrainTask } from "./train.ts";

const { train, test, predictions, seed, ...params } = JSON.parse(process.argv[2]) as TrainTask;
const x = readMatrix(train);
const y = readLabels(train);
const { result, measured } = timed(() => {
  const { trees, depthMax, learningRate, lambda, minChildWeight, binsMax, startRate } = params;
  const own = { trees, depthMax, learningRate, lambda, minChildWeight, binsMax, startRate };
  return trainGbdt({ x, y, params: { ...defaultGbdtParams, ...own }, seed });
});
if (predictions !== null) {
  writeFileSync(predictions, Float32Array.from(scoreMatrix(result.model, readMatrix(test)), sigmoid));
}
console.log(JSON.stringify(measured));
