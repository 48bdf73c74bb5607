// Stored answers of scikit-learn, statsmodels and SciPy, made by scripts/reference/evidence.py.
import { readFileSync } from "node:fs";

interface Answers {
  readonly ranking: readonly {
    readonly y: number[];
    readonly score: number[];
    readonly weight: number[];
    readonly threshold: number;
    readonly average_precision: number;
    readonly fpr: number[];
    readonly tpr: number[];
    readonly precision: number;
    readonly f1: number;
    readonly brier: number;
  }[];
  readonly mcnemar: readonly {
    readonly onlyA: number;
    readonly onlyB: number;
    readonly exact: number;
    readonly chi_square: number;
    readonly mid_p: number;
  }[];
  readonly normal: Readonly<Record<"z" | "tail" | "p" | "quantile", number[]>>;
  readonly chi_square: readonly { readonly x: number; readonly df: number; readonly tail: number }[];
  readonly ks: readonly {
    readonly x: number[];
    readonly y: number[];
    readonly statistic: number;
    readonly p: number;
  }[];
  readonly kolmogorov: Readonly<Record<"t" | "tail", number[]>>;
  readonly categorical: readonly {
    readonly table: readonly [number[], number[]];
    readonly statistic: number;
    readonly df: number;
    readonly p: number;
  }[];
  readonly share: readonly Readonly<Record<"a" | "n" | "b" | "m" | "p", number>>[];
  readonly benjamini_hochberg: readonly { readonly p: number[]; readonly adjusted: number[] }[];
}

export const answers = JSON.parse(readFileSync(new URL("./evidence.json", import.meta.url), "utf8")) as Answers;
