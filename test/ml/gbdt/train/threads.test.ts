// Teams of threads: the same bytes at any number of them, an abort that ends them, errors as on one thread.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { encodeGbdt } from "../../../../src/ml/gbdt/model.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../../../src/ml/gbdt/train/threads.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { withColumn } from "../../../../src/ml/matrix.ts";
import { fraudProblem } from "../../arbitraries.ts";

// Several blocks of rows, the last one not full, so that every thread has some.
const problem = fraudProblem(18_500, 1);
const later = fraudProblem(9000, 2);
const weights = Float32Array.from(problem.y, (_, r) => 0.5 + (r % 7) / 3);
const params: GbdtParams = { ...defaultGbdtParams, trees: 8, depthMax: 4 };

const VARIANTS: Readonly<Record<string, object>> = {
  plain: { params },
  "rows and columns sampled, deep": {
    params: { ...params, rowSample: 0.6, columnSample: 0.7, depthMax: 9, trees: 3 },
  },
  "one-side sampling": {
    params: { ...params, gossTop: 0.15, gossRest: 0.1, learningRate: 0.3, columnSample: 0.7, trees: 12 },
    validation: later,
    weights,
  },
  "monotone columns": { params, kinds: ["increasing", "decreasing", "number", "increasing"] },
  categories: {
    x: withCategories(problem),
    validation: { ...later, x: withCategories(later) },
    params: { ...params, categoryRowsMin: 5, columnSample: 0.8 },
    kinds: ["number", "category", "number", "number", "category"],
  },
  "categories beside monotone columns, best leaf first": {
    x: withCategories(problem),
    params: { ...params, leavesMax: 9 },
    kinds: ["increasing", "category", "number", "number", "category"],
  },
  "best leaf first, weighted": { params: { ...params, leavesMax: 9, scalePositive: 3 }, weights },
  // Five groups of columns to search, nodes that are summed in parts and nodes that are not.
  "forty columns, deep, with missing values": {
    x: withMore(problem, 36),
    params: { ...params, columnSample: 0.9, depthMax: 8, trees: 3 },
    weights,
  },
  "early stopping": {
    params: { ...params, trees: 60, learningRate: 0.9, earlyStoppingRounds: 2 },
    validation: later,
  },
};

/** Each number of threads with half of the variants, and all with the plain one; SENTINEL_EVERY_TEAM=1 takes every number with every variant. */
const threadsOf = (variant: number): readonly number[] => {
  if (variant === 0 || process.env.SENTINEL_EVERY_TEAM === "1") return [1, 2, 3, 6];
  return variant % 2 === 0 ? [1, 3] : [2, 6];
};

for (const [i, [name, variant]] of Object.entries(VARIANTS).entries()) {
  test(`${name}: ${threadsOf(i).join(", ")} threads give the model, the curve and the rounds of one`, async () => {
    const task = { ...problem, params, seed: 5, ...variant };
    const one = trainGbdt(task);
    const bytes = encodeGbdt(one.model);
    for (const threads of threadsOf(i)) {
      const rounds: number[] = [];
      const onRound = (round: number, loss: number): void => {
        rounds.push(round, loss);
      };
      const team = await trainGbdtThreads({ ...task, onRound }, { threads });
      expect(encodeGbdt(team.model)).toEqual(bytes);
      expect(team).toEqual(one);
      expect(rounds).toEqual(one.curve.train.flatMap((loss, i) => [i + 1, loss]));
    }
  });
}

test("an abort ends the training with its reason", async () => {
  const abort = new AbortController();
  const onRound = (round: number): void => {
    if (round === 3) abort.abort(new Error("enough"));
  };
  const task = { ...problem, params: { ...params, trees: 10_000 }, seed: 1, onRound };
  await expect(trainGbdtThreads(task, { threads: 2, signal: abort.signal })).rejects.toThrow("enough");
  await expect(trainGbdtThreads(task, { threads: 2, signal: abort.signal })).rejects.toThrow("enough");
});

