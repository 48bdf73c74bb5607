// The Handbook's fifteen features equal pandas' rolling windows (scripts/reference/features.py made the answers).
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { handbook } from "../../features/handbook.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import type { Column } from "../../src/core/table.ts";
import { replay } from "../../src/features/replay.ts";

interface Reference {
  readonly label_delay_days: number;
  readonly columns: Readonly<Record<string, readonly number[]>>;
  readonly features: Readonly<Record<string, readonly number[]>>;
}

const reference = JSON.parse(readFileSync(new URL("./features.json", import.meta.url), "utf8")) as Reference;

test("every one of the fifteen is pandas' to the last bit", () => {
  const columns = new Map<string, Column>();
  for (const [name, values] of Object.entries(reference.columns)) {
    columns.set(name, { kind: name === "time" ? "time" : "number", values: Float64Array.from(values) });
  }
  const rows = reference.columns.time.length;
  const { values, names } = replay({
    spec: handbook,
    table: { rows, columns },
    columns: { id: "transaction_id", time: "time", label: "is_fraud" },
    labelDelayMs: reference.label_delay_days * DAY_MS,
  });
  expect(names).toEqual(Object.keys(reference.features));
  names.forEach((name, c) => {
    expect([...values.subarray(c * rows, (c + 1) * rows)], name).toEqual(reference.features[name].map(Math.fround));
  });
});
