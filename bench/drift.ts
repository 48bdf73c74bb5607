// What a look at one window costs, against Evidently on the same rows: KS, Wasserstein, Jensen-Shannon and chi-square of each feature by its kind.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { HOUR_MS } from "../src/core/duration.ts";
import { Random } from "../src/core/random.ts";
import { driftReport } from "../src/drift/monitor.ts";
import { buildReference } from "../src/drift/reference.ts";
import { tallyColumns, windowOf } from "../src/drift/window.ts";
import { type Bench, type Figures, median } from "./bench.ts";
import { ROOT } from "./workspace.ts";

const REFERENCE_ROWS = 50_000;
const WINDOW_ROWS = 20_000;
const NUMBERS = 20;
const CATEGORIES = 3;
const METHODS = { number: ["ks", "wasserstein", "jensenshannon"], category: ["jensenshannon", "chisquare"] } as const;
const VENV = path.join(ROOT, ".cache", "venv-evidently");

interface Feature {
  readonly name: string;
  readonly kind: "number" | "category";
  readonly reference: Float32Array;
  readonly window: Float32Array;
}

export const bench: Bench = {
  async run({ seed, repeats, print }): Promise<Figures> {
    const features = featuresOf(seed);
    const scores = new Float32Array(REFERENCE_ROWS).map((_, row) => features[0].reference[row]);
    // A bundle has its reference made when it is trained; the peer reads both sides each time, as it has to.
    const reference = buildReference({
      names: features.map(({ name }) => name),
      columns: features.map((feature) => feature.reference),
      categories: features.filter(({ kind }) => kind === "category").map(({ name }) => name),
      scores,
      alerts: REFERENCE_ROWS / 100,
    });
    const given = { reference, review: Number.POSITIVE_INFINITY, unlisted: new Map<string, number>() };
    const columns = features.map((feature) => feature.window);
    const times = Float64Array.from({ length: WINDOW_ROWS }, (_, row) => (row * 168 * HOUR_MS) / WINDOW_ROWS);
    const own = Array.from({ length: repeats }, () => {
      const start = performance.now();
      const hours = tallyColumns({ columns, scores: features[0].window, times }, given);
      const window = windowOf(hours, { until: 168 * HOUR_MS - 1, windowMs: 168 * HOUR_MS });
      driftReport({ reference, swing: null, window, policy: {} });
      return (performance.now() - start) / 1000;
    });
    const ownSeconds = median(own);
    print(
      `${features.length} features, ${REFERENCE_ROWS} and ${WINDOW_ROWS} rows: ${ownSeconds.toFixed(3)} s, rows counted and compared`,
    );
    if (!existsSync(path.join(VENV, "sentinel-stamp"))) {
      print("no Evidently installed (run scripts/setup-python): Sentinel alone, no ratio");
      return { ownSeconds, evidentlySeconds: null, ofEvidently: null };
    }
    const { seconds, version } = await askEvidently(features, repeats);
    print(
      `Evidently ${version}: ${seconds.toFixed(3)} s, its best of ${repeats}; ${(ownSeconds / seconds).toFixed(4)} of it`,
    );
    return { ownSeconds, evidentlySeconds: seconds, ofEvidently: ownSeconds / seconds };
  },
};

function featuresOf(seed: number): Feature[] {
  const random = new Random(seed);
  const number = (shift: number) => (): number => shift + random.normal();
  const category = (): number => Math.floor(6 * random.next() ** 2);
  const column = (rows: number, of: () => number): Float32Array => Float32Array.from({ length: rows }, of);
  const make = (kind: Feature["kind"]) => (_: unknown, at: number) => ({
    name: `${kind}${at}`,
    kind,
    reference: column(REFERENCE_ROWS, kind === "number" ? number(0) : category),
    window: column(WINDOW_ROWS, kind === "number" ? number(at / 100) : category),
  });
  return [...Array.from({ length: NUMBERS }, make("number")), ...Array.from({ length: CATEGORIES }, make("category"))];
}

function askEvidently(
  features: readonly Feature[],
  repeats: number,
): Promise<{ readonly seconds: number; readonly version: string }> {
  const script = path.join(ROOT, "scripts", "reference", "evidently_drift.py");
  const plain = features.map((one) => ({ ...one, reference: [...one.reference], window: [...one.window] }));
  return new Promise((resolve, reject) => {
    const child = execFile(path.join(VENV, "bin", "python"), [script], { maxBuffer: 1 << 26 }, (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as { seconds: number; version: string }) : reject(error),
    );
    child.stdin!.end(JSON.stringify({ features: plain, methods: METHODS, repeats }));
  });
}
