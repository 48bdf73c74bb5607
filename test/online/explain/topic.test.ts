// Topics: which features share a reason code, on the default features and on a spec of every kind.
import { expect, test } from "vitest";
import { card } from "../../../features/card.ts";
import { topicsOf } from "../../../src/online/explain/topic.ts";
import { EVERY_KIND } from "./every-kind.ts";

test("features of one key and one measure share a code, whatever their windows and aggregates", () => {
  const topics = topicsOf(card);
  const codes = new Map<string, string[]>();
  for (const [feature, code] of topics) codes.set(code, [...(codes.get(code) ?? []), feature]);
  expect([...codes.keys()].sort()).toEqual([
    "AMOUNT",
    "AMOUNT_VS_CUSTOMER_AMOUNT",
    "CUSTOMER_AMOUNT",
    "CUSTOMER_AMOUNT_BURST",
    "CUSTOMER_FRAUD_RATE",
    "CUSTOMER_FRAUD_RECENCY",
    "CUSTOMER_TRANSACTIONS",
    "CUSTOMER_TRANSACTION_RECENCY",
    "DAY_OF_WEEK",
    "TERMINAL_FRAUD_AMOUNT",
    "TERMINAL_FRAUD_RATE",
    "TERMINAL_FRAUD_RECENCY",
    "TERMINAL_FRAUD_RUN",
    "TERMINAL_TRANSACTIONS",
    "TIME_OF_DAY",
    "UNUSUAL_TRANSACTION",
  ]);
  expect(codes.get("TERMINAL_FRAUD_RATE")).toEqual(
    card.features.map(({ name }) => name).filter((name) => /^terminal_(frauds|fraud_rate)_/.test(name)),
  );
  expect(codes.get("AMOUNT_VS_CUSTOMER_AMOUNT")).toHaveLength(8);
});

test("every feature of every kind has a code for machines", () => {
  const topics = topicsOf(EVERY_KIND);
  for (const { name } of EVERY_KIND.features) expect(topics.get(name), name).toMatch(/^[A-Z][A-Z0-9_]*$/);
  expect(topics.get("mean_of_means")).toBe("CARD_AMOUNT_CHANGE");
  expect(topics.get("shops")).toBe("CARD_DISTINCT_SHOP");
  expect(topics.get("pair_count")).toBe("CARD_SHOP_TRANSACTIONS");
  expect(topics.get("isRound")).toBe("IS_ROUND");
});
