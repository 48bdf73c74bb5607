// Regular expressions of a suite, run so that no pattern and no cell can hold the evaluation up.
import { RE2JS } from "re2js";
import { SentinelError } from "../core/errors.ts";
import { respell } from "./python-regex.ts";
import { choiceExponent } from "./regex-cost.ts";

export interface Pattern {
  /** Whether it is found anywhere in the text. Errors: quality.suite-invalid, for a text it could take for ever on. */
  test(text: string): boolean;
}

/** Ways to match that JavaScript's engine may be given: far below what RE2's takes for the same text, in all but hostile cells. */
const WAYS_QUICK_MAX = 30_000;
/** The same where RE2's engine cannot do it: under a second for one cell. */
const WAYS_MAX = 100_000_000;

/**
 * Compiles for a search; null where the pattern is wrong or uses what neither engine has ((?(…), atomic groups, (?x)). JavaScript's
 * engine tries one way after the other, and patterns such as ^(a+)+$ have more of them than anybody can wait for. RE2's takes time
 * in proportion to the text (Cox, "Regular Expression Matching Can Be Simple And Fast", 2007), but ten times as much for a short
 * one. So JavaScript's gets the texts on which it cannot have many ways, and RE2's the others.
 */
export function compilePythonRegex(source: string): Pattern | null {
  const spelled = respell(source);
  if (spelled === null) return null;
  const { javascript } = spelled;
  const quick = javascript === null ? null : attempt(() => new RegExp(javascript.pattern, javascript.flags));
  const steady = spelled.re2 === null ? null : attempt(() => RE2JS.compile(spelled.re2 ?? ""));
  return choose({ source, quick, steady });
}

/**
 * The same for a pattern of a JSON Schema, which has JavaScript's spelling. A server has to answer every request, so it takes no pattern that
 * could keep it on one: null where RE2's engine cannot take over and the ways grow faster than the text.
 */
export function compileSchemaRegex(source: string): Pattern | null {
  const quick = new RegExp(source, "u");
  const re2 = schemaRe2(source);
  const steady = re2 === null ? null : attempt(() => RE2JS.compile(re2));
  return steady === null && choiceExponent(source) > 1 ? null : choose({ source, quick, steady });
}

/** In RE2's spelling . and \s are narrower; null where that cannot be written out. */
function schemaRe2(source: string): string | null {
  const pieces = /\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\./g;
  let canSay = true;
  const written = source.replace(pieces, (piece) => {
    if (piece === ".") return "[^\\n\\r\\u2028\\u2029]";
    if (piece === "\\s") return `[${BLANKS}]`;
    if (piece === "\\S") return `[^${BLANKS}]`;
    if (!piece.startsWith("[")) return piece;
    return piece.replace(/\\[\s\S]/g, (inner) => {
      if (inner === "\\S") canSay = false;
      return inner === "\\s" ? BLANKS : inner;
    });
  });
  return canSay ? RE2JS.translateRegExp(written) : null;
}

const BLANKS = "\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff";

function choose(engines: {
  readonly source: string;
  readonly quick: RegExp | null;
  readonly steady: Pattern | null;
}): Pattern | null {
  const { source, quick, steady } = engines;
  if (quick === null) return steady;
  const exponent = choiceExponent(quick.source);
  if (steady === null) return bounded(quick, { source, lengthMax: lengthOf(WAYS_MAX, exponent) });
  const quickMax = lengthOf(WAYS_QUICK_MAX, exponent);
  return { test: (text) => (text.length <= quickMax ? quick.test(text) : steady.test(text)) };
}

/** The longest text with no more ways than that. */
function lengthOf(ways: number, exponent: number): number {
  return exponent === 0 ? Number.POSITIVE_INFINITY : Math.floor(ways ** (1 / exponent)) - 1;
}

function bounded(
  regex: RegExp,
  { source, lengthMax }: { readonly source: string; readonly lengthMax: number },
): Pattern {
  return {
    test(text) {
      if (text.length <= lengthMax) return regex.test(text);
      const what = `the pattern ${JSON.stringify(source)} could take for ever on a cell of ${text.length} characters; with look-around or back references it may see ${Math.max(0, lengthMax)}`;
      throw new SentinelError("quality.suite-invalid", what, {
        hint: "write it without (?=…), (?!…), (?<…) and \\1: such a pattern takes a cell of any length",
      });
    },
  };
}

function attempt<T>(compile: () => T): T | null {
  try {
    return compile();
  } catch {
    return null;
  }
}
