// Recent ids: the first record of an id is found, whatever came between, until its chunk has gone.
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecentIds, recentBytesMax } from "../../../src/drivers/log/sql/recent.ts";

test("finds what a map finds, through repeats, chunks that go, and tables that fill", () => {
  const step = fc.record({ id: fc.nat({ max: 60 }), chunk: fc.nat({ max: 1 }), gone: fc.nat({ max: 20 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const recent = new RecentIds();
      const ids: { readonly id: string; readonly chunk: number }[] = [];
      let chunk = 1;
      let oldest = 1;
      for (const [item, { id, chunk: more, gone }] of steps.entries()) {
        chunk += more;
        if (gone === 0 && oldest < chunk) recent.forget(++oldest);
        recent.add(`t${id}`, { chunk, offset: item * 7, item });
        ids.push({ id: `t${id}`, chunk });
        for (const asked of [`t${id}`, "t3", "t60", "never"]) {
          const first = ids.findIndex((one) => one.id === asked && one.chunk >= oldest);
          const found = recent.find(asked, (_, offset) => ids[offset / 7].id === asked);
          expect(found).toEqual(first < 0 ? null : { chunk: ids[first].chunk, offset: first * 7, item: first });
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("a hundred thousand ids are found, also beyond one table, and a table whose chunks have gone is used again", () => {
  const recent = new RecentIds();
  const at = (i: number): number => 1 + Math.floor(i / 400);
  for (let i = 0; i < 100_000; i++) {
    recent.add(`id-${i}`, { chunk: at(i), offset: i, item: i });
    if (i % 400 === 399) recent.forget(Math.max(1, at(i) - 99));
  }
  const oldest = at(99_999) - 99;
  for (let i = 0; i < 100_000; i += 37) {
    const found = recent.find(`id-${i}`, (_, offset) => offset === i);
    expect(found?.item ?? null).toBe(at(i) >= oldest ? i : null);
  }
});

test("two ids of one hash are told apart", () => {
  const recent = new RecentIds();
  recent.add("a", { chunk: 1, offset: 0, item: 0 });
  expect(recent.find("a", () => false)).toBeNull();
  recent.add("a", { chunk: 1, offset: 50, item: 1 });
  expect(recent.find("a", (_, offset) => offset === 50)?.item).toBe(1);
});

test("a few hundred ids take some kilobytes, and tables grow with what comes", () => {
  const recent = new RecentIds();
  for (let i = 0; i < 500; i++) recent.add(`id-${i}`, { chunk: 1, offset: i, item: i });
  expect(recent.bytes).toBeLessThan(25_000);
  for (let i = 500; i < 50_000; i++) recent.add(`id-${i}`, { chunk: 1 + Math.floor(i / 400), offset: i, item: i });
  expect(recent.bytes).toBeLessThan(50_000 * 80);
  recent.forget(200);
  expect(recent.find("id-3", () => true)).toBeNull();
  // The largest table alone is kept for what comes.
  expect(recent.bytes).toBeLessThan(1_400_000);
});

test("the logs of one process share the memory of what was written last", () => {
  expect([1, 2].map(recentBytesMax)).toEqual([33_554_432, 33_554_432]);
  for (const logs of [3, 10, 64]) expect(logs * recentBytesMax(logs)).toBeLessThanOrEqual(67_108_864);
  expect(recentBytesMax(1000)).toBe(524_288);
});
