// Limits: is a number inside a range, and do a range and a column speak of the same kind of thing.
import { SentinelError } from "../core/errors.ts";
import type { Limit, Range } from "./kwargs.ts";

/** True where the value lies inside; inclusive unless strict, open where a limit is absent, and false for NaN. */
export function isInside(value: number, range: Range): boolean {
  return insideTest(range)(value);
}

/** The same as a closure for long loops. */
export function insideTest({ min, max, strictMin, strictMax }: Range): (value: number) => boolean {
  const low = min?.value ?? Number.NEGATIVE_INFINITY;
  const high = max?.value ?? Number.POSITIVE_INFINITY;
  const aboveOnly = strictMin && min !== null;
  const belowOnly = strictMax && max !== null;
  return (value) => (aboveOnly ? value > low : value >= low) && (belowOnly ? value < high : value <= high);
}

/** Refuses dates against numbers and numbers against instants: neither has an order with the other. */
export function matchKind(range: Range, kind: "number" | "time", name: string): void {
  for (const limit of [range.min, range.max]) {
    if (limit === null || limit.isTime === (kind === "time")) continue;
    throw new SentinelError(
      "dataset.type-wrong",
      `column ${JSON.stringify(name)} holds ${kind === "time" ? "instants" : "numbers"}, its limits are ${describe(limit)}`,
      { hint: kind === "time" ? "write the limits as dates, 2024-01-31T00:00:00" : "write the limits as numbers" },
    );
  }
}

function describe(limit: Limit): string {
  return limit.isTime ? "dates" : "numbers";
}
