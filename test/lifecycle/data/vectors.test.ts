// Vectors of a table with labels whose moment is written down for some rows only: replayed, and one by one as a server.
import { expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Random } from "../../../src/core/random.ts";
import { type Column, orderBy, type Table } from "../../../src/core/table.ts";
import { compileSpec } from "../../../src/features/plan.ts";
import { checkSpec } from "../../../src/features/spec.ts";
import { parityFault, vectorsOf } from "../../../src/lifecycle/data/vectors.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { emptyPlace, pipelineOf } from "../world.ts";

const ROWS = 300;
const pipeline = pipelineOf();
const plan = compileSpec(
  checkSpec({
    name: "card",
    version: 1,
    features: [{ kind: "window", name: "frauds_30d", key: ["customer_id"], over: "frauds", window: "30d" }],
  }),
);
const report = { line: () => {}, progress: () => {} };

/** Payments of three customers, one every three hours; `known` gives the moment of each label, NaN for none. */
function payments(known: (time: number, random: Random) => number): Table {
  const random = new Random(3);
  const time = Float64Array.from({ length: ROWS }, (_, row) => row * 3 * 3_600_000);
  const column = (values: Float64Array, kind: "number" | "time" = "number"): Column => ({ kind, values });
  const each = (value: (row: number) => number): Column => column(Float64Array.from(time, (_, row) => value(row)));
  return {
    rows: ROWS,
    columns: new Map<string, Column>([
      ["transaction_id", each((row) => row)],
      ["time", column(time, "time")],
      ["amount", each(() => 5)],
      ["customer_id", each((row) => row % 3)],
      ["is_fraud", each((row) => (row % 11 === 0 ? Number.NaN : random.next() < 0.3 ? 1 : 0))],
      [
        "label_known_at",
        column(
          time.map((at) => known(at, random)),
          "time",
        ),
      ],
    ]),
  };
}

function faultOf(table: Table): ReturnType<typeof parityFault> {
  const { x } = vectorsOf(table, { plan, pipeline, report });
  const order = orderBy((table.columns.get("time") as { readonly values: Float64Array }).values);
  return parityFault(table, x, { plan, pipeline, order, rowsMax: ROWS });
}

test.each<[string, (time: number, random: Random) => number]>([
  ["everywhere", (time) => time + DAY_MS],
  ["nowhere", () => Number.NaN],
  ["for every other label", (time, random) => (random.next() < 0.5 ? time + 12 * DAY_MS : Number.NaN)],
  ["out of order", (time, random) => (random.next() < 0.5 ? time + 20 * DAY_MS * random.next() : Number.NaN)],
])("label_known_at filled %s: the parity check sees no skew", (_, known) => {
  expect(faultOf(payments(known))).toEqual({ fault: null, rows: ROWS });
});

test("a label without a moment is known after the pipeline's delay, beside one that has a moment", () => {
  const table = payments((time) => (time < 10 * DAY_MS ? Number.NaN : time + 1));
  const { x } = vectorsOf(table, { plan, pipeline, report });
  const label = (table.columns.get("is_fraud") as { readonly values: Float64Array }).values;
  const { delayMs } = pipeline.labels;
  const perDay = 8;
  const wanted = (row: number): number => {
    let frauds = 0;
    for (let before = 0; before < row; before++) {
      const at = (before * DAY_MS) / perDay;
      const knownAt = at < 10 * DAY_MS ? at + delayMs : at + 1;
      if (before % 3 === row % 3 && label[before] === 1 && knownAt <= (row * DAY_MS) / perDay) frauds++;
    }
    return frauds;
  };
  const rows = Array.from({ length: 30 * perDay }, (_, row) => row);
  expect(rows.map((row) => x.values[row])).toEqual(rows.map(wanted));
});

test("a table with a partly empty label_known_at column trains, and its logic gate passes", async () => {
  const place = await emptyPlace();
  try {
    const random = new Random(9);
    const days = [...simulateDays({ customers: 100, terminals: 150, seed: 5, days: 50 })].map((day): Table => {
      const { values } = day.columns.get("tx_datetime") as { readonly values: Float64Array };
      const known = values.map((time) => (random.next() < 0.5 ? time + 3 * DAY_MS : Number.NaN));
      return { ...day, columns: new Map([...day.columns, ["label_known_at", { kind: "time", values: known }]]) };
    });
    const path = await place.write("known.parquet", days);
    const asked = { pipeline: place.pipeline, path, actor: "tester", packageVersion: "0", verb: "train" } as const;
    const { verdicts } = await train(place.ports, { ...asked, forced: "a test needs a model" });
    const logic = verdicts.find(({ gate }) => gate === "logic")!;
    expect(logic.checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(logic.verdict).toBe("pass");
  } finally {
    await place.close();
  }
});