test("what a function called each round throws ends the training, as on one thread", async () => {
  const task = { ...problem, params: { ...params, trees: 10_000 }, seed: 1 };
  const onRound = (): void => {
    throw new Error("the caller's own");
  };
  expect(() => trainGbdt({ ...task, onRound })).toThrow("the caller's own");
  await expect(trainGbdtThreads({ ...task, onRound }, { threads: 2 })).rejects.toThrow("the caller's own");
});

test("a server in the training process goes on answering", async () => {
  const server = createServer((_, response) => response.end("here"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  let trained = false;
  const training = trainGbdtThreads({ ...problem, params: { ...params, trees: 150 }, seed: 1 }, { threads: 1 });
  const watched = training.finally(() => {
    trained = true;
  });
  let answered = 0;
  try {
    while (!trained && answered < 100_000) {
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("here");
      answered++;
    }
    await watched;
  } finally {
    server.close();
  }
  // A loop that is held answers the first request, and the rest after the training.
  expect(answered).toBeGreaterThan(10);
});

test("what does not fit is refused, and no thread stays behind", async () => {
  const task = { ...problem, params, seed: 1 };
  await expect(trainGbdtThreads(task, { threads: 0 })).rejects.toThrow("threads is 0; it must be a whole number");
  await expect(trainGbdtThreads({ ...task, y: task.y.slice(1) }, { threads: 2 })).rejects.toThrow("y.length");
  const deep = { ...task, params: { ...params, depthMax: 16, leavesMax: 65_536 }, x: wide() };
  await expect(trainGbdtThreads(deep, { threads: 2 })).rejects.toThrow(
    expect.objectContaining({ code: "ml.memory-short" }),
  );
});

test("an infinite value, wherever it is, is refused in the words of one thread", async () => {
  const kinds = ["number", "category", "number", "number"] as const;
  const { x } = problem;
  for (const [column, row] of [
    [0, 0],
    [1, x.rows - 1],
    [3, 5000],
  ]) {
    for (const place of ["x", "validation.x"]) {
      const infinite = { ...x, values: x.values.slice() };
      infinite.values[column * x.rows + row] = Number.NEGATIVE_INFINITY;
      const validation = { x: place === "x" ? x : infinite, y: problem.y };
      const task = { ...problem, x: place === "x" ? infinite : x, validation, kinds, params, seed: 1 };
      const words = `${place} column c${column}, row ${row} is -Infinity; it must be a finite number or NaN for missing`;
      expect(() => trainGbdt(task)).toThrow(words);
      await expect(trainGbdtThreads(task, { threads: 2 })).rejects.toThrow(
        expect.objectContaining({ code: "ml.parameter-invalid", message: words }),
      );
    }
  }
});

/** The second column as whole numbers, some of them below 0, and one column more with many categories. */
function withCategories({ x }: typeof problem) {
  const random = new Random(x.rows);
  const values = x.values.slice();
  for (let i = x.rows; i < 2 * x.rows; i++) values[i] = Math.round(4 * values[i]);
  const many = Float32Array.from({ length: x.rows }, (_, r) => random.integer(400) + (x.values[r] > 1 ? 0 : 100));
  return withColumn({ ...x, values }, "many", many);
}

/** So many columns more, of which the first ones say something. */
function withMore({ x }: typeof problem, count: number) {
  const random = new Random(count);
  let wider = x;
  for (let c = 0; c < count; c++) {
    const values = Float32Array.from({ length: x.rows }, (_, r) =>
      random.next() < 0.1 ? Number.NaN : x.values[(c % 4) * x.rows + r] + (1 + c) * random.normal(),
    );
    wider = withColumn(wider, `more${c}`, values);
  }
  return wider;
}

function wide() {
  const names = Array.from({ length: 60 }, (_, c) => `c${c}`);
  return { rows: problem.x.rows, names, values: new Float32Array(60 * problem.x.rows) };
}
