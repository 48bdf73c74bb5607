// Hourly summaries of the log: reading on gives what reading all gives, whatever was lost or interrupted in between.

import { afterEach, beforeEach, expect, test } from "vitest";
import { joined } from "../../src/core/bytes.ts";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import type { Hours } from "../../src/drift/hours.ts";
import { buildReference } from "../../src/drift/reference.ts";
import { bringUpToDate, countHours, reachesBack } from "../../src/lifecycle/monitor/tallies.ts";
import type { Ports, SnapshotStore } from "../../src/ports/ports.ts";
import { prediction } from "./records.ts";
import { emptyPlace, type Place } from "./world.ts";

const BUNDLE = "bundle";
const random = new Random(1);
const values = Float64Array.from({ length: 500 }, () => random.normal());
const reference = buildReference({ names: ["a"], columns: [values], scores: values, alerts: 10 });
const OF = { pipeline: "card", bundle: BUNDLE, reference, review: 0.9 };

let place: Place;
let written: number;
let saved: Map<string, Uint8Array>;
/** Saves that still work. */
let savesLeft: number;

beforeEach(async () => {
  place = await emptyPlace();
  written = 0;
  saved = new Map();
  savesLeft = Number.POSITIVE_INFINITY;
});
afterEach(() => place.close());

function ports(): Ports {
  const snapshots: SnapshotStore = {
    save: async (name, bytes) => {
      if (savesLeft-- <= 0) throw new Error("killed");
      saved.set(name, bytes instanceof Uint8Array ? bytes : joined(bytes));
    },
    load: async (name) => saved.get(name) ?? null,
  };
  return { ...place.ports, snapshots: async () => snapshots };
}

/** Rows over some days, out of order, some of another bundle, some twice. */
async function write(rows: number, { day = 0, days = 5 } = {}): Promise<void> {
  const log = await place.ports.log();
  for (let i = 0; i < rows; i++) {
    const time = Math.floor((day + (i / rows) * days) * DAY_MS - (random.next() < 0.1 ? 3 * HOUR_MS : 0));
    const vector = Float32Array.of(i % 17 === 0 ? Number.NaN : random.normal());
    const bundle = i % 11 === 0 ? "another" : BUNDLE;
    const row = { transactionId: `t${written++}`, time: Math.max(0, time), vector, score: random.next(), bundle };
    log.appendPrediction(prediction(row));
    if (i % 13 === 0) log.appendPrediction(prediction({ ...row, transactionId: `t${written++}` }));
  }
  await log.flush();
}

function contents(hours: Hours): unknown {
  return hours.hours().map((hour) => {
    const { counts, ...tally } = hours.tally(hour)!;
    return { hour, ...tally, counts: [...counts] };
  });
}

const recomputed = async (): Promise<unknown> => {
  saved = new Map();
  return contents((await bringUpToDate(ports(), OF)).hours);
};

test("reading on, in four pieces with late and doubled rows between them, is reading all", async () => {
  let read = 0;
  for (let piece = 0; piece < 4; piece++) {
    await write(300, { day: piece * 3 });
    const summaries = await bringUpToDate(ports(), OF);
    read += summaries.read;
    expect(summaries.read).toBeLessThan(330);
  }
  const before = await bringUpToDate(ports(), OF);
  expect(before.read).toBe(0);
  const kept = contents(before.hours) as { rows: number; duplicates: number; late: number }[];
  const sum = (of: "rows" | "duplicates" | "late"): number => kept.reduce((total, hour) => total + hour[of], 0);
  expect(sum("rows")).toBe(read);
  expect(sum("duplicates")).toBeGreaterThan(50);
  expect(sum("late")).toBeGreaterThan(50);
  expect(await recomputed()).toEqual(kept);
});

test("killed at any write, then again: the same summaries", async () => {
  await write(200);
  await bringUpToDate(ports(), OF);
  const before = new Map(saved);
  await write(200, { day: 3 });
  for (let saves = 0; saves < 9; saves++) {
    saved = new Map(before);
    savesLeft = saves;
    await bringUpToDate(ports(), OF).catch((error: Error) => expect(error.message).toBe("killed"));
    savesLeft = Number.POSITIVE_INFINITY;
    const again = contents((await bringUpToDate(ports(), OF)).hours);
    expect(again, `killed at save ${saves}`).toEqual(await recomputed());
  }
});

test("lost, damaged or of another bundle: counted again; days beyond the slots leave, and can still be counted", async () => {
  await write(200);
  await bringUpToDate(ports(), OF);
  const whole = contents((await bringUpToDate(ports(), OF)).hours);
  for (const name of saved.keys()) {
    const before = new Map(saved);
    saved.set(name, Buffer.from("{"));
    expect(contents((await bringUpToDate(ports(), OF)).hours), name).toEqual(whole);
    saved = before;
  }
  expect((await bringUpToDate(ports(), { ...OF, bundle: "another" })).read).toBeGreaterThan(0);
  await write(200, { day: 100 });
  const summaries = await bringUpToDate(ports(), OF);
  expect(summaries.hours.hours()[0]).toBeGreaterThan(95 * 24);
  expect(reachesBack(summaries, 24)).toBe(false);
  expect(reachesBack(summaries, 100 * 24)).toBe(true);
  const log = await place.ports.log();
  const old = await countHours(log, OF, { first: 0, last: 6 * 24 });
  expect(contents(old)).toEqual(whole);
});

test("while another one is at work nothing is kept, and the answer is the same", async () => {
  await write(100);
  const lock = await (await place.ports.lock()).acquire("card-monitor");
  const summaries = await bringUpToDate(ports(), OF);
  await lock.release();
  expect(saved.size).toBe(0);
  expect(contents(summaries.hours)).toEqual(await recomputed());
});
