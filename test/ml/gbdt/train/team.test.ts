// Teams: work that is shared is done once, whoever does how much of it, and shares cover everything.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ALONE, joinTeam, shareOf, TEAM_SLOTS } from "../../../../src/ml/gbdt/train/team.ts";

/** The counter of units taken is the third slot; it wraps. */
const TAKEN = 2;

test("each unit is done once a sharing, in whatever order members come, and when the counter wraps", () => {
  const task = fc.record({
    count: fc.integer({ min: 1, max: 5 }),
    sharings: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 8 }),
    taken: fc.constantFrom(0, 2 ** 31 - 40, 2 ** 31 - 10),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, ({ count, sharings, taken, seed }) => {
      const slots = new Int32Array(new SharedArrayBuffer(4 * TEAM_SLOTS));
      const members = Array.from({ length: count }, (_, index) => joinTeam(slots, { index, count }));
      // A long sharing of which nothing is left to take.
      slots[TAKEN] = taken;
      for (const member of members) member.share(taken, () => expect.fail("nothing is left"));
      sharings.forEach((units, k) => {
        const done = new Int32Array(units);
        for (let i = 0; i < count; i++) members[(i + seed + k) % count].share(units, (unit) => done[unit]++);
        expect([...done]).toEqual(Array.from({ length: units }, () => 1));
      });
    }),
  );
});

test("one alone does all units in their order", () => {
  const seen: number[] = [];
  ALONE.share(5, (unit) => seen.push(unit));
  expect(seen).toEqual([0, 1, 2, 3, 4]);
});

test("shares are contiguous, in the order of the members, cut at whole units, and cover everything", () => {
  const task = fc.record({
    total: fc.nat({ max: 100_000 }),
    count: fc.integer({ min: 1, max: 64 }),
    unit: fc.constantFrom(1, 8, 4096),
  });
  fc.assert(
    fc.property(task, ({ total, count, unit }) => {
      let at = 0;
      for (let index = 0; index < count; index++) {
        const { from, to } = shareOf(total, { index, count }, unit);
        expect(from).toBe(at);
        expect(from % unit === 0 || from === total).toBe(true);
        at = to;
      }
      expect(at).toBe(total);
    }),
  );
});
