// The simulated scale-out against queueing theory, where there is a formula.
import { expect, test } from "vitest";
import { drawOf, simulate } from "../../bench/gateway-simulation.ts";
import { Random } from "../../src/core/random.ts";

const none = (): number => 0;

test("one brain with exponential service times is M/M/1: sojourns are exponential with the rates' difference", () => {
  const random = new Random(3);
  const [arrivals, served] = [500, 1000];
  const outcome = simulate({
    perSecond: arrivals,
    gateways: 50,
    brains: 1,
    before: none,
    brain: () => (-Math.log(1 - random.next()) * 1000) / served,
    after: none,
    networkMs: 0,
    transactions: 200_000,
    random,
  });
  const quantile = (share: number): number => (-Math.log(1 - share) * 1000) / (served - arrivals);
  expect(outcome.brainLoad).toBeCloseTo(0.5, 1);
  expect(outcome.p50Ms / quantile(0.5)).toBeCloseTo(1, 1);
  expect(outcome.p95Ms / quantile(0.95)).toBeCloseTo(1, 1);
});

test("without queues a transaction takes its three services and the way, and more brains take the load off each", () => {
  const scene = { perSecond: 1, gateways: 2, before: () => 1, brain: () => 2, after: () => 3, networkMs: 4 };
  const outcome = simulate({ ...scene, brains: 2, transactions: 1000, random: new Random(1) });
  expect(outcome.p50Ms).toBeCloseTo(10, 0);
  const busy = { ...scene, perSecond: 300, transactions: 20_000 };
  const few = simulate({ ...busy, brains: 1, random: new Random(1) });
  const many = simulate({ ...busy, brains: 4, random: new Random(1) });
  expect(few.brainLoad / many.brainLoad).toBeCloseTo(4, 0);
  expect(few.p95Ms).toBeGreaterThan(many.p95Ms);
});

test("a draw has the mean that is asked for, and the shape that was measured", () => {
  const random = new Random(5);
  const draw = drawOf(
    [
      [0, 1],
      [0.5, 2],
      [0.99, 4],
      [1, 10],
    ],
    { meanMs: 0.1, random },
  );
  const values = Float64Array.from({ length: 50_000 }, draw).sort();
  expect(values.reduce((sum, one) => sum + one, 0) / values.length).toBeCloseTo(0.1, 2);
  expect(values[25_000] / values[0]).toBeCloseTo(2, 1);
});
