// The largest of what comes by: so many values of the highest weight, in memory that does not grow; and what a disagreement weighs.
import type { Decision } from "../../core/decision.ts";

/** Disagreements that are kept and explained of each candidate. */
export const DISAGREEMENTS_MAX = 20;

interface Side {
  readonly score: number;
  readonly decision: Decision;
}

/** How far two answers to one transaction are apart: other decisions weigh more than any difference of scores. */
export function disagreementOf({ champion, candidate }: { readonly champion: Side; readonly candidate: Side }): number {
  const apart = Math.abs(candidate.score - champion.score);
  return champion.decision === candidate.decision ? apart : 1 + apart;
}

/** Keeps the `max` values of the highest weight; of equal ones those that came first. */
export class Largest<T> {
  private readonly max: number;
  /** The heaviest first. */
  private readonly kept: { readonly weight: number; readonly value: T }[] = [];

  constructor(max: number) {
    this.max = max;
  }

  add(weight: number, value: T): void {
    const { kept, max } = this;
    if (kept.length === max && !(weight > kept[max - 1].weight)) return;
    let at = kept.length;
    while (at > 0 && kept[at - 1].weight < weight) at--;
    kept.splice(at, 0, { weight, value });
    if (kept.length > max) kept.pop();
  }

  /** The heaviest first. */
  all(): readonly T[] {
    return this.kept.map(({ value }) => value);
  }
}
