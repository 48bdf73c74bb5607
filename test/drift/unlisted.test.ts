// Unlisted values: their share now and in the reference, where the reference counts them apart.
import { expect, test } from "vitest";
import { HOUR_MS } from "../../src/core/duration.ts";
import { buildReference } from "../../src/drift/reference.ts";
import { unlistedShare } from "../../src/drift/unlisted.ts";
import { tallyColumns, totalOf, windowOf } from "../../src/drift/window.ts";

function referenceOf(values: readonly number[]) {
  const column = Float32Array.from(values);
  return buildReference({ names: ["c"], columns: [column], scores: column, alerts: 0, categories: ["c"] });
}

function share(trained: readonly number[], now: readonly number[], other: number) {
  const reference = referenceOf(trained);
  const column = Float32Array.from(now);
  const rows = { columns: [column], scores: column, times: new Float64Array(now.length) };
  const hours = tallyColumns(rows, { reference, review: 1, unlisted: new Map([["c", other]]) });
  const window = totalOf(windowOf(hours, { until: 0, windowMs: HOUR_MS }), 0);
  return unlistedShare(reference, { name: "c", other, grid: hours.grids.columns[0], window });
}

test("shares are of the present values", () => {
  expect(share([0, 1, 2, 2, Number.NaN], [2, 0, Number.NaN, 2, 2], 2)).toEqual({
    name: "c",
    share: 0.75,
    atTraining: 0.5,
  });
  expect(share([0, 1], [0, 2], 2)).toEqual({ name: "c", share: 0.5, atTraining: 0 });
  expect(share([0], [Number.NaN], 2).share).toBeNaN();
});

test("where the reference counts them with rare values it is not known", () => {
  const frequent = Array.from({ length: 60 }, (_, i) => i % 30);
  expect(share([...frequent, 30], [30, 29], 30).share).toBe(0.5);
  expect(share([...frequent, 30], [30], 30)).toEqual({ name: "c", share: 1, atTraining: null });
});
