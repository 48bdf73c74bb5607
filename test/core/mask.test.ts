// Masks: personal values are gone wherever they stand in a document or a line, and everything else is as it was.
import fc from "fast-check";
import { expect, test } from "vitest";
import { MASK, Mask } from "../../src/core/mask.ts";

const mask = new Mask({ names: ["email", "Card_ID"], entity: true });

test("members of personal names, whatever says the same elsewhere, and what another member names", () => {
  const shown = mask.document({
    transaction: { EMAIL: "mia@example.org", card_id: 4929, amount: 4929, note: null, items: [1, true] },
    entity: "4929-11",
    text: "card 4929-11 of mia@example.org, not 14929-11",
    graph: [{ column: "card_id", value: "77-88" }, { column: "country", value: "FR" }, "77-88"],
    "mia@example.org": 1,
  });
  expect(shown).toEqual({
    transaction: { EMAIL: MASK, card_id: MASK, amount: 4929, note: null, items: [1, true] },
    entity: MASK,
    text: `card ${MASK} of ${MASK}, not 14929-11`,
    graph: [{ column: "card_id", value: MASK }, { column: "country", value: "FR" }, MASK],
    "mia@example.org": 1,
  });
  expect(new Mask({ names: [] }).document({ email: "a" })).toEqual({ email: "a" });
});

test("lines: JSON and queries that a message repeats, also escaped ones", () => {
  const line = mask.line({
    error: 'Unexpected end of {"email":"mia@example.org","amount":1, "card_id": 4929}',
    url: "/x?card_id=4929&amount=2",
    again: '{\\"email\\":\\"mia\\"}',
    email: ["a", { email: "b" }],
    my_email: "stays",
  });
  expect(JSON.stringify(line)).not.toMatch(/mia|4929|"b"/);
  expect(line).toMatchObject({ my_email: "stays", url: `/x?card_id=${MASK}&amount=2` });
});

test("no personal text of a document is left in it", () => {
  const value = fc.string({ minLength: 4, maxLength: 20 }).filter((text) => /^[\p{L}\p{N}]{4,}$/u.test(text));
  fc.assert(
    fc.property(value, fc.jsonValue(), (text, other) => {
      const shown = JSON.stringify(mask.document({ email: text, also: { entity: text, words: `by ${text}!` } }));
      expect(shown.includes(JSON.stringify(text).slice(1, -1)) && !MASK.includes(text)).toBe(false);
      const plain = new Mask({ names: ["no such name"] }).document(other);
      expect(plain).toEqual(other);
    }),
  );
});
