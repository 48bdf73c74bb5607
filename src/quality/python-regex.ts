// Python regular expressions in two other spellings, JavaScript's and RE2's, so that both find what re.search finds.

/** null where the spelling cannot say it: RE2 has no look-around and no back references. */
export interface Spellings {
  /** For `new RegExp(…, javascript.flags)`. */
  readonly javascript: { readonly pattern: string; readonly flags: string } | null;
  readonly re2: string | null;
}

/** Python's flags that can stand at the head of a pattern; a, L, u change nothing we do, x has no counterpart. */
const HEAD_FLAGS = /^\(\?([aimsu]+)\)/;

/** null where Python refuses the pattern, or neither spelling can say it ((?x), atomic groups, conditions). */
export function respell(source: string): Spellings | null {
  const head = HEAD_FLAGS.exec(source);
  const flags = new Set([...(head?.[1] ?? "")].filter((flag) => "ims".includes(flag)));
  const writer = { source, at: head?.[0].length ?? 0, depth: 0, flags, javascript: "", re2: "" };
  const out: Writer = { ...writer, canJavascript: true, canRe2: true };
  while (out.at < source.length) if (!step(out)) return null;
  const own = [...flags].join("");
  return {
    // The u flag makes one character of an emoji, as in Python and RE2; m and s are written out.
    javascript: out.canJavascript ? { pattern: out.javascript, flags: flags.has("i") ? "iu" : "u" } : null,
    re2: out.canRe2 ? `${own === "" ? "" : `(?${own})`}${out.re2}` : null,
  };
}

interface Writer {
  readonly source: string;
  at: number;
  /** Groups that are open. */
  depth: number;
  readonly flags: ReadonlySet<string>;
  javascript: string;
  re2: string;
  canJavascript: boolean;
  canRe2: boolean;
}

/** Takes one piece of the source; false where it is wrong. */
function step(out: Writer): boolean {
  const { source, at, flags } = out;
  const character = source[at];
  if (character === "\\") return escapeSequence(out);
  if (character === "[") return characterClass(out);
  if (character === "(") return group(out);
  if (character === ")") out.depth--;
  if (character === "{") return braces(out);
  if (character === ".") return write(out, 1, flags.has("s") ? "[^]" : "[^\\n]", ".");
  if (character === "^") return write(out, 1, flags.has("m") ? "(?<![^\\n])" : "^", "^");
  if (character === "$") return dollar(out);
  if ("*+?|)".includes(character)) return write(out, 1, character, character);
  const whole = String.fromCodePoint(source.codePointAt(at) ?? 0);
  return write(out, whole.length, literal(whole), literal(whole));
}

function write(out: Writer, length: number, javascript: string | null, re2: string | null): boolean {
  out.at += length;
  if (javascript === null) out.canJavascript = false;
  else out.javascript += javascript;
  if (re2 === null) out.canRe2 = false;
  else out.re2 += re2;
  return true;
}

/** Python's $ also matches before a last line break. RE2 cannot look ahead: it takes the line break in, where nothing follows. */
function dollar(out: Writer): boolean {
  if (out.flags.has("m")) return write(out, 1, "(?![^\\n])", "$");
  const rest = out.source.slice(out.at + 1);
  const isLast = /^\)*$/.test(rest) || (out.depth === 0 && rest.startsWith("|"));
  return write(out, 1, "(?=\\n?$)", isLast ? "(?:\\n?\\z)" : null);
}

/** {3}, {3,}, {,3} and {3,5} repeat; any other brace is itself. */
function braces(out: Writer): boolean {
  const found = /^\{(\d*)(,?)(\d*)\}/.exec(out.source.slice(out.at));
  if (found === null || found[0] === "{}") return write(out, 1, "\\{", "\\{");
  const [whole, low, comma, high] = found;
  const repeat = `{${low === "" ? "0" : low}${comma}${high}}`;
  return write(out, whole.length, repeat, repeat);
}

const LOOKS = ["(?=", "(?!", "(?<=", "(?<!"];

