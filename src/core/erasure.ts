// Erasure: one person's value in texts, JSON and records, replaced by a pseudonym or only looked for by its keyed hash.
import { createHmac } from "node:crypto";
import { escapeHtml } from "./html.ts";
import { wordsPattern } from "./pattern.ts";

/** Shorter values are parts of too many other texts: they are replaced only where they stand alone, in places that name somebody. */
export const ERASED_INSIDE_LENGTH_MIN = 6;
/** Characters of a value: as many as an id may have. */
export const ERASED_LENGTH_MAX = 200;

const PSEUDONYM = /^forgotten-[0-9a-f]{24}$/;
/** Members that hold a key of somebody under another name than the column's: of alerts, cases, lists. */
const KEY_MEMBERS: readonly string[] = ["entity", "value", "card", "key"];

/** What stands in a person's place afterwards; `random` has 12 bytes. */
export function pseudonymOf(random: Uint8Array): string {
  return `forgotten-${Buffer.from(random).toString("hex")}`;
}

export function isPseudonym(value: unknown): boolean {
  return typeof value === "string" && PSEUDONYM.test(value);
}

/** What of a person was found in one place, and whether it was erased there. */
export interface Erased {
  /** A table, a file, a kind of key. */
  readonly what: string;
  /** Rows, keys or lines. */
  readonly found: number;
}

/** Looks for a person in whatever shape a store keeps things. Every method gives null where nothing of the person is. Pure. */
export interface Eraser {
  /** One of them stands in every plain text that holds the person; null: nobody knows, all must be looked at. */
  readonly needles: readonly string[] | null;
  /** A text that may name the person, whole or within longer words. */
  text(text: string): string | null;
  /** The same of a text that was put in lower case. */
  folded(text: string): string | null;
  /** JSON, or lines of it, or any other text: what does not change stays byte for byte. */
  json(text: string): string | null;
  /** Whether a record is the person's own. */
  owns(record: Readonly<Record<string, unknown>>): boolean;
  /** Members of a record; of the person's own the personal columns become null too. `owned`: it is, whatever it says itself. */
  record(record: Readonly<Record<string, unknown>>, owned?: boolean): Readonly<Record<string, unknown>> | null;
  /** One part of a key, of which column is known. */
  part(column: string, text: string): string | null;
}

export interface ErasedPerson {
  /** Names under which the column comes. */
  readonly names: ReadonlySet<string>;
  /** Columns that go too where a record is the person's: null afterwards. */
  readonly personal: ReadonlySet<string>;
}

/** Replaces `values`, which are one value in its spellings, the first as it is known. */
export function eraserOf(values: readonly string[], person: ErasedPerson & { readonly pseudonym: string }): Eraser {
  const long = values.filter((value) => value.length >= ERASED_INSIDE_LENGTH_MIN);
  const patterns = (of: readonly string[]): RegExp | null => (of.length === 0 ? null : wordsPattern(of));
  // Longest first: a spelling may begin with another one. Reports are HTML.
  const spelled = (of: readonly string[]): readonly string[] =>
    [...new Set(of.flatMap((value) => [value, escapeHtml(value)]))].sort((a, b) => b.length - a.length);
  const inside = patterns(spelled(long));
  const low = patterns(long.map((value) => value.toLowerCase()));
  const within = (text: string, pattern: RegExp | null): string | null => {
    if (pattern === null) return null;
    const after = text.replace(pattern, person.pseudonym);
    return after === text ? null : after;
  };
  return madeOf(person, {
    needles: [
      ...new Set(
        values.flatMap((value) => [
          value,
          value.toLowerCase(),
          JSON.stringify(value).slice(1, -1),
          value.replaceAll("\\", "\\u005c"),
        ]),
      ),
    ],
    isWhole: (text) => values.includes(text),
    pseudonym: person.pseudonym,
    inside: (text) => within(text, inside),
    folded: (text) => (values.some((value) => value.toLowerCase() === text) ? person.pseudonym : within(text, low)),
  });
}

/** A keyed hash of a value, with what a search of texts needs to know of it. */
export interface ErasedHash {
  readonly hash: string;
  /** Characters, and words within it: which parts of a text may be the value. */
  readonly length: number;
  readonly words: number;
}

/** The key keeps guessers out: without it a hash of a card's number is found by trying all of them. */
export function erasedHash(value: string, key: string): ErasedHash {
  return { hash: hashOf(value, key), length: value.length, words: wordsIn(value).length };
}

/** Looks for values by their keyed hashes alone. */
export function searcherOf(hashes: readonly ErasedHash[], person: ErasedPerson & { readonly key: string }): Eraser {
  const known = new Map<string, boolean>();
  const isIt = (text: string): boolean => {
    if (!hashes.some(({ length }) => length === text.length)) return false;
    let answer = known.get(text);
    if (answer === undefined) {
      const own = hashOf(text, person.key);
      answer = hashes.some(({ hash }) => hash === own);
      if (known.size >= SEARCHED_MAX) known.clear();
      known.set(text, answer);
    }
    return answer;
  };
  const long = hashes.filter(({ length }) => length >= ERASED_INSIDE_LENGTH_MIN);
  const inside = (text: string): string | null => {
    if (long.length === 0) return null;
    const words = wordsIn(text);
    for (const { length, words: count } of long) {
      for (let i = 0; i + Math.max(1, count) <= words.length; i++) {
        const from = words[i].index;
        const last = words[i + Math.max(1, count) - 1];
        // Signs at its ends belong to no word.
        for (let at = Math.max(0, last.index + last[0].length - length); at <= from; at++) {
          if (at + length <= text.length && isIt(text.slice(at, at + length))) return FOUND;
        }
      }
    }
    return null;
  };
  return madeOf(person, { needles: null, isWhole: isIt, pseudonym: FOUND, inside, folded: inside });
}

