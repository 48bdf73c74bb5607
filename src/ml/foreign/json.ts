// Reading a foreign document field by field: what is there is of its type, what is not is said with its path.
import { COLUMNS_MAX, invalidModel, NODES_MAX } from "./flatten.ts";

/** A value of a parsed document with its path, for messages. Only own fields are seen: a prototype is no document. */
export interface Place {
  readonly value: unknown;
  readonly path: string;
}

export function placeOf(value: unknown, path: string): Place {
  return { value, path };
}

/** A field that must be there. */
export function field(place: Place, name: string): Place {
  const found = optionalField(place, name);
  if (found === null) throw invalidModel(`${place.path} has no ${name}`);
  return found;
}

/** A field, or null where the object has none of its own. */
export function optionalField(place: Place, name: string): Place | null {
  const { value, path } = place;
  if (value === null || typeof value !== "object" || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw invalidModel(`${path} is no object`);
  }
  if (!Object.hasOwn(value, name)) return null;
  return { value: (value as Record<string, unknown>)[name], path: `${path}.${name}` };
}

export function items(place: Place, lengthMax: number): Place[] {
  const { value, path } = place;
  if (!Array.isArray(value)) throw invalidModel(`${path} is no list`);
  if (value.length > lengthMax) throw invalidModel(`${path} has ${value.length} entries, more than ${lengthMax}`);
  return value.map((item, i) => ({ value: item, path: `${path}[${i}]` }));
}

export function text(place: Place): string {
  if (typeof place.value !== "string") throw invalidModel(`${place.path} is no text`);
  return place.value;
}

/** Names of columns. */
export function names(place: Place): string[] {
  return items(place, COLUMNS_MAX).map(text);
}

/** A number, also one written as a text, as XGBoost writes its parameters. */
export function number(place: Place): number {
  const { value, path } = place;
  const parsed = typeof value === "number" ? value : typeof value === "string" ? parseNumber(value) : Number.NaN;
  if (Number.isNaN(parsed)) throw invalidModel(`${path} is no number`);
  return parsed;
}

/** Numbers in a list of `length` entries (any when absent); true and false count 1 and 0. */
export function numbers(place: Place, length?: number): ArrayLike<number> {
  const { value, path } = place;
  // A typed array is what a binary document has.
  const isTyped = ArrayBuffer.isView(value) && !(value instanceof DataView);
  if (!isTyped && !Array.isArray(value)) throw invalidModel(`${path} is no list of numbers`);
  const list = value as ArrayLike<unknown>;
  if (list.length > NODES_MAX) throw invalidModel(`${path} has ${list.length} entries, more than ${NODES_MAX}`);
  if (length !== undefined && list.length !== length) {
    throw invalidModel(`${path} has ${list.length} entries, not one for each of ${length} nodes`);
  }
  if (isTyped) return list as ArrayLike<number>;
  return Float64Array.from(list, (item, i) => {
    if (typeof item === "number") return item;
    if (typeof item === "boolean") return item ? 1 : 0;
    // What `parseModelJson` makes of a bare NaN.
    if (item === null) return Number.NaN;
    throw invalidModel(`${path}[${i}] is no number`);
  });
}

/**
 * A JSON document as model files have it. XGBoost before 3.1 writes bare NaN and Infinity, which JSON does not know: NaN becomes
 * null, which {@link numbers} reads as NaN. Throws a SyntaxError where the text is no document even so.
 */
export function parseModelJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const plain = text.replace(BARE, (found) =>
      found.startsWith('"') ? found : found.endsWith("NaN") ? "null" : found.replace("Infinity", "1e999"),
    );
    if (plain === text) throw error;
    return JSON.parse(plain);
  }
}

/** A text, which stays as it is, or a number that JSON does not know. */
const BARE = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g;

/** The number a text spells, or NaN. */
export function parseNumber(spelled: string): number {
  return spelled.trim() === "" ? Number.NaN : Number(spelled);
}
