// Which differences of others' windows a forgotten person explains, and which not.
import { expect, test } from "vitest";
import { pseudonymOf } from "../../../src/core/erasure.ts";
import type { Transaction } from "../../../src/core/transaction.ts";
import { declareColumns } from "../../../src/features/builder.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { isForgotten, Taint } from "../../../src/lifecycle/replay/forgotten.ts";

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key", ip: "key" });
const PLAN = compileSpec(
  f.spec({
    name: "taint",
    version: 1,
    features: [
      f.window("customer_count", { key: "customer_id", over: "transactions", window: "1d" }),
      f.window("terminal_count", { key: "terminal_id", over: "transactions", window: "1d" }),
      f.window("terminal_customers", { key: "terminal_id", over: "customer_id", aggregate: "distinct", window: "1d" }),
      f.window("ip_count", { key: "ip", over: "transactions", window: "1d" }),
    ],
  }),
);
const tx = (customer: string, terminal: string): Transaction => ({
  id: customer,
  time: 0,
  fields: { customer_id: customer, terminal_id: terminal, ip: "i", amount: 1 },
});
const logged = Float32Array.of(1, 2, 3, 4);
const differing = (...at: readonly number[]) => ({
  names: PLAN.names,
  logged,
  replayed: logged.map((value, i) => (at.includes(i) ? value + 1 : value)),
});

test("only values of erased columns among distinct ones, where the key is shared, and windows keyed by emptied columns", () => {
  const pseudonym = pseudonymOf(new Uint8Array(12));
  const taint = new Taint({ names: new Set(["customer_id"]), personal: new Set(["ip"]), isTable: () => false });
  const explains = (terminal: string, ...at: readonly number[]): boolean =>
    taint.explains(PLAN, { transaction: tx("b", terminal), ...differing(...at) });
  expect(explains("t1", 2)).toBe(false);
  taint.add(tx(pseudonym, "t1"));
  expect([explains("t1", 2), explains("t2", 2), explains("t2", 3), explains("t1", 2, 3)]).toEqual([
    true,
    false,
    true,
    true,
  ]);
  // The person's value is no part of other customers' or terminals' counts.
  expect([explains("t1", 0), explains("t1", 1), explains("t1", 1, 2), explains("t1")]).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(isForgotten({ fields: { customer_id: pseudonym }, extra: {} })).toBe(true);
  expect(isForgotten({ fields: { customer_id: "forgotten-me" }, extra: {} })).toBe(false);
  expect(new Taint(undefined).explains(PLAN, { transaction: tx("b", "t1"), ...differing(2) })).toBe(false);
});
