// The journal's chain: what was written verifies, and any later change to it shows.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChainLink, journalHash, nextEntry, verifyJournal } from "../../src/core/journal.ts";

type Entry = ChainLink & { readonly actor: string; readonly at: number; readonly to: string | null };

function chain(fields: readonly Omit<Entry, keyof ChainLink>[]): Entry[] {
  const entries: Entry[] = [];
  for (const field of fields) entries.push(nextEntry(field, entries.at(-1) ?? null));
  return entries;
}

const fields = fc.record({ actor: fc.string(), at: fc.integer(), to: fc.option(fc.string()) });

test("an empty journal and every journal as written hold", () => {
  expect(verifyJournal([])).toEqual({ ok: true, badIndex: null, why: "" });
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 20 }), (list) => {
      const entries = chain(list);
      expect(verifyJournal(entries).ok).toBe(true);
      expect(entries.map(({ index }) => index)).toEqual(list.map((_, index) => index));
      // The order of members is no part of an entry.
      const turned = entries.map((entry) => Object.fromEntries(Object.entries(entry).reverse()) as unknown as Entry);
      expect(verifyJournal(turned).ok).toBe(true);
    }),
  );
});

test("any changed field of any entry is found where it is", () => {
  fc.assert(
    fc.property(
      fc.array(fields, { minLength: 1, maxLength: 10 }),
      fc.nat(),
      fc.constantFrom("actor", "at", "to"),
      (list, at, field) => {
        const entries = chain(list);
        const place = at % entries.length;
        entries[place] = { ...entries[place], [field]: "changed by eve" };
        expect(verifyJournal(entries)).toMatchObject({ ok: false, badIndex: place });
      },
    ),
  );
});

test("an entry changed with its own hash made anew is found at the next one", () => {
  const entries = chain([1, 2, 3].map((at) => ({ actor: "ana", at, to: "1" })));
  const changed = { ...entries[1], actor: "eve" };
  entries[1] = { ...changed, hash: journalHash(changed) };
  expect(verifyJournal(entries)).toMatchObject({
    ok: false,
    badIndex: 2,
    why: expect.stringContaining("does not follow"),
  });
});

test("a removed, doubled or moved entry is found", () => {
  fc.assert(
    fc.property(fc.array(fields, { minLength: 3, maxLength: 10 }), fc.nat(), (list, at) => {
      const entries = chain(list);
      const place = at % (entries.length - 1);
      expect(verifyJournal(entries.toSpliced(place, 1))).toMatchObject({ ok: false, badIndex: place });
      expect(verifyJournal(entries.toSpliced(place, 0, entries[place])).ok).toBe(false);
      const swapped = [...entries];
      [swapped[place], swapped[place + 1]] = [swapped[place + 1], swapped[place]];
      expect(verifyJournal(swapped)).toMatchObject({ ok: false, badIndex: place });
    }),
  );
});

test("a journal that starts with another's entries is found", () => {
  const one = chain([{ actor: "ana", at: 1, to: "1" }]);
  const other = chain([
    { actor: "bob", at: 1, to: "1" },
    { actor: "bob", at: 2, to: "2" },
  ]);
  expect(verifyJournal([one[0], other[1]])).toMatchObject({ ok: false, badIndex: 1 });
});

test("a frozen journal that was found whole is whole again; the same entries in another list are looked at anew", () => {
  const entries = chain([
    { actor: "ana", at: 1, to: "1" },
    { actor: "ben", at: 2, to: "2" },
  ]);
  const frozen = Object.freeze(entries.map((entry) => Object.freeze(entry)));
  expect(verifyJournal(frozen).ok).toBe(true);
  expect(verifyJournal(frozen).ok).toBe(true);
  expect(verifyJournal([frozen[1], frozen[0]])).toMatchObject({ ok: false, badIndex: 0 });
  // A list that can still change is never remembered.
  expect(verifyJournal(entries).ok).toBe(true);
  entries[0] = { ...entries[0], actor: "eve" };
  expect(verifyJournal(entries)).toMatchObject({ ok: false, badIndex: 0 });
});
