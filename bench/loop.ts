// Does the loop close, and does it cry wolf? Simulated months with and without drift, the real engine, late labels, a round of the loop every evening.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { SentinelError } from "../src/core/errors.ts";
import type { Bench, Figures } from "./bench.ts";
import type { Life, LifeInput, Scenario } from "./loop-life.ts";
import { type LifePicture, loopPicture } from "./loop-picture.ts";
import { referenceLoop } from "./loop-reference.ts";
import { runOwn } from "./peers.ts";

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
/** Weeks of the reference rows instead of lives. */
const REFERENCE = "reference";

/** Lives with a drift, of each kind, where none is asked for alone: then there are as many as `--repeats` says. */
const DRIFT_LIVES = 3;

export const bench: Bench = {
  async run(options) {
    const { seed, repeats, cell, picture, keep, print } = options;
    if (cell === REFERENCE) return referenceLoop(options);
    const names = [CALM, ...Object.keys(SCENARIOS)].filter((name) => cell === undefined || cell === name);
    if (names.length === 0) {
      throw new SentinelError("cli.usage", `there is no cell ${JSON.stringify(cell)}`, {
        hint: `cells: ${[CALM, ...Object.keys(SCENARIOS), REFERENCE].join(", ")}`,
      });
    }
    const asked = names.flatMap((name) => {
      const lives = cell === undefined && name !== CALM ? Math.min(DRIFT_LIVES, repeats) : repeats;
      const days = name === CALM ? CALM_DAYS : LIFE_DAYS;
      const scenario = SCENARIOS[name] ?? null;
      return Array.from({ length: lives }, (_, at) => ({ name, input: { seed: seed + at, days, scenario } }));
    });
    const lived = await liveAll(asked, { keep, onEnd: (one) => tell(one, print) });
    const calm = lived.reduce((sum, { life }) => sum + life.daysWatched, 0);
    const alarms = lived.reduce((sum, { life }) => sum + life.falseAlarms, 0);
    print(`${alarms} false alarms in ${calm} days`);
    const drifted = lived.filter(({ name }) => name !== CALM);
    if (picture !== undefined && drifted.length > 0) {
      const first = drifted.filter(({ input }) => input.seed === seed);
      writeFileSync(picture, loopPicture(first.map((one): LifePicture => ({ ...one, driftDay: DRIFT_DAY }))));
    }
    const by = (of: (life: Life) => number | null): Figures =>
      Object.fromEntries(
        Object.keys(SCENARIOS).flatMap((name) => {
          const values = drifted.filter((one) => one.name === name).map(({ life }) => of(life));
          return values.length === 0 ? [] : [[name, meanOf(values)]];
        }),
      );
    return {
      falseAlarmsPer90Days: (90 * alarms) / calm,
      daysWatched: calm,
      lives: lived.length,
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

interface Asked {
  readonly name: string;
  readonly input: LifeInput;
}

interface Lived extends Asked {
  readonly life: Life;
}

/**
 * Each in a process of its own, as many at a time as there are cores; told as they end, given back in the order asked. What stands in the file
 * `keep` is lived no more, and a life that ends is added to it: twenty of each kind take hours.
 */
async function liveAll(
  asked: readonly Asked[],
  { keep, onEnd }: { readonly keep: string | undefined; readonly onEnd: (one: Lived) => void },
): Promise<readonly Lived[]> {
  const kept = livesIn(keep);
  const lived = new Array<Lived>(asked.length);
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < asked.length) {
      const at = next++;
      const key = JSON.stringify(asked[at]);
      const known = kept.get(key);
      lived[at] = { ...asked[at], life: known ?? (await runOwn<Life>("loop-own", asked[at].input)) };
      if (known === undefined && keep !== undefined) appendFileSync(keep, `${JSON.stringify([key, lived[at].life])}\n`);
      onEnd(lived[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), asked.length) }, one));
  return lived;
}

/** Lives by what was asked for them. A line that a killed bench left unfinished is lived again. */
function livesIn(file: string | undefined): ReadonlyMap<string, Life> {
  if (file === undefined || !existsSync(file)) return new Map();
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
  return new Map(lines.map((line) => JSON.parse(line) as [string, Life]));
}

function tell({ name, input, life }: Lived, print: (line: string) => void): void {
  print(`${name}, seed ${input.seed}`);
  for (const { day, kind, text } of life.events) print(`  day ${day}: ${kind}: ${text}`);
  if (name === CALM) return;
  const { detectionDays, apBefore, apDuring, apAfterRetrain, apAtEnd, apFrozen } = life;
  print(
    `  found after ${detectionDays ?? "never"}; average precision before ${shown(apBefore)}, during ${shown(apDuring)}, after ${shown(apAfterRetrain)}, at the end ${shown(apAtEnd)}, frozen ${shown(apFrozen)}`,
  );
}

/** Null where one life has no value: a mean of the others would hide it. */
function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length < values.length ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function shown(value: number | null): string {
  return value === null ? "–" : value.toFixed(3);
}
