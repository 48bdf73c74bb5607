// Regular expressions of a suite: Python's spelling, run so that no pattern and no cell can hold the evaluation up.
import { SentinelError } from "../core/errors.ts";
import { boundedPattern, type Pattern } from "../expression/pattern.ts";
import { respell } from "./python-regex.ts";

/**
 * Compiles for a search; null where the pattern is wrong or uses what neither engine has ((?(…), atomic groups, (?x)). Its test throws
 * `quality.suite-invalid` for a text it could take for ever on.
 */
export function compilePythonRegex(source: string): Pattern | null {
  const spelled = respell(source);
  if (spelled === null) return null;
  const pattern = boundedPattern({ javascript: javascriptOf(spelled.javascript), re2: spelled.re2 });
  if (pattern === null) return null;
  const { lengthMax } = pattern;
  return {
    test(text) {
      if (text.length <= lengthMax) return pattern.test(text);
      const what = `the pattern ${JSON.stringify(source)} could take for ever on a cell of ${text.length} characters; with look-around or back references it may see ${lengthMax}`;
      throw new SentinelError("quality.suite-invalid", what, {
        hint: "write it without (?=…), (?!…), (?<…) and \\1: such a pattern takes a cell of any length",
      });
    },
  };
}

function javascriptOf(spelled: { readonly pattern: string; readonly flags: string } | null): RegExp | null {
  if (spelled === null) return null;
  try {
    return new RegExp(spelled.pattern, spelled.flags);
  } catch {
    return null;
  }
}
