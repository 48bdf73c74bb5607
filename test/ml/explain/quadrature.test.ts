// Gauss-Legendre quadrature: polynomials up to its degree are integrated exactly.
import fc from "fast-check";
import { expect, test } from "vitest";
import { gaussLegendre } from "../../../src/ml/explain/quadrature.ts";

test("two points stand where the textbook has them", () => {
  const { nodes, weights } = gaussLegendre(2);
  expect(nodes[0]).toBeCloseTo((1 - 1 / Math.sqrt(3)) / 2, 15);
  expect(nodes[1]).toBeCloseTo((1 + 1 / Math.sqrt(3)) / 2, 15);
  expect([...weights]).toEqual([expect.closeTo(0.5, 15), expect.closeTo(0.5, 15)]);
});

test("n points integrate t^k exactly for every k up to 2n − 1, and not for 2n", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 32 }), (points) => {
      const { nodes, weights } = gaussLegendre(points);
      const integral = (power: number): number =>
        nodes.reduce((sum, node, q) => sum + weights[q] * node ** power, 0) * (power + 1);
      for (let power = 0; power < 2 * points; power++) expect(Math.abs(integral(power) - 1)).toBeLessThan(1e-13);
      if (points < 8) expect(Math.abs(integral(2 * points) - 1)).toBeGreaterThan(1e-9);
      expect(weights.every((weight) => weight > 0)).toBe(true);
      expect(nodes.every((node, q) => node > (nodes[q - 1] ?? 0) && node < 1)).toBe(true);
    }),
  );
});
