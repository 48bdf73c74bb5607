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

test("whatever stands under a personal name goes: numbers in arrays, members of objects, and where else they stand", () => {
  const shown = mask.document({
    card_id: [4971123412341234, { number: 4971123412341235 }],
    email: { work: "mia@example.org", verified: true },
    text: "4971123412341235 of mia@example.org",
  });
  expect(shown).toEqual({ card_id: MASK, email: MASK, text: `${MASK} of ${MASK}` });
  expect(mask.document({ card_id: null, email: false })).toEqual({ card_id: null, email: false });
});

test("values of lists and texts of conditions are hidden, wherever an answer repeats them", () => {
  const shown = mask.document([
    { value: "4971-11", from: "2026-01-01", to: null },
    { value: 0.5, from: 1, to: 2 },
    { rule_expression: "card_id = 4971123412341234 AND amount > 100", text: "card 4971123412341234" },
    { when: "country = 'it''s' AND amount > 100 AND \"odd name\" = 1", country: "it's" },
    {
      changes: [
        "~ list blocked: on 4971-12, 7",
        "+ rule r (live, block): note = 'mia'",
        '~ rule r: when "a = \'x\'" → "b"',
      ],
    },
  ]);
  expect(shown).toEqual([
    { value: MASK, from: "2026-01-01", to: null },
    { value: 0.5, from: 1, to: 2 },
    { rule_expression: `card_id = ${MASK} AND amount > ${MASK}`, text: `card ${MASK}` },
    { when: `country = '${MASK}' AND amount > 100 AND "odd name" = 1`, country: "it's" },
    {
      changes: [
        `~ list blocked: ${MASK}`,
        `+ rule r (live, block): note = '${MASK}'`,
        `~ rule r: when "a = '${MASK}'" → "b"`,
      ],
    },
  ]);
});

test("of a pipeline whose personal columns nobody can read, nothing is shown that may say whose it is", () => {
  const some = new Mask({ names: [], readable: new Set(["1", "shop"]) });
  const record = { entity: "c", transaction: { card: "c" }, reasons: [1], amount: 5, column: "x", value: "v" };
  const bare = { ...record, entity: MASK, transaction: MASK, reasons: MASK, value: MASK };
  expect(some.document({ pipeline_id: 1, inner: record })).toEqual({ pipeline_id: 1, inner: record });
  expect(some.document({ pipeline: "shop", inner: record })).toEqual({ pipeline: "shop", inner: record });
  expect(some.document([{ pipeline_id: 2, inner: record }, record])).toEqual([{ pipeline_id: 2, inner: bare }, bare]);
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
