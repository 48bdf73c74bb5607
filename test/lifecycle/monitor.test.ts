// Monitor on a trained champion: steady where nothing changed, an alarm for each way the world or its data changes.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { type MonitorResult, monitor } from "../../src/lifecycle/monitor.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { parseDrift } from "../../src/lifecycle/simulate/drift.ts";
import { prediction } from "./records.ts";
import { makePlace, type Place } from "./world.ts";

const DAYS = 90;
const WORLD = { customers: 500, terminals: 1000, seed: 3 };
const START = Date.UTC(2018, 3, 1);

let place: Place;
/** Two more weeks of the same world. */
let calm: string;

beforeAll(async () => {
  place = await makePlace({ ...WORLD, days: DAYS });
  const { version } = await place.train(1);
  const input = { pipeline: place.pipeline, to: version!.version, actor: "tester", forced: "a test", seed: 1 };
  expect((await promote(place.ports, input)).moved).toBe(true);
  calm = await later([]);
});

afterAll(() => place.close());

const look = (path: string | null, untilDay?: number): Promise<MonitorResult> =>
  monitor(place.ports, {
    pipeline: place.pipeline,
    path,
    until: untilDay === undefined ? null : START + untilDay * DAY_MS,
  });

/** Two weeks after the training, drifting from their first day. */
const later = (drift: readonly string[]): Promise<string> =>
  place.write(
    `later${drift.join("")}.parquet`.replaceAll("@", "-"),
    simulateDays({ ...WORLD, days: DAYS + 15, drift: drift.map(parseDrift) }),
  );

test("nothing has changed: steady, week after week, before and after the end of the training", async () => {
  for (let day = 72; day <= DAYS + 15; day += 8) {
    const result = await look(calm, day);
    expect(result, `day ${day}: ${result.reasons.join("; ")}`).toMatchObject({
      alarm: false,
      drift: { verdict: "steady" },
    });
    expect(result.to - result.from).toBe(place.pipeline.drift.windowMs);
    expect(result.drift.rows).toBeGreaterThan(3000);
  }
});

test.each([
  ["amount-inflation", "drifted", /alert rate|customer_spend|amount/],
  ["night-shift", "drifted", /^hour|night/m],
  ["fraud-pattern", "drifted", /known_fraud|average precision/],
  ["broken-field", "broken feed", /^broken feed: customer_\w+ is missing in \d/m],
])("%s raises an alarm: %s", async (name, verdict, says) => {
  const result = await look(await later([`${name}@${DAYS}`]));
  expect(result).toMatchObject({ alarm: true, drift: { verdict } });
  expect(result.reasons.join("\n")).toMatch(says);
  expect(result.reasons.join("\n")).not.toMatch(/NaN|undefined/);
});

test("performance counts only what is matured and later than the training", async () => {
  expect((await look(calm, DAYS)).performance).toBeNull();
  const { performance, drift } = await look(calm, DAYS + 15);
  expect(performance).toMatchObject({ alarm: false });
  const days = (performance!.rows / drift.rows) * 7;
  expect(days).toBeGreaterThan(7);
  expect(days).toBeLessThan(9);
});

test("from the log: only what this champion answered itself, and a few rows are no judgement of distributions", async () => {
  await expect(look(null)).rejects.toMatchObject({ code: "lifecycle.not-enough-data" });
  const log = await place.ports.log();
  const registry = await place.ports.registry();
  const { champion } = await registry.aliases("card-fraud");
  const { bundle } = await registry.version("card-fraud", champion);
  const width = (await look(calm)).drift.features.length;
  const vector = new Float32Array(width).fill(1);
  const own = { vector, bundle, version: champion, time: START + 91 * DAY_MS };
  log.appendPrediction(prediction({ ...own, transactionId: "own" }));
  log.appendPrediction(prediction({ ...own, transactionId: "degraded", degraded: true }));
  log.appendPrediction(prediction({ ...own, transactionId: "other", bundle: "another" }));
  await log.flush();
  const { drift } = await look(null);
  expect(drift.rows).toBe(1);
  expect(drift.reasons.join("\n")).toMatch(/too few rows: 1 of/);
});
