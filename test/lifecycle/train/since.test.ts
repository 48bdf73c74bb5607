// A new world asked by its own days: older ones are left out where they contradict it, and learned where frauds are what they were.
import { expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Random } from "../../../src/core/random.ts";
import type { LearningBasis } from "../../../src/lifecycle/train/basis.ts";
import type { Fitted } from "../../../src/lifecycle/train/fit.ts";
import { learnLately } from "../../../src/lifecycle/train/since.ts";
import { trainIsolationForest } from "../../../src/ml/iforest/train/train.ts";
import type { Matrix } from "../../../src/ml/matrix.ts";
import { pipelineOf } from "../world.ts";

const OLD_DAYS = 20;
const NEW_DAYS = 6;
const ROWS_A_DAY = 150;
const SINCE = OLD_DAYS * DAY_MS;

/** Frauds show by one feature before `SINCE` and by another after it, or by the same all the time, where so little is seen of it lately. */
function world(kind: "frauds shift" | "frauds stay", { newDays = NEW_DAYS, rowsADay = ROWS_A_DAY } = {}) {
  const random = new Random(9);
  const rows = (OLD_DAYS + newDays) * rowsADay;
  const values = new Float32Array(3 * rows);
  const times = new Float64Array(rows);
  const labels = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const day = Math.floor(row / rowsADay);
    const isNew = day >= OLD_DAYS;
    times[row] = day * DAY_MS + ((row % rowsADay) * DAY_MS) / rowsADay;
    const [a, b] = [random.next(), random.next()];
    const sign = kind === "frauds shift" && isNew ? b : a;
    labels[row] = sign > 0.93 && random.next() < 0.8 ? 1 : 0;
    values.set([a], row);
    values.set([b], rows + row);
    values.set([random.next()], 2 * rows + row);
  }
  const x: Matrix = { rows, names: ["a", "b", "noise"], values };
  return { x, labels, times };
}

const pipeline = pipelineOf();
const modelParameters = { ...pipeline.modelParameters, trees: 30, anomalyTrees: 3, anomalySample: 16 };

function ask({ x, labels, times }: ReturnType<typeof world>) {
  const forest = trainIsolationForest({ x, trees: 3, sample: 16, seed: 1 });
  const judged = { forest, anomalyAsFeature: false } as Fitted;
  return learnLately({ x } as LearningBasis, {
    judged,
    labels,
    times,
    rows: Int32Array.from(labels.keys()),
    since: SINCE,
    kinds: ["number", "number", "number"],
    pipeline: { ...pipeline, modelParameters },
    seed: 1,
    threads: 1,
    report: { line: () => {}, progress: () => {} },
  });
}

test("where the frauds have shifted, older days fade or go, and what is said of each new row no model had learned", async () => {
  const shifted = world("frauds shift");
  const lately = await ask(shifted);
  expect(lately!.stretches).toBe(3);
  expect(lately!.way).not.toBe("all days");
  expect(lately!.from).toBe(lately!.way === "new days" ? SINCE : Number.NEGATIVE_INFINITY);
  expect(lately!.weights === undefined).toBe(lately!.way === "new days");
  const { "all days": all, "new days": alone } = lately!.averagePrecision;
  expect(alone).toBeGreaterThan(all);
  expect(lately!.rounds).toBeGreaterThan(0);
  // Every new row once, no older one.
  const newer = Int32Array.from(shifted.times.keys()).filter((row) => shifted.times[row] >= SINCE);
  expect(lately!.rows.slice().sort()).toEqual(newer);
  expect(lately!.margins).toHaveLength(newer.length);
  // A day is in one stretch, and stretches follow each other.
  const days = [...lately!.rows].map((row) => Math.floor(shifted.times[row] / DAY_MS));
  expect(days).toEqual(days.slice().sort((a, b) => a - b));
});

test("where frauds are what they were, the older days are learned too", async () => {
  const lately = await ask(world("frauds stay"));
  expect(lately!.from).toBe(Number.NEGATIVE_INFINITY);
  expect(lately!.way).not.toBe("new days");
  const { "all days": all, "new days": alone } = lately!.averagePrecision;
  expect(all).toBeGreaterThan(alone);
});

test("two days with frauds make two stretches; one day cannot be asked, nor days with too few", async () => {
  expect(await ask(world("frauds shift", { newDays: 2, rowsADay: 3 * ROWS_A_DAY }))).toMatchObject({ stretches: 2 });
  expect(await ask(world("frauds shift", { newDays: 1, rowsADay: 3 * ROWS_A_DAY }))).toBeNull();
  expect(await ask(world("frauds shift", { newDays: 3 }))).toBeNull();
});
