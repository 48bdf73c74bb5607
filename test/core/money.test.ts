// Amounts of money: signs, separators and refunds as declared; what does not fit is refused.
import fc from "fast-check";
import { expect, test } from "vitest";
import { moneyRule } from "../../src/core/money.ts";

const dollars = moneyRule({ prefix: "$", decimal: ".", thousands: "," })!;

test.each([
  ["$134.09", 134.09],
  ["$-77.00", -77],
  ["-$77.00", -77],
  ["($134.09)", -134.09],
  [" $ 1,234,567.5 ", 1_234_567.5],
  ["1234.5", 1234.5],
  ["$.50", 0.5],
  ["-0", 0],
  ["$1,23", null],
  ["€5", null],
  ["5$", null],
  ["--5", null],
  ["(-5)", null],
  ["1e3", null],
  ["$", null],
  ["1.234,50", null],
])("%s is %s", (text, amount) => expect(dollars.read(text)).toBe(amount));

test("a comma before the cents and a sign behind", () => {
  const kroner = moneyRule({ suffix: " kr", decimal: ",", thousands: "." })!;
  expect(kroner.read("1.234,50 kr")).toBe(1234.5);
  expect(kroner.read("1234,5")).toBe(1234.5);
  expect(kroner.read("1,234.50")).toBe(null);
  expect(moneyRule({ decimal: ",", thousands: "," })).toBe(null);
});

test("what is written by the rule is read back, whatever the amount", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e11, max: 1e11 }), (cents) => {
      const whole = Math.floor(Math.abs(cents) / 100).toLocaleString("en-US");
      const text = `$${whole}.${String(Math.abs(cents) % 100).padStart(2, "0")}`;
      expect(dollars.read(cents < 0 ? `(${text})` : text)).toBe(cents / 100 || 0);
    }),
  );
});
