// What the dashboard's first page counts and streams: minutes that pass, clocks that go back, browsers that do not read, limits.
import { expect, test, vi } from "vitest";
import { Feed, WATCHERS_MAX } from "../../src/server/feed.ts";
import { PULSE_MINUTES, Pulse, type Totals } from "../../src/server/pulse.ts";

const MINUTE_MS = 60_000;
const BEGIN = Date.UTC(2026, 0, 1, 12);

function pulseOn(totals: Record<string, Totals>) {
  const clock = { at: BEGIN, now: () => clock.at, elapsed: () => 0 };
  const pulse = new Pulse(clock, () => Object.entries(totals));
  pulse.stop();
  return { clock, pulse };
}

test("decisions are counted in the minute in which they were seen, pipeline by pipeline", () => {
  const totals: Record<string, Totals> = {
    shop: { approve: 0, review: 0, block: 0 },
    bank: { approve: 5, review: 0, block: 1 },
  };
  const { clock, pulse } = pulseOn(totals);
  pulse.sample();
  totals.shop = { approve: 3, review: 1, block: 0 };
  clock.at += MINUTE_MS;
  pulse.sample();
  clock.at += 2 * MINUTE_MS;
  totals.shop = { approve: 10, review: 1, block: 2 };
  const all = pulse.minutes(4, () => true);
  expect(all.from).toBe(BEGIN);
  expect(all.counts).toEqual({ approve: [5, 3, 0, 7], review: [0, 1, 0, 0], block: [1, 0, 0, 2] });
  expect(pulse.minutes(4, (name) => name === "bank").counts.approve).toEqual([5, 0, 0, 0]);
});

test("a day is kept and no more; a clock that goes back loses nothing and counts nothing twice", () => {
  const totals: Record<string, Totals> = { shop: { approve: 1, review: 0, block: 0 } };
  const { clock, pulse } = pulseOn(totals);
  pulse.sample();
  clock.at += (PULSE_MINUTES + 5) * MINUTE_MS;
  totals.shop = { approve: 3, review: 0, block: 0 };
  const sum = (values: readonly number[]): number => values.reduce((one, other) => one + other, 0);
  expect(sum(pulse.minutes(10 * PULSE_MINUTES, () => true).counts.approve)).toBe(2);
  clock.at -= 10 * MINUTE_MS;
  totals.shop = { approve: 7, review: 0, block: 0 };
  pulse.sample();
  clock.at += 10 * MINUTE_MS;
  expect(sum(pulse.minutes(PULSE_MINUTES, () => true).counts.approve)).toBe(6);
});

test("so many browsers watch and no more; one that leaves makes room, and a stop ends all", async () => {
  const feed = new Feed();
  const on = { look: () => ({ at: "now" }), check: () => {} };
  const streams = Array.from({ length: WATCHERS_MAX }, () => feed.watch(on));
  expect(() => feed.watch(on)).toThrow(/watch already/);
  await streams[0].cancel();
  expect(feed.size).toBe(WATCHERS_MAX - 1);
  const reader = feed.watch(on).getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  expect(first).toBe('retry: 3000\nevent: tick\ndata: {"at":"now"}\n\n');
  feed.stop();
  expect((await reader.read()).done).toBe(true);
  expect(feed.size).toBe(0);
  expect(() => feed.watch(on)).toThrow(/watch already/);
});

test("a browser that does not read keeps nothing waiting here but the first look, and one whose key ended is sent away", async () => {
  vi.useFakeTimers();
  try {
    const feed = new Feed();
    let looks = 0;
    const idle = feed.watch({ look: () => ({ looks: ++looks }), check: () => {} });
    let isValid = true;
    const check = (): void => {
      if (!isValid) throw new Error("the key was revoked");
    };
    const reader = feed.watch({ look: () => ({}), check }).getReader();
    await reader.read();
    await vi.advanceTimersByTimeAsync(5000);
    expect(looks).toBe(1);
    isValid = false;
    await vi.advanceTimersByTimeAsync(10_000);
    // What was sent before is read, then the stream ends.
    let last = await reader.read();
    while (!last.done) last = await reader.read();
    expect(feed.size).toBe(1);
    await idle.cancel();
    feed.stop();
  } finally {
    vi.useRealTimers();
  }
});
