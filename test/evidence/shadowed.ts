// Shadow pairs as a log would give them, made from simulated scores.
import { DAY_MS } from "../../src/core/duration.ts";
import type { ShadowPair } from "../../src/ports/log.ts";
import type { Simulated } from "./simulated.ts";

export const NOW = 1_800_000_000_000;

/** Rows spread evenly over `days` before NOW; scores become probabilities, alerts start where one row in a hundred is. */
export function shadowed(
  rows: Simulated,
  options: { readonly days?: number; readonly labelled?: (row: number) => boolean } = {},
): ShadowPair[] {
  const { days = 40, labelled = () => true } = options;
  const thresholds = [rows.a, rows.b].map((scores) => scores.slice().sort()[Math.floor(scores.length * 0.99)]);
  const side = (version: string, score: number, threshold: number): ShadowPair["champion"] => ({
    version,
    score: 1 / (1 + Math.exp(4 - 2 * score)),
    decision: score >= threshold + 1 ? "block" : score >= threshold ? "review" : "approve",
  });
  return Array.from(rows.y, (label, row) => ({
    answered: side("1", rows.a[row], thresholds[0]).decision,
    propensity: null,
    transactionId: `t${row}`,
    time: NOW - days * DAY_MS + (row * days * DAY_MS) / rows.y.length,
    champion: side("1", rows.a[row], thresholds[0]),
    candidate: side("2", rows.b[row], thresholds[1]),
    bundle: "b",
    latencyMs: 2 + (row % 100) / 100,
    championLatencyMs: 1,
    vectorHash: "",
    card: `c${rows.card[row]}`,
    amount: 1 + (row % 97),
    fraud: labelled(row) ? label === 1 : null,
    labelKnownAt: labelled(row) ? NOW - 1 : null,
  }));
}