function group(out: Writer): boolean {
  const rest = out.source.slice(out.at);
  const comment = /^\(\?#[^)]*\)/.exec(rest);
  if (comment !== null) return write(out, comment[0].length, "", "");
  const same = /^\(\?P=(\w+)\)/.exec(rest);
  if (same !== null) return write(out, same[0].length, `\\k<${same[1]}>`, null);
  out.depth++;
  if (!rest.startsWith("(?")) return write(out, 1, "(", "(");
  const named = /^\(\?P<(\w+)>/.exec(rest);
  if (named !== null) return write(out, named[0].length, `(?<${named[1]}>`, `(?P<${named[1]}>`);
  if (rest.startsWith("(?:")) return write(out, 3, "(?:", "(?:");
  const look = LOOKS.find((start) => rest.startsWith(start));
  if (look !== undefined) return write(out, look.length, look, null);
  // Node 20 has no flags for a part of a pattern.
  const scoped = /^\(\?([ims]*-?[ims]*):/.exec(rest);
  return scoped !== null && write(out, scoped[0].length, null, scoped[0]);
}

/** ASCII, as this evaluator has always read them; the blanks are Python's. */
const SETS: Readonly<Record<string, string>> = {
  d: "0-9",
  w: "0-9A-Za-z_",
  s: "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000",
};
const CONTROLS: Readonly<Record<string, string>> = { a: "07", f: "0c", n: "0a", r: "0d", t: "09", v: "0b" };

function escapeSequence(out: Writer): boolean {
  const { source, at } = out;
  const next = source[at + 1];
  if (next === undefined) return false;
  const set = SETS[next.toLowerCase()];
  if (set !== undefined) {
    const open = next === next.toLowerCase() ? "[" : "[^";
    return write(out, 2, `${open}${set}]`, `${open}${forRe2(set)}]`);
  }
  if (next === "A") return write(out, 2, "^", "\\A");
  if (next === "Z") return write(out, 2, "$", "\\z");
  if (next === "b" || next === "B") return write(out, 2, `\\${next}`, `\\${next}`);
  const character = escapedCharacter(source, at);
  if (character !== null) return write(out, character.length, character.javascript, forRe2(character.javascript));
  const reference = /^\\([1-9]\d?)/.exec(source.slice(at));
  return reference !== null && write(out, reference[0].length, `(?:\\${reference[1]})`, null);
}

/** An escape that stands for one character, in a class or out of it; null for any other. */
function escapedCharacter(source: string, at: number): { readonly length: number; readonly javascript: string } | null {
  const rest = source.slice(at);
  const hex = /^\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))/.exec(rest);
  if (hex !== null)
    return { length: hex[0].length, javascript: codeEscape(Number.parseInt(hex[1] ?? hex[2] ?? hex[3], 16)) };
  const octal = /^\\(0[0-7]{0,2}|[0-3][0-7]{2})/.exec(rest);
  if (octal !== null) return { length: octal[0].length, javascript: codeEscape(Number.parseInt(octal[1], 8)) };
  const next = String.fromCodePoint(rest.codePointAt(1) ?? 0);
  if (Object.hasOwn(CONTROLS, next)) return { length: 2, javascript: `\\x${CONTROLS[next]}` };
  return /[A-Za-z0-9]/.test(next) ? null : { length: 1 + next.length, javascript: literal(next) };
}

function codeEscape(code: number): string {
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** RE2 writes \x{2028} where JavaScript writes \u2028 or \u{2028}. */
function forRe2(javascript: string): string {
  return javascript.replace(/\\u(?:\{([\da-f]+)\}|([\da-f]{4}))/g, "\\x{$1$2}");
}

/** A ] that comes first is itself; so is a - beside a set such as \w. */
function characterClass(out: Writer): boolean {
  const { source } = out;
  let at = out.at + 1;
  let text = "[";
  if (source[at] === "^") {
    text += "^";
    at++;
  }
  const first = at;
  let afterSet = true;
  while (at === first || source[at] !== "]") {
    const next = source[at];
    if (next === undefined) return false;
    const escaped = source[at + 1] ?? "";
    if (next === "\\" && SETS[escaped.toLowerCase()] !== undefined) {
      const isBlankless = escaped === "S";
      text += /[dws]/.test(escaped) ? SETS[escaped] : `\\${escaped}`;
      // What is no blank differs between the two.
      if (isBlankless) out.canRe2 = false;
      at += 2;
      afterSet = true;
      continue;
    }
    if (next === "-") {
      const isRange: boolean = !afterSet && source[at + 1] !== "]" && !/^\\[dws]/i.test(source.slice(at + 1));
      text += isRange ? "-" : "\\-";
      at++;
      afterSet = !isRange;
      continue;
    }
    const character = next === "\\" ? (escaped === "b" ? BACKSPACE : escapedCharacter(source, at)) : null;
    if (next === "\\" && character === null) return false;
    const whole = String.fromCodePoint(source.codePointAt(at) ?? 0);
    text += character?.javascript ?? literal(whole);
    at += character?.length ?? whole.length;
    afterSet = false;
  }
  text += "]";
  return write(out, at + 1 - out.at, text, forRe2(text));
}

const BACKSPACE = { length: 2, javascript: "\\x08" };

/** Escaped where it means something in either spelling. */
function literal(character: string): string {
  if (character === "-") return "\\x2d";
  return /[\^$\\.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}
