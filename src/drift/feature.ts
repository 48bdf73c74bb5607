// One feature's movement: PSI with its noise, and the tests and distances of its type beside it.
import { type ChiSquareResult, chiSquareTest } from "./categories.ts";
import { jensenShannon, type WassersteinResult, wasserstein } from "./distance.ts";
import { coarse, type Grid } from "./grid.ts";
import { type KsResult, ksTest, sketchSlack } from "./ks.ts";
import { psiNoise } from "./limits.ts";
import type { DriftPolicy } from "./policy.ts";
import { type BinPair, poolRare, psi } from "./psi.ts";
import type { FeatureReference } from "./reference.ts";
import type { DesignEffects } from "./swing.ts";
import type { ColumnTally } from "./tally.ts";

export interface FeatureDrift {
  readonly name: string;
  readonly kind: "number" | "category";
  readonly psi: number;
  /** What chance alone makes of it at this size of window, and from where it counts. */
  readonly psiExpected: number;
  readonly psiLimit: number;
  /** Numbers: Kolmogorov-Smirnov. */
  readonly ks: KsResult | null;
  /** Numbers: how far values moved, in standard deviations of the reference. */
  readonly wasserstein: WassersteinResult | null;
  /** Square root of the Jensen-Shannon divergence, in nats, over the same bins as PSI. */
  readonly jensenShannon: number;
  /** Categories: chi-square. */
  readonly chiSquare: ChiSquareResult | null;
  readonly missing: { readonly reference: number; readonly window: number };
  /** Rows that count as one: rows of a card repeat each other, and the reference's own days and weeks differ. */
  readonly designEffect: number;
  /** Of all tests together, and after adjustment over all features. */
  readonly pValue: number;
  readonly adjusted: number;
  /** Certain, and large; an alarm also has to last. */
  readonly moved: boolean;
  /** Whether enough of the newest sevenths of the window moved; null: too few of them have enough rows to say. */
  readonly lasting: boolean | null;
  /** Start of the seventh from which on it moved without a break, epoch ms; null when it did not. */
  readonly since: number | null;
  readonly drifted: boolean;
  readonly words: string;
}

export interface Compared {
  readonly reference: FeatureReference;
  readonly grid: Grid;
}

/** Missing values are a bin of their own. `adjusted` and what follows come with {@link judged}. */
export function compareFeature(
  { reference, grid }: Compared,
  window: ColumnTally,
  { effects, ...given }: DriftPolicy & { readonly effects: DesignEffects },
): FeatureDrift {
  const designEffect = effects.bins;
  const policy = { ...given, designEffect };
  const bins = poolRare(binPair({ reference, grid }, window), policy);
  const value = psi(bins);
  const noise = psiNoise(value, bins, { alpha: policy.falseDiscoveryRate, designEffect });
  const present = reference.counts.reduce((sum, count) => sum + count, 0);
  const number =
    reference.kind === "number"
      ? numberTests({ reference, grid }, window, { present, designEffect: effects.ordered })
      : null;
  const chiSquare = reference.kind === "category" ? chiSquareTest(bins, policy) : null;
  // Chi-square asks categories what PSI asks; its approximation is the better one.
  const tests = chiSquare === null ? [noise.pValue, number?.ks.pValue, number?.wasserstein.pValue] : [chiSquare.pValue];
  const pValues = tests.filter((pValue): pValue is number => pValue !== undefined && !Number.isNaN(pValue));
  return {
    name: reference.name,
    kind: reference.kind,
    psi: value,
    psiExpected: noise.mean,
    psiLimit: Math.max(policy.psiFloor, noise.limit),
    ks: number?.ks ?? null,
    wasserstein: number?.wasserstein ?? null,
    jensenShannon: jensenShannon(bins),
    chiSquare,
    missing: {
      reference: reference.missing / (present + reference.missing),
      window: window.missing / window.rows,
    },
    designEffect,
    // Several looks at the same rows: Bonferroni.
    pValue: pValues.length === 0 ? Number.NaN : Math.min(1, pValues.length * Math.min(...pValues)),
    adjusted: Number.NaN,
    moved: false,
    lasting: null,
    since: null,
    drifted: false,
    words: "",
  };
}

/** Coarse bins of both sides, the missing last. */
export function binPair({ reference, grid }: Compared, window: ColumnTally): BinPair {
  return {
    reference: [...reference.counts, reference.missing],
    window: [...coarse(reference, grid, window.bins), window.missing],
  };
}

function numberTests(
  { reference, grid }: Compared,
  window: ColumnTally,
  given: { readonly present: number; readonly designEffect: number },
): { readonly ks: KsResult; readonly wasserstein: WassersteinResult } | null {
  if (reference.kind !== "number") return null;
  const { present, designEffect } = given;
  const { sketch } = reference;
  const values = window.rows - window.missing;
  return {
    ks: ksTest(window.bins, { grid, sketch, rows: present, designEffect }),
    wasserstein: wasserstein(window.bins, {
      grid,
      sketch,
      slack: sketchSlack(present, sketch),
      rows: (values * present) / (values + present) / designEffect,
    }),
  };
}

/** Whether it lasted, and since when, of one feature. */
export interface Lasting {
  readonly lasting: boolean | null;
  readonly since: number | null;
}

/**
 * Decides for one of many, given its p value adjusted for all: certain, and large (PSI, KS or Wasserstein
 * beyond its floor), and lasting.
 */
export function judged(feature: FeatureDrift, adjusted: number, policy: DriftPolicy): FeatureDrift {
  const moved = isLarge(feature, policy) && adjusted < policy.falseDiscoveryRate;
  return { ...feature, adjusted, moved };
}

export function lasted(feature: FeatureDrift, { lasting, since }: Lasting): FeatureDrift {
  const drifted = feature.moved && lasting !== false;
  const judgedFeature = { ...feature, lasting, since: feature.moved ? since : null, drifted };
  return { ...judgedFeature, words: wordsOf(judgedFeature) };
}

function isLarge(feature: FeatureDrift, policy: DriftPolicy): boolean {
  // KS sees only the rows that have a value: what a tenth of a tenth does moves a hundredth of the rows.
  const present = 1 - feature.missing.window;
  return (
    feature.psi >= policy.psiFloor ||
    (feature.ks?.statistic ?? 0) * present >= policy.ksMin ||
    (feature.wasserstein?.distance ?? 0) * present >= policy.wassersteinMin
  );
}

function wordsOf(feature: FeatureDrift): string {
  const number = (value: number): string => String(Number(value.toPrecision(2)));
  const index = `PSI ${number(feature.psi)}, chance gives about ${number(feature.psiExpected)}`;
  const ks = feature.ks === null ? "" : `; KS distance ${number(feature.ks.statistic)}`;
  const moved = feature.wasserstein === null ? "" : `; Wasserstein ${number(feature.wasserstein.distance)}`;
  const since = feature.since === null ? "" : `, since ${new Date(feature.since).toISOString().slice(0, 16)}Z`;
  const state = feature.drifted ? "drifted" : feature.moved ? "moved, not for long enough" : "is steady";
  return `${feature.name} ${state} (${index}${ks}${moved}${since})`;
}