const FOUND = "forgotten-";
/** Texts that a search remembers: ids come again and again. */
const SEARCHED_MAX = 200_000;
const WORD = /[\p{L}\p{N}]+/gu;

function wordsIn(text: string): RegExpExecArray[] {
  return [...text.matchAll(WORD)];
}

function hashOf(value: string, key: string): string {
  return createHmac("sha256", key).update(value).digest("hex");
}

interface Matching {
  readonly needles: readonly string[] | null;
  readonly pseudonym: string;
  isWhole(text: string): boolean;
  inside(text: string): string | null;
  folded(text: string): string | null;
}

function madeOf(person: ErasedPerson, by: Matching): Eraser {
  // Upper and lower case of a column's name are one.
  const [names, personal] = [folding(person.names), folding(person.personal)];
  const text = (given: string): string | null => (by.isWhole(given) ? by.pseudonym : by.inside(given));
  const isTheirs = (value: unknown): boolean =>
    (typeof value === "string" || typeof value === "number") && by.isWhole(String(value));
  /** The same value where nothing changes. */
  const walk = (value: unknown, name: string | null): unknown => {
    if (typeof value === "string") {
      const stands = name === null || names.has(name) || KEY_MEMBERS.includes(name);
      if (stands && by.isWhole(value)) return by.pseudonym;
      return nested(value) ?? by.inside(value) ?? value;
    }
    if (typeof value === "number") return name !== null && names.has(name) && isTheirs(value) ? by.pseudonym : value;
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) {
      const items = value.map((item) => walk(item, name));
      return items.some((item, i) => item !== value[i]) ? items : value;
    }
    return members(value as Readonly<Record<string, unknown>>) ?? value;
  };
  /** JSON within a text, such as a transaction within an entry of a ledger. */
  const nested = (value: string): string | null => {
    if (!/^\s*[{[]/.test(value)) return null;
    const document = parsedOr(value);
    if (document === undefined) return null;
    const after = walk(document, null);
    return after === document ? null : JSON.stringify(after);
  };
  const owns = (value: Readonly<Record<string, unknown>>): boolean =>
    Object.entries(value).some(([name, member]) => names.has(name) && isTheirs(member));
  const members = (value: Readonly<Record<string, unknown>>, theirs = owns(value)): Record<string, unknown> | null => {
    const entries = Object.entries(value);
    let changed = false;
    const after = entries.map(([name, member]): [string, unknown] => {
      const gone = theirs && personal.has(name) && !names.has(name) && member !== null;
      const next = gone ? null : walk(member, name);
      const nextName = by.inside(name) ?? name;
      changed ||= next !== member || nextName !== name;
      return [nextName, next];
    });
    // Object.fromEntries defines members: a field named __proto__ is a field.
    return changed ? Object.fromEntries(after) : null;
  };
  return {
    needles: by.needles,
    text,
    folded: by.folded,
    owns,
    record: (record, owned = false) => members(record, owned || owns(record)),
    part: (column, given) => (names.has(column) && by.isWhole(given) ? by.pseudonym : by.inside(given)),
    json(given) {
      const parsed = parsedOr(given);
      if (parsed === undefined) {
        if (by.isWhole(given)) return by.pseudonym;
        const plain = by.inside(given);
        return byStrings(plain ?? given, by) ?? plain;
      }
      const after = walk(parsed, null);
      if (after === parsed) return null;
      const plain = byStrings(given, by);
      // Numbers keep their last digit where only texts change.
      return plain !== null && same(JSON.parse(plain), after) ? plain : JSON.stringify(after);
    },
  };
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Asked for every member of every record: spellings are folded once each. */
function folding(given: ReadonlySet<string>): { has(name: string): boolean } {
  const folded = new Set([...given].map((name) => name.toLowerCase()));
  return { has: (name) => folded.has(name) || folded.has(name.toLowerCase()) };
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Texts in quotation marks, one by one; what stands outside of them stays. */
function byStrings(given: string, by: Matching): string | null {
  let changed = false;
  const after = given.replace(/"(?:[^"\\]|\\.)*"/gs, (piece) => {
    const inner = stringIn(piece);
    const next = inner === null ? null : by.isWhole(inner) ? by.pseudonym : by.inside(inner);
    if (next === null) return piece;
    changed = true;
    return JSON.stringify(next);
  });
  return changed ? after : null;
}

function stringIn(piece: string): string | null {
  try {
    return JSON.parse(piece) as string;
  } catch {
    return null;
  }
}
