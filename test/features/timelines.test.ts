// Timelines against plain sorted arrays, with many keys growing, shrinking and leaving at once.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Timelines } from "../../src/features/timelines.ts";

const SLOTS = 7;

const command = fc.record({
  slot: fc.nat(SLOTS - 1),
  what: fc.constantFrom("insert", "insert", "insert", "insert", "insert", "drop", "clear", "remove"),
  time: fc.nat(400),
});

test("runs hold what was inserted, in time order, whatever else moves", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 600, size: "max" }), (commands) => {
      const runs = new Timelines(1);
      const model: [number, number][][] = Array.from({ length: SLOTS }, () => []);
      commands.forEach(({ slot, what, time }, mark) => {
        const list = model[slot];
        if (what === "insert") {
          const at = runs.insert(slot, time);
          runs.page(slot).columns[0][at] = mark;
          const place = list.findIndex(([other]) => other > time);
          list.splice(place < 0 ? list.length : place, 0, [time, mark]);
        } else if (what === "drop") {
          runs.dropUntil(slot, time);
          model[slot] = list.filter(([other]) => other > time);
        } else if (what === "clear") {
          runs.clear(slot);
          model[slot] = [];
        } else if (list.length > 0) {
          runs.remove(slot, runs.begin(slot) + (time % list.length));
          list.splice(time % list.length, 1);
        }
      });
      const held = model.map((_, slot) => {
        const length = runs.length(slot);
        if (length === 0) return [];
        const begin = runs.begin(slot);
        const { times, columns } = runs.page(slot);
        return Array.from({ length }, (__, i) => [times[begin + i], columns[0][begin + i]]);
      });
      expect(held).toEqual(model);
      expect(runs.entries).toBe(model.reduce((sum, list) => sum + list.length, 0));
    }),
    { numRuns: 200 },
  );
});

test("many keys growing together leave little unused, and keep what they hold", () => {
  const runs = new Timelines(1);
  const keys = 3000;
  for (let i = 0; i < 60; i++) {
    for (let slot = 0; slot < keys; slot++) {
      const at = runs.insert(slot, i);
      runs.page(slot).columns[0][at] = slot;
    }
  }
  for (let slot = 0; slot < keys; slot += 7) {
    const begin = runs.begin(slot);
    expect(new Set(runs.page(slot).columns[0].subarray(begin, begin + 60))).toEqual(new Set([slot]));
    expect([...runs.page(slot).times.subarray(begin, begin + 60)]).toEqual(Array.from({ length: 60 }, (_, i) => i));
  }
  expect(runs.bytes).toBeLessThan(1.5 * keys * 60 * 16);
});
