// Serving loads no training code: what scoring imports, followed to the end.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ML = fileURLToPath(new URL("../../src/ml/", import.meta.url));

/** Files a module reaches by value imports, itself included. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const imports = readFileSync(file, "utf8").matchAll(/^import (?!type )[^;]*? from "(\.[^"]+)";/gms);
  for (const [, target] of imports) reached(path.resolve(path.dirname(file), target), seen);
  return seen;
}

const TRAINING =
  /train|grow|rounds|arena|team|workspace|gbdt.kernels|learn|split|bin(s|ning)|gradients|sampling|params|task/;

test.each(["gbdt/score.ts", "gbdt/model.ts", "iforest/score.ts", "iforest/model.ts"])(
  "%s reaches no training code",
  (file) => {
    const files = [...reached(path.join(ML, file))].map((name) => path.relative(ML, name));
    expect(files.length).toBeGreaterThan(1);
    expect(files.filter((name) => TRAINING.test(name))).toEqual([]);
  },
);

test("the check would see training code", () => {
  expect(existsSync(path.join(ML, "gbdt/train.ts"))).toBe(true);
  const files = [...reached(path.join(ML, "gbdt/train.ts"))].map((name) => path.relative(ML, name));
  expect(files.filter((name) => TRAINING.test(name)).length).toBeGreaterThan(5);
});
