// The patterns of RLIKE: RE2's syntax, found anywhere in the text, in time that grows with the text alone.
import { RE2JS } from "re2js";
import { messageOf } from "../core/errors.ts";
import { boundedPattern, type Pattern } from "./pattern.ts";

/** Patterns kept compiled; the check and the compilation ask for the same one. */
const KEPT_MAX = 1000;
const kept = new Map<string, Pattern | string>();

/** Longest pattern: RE2 unrolls counted repetitions, and its programs grow with them. */
const PATTERN_LENGTH_MAX = 1000;

/**
 * What JavaScript and RE2 read alike, character by character: letters, digits, spaces, plain signs, classes of these, groups,
 * repetitions, anchors at either end, and the escapes \d \w and of signs. Anything else is RE2's alone.
 */
const COMMON =
  /^(?:[A-Za-z0-9 _@:,=<>!#%&;~"'/-]|\\[dw.+*?()|[\]{}^$/\\-]|\[\^?(?:[A-Za-z0-9 _@:,.=<>!#%;+*/$()|{}?]|\\[dw.-]|-)+\]|[.()|*+?^$]|\(\?:|\{\d{1,3}(?:,\d{0,3})?\})+$/;

/** A pattern, or what is wrong with it. */
export function compileRegex(source: string): Pattern | string {
  const known = kept.get(source);
  if (known !== undefined) return known;
  const made = compile(source);
  if (kept.size >= KEPT_MAX) kept.clear();
  kept.set(source, made);
  return made;
}

function compile(source: string): Pattern | string {
  if (source.length > PATTERN_LENGTH_MAX) return `it has ${source.length} characters, at most ${PATTERN_LENGTH_MAX}`;
  let steady: Pattern;
  try {
    const program = RE2JS.compile(source);
    steady = { test: (text) => program.matcher(text).find() };
  } catch (error) {
    return messageOf(error);
  }
  return boundedPattern({ javascript: quickOf(source), re2: source }) ?? steady;
}

/** JavaScript's spelling, where it means the same; null where it may not. A dot is all but a line end in RE2. */
function quickOf(source: string): RegExp | null {
  if (!COMMON.test(source)) return null;
  const spelled = source.replace(/\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|\./g, (piece) =>
    piece === "." ? "[^\\n]" : piece,
  );
  try {
    return new RegExp(spelled, "u");
  } catch {
    return null;
  }
}
