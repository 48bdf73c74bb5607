// Steps: one operation each, from registers to a register; a missing value is NaN among numbers, null among texts.
import type { ArithmeticOperator, ComparisonOperator } from "./syntax.ts";
import { compareTexts, isLike, likePattern, lowerCase } from "./text.ts";

/** A text, or missing. */
export type Text = string | null;

/**
 * Registers of an expression. Truth lives among numbers: 1 true, 0 false, NaN unknown. Typed arrays, since a number handed from closure to
 * closure is allocated again each time.
 */
export type Step = (numbers: Float64Array, texts: Text[]) => void;

/** Which registers a value lives in. */
export type Bank = "numbers" | "texts";

/** A number that is not finite is missing: what DuckDB gives for a division by 0, and all that a model can use. */
export function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN;
}

interface Pair {
  readonly to: number;
  readonly a: number;
  readonly b: number;
}

export const ARITHMETIC: Readonly<Record<ArithmeticOperator, (pair: Pair) => Step>> = {
  "+":
    ({ to, a, b }) =>
    (n) => {
      n[to] = finite(n[a] + n[b]);
    },
  "-":
    ({ to, a, b }) =>
    (n) => {
      n[to] = finite(n[a] - n[b]);
    },
  "*":
    ({ to, a, b }) =>
    (n) => {
      n[to] = finite(n[a] * n[b]);
    },
  "/":
    ({ to, a, b }) =>
    (n) => {
      n[to] = finite(n[a] / n[b]);
    },
  // The sign of the dividend, as C's fmod.
  "%":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] % n[b];
    },
};

export const COMPARE_NUMBERS: Readonly<Record<ComparisonOperator, (pair: Pair) => Step>> = {
  "=":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] === n[b] ? 1 : isMissing(n[a]) || isMissing(n[b]) ? Number.NaN : 0;
    },
  "<>":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] === n[b] ? 0 : isMissing(n[a]) || isMissing(n[b]) ? Number.NaN : 1;
    },
  "<":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] < n[b] ? 1 : n[a] >= n[b] ? 0 : Number.NaN;
    },
  "<=":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] <= n[b] ? 1 : n[a] > n[b] ? 0 : Number.NaN;
    },
  ">": ({ to, a, b }) => COMPARE_NUMBERS["<"]({ to, a: b, b: a }),
  ">=": ({ to, a, b }) => COMPARE_NUMBERS["<="]({ to, a: b, b: a }),
  "is distinct from":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] === n[b] || (isMissing(n[a]) && isMissing(n[b])) ? 0 : 1;
    },
  "is not distinct from":
    ({ to, a, b }) =>
    (n) => {
      n[to] = n[a] === n[b] || (isMissing(n[a]) && isMissing(n[b])) ? 1 : 0;
    },
};

/** Of two present texts; a missing one makes the comparison unknown. */
const TEXT_TEST: Readonly<Record<Exclude<ComparisonOperator, `is ${string}`>, (a: string, b: string) => boolean>> = {
  "=": (a, b) => a === b,
  "<>": (a, b) => a !== b,
  "<": (a, b) => compareTexts(a, b) < 0,
  "<=": (a, b) => compareTexts(a, b) <= 0,
  ">": (a, b) => compareTexts(a, b) > 0,
  ">=": (a, b) => compareTexts(a, b) >= 0,
};

export function compareTextsStep(op: ComparisonOperator, { to, a, b }: Pair): Step {
  if (op === "is distinct from" || op === "is not distinct from") {
    const same = op === "is not distinct from" ? 1 : 0;
    return (n, t) => {
      n[to] = t[a] === t[b] ? same : 1 - same;
    };
  }
  return testTexts(TEXT_TEST[op], { to, a, b });
}

/** A test of two present texts. */
export function testTexts(test: (a: string, b: string) => boolean, { to, a, b }: Pair): Step {
  return (n, t) => {
    const left = t[a];
    const right = t[b];
    n[to] = left === null || right === null ? Number.NaN : test(left, right) ? 1 : 0;
  };
}

/** A test of one text. */
export function testText(
  test: (text: string) => boolean,
  { to, a }: { readonly to: number; readonly a: number },
): Step {
  return (n, t) => {
    const text = t[a];
    n[to] = text === null ? Number.NaN : test(text) ? 1 : 0;
  };
}

// Three-valued logic: unknown AND false is false, unknown OR true is true.

export function and({ to, a, b }: Pair): Step {
  return (n) => {
    n[to] = n[a] === 0 || n[b] === 0 ? 0 : n[a] * n[b];
  };
}

export function or({ to, a, b }: Pair): Step {
  return (n) => {
    n[to] = n[a] === 1 || n[b] === 1 ? 1 : n[a] + n[b];
  };
}

export function not(to: number, a: number): Step {
  return (n) => {
    n[to] = 1 - n[a];
  };
}

export function minus(to: number, a: number): Step {
  return (n) => {
    n[to] = -n[a];
  };
}

export function isNull(bank: Bank, { to, a }: { readonly to: number; readonly a: number }): Step {
  if (bank === "texts") {
    return (n, t) => {
      n[to] = t[a] === null ? 1 : 0;
    };
  }
  return (n) => {
    n[to] = isMissing(n[a]) ? 1 : 0;
  };
}

export function concat({ to, a, b }: Pair): Step {
  return (_, t) => {
    const left = t[a];
    const right = t[b];
    t[to] = left === null || right === null ? null : left + right;
  };
}

/** True when one of the list is equal; otherwise unknown when anything is missing. */
export function isIn(
  bank: Bank,
  { to, a, list }: { readonly to: number; readonly a: number; readonly list: number[] },
) {
  const step: Step = (n, t) => {
    const values: ArrayLike<number | Text> = bank === "texts" ? t : n;
    const value = values[a];
    let found = missing(value) ? Number.NaN : 0;
    for (let i = 0; i < list.length && found !== 1; i++) {
      const one = values[list[i]];
      if (missing(one)) found = Number.NaN;
      else if (one === value) found = 1;
    }
    n[to] = found;
  };
  return step;
}

/** The pattern is cut up again only when it is another than last time. */
export function like(how: { readonly escape: string; readonly ignoreCase: boolean }, { to, a, b }: Pair): Step {
  const fold = how.ignoreCase ? lowerCase : (text: string) => text;
  let last: string | null = null;
  let pattern = likePattern("", "");
  return testTexts(
    (text, wanted) => {
      if (wanted !== last) {
        pattern = likePattern(fold(wanted), how.escape);
        last = wanted;
      }
      // A pattern that ends in its escape character matches nothing.
      return pattern !== null && isLike(fold(text), pattern);
    },
    { to, a, b },
  );
}

/** The value of the first true condition, else the last value. */
export function choose(
  bank: Bank,
  { to, whens, values }: { readonly to: number; readonly whens: readonly number[]; readonly values: readonly number[] },
): Step {
  const first = (n: Float64Array): number => {
    let i = 0;
    while (i < whens.length && n[whens[i]] !== 1) i++;
    return values[i];
  };
  if (bank === "texts") {
    return (n, t) => {
      t[to] = t[first(n)];
    };
  }
  return (n) => {
    n[to] = n[first(n)];
  };
}

/** True for NaN alone. */
export function isMissing(value: number): boolean {
  // biome-ignore lint/suspicious/noSelfCompare: half the cost of Number.isNaN in a hot loop
  return value !== value;
}

function missing(value: number | Text): boolean {
  return value === null || (typeof value === "number" && isMissing(value));
}
