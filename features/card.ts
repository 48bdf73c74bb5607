// The default features of card payments: the Handbook's fifteen and what an analyst asks besides.
import type { FeatureDef } from "sentinel";
import { declareColumns } from "sentinel";

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

/** How far the amount is from what the customer spent before it. */
const surprise = (["7d", "14d", "30d"] as const).flatMap((window): FeatureDef[] => {
  const usual = f.window(`customer_spend_before_${window}_mean`, {
    ...customer,
    over: "amount",
    aggregate: "mean",
    window,
    current: false,
  });
  return [
    usual,
    f.ratio(`amount_to_customer_mean_${window}`, amount, usual),
    f.difference(`amount_over_customer_mean_${window}`, amount, usual),
  ];
});

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

const terminalRisk = (["1d", "3d", "7d", "14d", "30d"] as const).flatMap((window): FeatureDef[] => [
  f.window(`terminal_transactions_${window}_delayed`, { ...terminal, over: "transactions", window, delay }),
  f.window(`terminal_fraud_rate_${window}_delayed`, { ...terminal, over: "fraud-rate", window, delay, empty: 0 }),
]);

const terminalFrauds = (["7d", "14d", "30d"] as const).map((window) =>
  f.window(`terminal_frauds_${window}_delayed`, { ...terminal, over: "frauds", window, delay }),
);

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
    ...bursts,
    f.elapsed("customer_seconds_since_last_transaction", {
      ...customer,
      since: "last-transaction",
      within: "30d",
      unit: "seconds",
    }),
    ...terminalRisk,
    ...terminalFrauds,
    f.elapsed("terminal_days_since_first_known_fraud", { ...terminal, since: "first-fraud", within, unit: "days" }),
    f.elapsed("terminal_days_since_last_known_fraud", { ...terminal, since: "last-fraud", within, unit: "days" }),
    f.sinceFraud("terminal_genuine_since_last_known_fraud", { ...terminal, within, delay }),
  ],
});
