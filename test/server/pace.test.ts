// Pace, on a simulated event loop: work waits in sockets, a turn takes what is there, and time passes only by work.
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { Pace } from "../../src/server/pace.ts";

const ANSWER_MS = 0.12;
const REFUSAL_MS = 0.02;
/** A turn without work still takes so long, as the timer has it. */
const IDLE_MS = 5;

interface Outcome {
  readonly waits: number[];
  readonly refused: number;
  readonly most: number;
}

/** `rate` requests per ms for so long, in an open loop; `pause` gives what a turn takes besides. */
function run(
  pace: Pace,
  given: { readonly rate: number; readonly ms: number; readonly pause?: () => number },
): Outcome {
  const { rate, ms, pause = () => 0 } = given;
  const waits: number[] = [];
  let refused = 0;
  let most = 0;
  let now = 0;
  let taken = 0;
  while (now < ms) {
    const begun = now;
    const waiting = Math.floor(now * rate) - taken;
    most = Math.max(most, waiting);
    for (let i = 0; i < waiting; i++) {
      const arrived = (taken + i) / rate;
      if (pace.admit()) {
        now += ANSWER_MS;
        waits.push(now - arrived);
      } else {
        now += REFUSAL_MS;
        refused++;
      }
    }
    taken += waiting;
    now = Math.max(now + pause(), begun + IDLE_MS);
    pace.turn(now - begun);
  }
  return { waits, refused, most };
}

const p99 = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)];
const CAPACITY = 1 / ANSWER_MS;

test("four times the capacity: those that are taken in wait 50 ms at most, and many are", () => {
  const pace = new Pace();
  // What it takes to notice is not what lasts.
  run(pace, { rate: 4 * CAPACITY, ms: 1500 });
  const { waits, refused, most } = run(pace, { rate: 4 * CAPACITY, ms: 30_000 });
  expect(p99(waits)).toBeLessThan(50);
  // Refusing three of four costs half the time; the other half answers.
  expect(waits.length / (30_000 * CAPACITY)).toBeGreaterThan(0.25);
  expect(refused).toBeGreaterThan(0);
  expect(most).toBeLessThan(50 * 4 * CAPACITY);
});

test("when the load ends nothing is refused any more, within two seconds", () => {
  const pace = new Pace();
  run(pace, { rate: 4 * CAPACITY, ms: 5000 });
  run(pace, { rate: 0.5 * CAPACITY, ms: 2000 });
  expect(run(pace, { rate: 0.8 * CAPACITY, ms: 10_000 }).refused).toBe(0);
});

test("below capacity nothing is refused, with pauses of a hundred milliseconds now and then", () => {
  const random = new Random(3);
  const pause = (): number => (random.next() < 0.005 ? 100 * random.next() : 0);
  expect(run(new Pace(), { rate: 0.6 * CAPACITY, ms: 60_000, pause }).refused).toBe(0);
});

test("a slow machine with little to do refuses nobody", () => {
  expect(run(new Pace(), { rate: 0.2, ms: 60_000, pause: () => 40 }).refused).toBe(0);
});
