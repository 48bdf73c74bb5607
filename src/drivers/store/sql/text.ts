// Texts on their way into a database: SQLite cuts them at U+0000, PostgreSQL refuses it, and neither keeps half a surrogate pair.

/** A half of a pair alone, or U+0000. */
const UNSTORABLE = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const NEEDS_ESCAPE = new RegExp(`\\\\u|${UNSTORABLE.source}`);

/** A text that every database keeps; different texts stay different, and nearly all stay as they are. */
export function stored(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replace(UNSTORABLE, escapeOf);
}

/** The text that `stored` was given. */
export function unstored(text: string): string {
  if (!text.includes("\\u")) return text;
  return text.replace(/\\(\\|u([0-9a-f]{4}))/g, (_, escaped: string, hex: string | undefined) =>
    hex === undefined ? escaped : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** JSON that JSONB takes too: what no database keeps stands there as its escape, six readable characters. */
export function storedJson(value: unknown): string {
  // JSON.stringify escapes U+0000 and lone halves only, always in lower case; other escapes are skipped over in pairs.
  const json = JSON.stringify(value);
  if (!json.includes("\\")) return json;
  return json.replace(/\\(?:u(?:0000|d[89a-f][0-9a-f]{2})|.)/g, (found) => (found.length === 6 ? `\\${found}` : found));
}

function escapeOf(sign: string): string {
  return `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
