// Features of Sparkov's tables: amount and habits of the card, the merchant's past, the kind of shop, the hour, how far the shop is.
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({
  amt: "number",
  city_pop: "number",
  lat: "number",
  long: "number",
  merch_lat: "number",
  merch_long: "number",
  cc_num: "key",
  merchant: "key",
  category: "key",
});
const card = { key: "cc_num" } as const;
const merchant = { key: "merchant" } as const;
const amount = f.column("amt");
const usual = f.window("card_mean_before_30d", {
  ...card,
  over: "amt",
  aggregate: "mean",
  window: "30d",
  current: false,
});

export const sparkov = f.spec({
  name: "sparkov",
  version: 1,
  features: [
    amount,
    f.category("category", [
      "entertainment",
      "food_dining",
      "gas_transport",
      "grocery_net",
      "grocery_pos",
      "health_fitness",
      "home",
      "kids_pets",
      "misc_net",
      "misc_pos",
      "personal_care",
      "shopping_net",
      "shopping_pos",
      "travel",
    ]),
    f.time("hour", "hour"),
    f.time("weekend", "weekend"),
    f.column("city_pop"),
    f.expression("degrees_north", "abs(merch_lat - lat)"),
    f.expression("degrees_east", "abs(merch_long - long)"),
    f.window("card_payments_1d", { ...card, over: "transactions", window: "1d" }),
    f.window("card_payments_7d", { ...card, over: "transactions", window: "7d" }),
    f.window("card_spend_1d", { ...card, over: "amt", aggregate: "sum", window: "1d" }),
    usual,
    f.ratio("amount_to_usual", amount, usual),
    f.elapsed("card_seconds_since_last", { ...card, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.window("card_shop_payments_30d", { key: ["cc_num", "category"], over: "transactions", window: "30d" }),
    f.window("merchant_fraud_rate_30d", { ...merchant, over: "fraud-rate", window: "30d", delay: "7d", empty: 0 }),
  ],
});
