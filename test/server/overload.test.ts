// Overload: one long pause is forgiven, a lasting delay sheds, and it ends when the delay does.
import { expect, test } from "vitest";
import { Overload } from "../../src/server/overload.ts";

const clock = { now: () => 0, elapsed: () => performance.now() };

/** Holds the event loop, then lets timers run. */
async function hold(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end);
  await new Promise((resolve) => setTimeout(resolve, 0));
  await new Promise((resolve) => setImmediate(resolve));
}

function sheds(overload: Overload): boolean {
  try {
    overload.enter();
    overload.leave();
    return false;
  } catch {
    return true;
  }
}

test("a lasting delay of the event loop sheds, one pause does not", async () => {
  const overload = new Overload({ clock, inFlightMax: 10, lagMsMax: 100 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  await hold(150);
  expect(sheds(overload)).toBe(false);
  let held = 0;
  while (!sheds(overload) && held < 50) {
    await hold(150);
    held++;
  }
  expect(sheds(overload)).toBe(true);
  while (sheds(overload)) await new Promise((resolve) => setTimeout(resolve, 10));
  overload.stop();
});

test("an answer has a budget; given up, it goes on and counts until it ends", async () => {
  const overload = new Overload({ clock, inFlightMax: 2, lagMsMax: 1e9 });
  overload.enter();
  expect(await overload.within(Promise.resolve(5), 50)).toBe(5);
  let finish = (): void => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await expect(overload.within(slow, 50)).rejects.toMatchObject({ code: "server.too-slow", kind: { http: 503 } });
  overload.leave();
  expect(overload.inFlight).toBe(1);
  finish();
  await slow;
  await new Promise((resolve) => setImmediate(resolve));
  expect(overload.inFlight).toBe(0);
  await expect(overload.within(Promise.reject(new Error("own")), 50)).rejects.toThrow("own");
  overload.stop();
});

test("waiting for requests in flight ends with the last of them", async () => {
  const overload = new Overload({ clock, inFlightMax: 2, lagMsMax: 1e9 });
  overload.enter();
  overload.enter();
  expect(sheds(overload)).toBe(true);
  let settled = false;
  const waiting = overload.settled(60_000).then(() => {
    settled = true;
  });
  overload.leave();
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  overload.leave();
  await waiting;
  overload.stop();
});
