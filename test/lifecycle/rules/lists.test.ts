// Lists: who leaves is gone however often they came, a file alone says when its values are on its list, and applying it twice changes nothing.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyRules, changeList, listEntries } from "../../../src/lifecycle/rules.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { makeWorld, SCHEMA, type World } from "../../server/world.ts";

let world: World;
let ports: Ports;
beforeAll(() => {
  world = makeWorld();
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  ({ ports } = world.open());
});
afterAll(() => world.remove());

const by = () => ({ pipeline: world.pipeline, actor: "ana" });
const valuesAt = async (name: string, at?: number): Promise<readonly string[]> =>
  (await listEntries(ports, { name, ...(at === undefined ? {} : { at }) })).map(({ value }) => value).sort();
const apply = (lists: string, check = false) => {
  const file = path.join(world.dir, "lists.rules.yaml");
  writeFileSync(file, `lists:\n  kept: ${lists}\n`);
  return applyRules(ports, { ...by(), file, check });
};

test("a value that came twice leaves once, also where it was to come again", async () => {
  const now = ports.clock.now();
  for (const from of [now - 2000, now - 1000, now + 3_600_000]) {
    await changeList(ports, { ...by(), list: "mules", values: ["c1"], from });
  }
  await changeList(ports, { ...by(), list: "mules", values: ["c1"], end: true });
  expect(await valuesAt("mules", now - 500)).toEqual(["c1", "c1"]);
  expect(await valuesAt("mules")).toEqual([]);
  expect(await valuesAt("mules", now + 4_000_000)).toEqual([]);
  await expect(changeList(ports, { ...by(), list: "mules", values: ["c1"], end: true })).rejects.toMatchObject({
    code: "rules.unknown",
  });
});

test("an entry that would end before it begins is refused: nobody would ever be on the list", async () => {
  const now = ports.clock.now();
  for (const span of [{ from: now, to: now }, { from: now, to: now - 1 }, { to: now - 1 }]) {
    await expect(changeList(ports, { ...by(), list: "late", values: ["c1"], ...span })).rejects.toMatchObject({
      code: "rules.invalid",
      hint: expect.stringContaining("begins before it ends"),
    });
  }
});

test("a file's entries of the past, of now and of days to come: applied once, they are there", async () => {
  const all = `[c1, { value: c2, from: "2020-01-01", to: "2020-02-01" }, { value: c2, from: "2021-01-01" }, { value: c3, from: "2090-01-01" }]`;
  expect((await apply(all)).done).toBe(true);
  expect((await apply(all, true)).changes).toEqual([]);
  expect(await valuesAt("kept", Date.UTC(2020, 0, 15))).toEqual(["c2"]);
  expect(await valuesAt("kept", Date.UTC(2020, 6, 1))).toEqual([]);
  expect(await valuesAt("kept")).toEqual(["c1", "c2"]);
  expect(await valuesAt("kept", Date.UTC(2091, 0, 1))).toEqual(["c1", "c2", "c3"]);
  // What leaves the file leaves the list, before it was ever on it, too; what ended is history.
  await apply("[c1]");
  expect(await valuesAt("kept", Date.UTC(2091, 0, 1))).toEqual(["c1"]);
  expect(await valuesAt("kept", Date.UTC(2020, 0, 15))).toEqual(["c2"]);
});

test("another beginning in the file takes the place of the one before", async () => {
  await apply(`[{ value: d1, from: "2020-03-01" }]`);
  await apply(`[{ value: d1, from: "2020-05-01" }]`);
  expect(await valuesAt("kept", Date.UTC(2020, 3, 1))).toEqual([]);
  expect(await valuesAt("kept", Date.UTC(2020, 5, 1))).toEqual(["d1"]);
  expect((await apply(`[{ value: d1, from: "2020-05-01" }]`, true)).changes).toEqual([]);
});

test("a value that looks like a number is kept as it is written", async () => {
  await apply("[007, 0x10, 12e3, 1.10, 9007199254740993, { value: +5 }, 42]");
  expect(await valuesAt("kept")).toEqual(["+5", "007", "0x10", "1.10", "12e3", "42", "9007199254740993"]);
});
