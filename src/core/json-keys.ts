// Keys of JSON texts: how many there are, and which of them stands twice in one object. A parser keeps the last one without a word.

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;

/** Colons in a text. */
export function colonsIn(text: string): number {
  let colons = 0;
  for (let at = text.indexOf(":"); at >= 0; at = text.indexOf(":", at + 1)) colons++;
  return colons;
}

/**
 * Whether no object of a JSON text has a key twice; `value` is what a parser made of the text, and `colons` the number of its members and of
 * the colons in its texts. Where every member is there, the text has no other colon; every request pays for being asked, so what needs a look
 * at each character (escapes, keys with a colon) is asked only where the count does not tell.
 */
export function hasEachKeyOnce(text: string, { value, colons }: { readonly value: unknown; readonly colons: number }) {
  if (colonsIn(text) === colons && !text.includes("\\")) return true;
  return membersWritten(text) === membersOf(value);
}

/** Members of all objects of a JSON text, as they are written: a key that stands twice counts twice. */
function membersWritten(text: string): number {
  let members = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Outside of texts a colon stands after a key, and nowhere else.
    if (code === COLON) members++;
    else if (code === QUOTE) at = endOfText(text, at);
  }
  return members;
}

function membersOf(value: unknown): number {
  if (value === null || typeof value !== "object") return 0;
  let members = 0;
  if (Array.isArray(value)) for (const item of value) members += membersOf(item);
  else for (const key in value) members += 1 + membersOf((value as Record<string, unknown>)[key]);
  return members;
}

/** A key that stands twice in one object of a JSON text that a parser has taken, as it reads (`a` and `\u0061` are one key); null where none does. */
export function repeatedKey(text: string): string | null {
  /** Keys of each open object; null for an array. */
  const open: (Set<string> | null)[] = [];
  let from = 0;
  let to = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '"') {
      from = at;
      at = endOfText(text, at);
      to = at + 1;
    } else if (sign === "{") open.push(new Set());
    else if (sign === "[") open.push(null);
    else if (sign === "}" || sign === "]") open.pop();
    else if (sign === ":") {
      const key = JSON.parse(text.slice(from, to)) as string;
      const known = open[open.length - 1];
      if (known?.has(key)) return key;
      known?.add(key);
    }
  }
  return null;
}

/** The closing quote of a text that opens at `at`. */
function endOfText(text: string, at: number): number {
  let end = at + 1;
  for (let code = text.charCodeAt(end); code !== QUOTE && end < text.length; code = text.charCodeAt(++end)) {
    if (code === BACKSLASH) end++;
  }
  return end;
}
