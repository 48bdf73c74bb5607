// Erasure: a value leaves texts, JSON and records in every spelling, longer values stay, and its keyed hash finds what the value finds.
import fc from "fast-check";
import { expect, test } from "vitest";
import { erasedHash, eraserOf, isPseudonym, pseudonymOf, searcherOf } from "../../src/core/erasure.ts";

const KEY = "k".repeat(32);
const names = { names: new Set(["customer_id", "Card"]), personal: new Set(["email"]) };
const pseudonym = pseudonymOf(new Uint8Array(12));
const eraser = (value: string) => eraserOf([value], { ...names, pseudonym });
const searcher = (value: string) => searcherOf([erasedHash(value, KEY)], { ...names, key: KEY });

test("texts: alone, within words that it does not touch, in lower case, in HTML; never as a part of a longer value", () => {
  const one = eraser("C-4929/7");
  expect(one.text("C-4929/7")).toBe(pseudonym);
  expect(one.text("t_C-4929/7-1, of C-4929/7.")).toBe(`t_${pseudonym}-1, of ${pseudonym}.`);
  for (const other of ["C-4929/77", "XC-4929/7", "c-4929/7", "C-4929", ""]) expect(one.text(other)).toBeNull();
  expect(one.folded("of c-4929/7")).toBe(`of ${pseudonym}`);
  expect(eraser('Mia "M" & <x>').json("<td>Mia &quot;M&quot; &amp; &lt;x&gt;</td>")).toBe(`<td>${pseudonym}</td>`);
});

test("JSON: other members stay byte for byte, own records lose personal columns, numbers of the column go", () => {
  const one = eraser("492912");
  expect(one.json('{"a":1.10,"t":"x\\u00e9 492912"}')).toBe(`{"a":1.10,"t":"xé ${pseudonym}"}`);
  expect(JSON.parse(one.json('{"customer_id":492912,"email":"m","n":492912}')!)).toEqual({
    customer_id: pseudonym,
    email: null,
    n: 492912,
  });
  expect(one.json('{"customer_id":"4929121","email":"m"}')).toBeNull();
  expect(JSON.parse(one.json('{"\\u0043ard":"49291\\u0032"}')!)).toEqual({ Card: pseudonym });
  const inner = JSON.stringify({ customer_id: "492912", email: "m" });
  expect(JSON.parse(JSON.parse(one.json(JSON.stringify({ inner }))!).inner)).toEqual({
    customer_id: pseudonym,
    email: null,
  });
  expect(one.record({ customer_id: "no", email: "m" })).toBeNull();
  expect(one.record({ email: "m" }, true)).toEqual({ email: null });
});

test("a short value goes only where it stands alone in a place that names somebody", () => {
  const one = eraser("c7");
  expect(one.json('{"customer_id":"c7","terminal":"c7","note":"of c7"}')).toBe(
    `{"customer_id":"${pseudonym}","terminal":"c7","note":"of c7"}`,
  );
  expect(one.part("terminal", "c7")).toBeNull();
  expect(one.part("customer_id", "c7")).toBe(pseudonym);
});

test("the keyed hash finds what the value finds, and nothing where it was erased", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 30 });
  const value = fc
    .string({ minLength: 6, maxLength: 20 })
    .filter((one) => one.trim() === one && /[\p{L}\p{N}]/u.test(one));
  fc.assert(
    fc.property(value, text, text, (own, before, after) => {
      const [one, search] = [eraser(own), searcher(own)];
      for (const given of [own, `${before} ${own} ${after}`, before]) {
        const erased = one.text(given);
        expect(search.text(given) !== null).toBe(erased !== null);
        if (erased !== null) expect(search.text(erased)).toBeNull();
        const json = JSON.stringify({ note: given, customer_id: own });
        const gone = one.json(json)!;
        expect(isPseudonym(JSON.parse(gone).customer_id)).toBe(true);
        expect(search.json(gone)).toBeNull();
      }
    }),
  );
});
