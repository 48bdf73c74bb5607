// Reasons and differences of real bundles: what is told, in which order, and that it adds up.
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { buildReference } from "../../../src/drift/reference.ts";
import { jsonFile } from "../../../src/online/bundle.ts";
import { differenceOf, explainVector } from "../../../src/online/explain/attribution.ts";
import { REASONS_MAX, reasonsOf, sentencesOf } from "../../../src/online/explain/reasons.ts";
import { translate } from "../../../src/online/explain/vector.ts";
import { loadScorer, type Scorer } from "../../../src/online/score.ts";
import { makeBundle, SPEC_A, SPEC_B } from "../../server/world.ts";

let champion: Scorer;
let candidate: Scorer;

beforeAll(() => {
  const bundle = makeBundle(SPEC_A, 1);
  const columns = SPEC_A.features.map(() => Float32Array.of(0, 1, 2));
  const names = SPEC_A.features.map(({ name }) => name);
  const reference = buildReference({ names, columns, scores: Float32Array.of(0, 0, 1), alerts: 1 });
  champion = loadScorer(new Map([...bundle, ["reference.json", jsonFile(reference)]]), { model: "m", version: "1" });
  candidate = loadScorer(makeBundle(SPEC_B, 2), { model: "m", version: "2" });
});

const amounts = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.constant(Number.NaN));
const vectorOf = (width: number): fc.Arbitrary<Float32Array> =>
  fc.array(amounts, { minLength: width, maxLength: width }).map((values) => Float32Array.from(values));

test("an explanation has the answer's score, adds up, and knows every feature", () => {
  fc.assert(
    fc.property(vectorOf(SPEC_A.features.length), (vector) => {
      const explanation = explainVector(champion, vector);
      expect(explanation).toMatchObject(champion.score(vector));
      expect(explanation.additivityError).toBeLessThan(1e-9);
      expect(explanation.contributions.map(({ feature }) => feature).sort()).toEqual([...champion.plan.names].sort());
      for (const { feature, value } of explanation.contributions) {
        expect(value ?? Number.NaN).toBe(vector[champion.plan.names.indexOf(feature)]);
      }
      const sizes = explanation.contributions.map(({ contribution }) => Math.abs(contribution));
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    }),
  );
});

test("reasons raise the score, one a code, the strongest first, a handful at most", () => {
  fc.assert(
    fc.property(vectorOf(SPEC_A.features.length), (vector) => {
      const explanation = explainVector(champion, vector);
      const reasons = reasonsOf(champion, explanation);
      const raising = explanation.contributions.filter(({ contribution }) => contribution > 0);
      if (raising.length === 0) expect(reasons).toEqual([]);
      expect(reasons.length).toBeLessThanOrEqual(REASONS_MAX);
      expect(new Set(reasons.map(({ code }) => code)).size).toBe(reasons.length);
      reasons.forEach(({ contribution, text }, i) => {
        expect(contribution).toBeGreaterThan(0);
        if (i > 0) expect(contribution).toBeLessThanOrEqual(reasons[i - 1].contribution);
        expect([...sentencesOf(champion, explanation).values()]).toContain(text);
      });
    }),
  );
});

test("a reason says what is usual where the bundle has a reference, and does without one", () => {
  const vector = Float32Array.of(250, 0, 9, 250, 4);
  expect(sentencesOf(champion, explainVector(champion, vector)).get("customer_count_1d")).toBe(
    "9 transactions of this customer in the last day (usually 1)",
  );
  const wide = Float32Array.of(...vector, 500);
  expect(sentencesOf(candidate, explainVector(candidate, wide)).get("customer_count_1d")).toBe(
    "9 transactions of this customer in the last day",
  );
});

test("a difference covers the features of both and leads from one margin to the other", () => {
  fc.assert(
    fc.property(vectorOf(SPEC_B.features.length), (wide) => {
      const [a, b] = [explainVector(champion, wide.subarray(0, 5)), explainVector(candidate, wide)];
      const { difference, contributions } = differenceOf(a, b);
      expect(contributions.map(({ feature }) => feature).sort()).toEqual([...candidate.plan.names].sort());
      const own = contributions.find(({ feature }) => feature === "terminal_sum_3d")!;
      expect(own.champion).toBeNull();
      expect(own.difference).toBe(own.candidate);
      const sum = contributions.reduce((total, one) => total + one.difference, difference.expected);
      expect(sum).toBeCloseTo(difference.margin, 9);
      expect(difference.margin).toBeCloseTo(b.margin - a.margin, 12);
    }),
  );
});

test("a bundle against itself differs in nothing", () => {
  const explanation = explainVector(champion, Float32Array.of(250, 0, 9, 250, 4));
  const { difference, contributions } = differenceOf(explanation, explanation);
  expect(difference).toEqual({ expected: 0, margin: 0, score: 0 });
  expect(contributions.every((one) => one.difference === 0)).toBe(true);
});

test("a logged vector is read by another bundle where the features are the same, and is not where they are not", () => {
  const wide = Float32Array.of(250, 1, 9, 240, 4, 500);
  expect(translate(wide, { from: candidate, to: champion })).toEqual({ vector: wide.slice(0, 5) });
  expect(translate(wide.slice(0, 5), { from: champion, to: candidate })).toEqual({
    vector: null,
    missing: ["terminal_sum_3d"],
  });
});
