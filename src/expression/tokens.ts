// Tokens: cuts the text of an expression into words, numbers, texts and signs.
import { fault } from "./fault.ts";

export interface Token {
  readonly kind: "number" | "text" | "name" | "quoted" | "sign" | "end";
  /** A sign or a name as written; a text or a quoted name without its quotes. */
  readonly text: string;
  readonly at: number;
}

/** What other SQL has and an expression here has not, with the way out. */
const REFUSED: readonly (readonly [pattern: RegExp, what: string, hint: string])[] = [
  [/--|\/\*/y, "a comment", "leave comments out; two minus signs need a space between them"],
  [/;/y, "a semicolon", "give one expression, not a statement"],
  [/::/y, "a cast", "values are never converted; write CASE WHEN … THEN … END"],
  [/[$?:@]/y, "a parameter", "write the value itself, or the name of a column"],
  [/\*\*|\^/y, "a power sign", "write power(x, y)"],
  [/\/\//y, "an integer division", "write floor(x / y)"],
  [/==/y, "==", "write = to compare"],
  [/&&/y, "&&", "write AND"],
];

const SPACE = /[ \t\r\n]+/y;
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[\p{L}_][\p{L}\p{M}\p{N}_]*(?:\.[\p{L}_][\p{L}\p{M}\p{N}_]*)*/uy;
const TEXT = /'(?:[^']|'')*'/y;
const QUOTED = /"(?:[^"]|"")*"|`(?:[^`]|``)*`/y;
const SIGN = /<=>|<=|>=|<>|!=|\|\||[=<>+\-*/%(),!]/y;
/** What may not follow a number or a quoted name without a space. */
const WORD = /[\p{L}\p{N}_.'"]/uy;

/** All tokens, with an `end` token last. Throws `expression.invalid` at the first character that begins none. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (true) {
    at += matchAt(SPACE, text, at).length;
    if (at >= text.length) break;
    const token = tokenAt(text, at);
    tokens.push(token.token);
    at = token.end;
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function tokenAt(text: string, at: number): { readonly token: Token; readonly end: number } {
  for (const [pattern, what, hint] of REFUSED) {
    if (matchAt(pattern, text, at) !== "") throw fault(text, at, { message: `${what} is not allowed`, hint });
  }
  for (const [kind, pattern] of KINDS) {
    const found = matchAt(pattern, text, at);
    if (found === "") continue;
    const end = at + found.length;
    if ((kind === "number" || kind === "quoted") && matchAt(WORD, text, end) !== "") {
      const hint =
        kind === "number"
          ? "write numbers as 12, 0.5 or 1e3"
          : 'quote the whole name once: "card.age", not "card"."age"';
      throw fault(text, end, { message: `${[...text.slice(end)][0]} follows ${found} directly`, hint });
    }
    return { token: { kind, text: plain(kind, found), at }, end };
  }
  const message =
    text[at] === "'" || text[at] === '"' || text[at] === "`"
      ? `the ${text[at]} is never closed`
      : `${[...text.slice(at)][0]} begins nothing`;
  throw fault(text, at, { message, hint: "texts stand in 'single quotes', odd column names in \"double quotes\"" });
}

const KINDS: readonly (readonly [Token["kind"], RegExp])[] = [
  ["number", NUMBER],
  ["name", NAME],
  ["text", TEXT],
  ["quoted", QUOTED],
  ["sign", SIGN],
];

function plain(kind: Token["kind"], found: string): string {
  if (kind === "text") return found.slice(1, -1).replaceAll("''", "'");
  if (kind !== "quoted") return found;
  const quote = found[0];
  return found.slice(1, -1).replaceAll(quote + quote, quote);
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}
