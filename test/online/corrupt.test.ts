// Bundles that are not as Sentinel wrote them: whatever a document says in the place of what it should, loading answers with an error of ours.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { decodeGbdt, encodeGbdt } from "../../src/ml/gbdt/model.ts";
import { leafOf } from "../../src/ml/trees.ts";
import { goldenVector, PARTS, partsFile, readGolden } from "../../src/online/bundle.ts";
import { loadScorer } from "../../src/online/score.ts";
import { makeBundle, SPEC_A } from "../server/world.ts";

/** As those were that have no list of their parts. */
const old = makeBundle(SPEC_A, 1);
const bundle = new Map(old).set(PARTS, partsFile(old));
const NAME = { model: "card-fraud", version: "1" };
type Node = Record<string, unknown>;

/** The document with what lies at a path of draws gone, or something else in its place. */
function changed(document: unknown, { path, put }: { readonly path: readonly number[]; readonly put: unknown }): void {
  let at = document as Node;
  for (const [depth, step] of path.entries()) {
    const keys = Object.keys(at);
    if (keys.length === 0) return;
    const key = keys[step % keys.length];
    const next = at[key];
    if (depth < path.length - 1 && next !== null && typeof next === "object") at = next as Node;
    else {
      if (put === undefined) delete at[key];
      else at[key] = put;
      return;
    }
  }
}

const change = fc.record({
  file: fc.constantFrom("bundle.json", "golden.json", PARTS),
  path: fc.array(fc.nat(1000), { minLength: 1, maxLength: 4 }),
  put: fc.constantFrom<unknown>(undefined, null, "x", 12345, [], {}, true),
});

test("a document that lost a part, or has another in its place", () => {
  fc.assert(
    fc.property(change, ({ file, path, put }) => {
      const document: unknown = JSON.parse(new TextDecoder().decode(bundle.get(file)));
      changed(document, { path, put });
      // Else the list would say no before the document is read.
      const files = new Map(file === PARTS ? bundle : old).set(
        file,
        new TextEncoder().encode(JSON.stringify(document)),
      );
      try {
        loadScorer(files, NAME);
      } catch (error) {
        expect(error).toBeInstanceOf(SentinelError);
        expect((error as SentinelError).message).not.toBe("");
      }
    }),
    { numRuns: 300 },
  );
});

test("a golden row without its vector, and thresholds that are none", () => {
  const golden = (rows: unknown) => new Map(old).set("golden.json", new TextEncoder().encode(JSON.stringify({ rows })));
  for (const row of [null, {}, { vector: [] }]) {
    expect(() => loadScorer(golden([row]), NAME)).toThrow(expect.objectContaining({ code: "bundle.corrupt" }));
  }
  const manifest = JSON.parse(new TextDecoder().decode(bundle.get("bundle.json"))) as Node;
  const { thresholds: _, ...rest } = manifest;
  const files = new Map(old).set("bundle.json", new TextEncoder().encode(JSON.stringify(rest)));
  expect(() => loadScorer(files, NAME)).toThrow(expect.objectContaining({ code: "bundle.corrupt" }));
});

test("one bit of any file is another, though every document reads and every golden row scores as it did", () => {
  const trees = decodeGbdt(bundle.get("trees.bin")!);
  const { score } = loadScorer(bundle, NAME);
  const rows = readGolden(bundle).map(goldenVector);
  const reached = new Set(rows.flatMap((row) => Array.from(trees.roots, (root) => leafOf(trees, root, row))));
  const leaf = trees.feature.findIndex((feature, node) => feature < 0 && !reached.has(node));
  // The leaf that no golden row falls into: what was read of the bundle before it had the list.
  const value = trees.value.slice();
  value[leaf] += 2;
  const turned = encodeGbdt({ ...trees, value });
  const unseen = loadScorer(new Map(old).set("trees.bin", turned), NAME);
  expect(rows.map((row) => unseen.score(row))).toEqual(rows.map((row) => score(row)));
  expect(() => loadScorer(new Map(bundle).set("trees.bin", turned), NAME)).toThrow(
    "version 1 of card-fraud: trees.bin is not the file that the bundle was made with, whatever the registry's own hashes say",
  );
  fc.assert(
    fc.property(fc.constantFrom(...old.keys()), fc.nat(), fc.nat(7), (file, at, bit) => {
      const bytes = old.get(file)!.slice();
      bytes[at % bytes.length] ^= 1 << bit;
      expect(() => loadScorer(new Map(bundle).set(file, bytes), NAME)).toThrow(`${file} is not the file`);
    }),
    { numRuns: 200 },
  );
  for (const file of old.keys()) {
    const files = new Map(bundle);
    files.delete(file);
    expect(() => loadScorer(files, NAME)).toThrow(`${file}, which the bundle was made with, is gone`);
  }
});
