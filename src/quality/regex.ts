// Python regular expressions run in JavaScript: the spellings that differ are translated.

/** Python's flags that can stand at the head of a pattern; a, L, u change nothing we do, x has no counterpart. */
const HEAD_FLAGS = /^\(\?([aimsu]+)\)/;

/** Compiles for a search; null where the pattern is wrong or uses what JavaScript has not (?(…), atomic groups, (?x)). */
export function compilePythonRegex(source: string): RegExp | null {
  const head = HEAD_FLAGS.exec(source);
  const flags = [...new Set(head?.[1] ?? "")].filter((flag) => "ims".includes(flag)).join("");
  try {
    return new RegExp(translate(source.slice(head?.[0].length ?? 0), flags.includes("m")), flags);
  } catch {
    return null;
  }
}

const SPELLINGS: readonly (readonly [string, string])[] = [
  ["(?P<", "(?<"],
  ["\\Z", "(?![\\s\\S])"],
  ["\\A", "(?<![\\s\\S])"],
];

/** Walks the pattern once; inside a character class only escapes are special. */
function translate(source: string, multiline: boolean): string {
  let out = "";
  let inClass = false;
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at);
    const backReference = /^\(\?P=(\w+)\)/.exec(rest);
    const spelling = SPELLINGS.find(([python]) => rest.startsWith(python));
    if (!inClass && backReference !== null) {
      out += `\\k<${backReference[1]}>`;
      at += backReference[0].length;
    } else if (!inClass && spelling !== undefined) {
      out += spelling[1];
      at += spelling[0].length;
    } else if (source[at] === "\\") {
      out += source.slice(at, at + 2);
      at += 2;
    } else {
      if (source[at] === "[" && !inClass) {
        inClass = true;
        // Python takes a ] that comes first in a class as itself.
        const first = /^\[\^?\]/.exec(rest)?.[0];
        if (first !== undefined) {
          out += `${first.slice(0, -1)}\\]`;
          at += first.length;
          continue;
        }
      } else if (source[at] === "]") inClass = false;
      // Python's $ also matches before a last line break.
      out += source[at] === "$" && !inClass && !multiline ? "(?=\\n?(?![\\s\\S]))" : source[at];
      at++;
    }
  }
  return out;
}
