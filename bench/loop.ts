// Does the loop close, and does it cry wolf? Simulated months with and without drift, the real engine, late labels, a round of the loop every evening.
import { writeFileSync } from "node:fs";
import { SentinelError } from "../src/core/errors.ts";
import type { Bench, Figures } from "./bench.ts";
import { type Life, live, type Scenario } from "./loop-life.ts";
import { type LifePicture, loopPicture } from "./loop-picture.ts";

/** A life without drift, and how long. */
const CALM_DAYS = 97;
const LIFE_DAYS = 85;
const DRIFT_DAY = 20;
/** Until a slow rise has its full strength. */
const RAMP_DAYS = 21;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  amountInflation: { drift: "amount-inflation", day: DRIFT_DAY, ramp: 1 },
  patternShift: { drift: "fraud-pattern", day: DRIFT_DAY, ramp: 1 },
  nightShift: { drift: "night-shift", day: DRIFT_DAY, ramp: 1 },
  brokenField: { drift: "broken-field", day: DRIFT_DAY, ramp: 1 },
  slowRise: { drift: "amount-inflation", day: DRIFT_DAY, ramp: RAMP_DAYS },
};
const CALM = "calm";

export const bench: Bench = {
  async run({ seed, repeats, cell, picture, print }) {
    const names = [CALM, ...Object.keys(SCENARIOS)].filter((name) => cell === undefined || cell === name);
    if (names.length === 0) {
      throw new SentinelError("cli.usage", `there is no cell ${JSON.stringify(cell)}`, {
        hint: `cells: ${[CALM, ...Object.keys(SCENARIOS)].join(", ")}`,
      });
    }
    let alarms = 0;
    let watched = 0;
    const drifted: LifePicture[] = [];
    for (const name of names) {
      // Seeds are for false alarms; each drift is lived through once.
      const seeds = name === CALM ? repeats : 1;
      for (let i = 0; i < seeds; i++) {
        const days = name === CALM ? CALM_DAYS : LIFE_DAYS;
        const life = await live({ seed: seed + i, days, scenario: SCENARIOS[name] ?? null });
        print(`${name}, seed ${seed + i}`);
        for (const { day, kind, text } of life.events) print(`  day ${day}: ${kind}: ${text}`);
        alarms += life.falseAlarms;
        watched += life.daysWatched;
        if (name === CALM) continue;
        drifted.push({ name, life, driftDay: DRIFT_DAY });
        const { detectionDays, apBefore, apDuring, apAfterRetrain, apFrozen } = life;
        print(
          `  found after ${detectionDays ?? "never"}; average precision before ${shown(apBefore)}, during ${shown(apDuring)}, after ${shown(apAfterRetrain)}, frozen ${shown(apFrozen)}`,
        );
      }
    }
    print(`${alarms} false alarms in ${watched} days`);
    if (picture !== undefined && drifted.length > 0) writeFileSync(picture, loopPicture(drifted));
    const by = (of: (life: Life) => number | null): Figures =>
      Object.fromEntries(drifted.map(({ name, life }) => [name, of(life)]));
    return {
      falseAlarmsPer90Days: (90 * alarms) / watched,
      daysWatched: watched,
      detectionDays: by((life) => life.detectionDays),
      promotionDays: by((life) => life.promotionDays),
      apBefore: by((life) => life.apBefore),
      apDuring: by((life) => life.apDuring),
      apAfterRetrain: by((life) => life.apAfterRetrain),
      apAtEnd: by((life) => life.apAtEnd),
      apFrozen: by((life) => life.apFrozen),
    };
  },
};

function shown(value: number | null): string {
  return value === null ? "–" : value.toFixed(3);
}
