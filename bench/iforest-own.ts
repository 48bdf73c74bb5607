// Measured isolation forests of ours, in a process of its own: reads raw files, prints one line of JSON.
import { writeFileSync } from "node:fs";
import type { IsolationForest } from "../src/ml/iforest/model.ts";
import { scoreAnomalyMatrix } from "../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../src/ml/iforest/train/train.ts";
import type { ForestMeasured, ForestTask } from "./iforest.ts";
import { timed } from "./stopwatch.ts";
import { readMatrix } from "./synthetic.ts";

/** After the first one, whose compilation may go on into the next; the middle one counts. */
const WARM_TRAININGS = 5;

type Trained = ReturnType<typeof timed<IsolationForest>>;

const { table, trees, sample, seed, scores } = JSON.parse(process.argv[2]) as ForestTask;
const x = readMatrix(table);
const bySeconds = (a: Trained, b: Trained): number => a.measured.seconds - b.measured.seconds;
const train = (): Trained => timed(() => trainIsolationForest({ x, trees, sample, seed }));
const cold = train();
const [trained] = Array.from({ length: WARM_TRAININGS }, train)
  .sort(bySeconds)
  .slice(WARM_TRAININGS >> 1);
scoreAnomalyMatrix(cold.result, x);
const scored = timed(() => scoreAnomalyMatrix(trained.result, x));
writeFileSync(scores, Float32Array.from(scored.result));
const measured: ForestMeasured = {
  ...trained.measured,
  coldSeconds: cold.measured.seconds,
  scoreSeconds: scored.measured.seconds,
  scoreCpuSeconds: scored.measured.cpuSeconds,
};
console.log(JSON.stringify(measured));
