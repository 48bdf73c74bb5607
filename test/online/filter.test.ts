// The filter of ids: never a known id taken for new, few new ones taken for known, in bounded memory.
import fc from "fast-check";
import { expect, test } from "vitest";
import { IdFilter } from "../../src/online/duplicates/filter.ts";

test("what was added is always known, over many filters in a row", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 }), { maxLength: 300 }), (ids) => {
      const filter = new IdFilter({ idsPerFilter: 50 });
      for (const id of ids) filter.add(id);
      return ids.every((id) => filter.mayHave(id));
    }),
  );
});

test.each([
  ["counted", (i: number): string => `${i}`],
  ["with a long common beginning", (i: number): string => `transaction-of-the-shop-2026-11-30-${i}`],
  ["in hex", (i: number): string => Math.imul(i, 0x9e3779b1).toString(16)],
])("ids %s: at most one unknown id in a thousand is taken for known", (_, idOf) => {
  const filter = new IdFilter({ idsPerFilter: 100_000 });
  for (let i = 0; i < 100_000; i++) filter.add(idOf(i));
  let taken = 0;
  for (let i = 100_000; i < 300_000; i++) if (filter.mayHave(idOf(i))) taken++;
  expect(taken).toBeLessThan(200);
  expect(filter.bytes).toBeLessThan(100_000 * 6);
});

test("a filter of a few thousand ids takes kilobytes, and grows with what comes", () => {
  const filter = new IdFilter();
  filter.add("first");
  expect(filter.bytes).toBeLessThan(20_000);
  for (let i = 1; i < 60_000; i++) filter.add(`${i}`);
  expect(filter.bytes).toBeLessThan(60_000 * 6);
  expect(filter.count).toBe(60_000);
  expect(filter.mayHave("first")).toBe(true);
});

test("an empty filter knows nothing", () => {
  expect(new IdFilter().mayHave("a")).toBe(false);
  expect(new IdFilter().bytes).toBe(0);
});

test("a saved filter knows what it knew; what is damaged or of another size is not taken", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 20 }), { maxLength: 200 }), fc.string(), (ids, other) => {
      const filter = new IdFilter({ idsPerFilter: 50 });
      for (const id of ids) filter.add(id);
      const again = new IdFilter({ idsPerFilter: 50 });
      again.add("goes");
      expect(again.restore(filter.snapshot())).toBe(true);
      expect([again.count, again.mayHave(other)]).toEqual([filter.count, filter.mayHave(other)]);
      // It goes on where it was.
      for (const one of [filter, again]) one.add("next");
      expect(again.snapshot()).toEqual(filter.snapshot());
      expect(new IdFilter({ idsPerFilter: 60 }).restore(filter.snapshot())).toBe(false);
      expect(again.restore(filter.snapshot().subarray(4))).toBe(false);
      expect(again.snapshot()).toEqual(filter.snapshot());
    }),
    { numRuns: 50 },
  );
});

test("a saved filter that is cut off, or names sizes that it has not, is not taken", () => {
  const filter = new IdFilter();
  for (let i = 0; i < 30_000; i++) filter.add(`${i}`);
  const saved = filter.snapshot();
  const again = new IdFilter();
  expect(again.restore(saved.subarray(0, saved.length - 64))).toBe(false);
  for (const place of [2, 3, 4, 5]) {
    const wrong = saved.slice();
    new Uint32Array(wrong.buffer)[place] = 0xffff_ffff;
    expect([place, again.restore(wrong)]).toEqual([place, false]);
  }
  expect(again.count).toBe(0);
  expect(again.restore(saved)).toBe(true);
  expect([again.count, again.bytes]).toEqual([filter.count, filter.bytes]);
  for (let i = 0; i < 30_000; i += 7) expect(again.mayHave(`${i}`)).toBe(true);
});

test("ids go a filter at a time, once the log begins after all of them, and are kept while nobody says so", () => {
  const filter = new IdFilter({ idsPerFilter: 100 });
  const add = (from: number, to: number): void => {
    for (let i = from; i < to; i++) filter.add(`${i}`);
  };
  add(0, 250);
  filter.forgetBefore(1000);
  expect(filter.count).toBe(250);
  filter.placed(filter.full, 260);
  add(250, 450);
  filter.placed(filter.full, 470);
  // The first two stand at 260 at most, the others at 470; the last one still takes ids.
  filter.forgetBefore(260);
  expect(filter.count).toBe(450);
  const again = new IdFilter({ idsPerFilter: 100 });
  expect(again.restore(filter.snapshot())).toBe(true);
  for (const one of [filter, again]) {
    one.forgetBefore(261);
    expect([one.count, one.mayHave("0"), one.mayHave("200")]).toEqual([250, false, true]);
    one.forgetBefore(471);
    expect([one.count, one.mayHave("449")]).toEqual([50, true]);
  }
});
