// Do two models decide differently? McNemar's test on frauds and on genuine rows, each on its own.
import type { Alerts } from "./bootstrap.ts";
import { normalTwoSidedTail } from "./normal.ts";

export interface McNemar {
  /** Rows that only A alerted on, and only B. */
  readonly onlyA: number;
  readonly onlyB: number;
  readonly pValue: number;
  /** As `pValue`, but valid however often one looks. */
  readonly anytimePValue: number;
  readonly method: "exact" | "mid-p" | "chi-square";
}

const EXACT_MAX = 25;
const MID_P_MAX = 1000;

/**
 * Two-sided p value that A and B alert equally often, from the rows on which they differ: exact binomial up to 25 of
 * them, mid-p up to 1000 (Fagerland, Lydersen & Laake 2013: the exact test is needlessly timid there), chi-square with
 * one degree of freedom without continuity correction beyond.
 */
export function mcnemar(onlyA: number, onlyB: number): McNemar {
  const discordant = onlyA + onlyB;
  if (discordant > MID_P_MAX) {
    return {
      onlyA,
      onlyB,
      pValue: normalTwoSidedTail(Math.abs(onlyA - onlyB) / Math.sqrt(discordant)),
      anytimePValue: anytime(onlyA, onlyB),
      method: "chi-square",
    };
  }
  const { tail, last } = binomialTail(Math.min(onlyA, onlyB), discordant);
  const exact = discordant <= EXACT_MAX;
  // Mid-p counts the observed outcome and its mirror image half; for equal counts they are one and the same.
  const pValue = onlyA === onlyB ? (exact ? 1 : 1 - last / 2) : 2 * tail - (exact ? 0 : last);
  return {
    onlyA,
    onlyB,
    pValue: Math.min(1, pValue),
    anytimePValue: anytime(onlyA, onlyB),
    method: exact ? "exact" : "mid-p",
  };
}

/**
 * One over the evidence of a bettor who does not know which model alerts more: the likelihood of the differing rows, averaged over all
 * shares, against one half (Ville 1939; Robbins 1970). Its chance of ever reaching 1/α is at most α.
 */
function anytime(onlyA: number, onlyB: number): number {
  const rows = onlyA + onlyB;
  // 2^n · B(a + 1, b + 1), as a running product so that nothing overflows: (a! b! / (n + 1)!) · 2^n.
  let log = -Math.log(rows + 1);
  for (let i = 1; i <= Math.min(onlyA, onlyB); i++) log += Math.log(i / (rows - Math.min(onlyA, onlyB) + i));
  return Math.min(1, Math.exp(-(log + rows * Math.LN2)));
}

/** Frauds tell whether recall differs, genuine rows whether the false positive rate does (Dietterich 1998). */
export function mcnemarByLabel(alerts: Alerts, y: Uint8Array): { readonly frauds: McNemar; readonly genuine: McNemar } {
  const counts = { fraudA: 0, fraudB: 0, genuineA: 0, genuineB: 0 };
  for (let row = 0; row < y.length; row++) {
    if (alerts.a[row] === alerts.b[row]) continue;
    const onlyA = alerts.a[row] === 1;
    if (y[row] === 1) counts[onlyA ? "fraudA" : "fraudB"]++;
    else counts[onlyA ? "genuineA" : "genuineB"]++;
  }
  return { frauds: mcnemar(counts.fraudA, counts.fraudB), genuine: mcnemar(counts.genuineA, counts.genuineB) };
}

/** P(X ≤ k) and P(X = k) of a fair binomial of n throws. */
function binomialTail(k: number, n: number): { readonly tail: number; readonly last: number } {
  // 2^-1000 is still a normal double, so no logarithms are needed up to MID_P_MAX.
  let last = 2 ** -n;
  let tail = last;
  for (let i = 1; i <= k; i++) {
    last *= (n - i + 1) / i;
    tail += last;
  }
  return { tail, last };
}
