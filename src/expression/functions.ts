// The closed list of functions: what each takes, gives and does.
import { distanceKm } from "../core/place.ts";
import type { FunctionRule } from "./function-rule.ts";
import { ofText, TEXT_FUNCTIONS } from "./functions-text.ts";
import { TIME_FUNCTIONS } from "./functions-time.ts";
import type { Bank, Step } from "./steps.ts";
import { finite, isMissing, testTexts } from "./steps.ts";
import { compareTexts, lengthOf, lowerCase, trimSpaces, upperCase } from "./text.ts";

/** Digits that round() takes: powers of ten up to here are exact. */
export const ROUND_DIGITS_MAX = 15;
const ARGUMENTS_MAX = 100;

/** A number to a number. Each has its step written out, since numbers handed to a function given as a value are allocated. */
function ofNumber(step: (to: number, a: number) => Step): FunctionRule {
  return { takes: "number", least: 1, most: 1, gives: "number", step: (to, [a]) => step(to, a) };
}

function ofTwoTexts(test: (text: string, part: string) => boolean): FunctionRule {
  const step: FunctionRule["step"] = (to, [a, b]) => testTexts(test, { to, a, b });
  return { takes: "text", least: 2, most: 2, gives: "boolean", step };
}

/** The extreme of what is there; missing only when all are. */
function extreme(sign: 1 | -1): FunctionRule {
  const step: FunctionRule["step"] = (to, from, bank) => {
    if (bank === "numbers") {
      return (n) => {
        let best = Number.NaN;
        for (const at of from) if (isMissing(best) || (n[at] - best) * sign > 0) best = n[at];
        n[to] = best;
      };
    }
    return (_, t) => {
      let best: string | null = null;
      for (const at of from) {
        const one = t[at];
        if (one !== null && (best === null || compareTexts(one, best) * sign > 0)) best = one;
      }
      t[to] = best;
    };
  };
  return { takes: "ordered", least: 1, most: ARGUMENTS_MAX, gives: "same", step };
}

const POWER: FunctionRule = {
  takes: "number",
  least: 2,
  most: 2,
  gives: "number",
  step:
    (to, [a, b]) =>
    (n) => {
      // C's pow says 1 for x⁰ and 1ʸ even of NaN; a missing value stays missing here.
      n[to] = isMissing(n[a]) ? Number.NaN : finite(n[a] ** n[b]);
    },
};

const ATAN2: FunctionRule = {
  takes: "number",
  least: 2,
  most: 2,
  gives: "number",
  step:
    (to, [y, x]) =>
    (n) => {
      n[to] = finite(Math.atan2(n[y], n[x]));
    },
};

const CEIL = ofNumber((to, a) => (n) => {
  n[to] = Math.ceil(n[a]);
});

export const FUNCTIONS: ReadonlyMap<string, FunctionRule> = new Map<string, FunctionRule>([
  [
    "abs",
    ofNumber((to, a) => (n) => {
      n[to] = Math.abs(n[a]);
    }),
  ],
  ["ceil", CEIL],
  ["ceiling", CEIL],
  ["coalesce", { takes: "one", least: 1, most: ARGUMENTS_MAX, gives: "same", step: firstPresent }],
  ["contains", ofTwoTexts((text, part) => text.includes(part))],
  ["ends_with", ofTwoTexts((text, part) => text.endsWith(part))],
  [
    "exp",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.exp(n[a]));
    }),
  ],
  [
    "floor",
    ofNumber((to, a) => (n) => {
      n[to] = Math.floor(n[a]);
    }),
  ],
  ["greatest", extreme(1)],
  ["least", extreme(-1)],
  ["length", { takes: "text", least: 1, most: 1, gives: "number", step: lengthStep }],
  [
    "ln",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.log(n[a]));
    }),
  ],
  [
    "log10",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.log10(n[a]));
    }),
  ],
  ["lower", ofText(lowerCase)],
  ["nullif", { takes: "one", least: 2, most: 2, gives: "same", step: nullIfEqual }],
  ["power", POWER],
  ["round", { takes: "number", least: 1, most: 2, gives: "number", step: roundStep }],
  [
    "sign",
    ofNumber((to, a) => (n) => {
      n[to] = Math.sign(n[a]);
    }),
  ],
  [
    "sqrt",
    ofNumber((to, a) => (n) => {
      n[to] = Math.sqrt(n[a]);
    }),
  ],
  ["starts_with", ofTwoTexts((text, part) => text.startsWith(part))],
  ["trim", ofText(trimSpaces)],
  ["upper", ofText(upperCase)],
  [
    "acos",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.acos(n[a]));
    }),
  ],
  [
    "asin",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.asin(n[a]));
    }),
  ],
  [
    "atan",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.atan(n[a]));
    }),
  ],
  [
    "cos",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.cos(n[a]));
    }),
  ],
  [
    "degrees",
    ofNumber((to, a) => (n) => {
      n[to] = finite((n[a] * 180) / Math.PI);
    }),
  ],
  [
    "radians",
    ofNumber((to, a) => (n) => {
      n[to] = finite((n[a] * Math.PI) / 180);
    }),
  ],
  [
    "sin",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.sin(n[a]));
    }),
  ],
  [
    "tan",
    ofNumber((to, a) => (n) => {
      n[to] = finite(Math.tan(n[a]));
    }),
  ],
  ["atan2", ATAN2],
  ["distance_km", { takes: "number", least: 4, most: 4, gives: "number", step: distanceStep }],
  ...TEXT_FUNCTIONS,
  ...TIME_FUNCTIONS,
]);

/** The type of an argument where each has its own. */
export function typeTaken(takes: readonly ("number" | "text")[], at: number): "number" | "text" {
  return takes[Math.min(at, takes.length - 1)];
}

function distanceStep(to: number, [lat, lon, otherLat, otherLon]: readonly number[]): Step {
  return (n) => {
    n[to] = finite(distanceKm(n[lat], n[lon], n[otherLat], n[otherLon]));
  };
}

function firstPresent(to: number, from: readonly number[], bank: Bank): Step {
  if (bank === "texts") {
    return (_, t) => {
      let i = 0;
      while (i < from.length - 1 && t[from[i]] === null) i++;
      t[to] = t[from[i]];
    };
  }
  return (n) => {
    let i = 0;
    while (i < from.length - 1 && isMissing(n[from[i]])) i++;
    n[to] = n[from[i]];
  };
}

function nullIfEqual(to: number, [a, b]: readonly number[], bank: Bank): Step {
  if (bank === "texts") {
    return (_, t) => {
      t[to] = t[a] === t[b] ? null : t[a];
    };
  }
  return (n) => {
    n[to] = n[a] === n[b] ? Number.NaN : n[a];
  };
}

function lengthStep(to: number, [a]: readonly number[]): Step {
  return (n, t) => {
    const text = t[a];
    n[to] = text === null ? Number.NaN : lengthOf(text);
  };
}

/** Halves go away from zero. With digits, as DuckDB: scaled, rounded, scaled back; digits below 0 round to tens, hundreds, … */
function roundStep(to: number, [a, digits]: readonly number[]): Step {
  if (digits === undefined) {
    return (n) => {
      n[to] = roundHalfAway(n[a]);
    };
  }
  return (n) => {
    const value = n[a];
    const scale = 10 ** Math.abs(n[digits]);
    const rounded = n[digits] < 0 ? roundHalfAway(value / scale) * scale : roundHalfAway(value * scale) / scale;
    // A number too large to be scaled has no digits to round.
    n[to] = isMissing(value) || Number.isFinite(rounded) ? rounded : value;
  };
}

function roundHalfAway(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}
