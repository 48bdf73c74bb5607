// Features of TabFormer's table: amount and habits of the card, how it was used, what went wrong, the merchant's kind and past.
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({
  Amount: "number",
  User: "key",
  Card: "key",
  "Use Chip": "key",
  "Merchant Name": "key",
  "Merchant City": "key",
  MCC: "key",
  "Errors?": "key",
});
const card = { key: ["User", "Card"] } as const;
const merchant = { key: "Merchant Name" } as const;
const amount = f.column("Amount");
const usual = f.window("card_mean_before_30d", {
  ...card,
  over: "Amount",
  aggregate: "mean",
  window: "30d",
  current: false,
});

export const tabformer = f.spec({
  name: "tabformer",
  version: 1,
  features: [
    amount,
    f.category("Use Chip", ["Swipe Transaction", "Chip Transaction", "Online Transaction"], "use"),
    f.category(
      "Errors?",
      [
        "Bad CVV",
        "Bad Card Number",
        "Bad Expiration",
        "Bad PIN",
        "Bad Zipcode",
        "Insufficient Balance",
        "Technical Glitch",
      ],
      "error",
    ),
    // A hundred kinds of merchant and thousands of cities: those that the training rows have often enough.
    f.category("MCC", { values: "learned", max: 100 }, "mcc"),
    f.category("Merchant City", { values: "learned", max: 60 }, "city"),
    f.time("hour", "hour"),
    f.time("day_of_week", "dayOfWeek"),
    f.window("card_payments_1d", { ...card, over: "transactions", window: "1d" }),
    f.window("card_payments_7d", { ...card, over: "transactions", window: "7d" }),
    f.window("card_spend_1d", { ...card, over: "Amount", aggregate: "sum", window: "1d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.window("card_cities_7d", { ...card, over: "Merchant City", aggregate: "distinct", window: "7d" }),
    f.elapsed("card_seconds_since_last", { ...card, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.window("user_merchant_payments_90d", { key: ["User", "Merchant Name"], over: "transactions", window: "90d" }),
    f.window("merchant_fraud_rate_30d", { ...merchant, over: "fraud-rate", window: "30d", delay: "7d", empty: 0 }),
  ],
});
