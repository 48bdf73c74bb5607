// One feature's movement: PSI with its noise, and the KS or chi-square test beside it.
import { type ChiSquareResult, chiSquareTest } from "./categories.ts";
import { type KsResult, ksTest } from "./ks.ts";
import { psiNoise } from "./limits.ts";
import type { DriftPolicy } from "./policy.ts";
import { poolRare, psi } from "./psi.ts";
import { binColumn, type FeatureReference, presentSorted, type Values } from "./reference.ts";

export interface FeatureDrift {
  readonly name: string;
  readonly kind: "number" | "category";
  readonly psi: number;
  /** What chance alone makes of it at this size of window, and from where it counts. */
  readonly psiExpected: number;
  readonly psiLimit: number;
  /** Numbers: Kolmogorov-Smirnov. */
  readonly ks: KsResult | null;
  /** Categories: chi-square. */
  readonly chiSquare: ChiSquareResult | null;
  readonly missing: { readonly reference: number; readonly window: number };
  /** Of both tests together, and after Benjamini-Hochberg over all features. */
  readonly pValue: number;
  readonly adjusted: number;
  readonly drifted: boolean;
  readonly words: string;
}

/** Missing values are a bin of their own. `adjusted` and `drifted` come with {@link judged}. */
export function compareFeature(reference: FeatureReference, values: Values, policy: DriftPolicy): FeatureDrift {
  const window = binColumn(reference, values);
  const { designEffect } = policy;
  const bins = poolRare(
    { reference: [...reference.counts, reference.missing], window: [...window.counts, window.missing] },
    policy,
  );
  const value = psi(bins);
  const noise = psiNoise(value, bins, { alpha: policy.falseDiscoveryRate, designEffect: policy.designEffect });
  const present = reference.counts.reduce((sum, count) => sum + count, 0);
  const ks =
    reference.kind === "number"
      ? ksTest(presentSorted(values), { sketch: reference.sketch, rows: present, designEffect })
      : null;
  const chiSquare = reference.kind === "category" ? chiSquareTest(bins, policy) : null;
  // Chi-square asks categories what PSI asks; its approximation is the better one.
  const tests = (chiSquare === null ? [noise.pValue, ks?.pValue ?? Number.NaN] : [chiSquare.pValue]).filter(
    (pValue) => !Number.isNaN(pValue),
  );
  return {
    name: reference.name,
    kind: reference.kind,
    psi: value,
    psiExpected: noise.mean,
    psiLimit: Math.max(policy.psiFloor, noise.limit),
    ks,
    chiSquare,
    missing: {
      reference: reference.missing / (present + reference.missing),
      window: window.missing / values.length,
    },
    // Two looks at the same rows: Bonferroni.
    pValue: tests.length === 0 ? Number.NaN : Math.min(1, tests.length * Math.min(...tests)),
    adjusted: Number.NaN,
    drifted: false,
    words: "",
  };
}

/**
 * Decides for one of many, given its p value adjusted for all: certain, and large (PSI or KS
 * beyond its floor).
 */
export function judged(feature: FeatureDrift, adjusted: number, policy: DriftPolicy): FeatureDrift {
  // KS sees only the rows that have a value: what a tenth of a tenth does moves a hundredth of the rows.
  const present = 1 - feature.missing.window;
  const large = feature.psi >= policy.psiFloor || (feature.ks?.statistic ?? 0) * present >= policy.ksMin;
  const drifted = large && adjusted < policy.falseDiscoveryRate;
  return { ...feature, adjusted, drifted, words: wordsOf(feature, drifted) };
}

function wordsOf(feature: FeatureDrift, drifted: boolean): string {
  const number = (value: number): string => String(Number(value.toPrecision(2)));
  const index = `PSI ${number(feature.psi)}, chance gives about ${number(feature.psiExpected)}`;
  const distance = feature.ks === null ? "" : `; KS distance ${number(feature.ks.statistic)}`;
  return `${feature.name} ${drifted ? "drifted" : "is steady"} (${index}${distance})`;
}
