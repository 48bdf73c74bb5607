// Row steps: what a vector takes from the transaction's time and from its own earlier values.
import { DAY_MS, HOUR_MS } from "../core/duration.ts";
import type { TimePart } from "./definition.ts";

/** Fills values[feature] from earlier values, the plan's text columns in its order, and the event time in whole ms. */
export type RowExpression = (values: Float64Array, texts: readonly (string | null)[], time: number) => void;

/** One step: `values[feature]` from the time, from values[a] and values[b], or as an expression does it. */
export interface RowDraft {
  readonly op: number;
  readonly feature: number;
  readonly a: number;
  readonly b: number;
  readonly run: RowExpression | null;
}

/** The steps in order. */
export interface RowSteps {
  /** Four numbers a step: op, feature, a, b. */
  readonly of: Int32Array;
  readonly run: readonly (RowExpression | null)[];
  /** Whether any step asks for a part of the time. */
  readonly timed: boolean;
  /** Whether no step is an expression. */
  readonly plain: boolean;
}

const FIELDS = 4;
const HOUR = 0;
const DAY_OF_WEEK = 1;
const WEEKEND = 2;
const NIGHT = 3;
const RATIO = 4;
const DIFFERENCE = 5;
const EXPRESSION = 6;

const TIME_OP: Readonly<Record<TimePart, number>> = {
  hour: HOUR,
  dayOfWeek: DAY_OF_WEEK,
  weekend: WEEKEND,
  night: NIGHT,
};

export function timeStep(feature: number, part: TimePart): RowDraft {
  return { op: TIME_OP[part], feature, a: 0, b: 0, run: null };
}

/** values[a] ÷ values[b]; NaN when the divisor is 0. */
export function ratioStep(feature: number, a: number, b: number): RowDraft {
  return { op: RATIO, feature, a, b, run: null };
}

/** values[a] − values[b]. */
export function differenceStep(feature: number, a: number, b: number): RowDraft {
  return { op: DIFFERENCE, feature, a, b, run: null };
}

export function expressionStep(feature: number, run: RowExpression): RowDraft {
  return { op: EXPRESSION, feature, a: 0, b: 0, run };
}

export function rowSteps(drafts: readonly RowDraft[]): RowSteps {
  return {
    of: Int32Array.from(drafts.flatMap(({ op, feature, a, b }) => [op, feature, a, b])),
    run: drafts.map(({ run }) => run),
    timed: drafts.some(({ op }) => op <= NIGHT),
    plain: drafts.every(({ op }) => op < EXPRESSION),
  };
}

/** Runs the steps for a transaction, its time in whole ms. Night and weekend as in the Handbook, chapter 3; 1970-01-01 was a Thursday. */
export function runRowSteps(
  steps: RowSteps,
  { time }: { readonly time: number },
  values: Float64Array,
  texts: readonly (string | null)[],
): void {
  const { of } = steps;
  const day = steps.timed ? Math.floor(time / DAY_MS) : 0;
  const hour = steps.timed ? Math.floor((time - day * DAY_MS) / HOUR_MS) : 0;
  for (let i = 0; i < of.length; i += FIELDS) {
    const op = of[i];
    const a = of[i + 2];
    const b = of[i + 3];
    let value: number;
    if (op === RATIO) value = values[b] === 0 ? Number.NaN : values[a] / values[b];
    else if (op === DIFFERENCE) value = values[a] - values[b];
    else if (op === HOUR) value = hour;
    else if (op === NIGHT) value = hour <= 6 ? 1 : 0;
    else if (op === WEEKEND) value = dayOfWeek(day) >= 6 ? 1 : 0;
    else if (op === DAY_OF_WEEK) value = dayOfWeek(day);
    else {
      steps.run[i / FIELDS]?.(values, texts, time);
      continue;
    }
    values[of[i + 1]] = value;
  }
}

/** 1 (Monday) to 7 of a day counted from 1970. */
function dayOfWeek(day: number): number {
  return day + 3 - Math.floor((day + 3) / 7) * 7 + 1;
}
