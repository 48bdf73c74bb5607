// The fifteen features of the Fraud Detection Handbook (Le Borgne et al. 2022, chapter 3), to compare with.
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });
const WINDOWS = ["1d", "7d", "30d"] as const;

export const handbook = f.spec({
  name: "handbook",
  version: 1,
  features: [
    f.column("amount"),
    f.time("weekend", "weekend"),
    f.time("night", "night"),
    ...WINDOWS.flatMap((window) => [
      f.window(`customer_transactions_${window}`, { key: "customer_id", over: "transactions", window }),
      f.window(`customer_spend_${window}_mean`, { key: "customer_id", over: "amount", aggregate: "mean", window }),
    ]),
    ...WINDOWS.flatMap((window) => [
      f.window(`terminal_transactions_${window}_delayed`, {
        key: "terminal_id",
        over: "transactions",
        window,
        delay: "7d",
      }),
      f.window(`terminal_fraud_rate_${window}_delayed`, {
        key: "terminal_id",
        over: "fraud-rate",
        window,
        delay: "7d",
        empty: 0,
      }),
    ]),
  ],
});
