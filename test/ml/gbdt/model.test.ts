// The boosted model as bytes: what goes in comes out, and damaged bytes give an error or a model that scores.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../../src/core/errors.ts";
import { decodeGbdt, encodeGbdt } from "../../../src/ml/gbdt/model.ts";
import { scoreMatrix, scoreRow } from "../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../../src/ml/gbdt/train/train.ts";
import { copyRow } from "../../../src/ml/matrix.ts";
import { setsOf, wordsOf } from "../../../src/ml/trees.ts";
import { fraudProblem, matrixOf } from "../arbitraries.ts";

const { x, y } = fraudProblem(1500, 4);
const { model } = trainGbdt({ x, y, params: { ...defaultGbdtParams, trees: 6, depthMax: 4 }, seed: 1 });
const bytes = encodeGbdt(model);

test("decoding gives the model back, and encoding that the same bytes", () => {
  expect(decodeGbdt(bytes)).toEqual(model);
  expect(encodeGbdt(decodeGbdt(bytes))).toEqual(bytes);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeGbdt(shifted.subarray(3))).toEqual(model);
});

test("a model with sets of categories comes back whole; one without is the older version, which is still read", () => {
  const nodes = Array.from(model.feature, (column) => (column === 1 ? wordsOf([1, 7, 300]) : null));
  const threshold = model.threshold.map((value, node) => (nodes[node] === null ? value : 0));
  const withSets = { ...model, threshold, sets: setsOf(nodes) };
  const encoded = encodeGbdt(withSets);
  expect([bytes[4], encoded[4]]).toEqual([1, 2]);
  expect(decodeGbdt(encoded)).toEqual(withSets);
  expect(encodeGbdt(decodeGbdt(encoded))).toEqual(encoded);
  expect(() => decodeGbdt(encoded.subarray(0, encoded.length - 4))).toThrow("bytes of sets");
  expect(() => decodeGbdt(Uint8Array.of(...encoded, 0))).toThrow("bytes of sets");
  const damage = fc.array(fc.tuple(fc.nat(encoded.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(damage, (changes) => {
      const damaged = encoded.slice();
      for (const [at, value] of changes) damaged[at] = value;
      try {
        expect(Number.isFinite(scoreRow(decodeGbdt(damaged), Float32Array.of(1, 7, -1, 0)))).toBe(true);
      } catch (error) {
        expect(["bundle.corrupt", "bundle.unsupported"]).toContain((error as SentinelError).code);
      }
    }),
    { numRuns: 1000 },
  );
});

test("one row and all rows get the same bits", () => {
  const margins = scoreMatrix(model, x);
  const vector = new Float32Array(x.names.length);
  for (let r = 0; r < x.rows; r++) {
    copyRow(x, r, vector);
    expect(Object.is(scoreRow(model, vector), margins[r])).toBe(true);
  }
});

test("extreme and missing values get a finite score", () => {
  const extremes = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, -3.4e38, 1e-45, -0];
  const margins = scoreMatrix(
    model,
    matrixOf(
      extremes.length,
      [0, 1, 2, 3].map(() => extremes),
    ),
  );
  for (const margin of margins) expect(Number.isFinite(margin)).toBe(true);
});

test("any damage ends in a SentinelError or in a model that scores every row", () => {
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });
  const vector = Float32Array.of(1, Number.NaN, -1, 0);
  let refused = 0;
  fc.assert(
    fc.property(damage, fc.option(fc.nat(bytes.length)), (changes, length) => {
      const damaged = bytes.slice(0, length ?? bytes.length);
      for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
      try {
        expect(Number.isFinite(scoreRow(decodeGbdt(damaged), vector))).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(SentinelError);
        expect(["bundle.corrupt", "bundle.unsupported"]).toContain((error as SentinelError).code);
        refused++;
      }
    }),
    { numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(1000);
});

test("each kind of structural damage is told by name", () => {
  const firstNode = 20 + x.names.length * 4 + 8 + 4 * model.roots.length;
  const nodes = model.feature.length;
  const left = firstNode + nodes * 7;
  const broken = (at: number, value: number): Uint8Array => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setInt32(at, value, true);
    return copy;
  };
  expect(() => decodeGbdt(broken(left, 0))).toThrow("child 0 is not after its parent");
  expect(() => decodeGbdt(broken(left, model.left[0] + 1))).toThrow("two parents");
  expect(() => decodeGbdt(broken(left, nodes))).toThrow("inside its tree");
  expect(() => decodeGbdt(broken(firstNode - 4 * model.roots.length, 1))).toThrow("does not begin at node 0");
  expect(() => decodeGbdt(broken(16, 2 ** 31 - 1))).toThrow("should follow the names");
  expect(() => decodeGbdt(bytes.subarray(0, 10))).toThrow("only 10 bytes");
  expect(() => decodeGbdt(broken(0, 0x464c457f))).toThrow(expect.objectContaining({ code: "bundle.unsupported" }));
  expect(() => decodeGbdt(broken(4, 3))).toThrow("format version 3");
});
