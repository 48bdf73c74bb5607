// The default features of card payments: the Handbook's fifteen and what an analyst asks besides.
import type { FeatureDef } from "sentinel-fraud";
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });
const customer = { key: "customer_id" } as const;
const terminal = { key: "terminal_id" } as const;
/** Labels take about a week; a rate over younger transactions would look too good. */
const delay = "7d";
/** A compromised card or terminal is worked for two to four weeks; after five its past frauds say little. */
const within = "35d";

const amount = f.column("amount");

/** What the customer usually does, the transaction itself included. */
const habits = (["1d", "7d", "30d"] as const).flatMap((window): FeatureDef[] => [
  f.window(`customer_transactions_${window}`, { ...customer, over: "transactions", window }),
  f.window(`customer_spend_${window}_mean`, { ...customer, over: "amount", aggregate: "mean", window }),
]);

const extremes = (["7d", "30d"] as const).flatMap((window): FeatureDef[] => [
  f.window(`customer_spend_${window}_max`, { ...customer, over: "amount", aggregate: "max", window }),
  f.window(`customer_spend_${window}_std`, { ...customer, over: "amount", aggregate: "std", window }),
]);

/** What the customer spent before this transaction, which would otherwise be compared with itself. */
const before = (aggregate: "mean" | "std" | "max", window: "7d" | "14d" | "30d") =>
  f.window(`customer_spend_before_${window}_${aggregate}`, {
    ...customer,
    over: "amount",
    aggregate,
    window,
    current: false,
  });

/** How far the amount is from the usual. */
const surprise = (["7d", "14d", "30d"] as const).flatMap((window): FeatureDef[] => {
  const usual = before("mean", window);
  return [
    usual,
    f.ratio(`amount_to_customer_mean_${window}`, amount, usual),
    f.difference(`amount_over_customer_mean_${window}`, amount, usual),
  ];
});
const over30d = surprise[surprise.length - 1];
const spread30d = before("std", "30d");
const max30d = before("max", "30d");

/** How often the customer lately spent a multiple of the usual: a stolen card keeps spending. */
const bursts = (["3d", "7d", "14d"] as const).flatMap((window) =>
  [3, 4].map((times) =>
    f.multiple(`customer_spends_${times}x_usual_${window}`, {
      ...customer,
      over: "amount",
      times,
      window,
      usual: "30d",
    }),
  ),
);

const terminalRates = (["1d", "3d", "7d", "14d", "30d"] as const).flatMap((window): FeatureDef[] => [
  f.window(`terminal_transactions_${window}_delayed`, { ...terminal, over: "transactions", window, delay }),
  f.window(`terminal_fraud_rate_${window}_delayed`, { ...terminal, over: "fraud-rate", window, delay, empty: 0 }),
]);

const terminalFrauds = (["7d", "14d", "30d"] as const).map((window) =>
  f.window(`terminal_frauds_${window}_delayed`, { ...terminal, over: "frauds", window, delay }),
);

/** How long the known frauds of a card or terminal have been going on, and whether they have stopped. */
const episode = (who: "customer" | "terminal"): FeatureDef[] => {
  const key = `${who}_id` as const;
  return [
    f.elapsed(`${who}_days_since_first_known_fraud`, { key, since: "first-fraud", within, unit: "days" }),
    f.elapsed(`${who}_days_since_last_known_fraud`, { key, since: "last-fraud", within, unit: "days" }),
    f.sinceFraud(`${who}_genuine_since_last_known_fraud`, { key, within, delay }),
  ];
};

/** What the terminal's known frauds cost: a large one is its card's rather than the terminal's. */
const fraudAmounts = (["min", "max"] as const).map((aggregate) =>
  f.fraudValue(`terminal_known_fraud_amount_${aggregate}`, { ...terminal, over: "amount", aggregate, within }),
);

/** A compromised terminal turns everything into fraud: since when, and how many, without a genuine payment between. */
const fraudRun = [
  f.fraudRun("terminal_known_frauds_in_a_row", { ...terminal, measure: "count", within, delay }),
  f.fraudRun("terminal_days_since_frauds_in_a_row_began", { ...terminal, measure: "days", within, delay }),
];

export const card = f.spec({
  name: "card",
  version: 1,
  features: [
    amount,
    f.time("hour", "hour"),
    f.time("weekend", "weekend"),
    f.time("night", "night"),
    ...habits,
    ...extremes,
    ...surprise,
    spread30d,
    max30d,
    f.ratio("amount_customer_zscore_30d", over30d, spread30d),
    f.ratio("amount_to_customer_max_30d", amount, max30d),
    ...bursts,
    f.elapsed("customer_seconds_since_last_transaction", {
      ...customer,
      since: "last-transaction",
      within: "30d",
      unit: "seconds",
    }),
    f.window("customer_frauds_30d_delayed", { ...customer, over: "frauds", window: "30d", delay }),
    f.window("customer_fraud_rate_30d_delayed", { ...customer, over: "fraud-rate", window: "30d", delay, empty: 0 }),
    ...episode("customer"),
    ...terminalRates,
    ...terminalFrauds,
    ...episode("terminal"),
    ...fraudAmounts,
    ...fraudRun,
  ],
});
