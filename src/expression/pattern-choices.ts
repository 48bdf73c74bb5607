// What a backtracking match can cost at worst: how many ways there are to part a text among the pieces of a pattern.

/**
 * The exponent k so that a search in a text of n characters tries at most about (n + 1)^k ways: one for each place where the
 * engine has a choice that grows with the text (a repetition, a branch, where to begin). Infinity where choices are repeated without
 * end, as in (a+)+, which makes them exponential. `pattern` is in JavaScript's spelling.
 */
export function choiceExponent(pattern: string): number {
  // Without an anchor the search begins at each character.
  const open = [pattern.startsWith("^") ? 0 : 1];
  let last = 0;
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at);
    const quantifier = QUANTIFIER.exec(rest);
    const top = open.length - 1;
    if (quantifier !== null) {
      if (last < Number.POSITIVE_INFINITY) open[top] += repeated(last, quantifier) - last;
      last = 0;
      at += quantifier[0].length;
      continue;
    }
    const atom = ATOM.exec(rest)?.[0] ?? rest[0];
    if (atom.startsWith("(")) open.push(0);
    else if (atom === ")" && open.length > 1) {
      last = open.pop() ?? 0;
      open[top - 1] += last;
    } else {
      // An anchor in one branch does not hold for the others.
      if (atom === "|") open[top] += top === 0 ? 2 : 1;
      // To compare with an earlier group takes as long as the group is.
      last = /^\\(\d|k)/.test(atom) ? 1 : 0;
      open[top] += last;
    }
    at += atom.length;
  }
  return open.reduce((sum, exponent) => sum + exponent, 0);
}

const QUANTIFIER = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/;
/** A class, an escape, the start of a group, or one character. */
const ATOM = /^(?:\[(?:\\[\s\S]|[^\]\\])*\]|\\k<\w+>|\\[\s\S]|\((?:\?(?:<?[=!]|<\w+>|:))?)/;

/** A piece with `inner` choices, repeated: each repetition has them anew. */
function repeated(inner: number, quantifier: RegExpExecArray): number {
  const [text, low, comma, high] = quantifier;
  const most = text.startsWith("?")
    ? 1
    : text.startsWith("{")
      ? Number(comma === "" ? low : high || Number.POSITIVE_INFINITY)
      : Number.POSITIVE_INFINITY;
  const isFixed = text.startsWith("{") && (comma === "" || low === high);
  const choices = inner === 0 ? 0 : inner * most;
  return choices + (isFixed ? 0 : 1);
}
