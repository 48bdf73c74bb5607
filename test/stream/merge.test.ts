// The order of a merge: by time, always the same, and nobody waits for a partition that has nothing.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { StreamRecord } from "../../src/ports/stream.ts";
import { Merge } from "../../src/stream/merge.ts";

const record = (partition: number, offset: number, timestamp: number | null): StreamRecord => ({
  partition,
  offset,
  next: offset + 1,
  timestamp,
  key: null,
  value: null,
});

/** Partitions whose records come in portions. */
function source(portions: readonly (readonly StreamRecord[])[]) {
  const waiting = new Map<number, StreamRecord[]>();
  const readTo = new Map<number, number>();
  let at = 0;
  return {
    bring(): boolean {
      if (at === portions.length) return false;
      for (const one of portions[at]) {
        waiting.set(one.partition, [...(waiting.get(one.partition) ?? []), one]);
        readTo.set(one.partition, one.next);
      }
      at++;
      return true;
    },
    take(partition: number): readonly StreamRecord[] {
      const records = waiting.get(partition) ?? [];
      waiting.set(partition, []);
      return records;
    },
    readTo: (partition: number) => readTo.get(partition) ?? 0,
  };
}

test("whatever portions the records come in, those below the ends come in one order", () => {
  const times = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 });
  const cut = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 4 })), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(times, { minLength: 1, maxLength: 3 }), cut, (partitions, cuts) => {
      const all = partitions.map((of, partition) => of.map((time, offset) => record(partition, offset, time)));
      const wanted: StreamRecord[] = [];
      // Of the heads the earliest, at equal times the lowest partition.
      const heads = all.map((of) => [...of]);
      for (;;) {
        const open = heads.filter((of) => of.length > 0);
        if (open.length === 0) break;
        const first = open.reduce((best, of) => (of[0].timestamp! < best[0].timestamp! ? of : best));
        wanted.push(first.shift()!);
      }
      const rest = all.map((of) => [...of]);
      const portions = cuts.map(([partition, count]) => (rest[partition] ?? []).splice(0, count));
      const from = source([...portions, ...rest]);
      const ends = new Map(all.map((of, partition) => [partition, of.length]));
      const merge = new Merge(from, [...ends.keys()], { ends, elapsed: () => 0 });
      const found: StreamRecord[] = [];
      do {
        for (let one = merge.next(); one !== null; one = merge.next()) found.push(one);
      } while (from.bring());
      for (let one = merge.next(); one !== null; one = merge.next()) found.push(one);
      expect(found).toEqual(wanted);
      expect(merge.finished).toBe(true);
    }),
  );
});

test("a partition that is at its end keeps nobody waiting; one that lies behind does, for a while", () => {
  const from = source([[record(0, 0, 5)], [record(1, 0, 3)]]);
  let now = 0;
  const options = { patienceMs: 100, elapsed: () => now };
  const free = new Merge(from, [0, 1], { ends: new Map([[0, 1]]), ...options });
  from.bring();
  expect(free.next()).toMatchObject({ partition: 0 });

  const behind = source([[record(0, 0, 5)], [record(1, 0, 3)]]);
  const merge = new Merge(behind, [0, 1], {
    ends: new Map([
      [0, 1],
      [1, 1],
    ]),
    ...options,
  });
  behind.bring();
  expect(merge.next()).toBeNull();
  now = 99;
  expect(merge.next()).toBeNull();
  now = 100;
  expect(merge.next()).toMatchObject({ partition: 0 });
  behind.bring();
  expect(merge.next()).toMatchObject({ partition: 1 });
});

test("nothing at the end or beyond is read where the end is the end", () => {
  const from = source([[record(0, 0, 1), record(0, 1, 2), record(0, 5, 3)]]);
  from.bring();
  const merge = new Merge(from, [0], { ends: new Map([[0, 2]]), untilEnd: true, elapsed: () => 0 });
  expect([merge.next()?.offset, merge.next()?.offset, merge.next()]).toEqual([0, 1, null]);
  expect([merge.finished, merge.passed(0, 2), merge.passed(0, 7)]).toEqual([true, true, false]);
});

test("a partition that was waited for long enough keeps nobody waiting, and is not finished before it was read", () => {
  const from = source([[record(0, 0, 5)], [record(1, 0, 3)]]);
  let now = 0;
  const ends = new Map([
    [0, 1],
    [1, 1],
  ]);
  const merge = new Merge(from, [0, 1], { ends, untilEnd: true, patienceMs: 100, elapsed: () => now });
  from.bring();
  expect(merge.next()).toBeNull();
  now = 100;
  expect(merge.next()).toMatchObject({ partition: 0 });
  expect([merge.next(), merge.finished]).toEqual([null, false]);
  from.bring();
  expect(merge.finished).toBe(false);
  expect(merge.next()).toMatchObject({ partition: 1 });
  expect(merge.finished).toBe(true);
});
