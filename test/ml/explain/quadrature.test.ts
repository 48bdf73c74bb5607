// Gauss-Legendre quadrature: polynomials up to its degree are integrated exactly.
import fc from "fast-check";
import { expect, test } from "vitest";
import { gaussLegendre } from "../../../src/ml/explain/quadrature.ts";

test("two points stand where the textbook has them", () => {
  const { points, weights } = gaussLegendre(2);
  expect(points[0]).toBeCloseTo((1 - 1 / Math.sqrt(3)) / 2, 15);
  expect(points[1]).toBeCloseTo((1 + 1 / Math.sqrt(3)) / 2, 15);
  expect([...weights]).toEqual([expect.closeTo(0.5, 15), expect.closeTo(0.5, 15)]);
});

test("n points integrate t^k exactly for every k up to 2n − 1, and not for 2n", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 32 }), (count) => {
      const { points, weights } = gaussLegendre(count);
      const integral = (power: number): number =>
        points.reduce((sum, point, q) => sum + weights[q] * point ** power, 0) * (power + 1);
      for (let power = 0; power < 2 * count; power++) expect(Math.abs(integral(power) - 1)).toBeLessThan(1e-13);
      if (count < 8) expect(Math.abs(integral(2 * count) - 1)).toBeGreaterThan(1e-9);
      expect(weights.every((weight) => weight > 0)).toBe(true);
      expect(points.every((point, q) => point > (points[q - 1] ?? 0) && point < 1)).toBe(true);
    }),
  );
});
