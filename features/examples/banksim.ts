// Features of BankSim: amount, who pays, what for, habits of the customer, the merchant's past.
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({
  amount: "number",
  customer: "key",
  merchant: "key",
  category: "key",
  age: "key",
  gender: "key",
});
const customer = { key: "customer" } as const;
const merchant = { key: "merchant" } as const;
const amount = f.column("amount");
const usual = f.window("customer_mean_before_30d", {
  ...customer,
  over: "amount",
  aggregate: "mean",
  window: "30d",
  current: false,
});
/** The table writes its texts in single quotes, which belong to them. */
const quoted = (words: readonly string[]): string[] => words.map((word) => `'${word}'`);

export const banksim = f.spec({
  name: "banksim",
  version: 1,
  features: [
    amount,
    f.category(
      "category",
      quoted([
        "es_barsandrestaurants",
        "es_contents",
        "es_fashion",
        "es_food",
        "es_health",
        "es_home",
        "es_hotelservices",
        "es_hyper",
        "es_leisure",
        "es_otherservices",
        "es_sportsandtoys",
        "es_tech",
        "es_transportation",
        "es_travel",
        "es_wellnessandbeauty",
      ]),
    ),
    f.category("age", quoted(["0", "1", "2", "3", "4", "5", "6", "U"])),
    f.category("gender", quoted(["E", "F", "M", "U"])),
    f.window("customer_payments_1d", { ...customer, over: "transactions", window: "1d" }),
    f.window("customer_payments_7d", { ...customer, over: "transactions", window: "7d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.window("customer_merchants_7d", { ...customer, over: "merchant", aggregate: "distinct", window: "7d" }),
    f.window("merchant_payments_7d", { ...merchant, over: "transactions", window: "7d" }),
    f.window("merchant_fraud_rate_30d", { ...merchant, over: "fraud-rate", window: "30d", delay: "7d", empty: 0 }),
  ],
});
