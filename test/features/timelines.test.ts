// Timelines against plain sorted arrays, with many keys growing, shrinking and leaving at once.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Timelines } from "../../src/features/timelines.ts";

const command = fc.record({
  slot: fc.nat(6),
  what: fc.constantFrom("insert", "insert", "insert", "insert", "insert", "drop", "clear", "remove"),
  time: fc.nat(400),
});

test("runs hold what was inserted, in time order, whatever else moves", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 600, size: "max" }), (commands) => {
      const runs = new Timelines(1);
      const model: [number, number][][] = Array.from({ length: 7 }, () => []);
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
