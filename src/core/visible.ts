// Texts that others wrote, made fit for a terminal: what would move the cursor, hide or reorder words is shown, not done.

/** Control characters (C0, DEL, C1); line and paragraph separators; marks that turn the direction of writing; the byte order mark. */
const INVISIBLE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;
/** Up to here two digits are enough. */
const SHORT_MAX = 0xff;

/** The text with each such character as its escape (`\x1b`, `\u202e`; a line break as `\n`, a tab as `\t`), on one line. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escapeOf);
}

/**
 * The same for text that Sentinel composed of several lines and coloured: line breaks and `kept` pass. Whoever can write a colour into
 * it can colour words, no more.
 */
export function visibleLines(text: string, kept: RegExp): string {
  let result = "";
  let at = 0;
  for (const match of text.matchAll(kept)) {
    result += visibleButBreaks(text.slice(at, match.index)) + match[0];
    at = match.index + match[0].length;
  }
  return result + visibleButBreaks(text.slice(at));
}

function visibleButBreaks(text: string): string {
  return text.replace(INVISIBLE, (character) => (character === "\n" ? character : escapeOf(character)));
}

function escapeOf(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  if (character === "\r") return "\\r";
  const code = character.charCodeAt(0);
  return code <= SHORT_MAX ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
