// A person is erased from feature states: keys and ids by their pseudonym, and the numbers that stand for the value among distinct ones.
import { createHash } from "node:crypto";
import type { Eraser } from "../core/erasure.ts";
import { identityOf } from "./distinct.ts";
import { joinKey } from "./state.ts";

/** Eight bytes that stand for a value, and those that stand for its pseudonym. */
export interface IdentitySwap {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** A number stands for each value among distinct ones (distinct.ts), and anybody can compute it of a value that he guesses: it goes too. */
export function identitySwaps(values: readonly string[], pseudonym: string): readonly IdentitySwap[] {
  const bytes = (value: string): Uint8Array => new Uint8Array(Float64Array.of(identityOf(value)).buffer);
  return values.map((value) => ({ from: bytes(value), to: bytes(pseudonym) }));
}

/** The bytes with every swap made; null where there is none to make. */
export function swapped(bytes: Uint8Array, swaps: readonly IdentitySwap[]): Uint8Array | null {
  let after: Buffer | null = null;
  for (const { from, to } of swaps) {
    let at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(from);
    while (at >= 0) {
      after ??= Buffer.from(bytes);
      after.set(to, at);
      at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(from, at + from.length);
    }
  }
  return after;
}

/** The text of a key over such columns; null where it names nobody. */
export function erasedKey(columns: readonly string[], text: string, eraser: Eraser): string | null {
  const parts = columns.length === 1 ? [text] : partsOf(text, columns.length);
  // Of another form than this version's: looked at as a text.
  if (parts === null) return eraser.text(text);
  let changed = false;
  const after = parts.map((part, i) => {
    const next = eraser.part(columns[i], part);
    changed ||= next !== null;
    return next ?? part;
  });
  return changed ? joinKey(after) : null;
}

/** What joinKey put together. */
function partsOf(text: string, count: number): readonly string[] | null {
  const parts: string[] = [];
  let at = 0;
  while (parts.length < count) {
    const colon = text.indexOf(":", at);
    const length = colon < 0 ? Number.NaN : Number(text.slice(at, colon));
    if (!Number.isSafeInteger(length) || colon + 1 + length > text.length) return null;
    parts.push(text.slice(colon + 1, colon + 1 + length));
    at = colon + 1 + length;
  }
  return at === text.length ? parts : null;
}

const HASH_BYTES = 32;

/**
 * A snapshot (snapshot.ts) without the person, and how many keys and ids changed; null where there is nothing of the person. The numbers of each
 * key stay as they are, under its new name. Throws on bytes that are no snapshot.
 */
export function eraseFromSnapshot(
  bytes: Uint8Array,
  { eraser, swaps }: { readonly eraser: Eraser; readonly swaps: readonly IdentitySwap[] },
): { readonly bytes: Uint8Array; readonly found: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header;
  let found = 0;
  const renamed = (texts: readonly string[], rename: (text: string) => string | null): readonly string[] =>
    texts.map((text) => {
      const next = rename(text);
      if (next !== null) found++;
      return next ?? text;
    });
  const { ids } = header;
  const after: Header = {
    ...header,
    ids: { ...ids, current: renamed(ids.current, eraser.text), previous: renamed(ids.previous, eraser.text) },
    tables: header.tables.map((table, t) => ({
      ...table,
      keys: renamed(table.keys, (text) => erasedKey(header.layout.series[t].key, text, eraser)),
    })),
  };
  const body = bytes.subarray(aligned(8 + length), bytes.length - HASH_BYTES);
  const bodyAfter = swapped(body, swaps);
  if (found === 0 && bodyAfter === null) return null;
  const json = new TextEncoder().encode(JSON.stringify(after));
  const head = new Uint8Array(aligned(8 + json.length));
  head.set(bytes.subarray(0, 4));
  new DataView(head.buffer).setUint32(4, json.length, true);
  head.set(json, 8);
  const hash = createHash("sha256");
  const parts = [head, bodyAfter ?? body];
  for (const part of parts) hash.update(part);
  return { bytes: Buffer.concat([...parts, hash.digest()]), found: Math.max(1, found) };
}

interface Header {
  readonly layout: { readonly series: readonly { readonly key: readonly string[] }[] };
  readonly ids: { readonly current: readonly string[]; readonly previous: readonly string[] };
  readonly tables: readonly { readonly keys: readonly string[] }[];
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
