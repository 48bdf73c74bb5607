// What the judged days have and the training days never had is named with its share; what both have, or nobody reads, is not.
import { declareColumns } from "sentinel-fraud";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../../src/core/duration.ts";
import type { Column, Table } from "../../../src/core/table.ts";
import type { FeatureDef } from "../../../src/features/definition.ts";
import { compileSpec, type FeaturePlan } from "../../../src/features/plan.ts";
import { SeenValues, unseenCheck } from "../../../src/lifecycle/train/unseen.ts";

const f = declareColumns({ amount: "number", channel: "text", country: "text" });
const channel = f.category("channel", ["shop", "online"]);
/** A Monday. */
const START = Date.UTC(2024, 0, 1);

function plan(...features: FeatureDef[]): FeaturePlan {
  return compileSpec(f.spec({ name: "s", version: 1, features }));
}

function texts(values: readonly (string | null)[]): Column {
  const dictionary = [...new Set(values.filter((value) => value !== null))];
  const codes = Int32Array.from(values, (value) => (value === null ? -1 : dictionary.indexOf(value)));
  return { kind: "text", codes, dictionary };
}

function table(channels: readonly (string | null)[]): Table {
  return { rows: channels.length, columns: new Map([["channel", texts(channels)]]) } as Table;
}

function checkOf(
  of: Table,
  given: {
    readonly plan: FeaturePlan;
    readonly times: Float64Array;
    readonly train: Int32Array;
    readonly evaluate: Int32Array;
  },
): ReturnType<typeof unseenCheck> {
  const learned = new SeenValues(given.plan);
  // In two parts, as rows that come in batches.
  for (const rows of [given.train.subarray(0, 1), given.train.subarray(1)])
    learned.add(of, { times: given.times, rows });
  return unseenCheck(of, { ...given, learned });
}

const SLICES = { train: Int32Array.of(0, 1, 2), evaluate: Int32Array.of(3, 4, 5, 6) };

test("a new category is named with its rows and share, most frequent first; missing values and old ones are not", () => {
  const times = Float64Array.from({ length: 7 }, () => START);
  const of = table(["shop", "online", null, "moto", "moto", "shop", "\u001bphone"]);
  const check = checkOf(of, { plan: plan(channel), times, ...SLICES });
  expect(check).toMatchObject({
    passed: true,
    observed:
      'channel: "moto" (2 rows), "\\x1bphone" (1 row), 75 % of the judged rows: scores of such rows are guesses',
  });
  const known = table(["shop", "online", null, "shop", null, "online", "shop"]);
  expect(checkOf(known, { plan: plan(channel), times, ...SLICES })).toMatchObject({ observed: "none" });
});

test("hours and weekdays are named where a feature reads them, and nothing is asked where none does", () => {
  const at = (day: number, hour: number): number => START + day * DAY_MS + hour * HOUR_MS;
  const times = Float64Array.of(at(0, 8), at(1, 9), at(7, 8), at(0, 8), at(5, 23), at(1, 9), at(5, 23));
  const of = table(["shop", "shop", "shop", "shop", "shop", "shop", "shop"]);
  const timed = plan(f.time("hour", "hour"), f.time("weekday", "dayOfWeek"));
  expect(checkOf(of, { plan: timed, times, ...SLICES })!.observed).toBe(
    'hour: "23:00" (2 rows), 50 % of the judged rows; weekday: "day 6" (2 rows), 50 % of the judged rows: scores of such rows are guesses',
  );
  expect(checkOf(of, { plan: plan(f.column("amount")), times, ...SLICES })).toBeNull();
});
