// Comparisons made in doubles or with ≤, said as `x < threshold` in Float32: the same side for every Float32.
import fc from "fast-check";
import { expect, test } from "vitest";
import { atMost, below } from "../../../src/ml/foreign/float32.ts";
import "../../seed.ts";

const float = fc.float({ noNaN: true });
/** Doubles on, beside and between Float32 numbers, and beyond all of them. */
const bound = fc.oneof(
  float,
  fc.tuple(float, fc.constantFrom(-1, 1)).map(([value, side]) => value * (1 + side * 2 ** -40)),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1e300, -1e300, 1e-300, -1e-300, 3.4028234663852886e38, 2 ** -149, 2 ** -150),
);

test("x ≤ bound in doubles is x < atMost(bound) in Float32", () => {
  fc.assert(
    fc.property(bound, float, (limit, x) => {
      const near = [x, Math.fround(limit), atMost(limit)].filter(Number.isFinite);
      for (const value of near) expect(value < atMost(limit)).toBe(value <= limit);
    }),
  );
});

test("x < bound in doubles is x < below(bound) in Float32", () => {
  fc.assert(
    fc.property(bound, float, (limit, x) => {
      const near = [x, Math.fround(limit), below(limit)].filter(Number.isFinite);
      for (const value of near) expect(value < below(limit)).toBe(value < limit);
    }),
  );
});
