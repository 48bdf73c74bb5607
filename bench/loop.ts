// Does the loop close, and does it cry wolf? Simulated months with and without drift, the real engine, late labels, monitor every evening.
import { SentinelError } from "../src/core/errors.ts";
import type { Bench, Figures } from "./bench.ts";
import { type Life, live, type Scenario } from "./loop-life.ts";

/** A life without drift, and how long. */
const CALM_DAYS = 97;
const LIFE_DAYS = 60;
const DRIFT_DAY = 20;
/** Until a slow rise has its full strength. */
const RAMP_DAYS = 21;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  amountInflation: { drift: "amount-inflation", day: DRIFT_DAY, ramp: 1, acts: true },
  patternShift: { drift: "fraud-pattern", day: DRIFT_DAY, ramp: 1, acts: true },
  nightShift: { drift: "night-shift", day: DRIFT_DAY, ramp: 1, acts: true },
  brokenField: { drift: "broken-field", day: DRIFT_DAY, ramp: 1, acts: false },
  slowRise: { drift: "amount-inflation", day: DRIFT_DAY, ramp: RAMP_DAYS, acts: true },
};
const CALM = "calm";

export const bench: Bench = {
  async run({ seed, repeats, cell, print }) {
    const names = [CALM, ...Object.keys(SCENARIOS)].filter((name) => cell === undefined || cell === name);
    if (names.length === 0) {
      throw new SentinelError("cli.usage", `there is no cell ${JSON.stringify(cell)}`, {
        hint: `cells: ${[CALM, ...Object.keys(SCENARIOS)].join(", ")}`,
      });
    }
    let alarms = 0;
    let watched = 0;
    const ap: Record<"apBefore" | "apDuring" | "apAfterRetrain" | "apFrozen", Record<string, number | null>> = {
      apBefore: {},
      apDuring: {},
      apAfterRetrain: {},
      apFrozen: {},
    };
    const detectionDays: Record<string, number | null> = {};
    for (const name of names) {
      const lives: Life[] = [];
      // Seeds are for false alarms; each drift is lived through once.
      const seeds = name === CALM ? repeats : 1;
      for (let i = 0; i < seeds; i++) {
        const days = name === CALM ? CALM_DAYS : LIFE_DAYS;
        const life = await live({ seed: seed + i, days, scenario: SCENARIOS[name] ?? null });
        print(`${name}, seed ${seed + i}`);
        for (const event of life.events) print(`  ${event}`);
        alarms += life.falseAlarms;
        watched += life.daysWatched;
        lives.push(life);
      }
      if (name === CALM) continue;
      detectionDays[name] = lives[0].detectionDays;
      for (const key of ["apBefore", "apDuring", "apAfterRetrain", "apFrozen"] as const) ap[key][name] = lives[0][key];
      print(
        `  found after ${lives[0].detectionDays ?? "never"}; average precision before ${shown(lives[0].apBefore)}, during ${shown(lives[0].apDuring)}, after ${shown(lives[0].apAfterRetrain)}, frozen ${shown(lives[0].apFrozen)}`,
      );
    }
    const figures: Figures = {
      falseAlarmsPer90Days: (90 * alarms) / watched,
      daysWatched: watched,
      detectionDays,
      ...ap,
    };
    print(`${alarms} false alarms in ${watched} days`);
    return figures;
  },
};

function shown(value: number | null): string {
  return value === null ? "–" : value.toFixed(3);
}
