// Ablation: what each group of the default features is worth on folds before the test folds, with an interval, and what it costs.
import { mean, standardDeviation } from "../src/core/stats.ts";
import type { Table } from "../src/core/table.ts";
import { studentQuantile } from "../src/evidence/student.ts";
import type { FeatureDef, FeatureSpec } from "../src/features/definition.ts";
import { replay } from "../src/features/replay.ts";
import { checkSpec } from "../src/features/spec.ts";
import { topicsOf } from "../src/online/explain/topic.ts";
import { assessor, CHOSEN_TREES, type Choice, LABEL_DELAY_MS, labelledOf, qualityText, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { dayText, foldStarts, meanQuality, type Quality } from "./protocol.ts";
import { timed } from "./stopwatch.ts";
import { loadFeatures } from "./workspace.ts";

/** Wholly before the four test folds, which no group is judged by. */
const FOLDS = { validation: 8, test: 4 } as const;
/** As the mean of two seeds, so that a draw of columns decides less. */
const CHOICE: Choice = { ...CHOSEN_TREES, models: 2 };
const CONFIDENCE = 0.95;

export interface Difference {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** The mean of differences fold by fold, with Student's interval: folds are few. */
export function pairedDifference(differences: readonly number[]): Difference {
  const center = mean(differences);
  const error = standardDeviation(differences) / Math.sqrt(differences.length);
  const reach = studentQuantile((1 + CONFIDENCE) / 2, differences.length - 1) * error;
  return { mean: center, low: center - reach, high: center + reach };
}

/** The spec without a group of features, but for those that others are computed of. */
export function specWithout(spec: FeatureSpec, group: ReadonlySet<string>): FeatureSpec {
  const kept: FeatureDef[] = [];
  const needed = new Set<string>();
  for (const feature of spec.features.toReversed()) {
    if (group.has(feature.name) && !needed.has(feature.name)) continue;
    kept.unshift(feature);
    for (const name of madeOf(feature)) needed.add(name);
  }
  return checkSpec({ ...spec, features: kept });
}

/** Groups are reason codes: features of one key and one measure. */
export async function measureAblation(table: Table, options: BenchOptions): Promise<Figures> {
  const { seed, print, repeats } = options;
  const spec = await loadFeatures("card");
  const data = labelledOf(table);
  const starts = foldStarts(data.day, FOLDS).validation;
  const vectors = vectorsOf(table, spec);
  const qualityWithout = (group: ReadonlySet<string>): readonly Quality[] => {
    const names = vectors.names.filter((name) => !group.has(name));
    const values = new Float32Array(names.length * vectors.rows);
    names.forEach((name, to) => {
      const from = vectors.names.indexOf(name) * vectors.rows;
      values.set(vectors.values.subarray(from, from + vectors.rows), to * vectors.rows);
    });
    return assessor({ vectors: { names, rows: vectors.rows, values }, data, seed }, starts)(CHOICE);
  };
  print(
    `${table.rows} transactions; ${starts.length} folds, training weeks from ${dayText(starts[0])} to ${dayText(starts.at(-1)!)}`,
  );
  const whole = { quality: qualityWithout(new Set()), cost: costOf(spec, table, repeats) };
  print(`  all ${spec.features.length} features: ${qualityText(meanQuality(whole.quality))}; ${costText(whole.cost)}`);
  print(
    "  without                          features    AP lost (95 %)                  CP@100 lost               µs saved  bytes per key saved",
  );
  const figures: Record<string, Figures> = { all: { ...meanQuality(whole.quality), ...whole.cost } };
  for (const [code, group] of groupsOf(spec)) {
    const quality = qualityWithout(group);
    const lost = (of: keyof Quality): Difference =>
      pairedDifference(quality.map((one, fold) => whole.quality[fold][of] - one[of]));
    const [ap, auc, cp100] = [lost("ap"), lost("auc"), lost("cp100")];
    const cost = costOf(specWithout(spec, group), table, repeats);
    const micros = whole.cost.micros - cost.micros;
    const bytesPerKey = whole.cost.bytesPerKey - cost.bytesPerKey;
    figures[code] = { features: group.size, ap: { ...ap }, auc: { ...auc }, cp100: { ...cp100 }, micros, bytesPerKey };
    print(
      `  ${code.padEnd(33)}${String(group.size).padStart(8)}    ${differenceText(ap)}  ${differenceText(cp100)}${micros.toFixed(2).padStart(8)}${bytesPerKey.toFixed(0).padStart(15)}`,
    );
  }
  return figures;
}

interface Cost {
  /** Processor time of reading and learning one transaction, in a replay. */
  readonly micros: number;
  readonly bytesPerKey: number;
}

/** The least of some runs: what disturbs a run only adds to it. */
function costOf(spec: FeatureSpec, table: Table, repeats: number): Cost {
  const columns = { id: "transaction_id", time: "time", label: "is_fraud" };
  let micros = Number.POSITIVE_INFINITY;
  let bytesPerKey = 0;
  for (let round = 0; round < repeats; round++) {
    const { result, measured } = timed(() => replay({ spec, table, columns, labelDelayMs: LABEL_DELAY_MS }));
    micros = Math.min(micros, (1e6 * measured.cpuSeconds) / table.rows);
    const { bytes, keys } = result.state.stats();
    bytesPerKey = keys === 0 ? 0 : bytes / keys;
  }
  return { micros, bytesPerKey };
}

function groupsOf(spec: FeatureSpec): ReadonlyMap<string, ReadonlySet<string>> {
  const topics = topicsOf(spec);
  const groups = new Map<string, Set<string>>();
  for (const { name } of spec.features) {
    const code = topics.get(name)!;
    const group = groups.get(code) ?? new Set();
    groups.set(code, group.add(name));
  }
  return groups;
}

function madeOf(feature: FeatureDef): readonly string[] {
  if (feature.kind === "ratio") return [feature.numerator, feature.denominator];
  if (feature.kind === "difference") return [feature.of, feature.minus];
  return feature.kind === "expression" ? (feature.sql.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? []) : [];
}

function differenceText({ mean: center, low, high }: Difference): string {
  const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  return `${signed(center)} (${signed(low)} to ${signed(high)})`;
}

function costText({ micros, bytesPerKey }: Cost): string {
  return `${micros.toFixed(2)} µs a transaction, ${bytesPerKey.toFixed(0)} bytes per key`;
}
