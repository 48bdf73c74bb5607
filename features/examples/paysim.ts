// Features of PaySim: what is known before the transfer; the balances after it are left out, since no server could know them.
import { declareColumns } from "sentinel-fraud";

const f = declareColumns({
  amount: "number",
  oldbalanceOrg: "number",
  oldbalanceDest: "number",
  type: "key",
  nameOrig: "key",
  nameDest: "key",
});
const payee = { key: "nameDest" } as const;
const amount = f.column("amount");
const balance = f.column("oldbalanceOrg");

export const paysim = f.spec({
  name: "paysim",
  version: 1,
  features: [
    amount,
    balance,
    f.column("oldbalanceDest"),
    f.category("type", ["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER"]),
    f.time("hour", "hour"),
    f.ratio("amount_to_balance", amount, balance),
    f.difference("amount_over_balance", amount, balance),
    f.window("payee_transfers_1d", { ...payee, over: "transactions", window: "1d" }),
    f.window("payee_transfers_7d", { ...payee, over: "transactions", window: "7d" }),
    f.window("payee_amount_1d", { ...payee, over: "amount", aggregate: "sum", window: "1d" }),
    f.window("payer_transfers_7d", { key: "nameOrig", over: "transactions", window: "7d" }),
    f.window("payee_frauds_7d", { ...payee, over: "frauds", window: "7d" }),
  ],
});
