// The worked example of docs/features.md gives the numbers printed there, online and replayed.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import { encodeAndLearn } from "../../src/features/encode.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";

const PAGE = readFileSync(new URL("../../docs/features.md", import.meta.url), "utf8");

/** The table under the heading "Worked example" as records. */
function rowsOfExample(): Record<string, string>[] {
  const [header, , ...lines] = PAGE.split("## Worked example")[1]
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const end = lines.findIndex((cells) => cells[0] === "bound");
  return lines
    .slice(0, end < 0 ? undefined : end)
    .map((cells) => Object.fromEntries(header.map((name, i) => [name, cells[i]])));
}

test("the page's example is true", () => {
  const plan = compileSpec(checkSpec(JSON.parse(/```json\n([\s\S]*?)```/.exec(PAGE)![1])));
  const state = new FeatureState(layoutOf([plan]));
  const rows = rowsOfExample();
  expect(rows).toHaveLength(9);
  const waiting: { transaction: Transaction; fraud: boolean; knownAt: number }[] = [];
  for (const row of rows) {
    const time = Date.parse(row.time);
    const fields = { card: row.card || null, amount: row.amount === "" ? null : Number(row.amount) };
    while (waiting.length > 0 && waiting[0].knownAt <= time) state.learnLabel(waiting.shift()!);
    const transaction = { id: row.id, time, fields };
    const { vector } = encodeAndLearn(state, plan, transaction);
    const printed = Object.fromEntries(plan.names.map((name) => [name, Math.fround(Number(row[name]))]));
    const said = Object.fromEntries(plan.names.map((name, i) => [name, vector[i]]));
    expect(said, row.id).toEqual(printed);
    waiting.push({ transaction, fraud: row.fraud === "1", knownAt: time + DAY_MS });
  }
});
