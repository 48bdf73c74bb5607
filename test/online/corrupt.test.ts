// Bundles that are not as Sentinel wrote them: whatever a document says in the place of what it should, loading answers with an error of ours.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { loadScorer } from "../../src/online/score.ts";
import { makeBundle, SPEC_A } from "../server/world.ts";

const bundle = makeBundle(SPEC_A, 1);
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
  file: fc.constantFrom("bundle.json", "golden.json"),
  path: fc.array(fc.nat(1000), { minLength: 1, maxLength: 4 }),
  put: fc.constantFrom<unknown>(undefined, null, "x", 12345, [], {}, true),
});

test("a document that lost a part, or has another in its place", () => {
  fc.assert(
    fc.property(change, ({ file, path, put }) => {
      const document: unknown = JSON.parse(new TextDecoder().decode(bundle.get(file)));
      changed(document, { path, put });
      const files = new Map(bundle).set(file, new TextEncoder().encode(JSON.stringify(document)));
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
  const golden = (rows: unknown) =>
    new Map(bundle).set("golden.json", new TextEncoder().encode(JSON.stringify({ rows })));
  for (const row of [null, {}, { vector: [] }]) {
    expect(() => loadScorer(golden([row]), NAME)).toThrow(expect.objectContaining({ code: "bundle.corrupt" }));
  }
  const manifest = JSON.parse(new TextDecoder().decode(bundle.get("bundle.json"))) as Node;
  const { thresholds: _, ...rest } = manifest;
  const files = new Map(bundle).set("bundle.json", new TextEncoder().encode(JSON.stringify(rest)));
  expect(() => loadScorer(files, NAME)).toThrow(expect.objectContaining({ code: "bundle.corrupt" }));
});
