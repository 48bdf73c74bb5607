// The keys of a pipeline file as the tables of docs/configuration.md.
import { type Fields, insideOf } from "./kind.ts";
import { isKey } from "./section.ts";

const HEAD = "| key | default | what may be written | meaning |\n| --- | --- | --- | --- |\n";

/** A Markdown table with a row per key, sections within sections by dotted names. */
export function keyTable(fields: Fields): string {
  return `${HEAD}${rows(fields, "").join("")}`;
}

/**
 * The page with its tables written anew: what stands between `<!-- keys: CHAPTER -->` and `<!-- keys end -->`. Throws where a chapter
 * of the page is none of the chapters, or the other way round.
 */
export function withKeyTables(page: string, chapters: Readonly<Record<string, Fields>>): string {
  const missing = new Set(Object.keys(chapters));
  const written = page.replace(
    /(<!-- keys: (.*?) -->\n)[\s\S]*?(<!-- keys end -->)/g,
    (_, begin: string, chapter: string, end: string) => {
      if (!missing.delete(chapter)) throw new Error(`the page has a table for ${chapter}, which is no chapter`);
      return `${begin}\n${keyTable(chapters[chapter])}\n${end}`;
    },
  );
  if (missing.size > 0) throw new Error(`the page has no table for ${[...missing].join(", ")}`);
  return written;
}

function rows(fields: Fields, prefix: string): string[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    if (!isKey(field)) return rows(field.fields, `${prefix}${name}.`);
    const written = field.default === undefined ? "" : `\`${spelled(field.default)}\``;
    const row = `| \`${prefix}${name}\` | ${written} | ${cell(field.kind.words)} | ${cell(field.means)} |\n`;
    return [row, ...insideOf(field.kind, "").flatMap(([suffix, inner]) => rows(inner, `${prefix}${name}${suffix}.`))];
  });
}

/** A default as YAML in one line. */
function spelled(value: unknown): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? `[${value.map(spelled).join(", ")}]` : JSON.stringify(value);
}

function cell(words: string): string {
  return words.replaceAll("|", "\\|");
}
