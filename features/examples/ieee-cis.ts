// Features of IEEE-CIS: all numbers of the table, its words as it has them, and habits of what stands for a card (card1 with addr1).
import type { FeatureDef } from "sentinel-fraud";
import { declareColumns } from "sentinel-fraud";

const MATCHES = Array.from({ length: 9 }, (_, i) => `M${i + 1}`);
/** Numbers that are names: they order nothing. */
const CODES = ["card2", "card3", "card5", "addr2"];
const WORDS: Readonly<Record<string, readonly string[]>> = {
  ProductCD: ["C", "H", "R", "S", "W"],
  card4: ["american express", "discover", "mastercard", "visa"],
  card6: ["charge card", "credit", "debit", "debit or credit"],
  // Of the receiver hardly any payment says more.
  R_emaildomain: ["anonymous.com", "gmail.com", "hotmail.com", "outlook.com", "yahoo.com"],
  ...Object.fromEntries(MATCHES.map((name) => [name, name === "M4" ? ["M0", "M1", "M2"] : ["F", "T"]])),
};
const f = declareColumns({
  TransactionAmt: "number",
  card1: "key",
  addr1: "key",
  P_emaildomain: "key",
  ...Object.fromEntries(Object.keys(WORDS).map((name) => [name, "key" as const])),
});
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
    // C1 … C14, D1 … D15, V1 … V339 and the distances, by the table's own names.
    f.columns({ all: "numeric", except: CODES }),
    ...Object.entries(WORDS).map(word),
    f.category("P_emaildomain", { values: "learned", max: 60 }),
    f.window("card_payments_1d", { ...card, over: "transactions", window: "1d" }),
    f.window("card_payments_7d", { ...card, over: "transactions", window: "7d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.elapsed("card_seconds_since_last", { ...card, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.window("card_fraud_rate_30d", { ...card, over: "fraud-rate", window: "30d", delay: "7d", empty: 0 }),
  ],
});
