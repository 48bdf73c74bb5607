// Evidently itself on the same windows: where its tests ask what monitor's ask, both say the same; where not, the difference is the one that is documented.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { chiSquareTest } from "../../src/drift/categories.ts";
import { compareFeature } from "../../src/drift/feature.ts";
import { gridsOf } from "../../src/drift/grid.ts";
import { DRIFT_POLICY } from "../../src/drift/policy.ts";
import { buildReference } from "../../src/drift/reference.ts";
import { tallyColumns, totalOf, windowOf } from "../../src/drift/window.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = path.join(ROOT, ".cache", "venv-evidently");
const isThere = existsSync(path.join(VENV, "sentinel-stamp"));
if (!isThere)
  console.warn("SKIPPED Evidently itself: there is no .cache/venv-evidently; scripts/setup-python installs it");

interface Feature {
  readonly name: string;
  readonly kind: "number" | "category";
  readonly reference: readonly number[];
  readonly window: readonly number[];
}

interface Answers {
  readonly version: string;
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly statistics: Readonly<Record<string, { readonly ks: number }>>;
}

const METHODS = { number: ["ks", "wasserstein"], category: ["jensenshannon", "chisquare"] } as const;
/** So many that the bundle keeps every value: nothing is approximated then. */
const REFERENCE_ROWS = 250;
const WINDOW_ROWS = 400;
const random = new Random(14);
const draw = (rows: number, of: () => number): number[] => Array.from({ length: rows }, of);
const category = (shares: readonly number[]) => (): number => {
  let left = random.next();
  return shares.findIndex((share) => {
    left -= share;
    return left < 0;
  });
};

function features(): Feature[] {
  const spent = draw(REFERENCE_ROWS, () => Math.fround(Math.exp(random.normal())));
  const among = (values: readonly number[]) => (): number => values[Math.floor(random.next() ** 1.3 * values.length)];
  const sorted = [...spent].sort((a, b) => a - b);
  const both = (name: string, kind: Feature["kind"], of: readonly [() => number, () => number]): Feature => ({
    name,
    kind,
    reference: draw(REFERENCE_ROWS, of[0]),
    window: draw(WINDOW_ROWS, of[1]),
  });
  const counts = (): number => Math.floor(8 * random.next() ** 2);
  const moved = (): number => Math.floor(9 * random.next() ** 1.5);
  return [
    both("counts", "number", [counts, counts]),
    both("moved", "number", [() => Math.floor(9 * random.next() ** 2), () => Math.min(8, moved())]),
    { name: "known", kind: "number", reference: spent, window: draw(WINDOW_ROWS, among(sorted)) },
    both("continuous", "number", [() => Math.fround(random.normal()), () => Math.fround(0.2 + 1.1 * random.normal())]),
    both("place", "category", [category([0.5, 0.3, 0.2]), category([0.45, 0.35, 0.2])]),
    both("channel", "category", [category([0.6, 0.4]), category([0.4, 0.6])]),
  ];
}

const FEATURES = features();

function ask(): Promise<Answers> {
  const script = path.join(ROOT, "scripts", "reference", "evidently_drift.py");
  return new Promise((resolve, reject) => {
    const child = execFile(path.join(VENV, "bin", "python"), [script], { maxBuffer: 1 << 26 }, (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as Answers) : reject(error),
    );
    child.stdin!.end(JSON.stringify({ features: FEATURES, methods: METHODS }));
  });
}

/** As monitor compares them, rows counted as independent. */
function ours() {
  const reference = buildReference({
    names: FEATURES.map(({ name }) => name),
    columns: FEATURES.map((feature) => Float64Array.from(feature.reference)),
    categories: FEATURES.flatMap(({ name, kind }) => (kind === "category" ? [name] : [])),
    scores: new Float64Array(REFERENCE_ROWS),
    alerts: 0,
  });
  const hours = tallyColumns(
    {
      columns: FEATURES.map((feature) => Float64Array.from(feature.window)),
      scores: new Float64Array(WINDOW_ROWS),
      times: new Float64Array(WINDOW_ROWS),
    },
    { reference, review: 1, unlisted: new Map() },
  );
  const window = windowOf(hours, { until: 0, windowMs: 3_600_000 });
  const grids = gridsOf(reference);
  return FEATURES.map((feature, at) => {
    const compared = { reference: reference.features[at], grid: grids.columns[at] };
    return {
      feature,
      drift: compareFeature(compared, totalOf(window, at), { ...DRIFT_POLICY, effects: { bins: 1, ordered: 1 } }),
    };
  });
}

const counted = (values: readonly number[], codes: number): number[] =>
  Array.from({ length: codes }, (_, code) => values.filter((value) => value === code).length);

test.runIf(process.env.CI === "true")("Evidently is installed", () => {
  expect(isThere, "CI needs .cache/venv-evidently: scripts/setup-python").toBe(true);
});

describe.runIf(isThere)("Evidently itself", () => {
  let theirs: Answers;
  const mine = ours();
  const numbers = mine.filter(({ feature }) => feature.kind === "number");
  const categories = mine.filter(({ feature }) => feature.kind === "category");
  beforeAll(async () => {
    theirs = await ask();
  }, 300_000);

  test("Kolmogorov-Smirnov: the same distance to 1e-9; its exact p value and the limiting one decide alike", () => {
    for (const { feature, drift } of numbers) {
      const { statistic, pValue } = drift.ks!;
      expect(Math.abs(statistic - theirs.statistics[feature.name].ks), feature.name).toBeLessThan(1e-9);
      const exact = theirs.scores[feature.name].ks;
      expect(pValue <= 0.01, `${feature.name}: ${pValue} and ${exact}`).toBe(exact <= 0.01);
      // Stephens' correction stands in for the exact count of paths: documented as within 0.03.
      expect(Math.abs(pValue - exact), `${feature.name}: ${pValue} and ${exact}`).toBeLessThan(0.03);
    }
  });

  test("Wasserstein: the same to 1e-9 where the window's values are among the reference's; else within what lies between two of them", () => {
    for (const { feature, drift } of numbers) {
      const difference = Math.abs(drift.wasserstein!.distance - theirs.scores[feature.name].wasserstein);
      expect(difference, feature.name).toBeLessThan(feature.name === "continuous" ? 0.05 : 1e-9);
    }
  });

  test("Jensen-Shannon: the same to 1e-9 over the same bins", () => {
    for (const { feature, drift } of categories) {
      const difference = Math.abs(drift.jensenShannon - theirs.scores[feature.name].jensenshannon);
      expect(difference, feature.name).toBeLessThan(1e-9);
    }
  });

  test("chi-square: its reference is without error, so ours of an endless reference gives its p value to 1e-9", () => {
    for (const { feature, drift } of categories) {
      const window = counted(feature.window, 3);
      // 2^40 times as many rows of the same mix: their own chance plays no part any more.
      const reference = counted(feature.reference, 3).map((count) => count * 2 ** 40);
      const endless = chiSquareTest({ reference, window });
      expect(Math.abs(endless.pValue - theirs.scores[feature.name].chisquare), feature.name).toBeLessThan(1e-9);
      // As monitor asks it, both sides are samples: less is certain.
      expect(drift.chiSquare!.pValue, feature.name).toBeGreaterThan(theirs.scores[feature.name].chisquare);
    }
  });
});
