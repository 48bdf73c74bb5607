// Texts as SQL sees them: sequences of code points, compared, matched and folded one by one.

/** Order by code point, which is also the order of UTF-8 bytes; JavaScript's own is by UTF-16 unit. */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

export function lengthOf(text: string): number {
  let length = text.length;
  for (let i = 1; i < text.length; i++) {
    if (isLow(text.charCodeAt(i)) && isHigh(text.charCodeAt(i - 1))) length--;
  }
  return length;
}

/** Without Unicode space separators (category Zs) at both ends; tabs and line ends stay, as in DuckDB. */
export function trimSpaces(text: string): string {
  return text.replace(/^\p{Zs}+/u, "").replace(/(?<!\p{Zs})\p{Zs}+$/u, "");
}

const ASCII = /^[\0-\x7f]*$/;

/** Character by character, so that length and place stay: no special case for a sigma that ends a word. */
export function lowerCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  let out = "";
  // İ is the one character whose lower case is longer; its first is what Unicode calls the simple lower case.
  for (const char of text) out += String.fromCodePoint(char.toLowerCase().codePointAt(0)!);
  return out;
}

/** Character by character; one without an upper case of one character stays (ŉ, ﬁ), and ß becomes ẞ. */
export function upperCase(text: string): string {
  if (ASCII.test(text)) return text.toUpperCase();
  let out = "";
  for (const char of text) {
    const upper = char.toUpperCase();
    out += char === "ß" ? "ẞ" : upper.length > String.fromCodePoint(upper.codePointAt(0)!).length ? char : upper;
  }
  return out;
}

/** A LIKE pattern, cut up: a character to match, ANY_ONE or ANY_RUN. */
export type LikePattern = readonly string[];

const ANY_ONE = "any one";
const ANY_RUN = "any run";

/** Cuts a pattern up; `quote` is its ESCAPE character or "". null when the pattern ends in it. */
export function likePattern(pattern: string, quote: string): LikePattern | null {
  const parts: string[] = [];
  let escaped = false;
  for (const char of pattern) {
    if (!escaped && char === quote) {
      escaped = true;
      continue;
    }
    if (escaped) parts.push(char);
    else if (char === "_") parts.push(ANY_ONE);
    else if (char !== "%") parts.push(char);
    else if (parts[parts.length - 1] !== ANY_RUN) parts.push(ANY_RUN);
    escaped = false;
  }
  return escaped ? null : parts;
}

/** Whether the whole text matches. Goes back to the last run only, so the cost is at most text × pattern. */
export function isLike(text: string, pattern: LikePattern): boolean {
  let at = 0;
  let part = 0;
  let runAt = -1;
  let runPart = -1;
  while (at < text.length) {
    const wanted = pattern[part];
    if (wanted === ANY_RUN) {
      runAt = at;
      runPart = ++part;
    } else if (wanted === ANY_ONE) {
      at += widthAt(text, at);
      part++;
    } else if (wanted !== undefined && text.startsWith(wanted, at)) {
      at += wanted.length;
      part++;
    } else if (runPart >= 0) {
      runAt += widthAt(text, runAt);
      at = runAt;
      part = runPart;
    } else return false;
  }
  while (pattern[part] === ANY_RUN) part++;
  return part === pattern.length;
}

/** UTF-16 units of the code point at a place. */
function widthAt(text: string, at: number): number {
  return isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1)) ? 2 : 1;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
