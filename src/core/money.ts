// Amounts of money as texts with a currency's sign and separators, read by what the pipeline declares and never guessed.
import { escapedPattern } from "./pattern.ts";

/** How amounts are written. A text without the signs is an amount too; a number is one as it is. */
export interface MoneyRule {
  readonly prefix: string;
  readonly suffix: string;
  readonly decimal: string;
  readonly thousands: string;
  /** The amount; null where the text is none by this rule. */
  readonly read: (text: string) => number | null;
}

/** Longer texts are no amounts. */
const TEXT_LENGTH_MAX = 64;

/**
 * A rule from its signs; null where thousands and cents have the same one. A refund has a minus before or behind the currency's sign, or
 * stands in parentheses, as bookkeepers write it: -$1.50, $-1.50, ($1.50). Thousands are groups of three, all or none of them separated.
 */
export function moneyRule(signs: {
  readonly prefix?: string;
  readonly suffix?: string;
  readonly decimal: string;
  readonly thousands?: string;
}): MoneyRule | null {
  const { prefix = "", suffix = "", decimal, thousands = "" } = signs;
  if (decimal === thousands) return null;
  const grouped = thousands === "" ? "" : `\\d{1,3}(?:${escapedPattern(thousands)}\\d{3})+|`;
  const sign = (text: string): string => (text.trim() === "" ? "" : `(?:${escapedPattern(text.trim())}\\s*)?`);
  const body = `(-?)\\s*${sign(prefix)}(-?)((?:${grouped}\\d+)?)(?:${escapedPattern(decimal)}(\\d*))?\\s*${sign(suffix)}`;
  const plain = new RegExp(`^${body}$`);
  const refund = new RegExp(`^\\(\\s*${body}\\s*\\)$`);
  return {
    prefix,
    suffix,
    decimal,
    thousands,
    read(text) {
      if (text.length > TEXT_LENGTH_MAX) return null;
      const trimmed = text.trim();
      const parenthesised = refund.exec(trimmed);
      const match = parenthesised ?? plain.exec(trimmed);
      if (match === null) return null;
      const [, outer, inner, whole, cents = ""] = match;
      const minuses = Number(outer !== "") + Number(inner !== "") + Number(parenthesised !== null);
      if (minuses > 1 || (whole === "" && cents === "")) return null;
      const digits = thousands === "" ? whole : whole.replaceAll(thousands, "");
      const value = Number(`${digits === "" ? "0" : digits}.${cents === "" ? "0" : cents}`);
      return minuses === 1 && value !== 0 ? -value : value;
    },
  };
}

/** For messages: an amount as the rule would have it. */
export function moneyExample({ prefix, suffix, decimal, thousands }: MoneyRule): string {
  return `${prefix}1${thousands}234${decimal}50${suffix}`;
}
