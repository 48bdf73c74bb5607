// Features of IEEE-CIS: all numbers of the table, its few words, and habits of what stands for a card (card1 with addr1).
import type { FeatureDef } from "sentinel-fraud";
import { declareColumns } from "sentinel-fraud";

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
const NUMBERS = ["dist1", "dist2", ...numbered("C", 14), ...numbered("D", 15), ...numbered("V", 339)];
const MATCHES = numbered("M", 9);
const WORDS: Readonly<Record<string, readonly string[]>> = {
  ProductCD: ["C", "H", "R", "S", "W"],
  card4: ["american express", "discover", "mastercard", "visa"],
  card6: ["charge card", "credit", "debit", "debit or credit"],
  P_emaildomain: emails(),
  R_emaildomain: emails(),
  ...Object.fromEntries(MATCHES.map((name) => [name, name === "M4" ? ["M0", "M1", "M2"] : ["F", "T"]])),
};
const f = declareColumns({
  TransactionAmt: "number",
  card1: "key",
  addr1: "key",
  ...Object.fromEntries(NUMBERS.map((name) => [name, "number" as const])),
  ...Object.fromEntries(Object.keys(WORDS).map((name) => [name, "key" as const])),
});
/** The number in a column, under the column's own name. */
const column = (name: string): FeatureDef => ({ kind: "column", name, column: name });
const word = ([name, values]: readonly [string, readonly string[]]): FeatureDef => ({
  kind: "category",
  name,
  column: name,
  values,
});
const card = { key: ["card1", "addr1"] } as const;
const amount = f.column("TransactionAmt");
const usual = f.window("card_mean_before_30d", {
  ...card,
  over: "TransactionAmt",
  aggregate: "mean",
  window: "30d",
  current: false,
});

export const ieeeCis = f.spec({
  name: "ieee-cis",
  version: 1,
  features: [
    amount,
    f.time("hour", "hour"),
    f.time("day_of_week", "dayOfWeek"),
    ...NUMBERS.map(column),
    ...Object.entries(WORDS).map(word),
    f.window("card_payments_1d", { ...card, over: "transactions", window: "1d" }),
    f.window("card_payments_7d", { ...card, over: "transactions", window: "7d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.elapsed("card_seconds_since_last", { ...card, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.window("card_fraud_rate_30d", { ...card, over: "fraud-rate", window: "30d", delay: "7d", empty: 0 }),
  ],
});

/** The domains that most payments name; all others are one category. */
function emails(): readonly string[] {
  return [
    "anonymous.com",
    "aol.com",
    "comcast.net",
    "gmail.com",
    "hotmail.com",
    "icloud.com",
    "msn.com",
    "outlook.com",
    "yahoo.com",
  ];
}
