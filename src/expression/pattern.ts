// Regular expressions that no pattern and no text can keep busy: JavaScript's engine where it is quick, RE2's where it would not be.
import { RE2JS } from "re2js";
import { choiceExponent } from "./pattern-choices.ts";

export interface Pattern {
  /** Whether it is found anywhere in the text. */
  test(text: string): boolean;
}

/** Ways to match that JavaScript's engine may be given: far below what RE2's takes for the same text, in all but hostile texts. */
const WAYS_QUICK_MAX = 30_000;
/** The same where RE2's engine cannot do it: under a second for one text. */
const WAYS_MAX = 100_000_000;

/**
 * One pattern in the spellings of both engines, either of which may be null; null where both are. JavaScript's tries one way after the
 * other, and patterns such as ^(a+)+$ have more of them than anybody can wait for. RE2's takes time in proportion to the text (Cox,
 * "Regular Expression Matching Can Be Simple And Fast", 2007), but ten times as much for a short one. So JavaScript's gets the texts on
 * which it cannot have many ways, and RE2's the others. A longer text than `lengthMax` must not be tested: it could take for ever.
 */
export function boundedPattern(spelled: {
  readonly javascript: RegExp | null;
  readonly re2: string | null;
}): (Pattern & { readonly lengthMax: number }) | null {
  const { javascript: quick, re2 } = spelled;
  const steady = re2 === null ? null : compileRe2(re2);
  if (quick === null)
    return steady === null ? null : { test: (text) => steady.test(text), lengthMax: Number.POSITIVE_INFINITY };
  const exponent = choiceExponent(quick.source);
  if (steady === null) return { test: (text) => quick.test(text), lengthMax: lengthOf(WAYS_MAX, exponent) };
  const quickMax = lengthOf(WAYS_QUICK_MAX, exponent);
  return {
    test: (text) => (text.length <= quickMax ? quick.test(text) : steady.test(text)),
    lengthMax: Number.POSITIVE_INFINITY,
  };
}

/**
 * A pattern of a JSON Schema, which has JavaScript's spelling. A server has to answer every request, so it takes no pattern that could
 * keep it on one: null where RE2's engine cannot take over and the ways grow faster than the text. Throws where the pattern is wrong.
 */
export function schemaPattern(source: string): Pattern | null {
  const javascript = new RegExp(source, "u");
  const re2 = schemaRe2(source);
  if ((re2 === null || compileRe2(re2) === null) && choiceExponent(source) > 1) return null;
  return boundedPattern({ javascript, re2 });
}

function compileRe2(source: string): Pattern | null {
  try {
    return RE2JS.compile(source);
  } catch {
    return null;
  }
}

/** The longest text with no more ways than that. */
function lengthOf(ways: number, exponent: number): number {
  return exponent === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(ways ** (1 / exponent)) - 1);
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
