// Duplicates: what memory has forgotten the log still knows, after a restart too.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { emptyFields } from "../../src/core/transaction.ts";
import { createFileSnapshots } from "../../src/drivers/files/snapshots.ts";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { Duplicates } from "../../src/online/duplicates.ts";
import type { Parsed } from "../../src/online/parse.ts";
import type { Reply } from "../../src/online/reply.ts";
import type { PredictionLog } from "../../src/ports/log.ts";
import { makeWorld, type World } from "../server/world.ts";

let world: World;
afterEach(async () => world.remove());

function parsed(id: string, changes: { amount?: number; time?: number; timed?: boolean; extra?: object } = {}): Parsed {
  const fields = emptyFields();
  fields.amount = changes.amount ?? 1;
  const transaction = { id, time: changes.time ?? 1000, fields };
  return { transaction, timed: changes.timed ?? true, extra: { ...changes.extra } };
}

/** Logs and remembers, as an answer does. */
function answered(log: PredictionLog, duplicates: Duplicates, of: Parsed): Reply {
  const { id, time, fields } = of.transaction;
  const said = { score: 0.5, anomalyScore: 0.25, decision: "review", version: "1", bundle: "b" } as const;
  const rest = { receivedAt: 0, vector: new Float32Array(1), latencyMs: 0, degraded: false };
  log.appendPrediction({ transactionId: id, time, fields, extra: of.extra, ...said, ...rest });
  const model = { name: "m", version: "1", bundle: "b" };
  const body = { transaction_id: id, score: 0.5, anomaly_score: 0.25, decision: "review", model } as const;
  duplicates.remember(id);
  return body;
}

test("a forgotten answer is found in the log, the same; other content is refused", async () => {
  world = makeWorld();
  const log = createSqliteLog({ file: path.join(world.dir, "small.db"), options: { recentMax: 0 } });
  const duplicates = new Duplicates(log, { model: "m" });
  expect(duplicates.recall(parsed("a"))).toBeUndefined();
  await duplicates.open();
  expect(duplicates.recall(parsed("a"))).toBeNull();
  const first = answered(log, duplicates, parsed("a", { extra: { note: [1, { deep: null }] } }));
  const again = parsed("a", { extra: { note: [1, { deep: null }] } });
  expect(duplicates.recall(again)).toEqual(first);
  answered(log, duplicates, parsed("b"));
  await log.flush();
  expect(duplicates.recall(again)).toBeUndefined();
  expect(await duplicates.find(again)).toEqual(first);
  await expect(duplicates.find(parsed("a"))).rejects.toMatchObject({ code: "request.duplicate" });
  await expect(duplicates.find(parsed("a", { amount: 2 }))).rejects.toMatchObject({ code: "request.duplicate" });
  expect(await duplicates.find(parsed("never"))).toBeNull();
  await log.close();
});

test("content is told apart that any joining of names or values would take for the same", async () => {
  world = makeWorld();
  const log = await world.open().ports.log();
  const duplicates = new Duplicates(log, { model: "m" });
  await duplicates.open();
  const pairs: readonly (readonly [object, object])[] = [
    [{ a: 1, b: 2 }, { "a\nb": 1 }],
    [
      { a: 1, b: 2 },
      { "a\nb": 1, extra: undefined },
    ],
    [
      { "a\nb": 1, c: 1 },
      { a: 1, "b\nc": 1 },
    ],
    [{ a: "1" }, { a: 1 }],
    [{ a: null }, {}],
    [{ a: [1, [2]] }, { a: [1, 2] }],
    [{ a: [] }, { a: {} }],
    [{ a: { __proto__: null, b: 1 } }, { a: { b: 1, c: 1 } }],
    [{ toString: "x" }, {}],
    [{}, JSON.parse('{"__proto__": 1}')],
  ];
  for (const [index, [extra, other]] of pairs.entries()) {
    const id = `p${index}`;
    const body = answered(log, duplicates, { ...parsed(id), extra: extra as Parsed["extra"] });
    const repeat = { ...parsed(id), extra: other as Parsed["extra"] };
    await expect(duplicates.find(repeat)).rejects.toMatchObject({ code: "request.duplicate" });
    await log.flush();
    const members = Object.entries(extra).reverse();
    expect(await duplicates.find({ ...parsed(id), extra: Object.fromEntries(members) })).toEqual(body);
  }
});

test("a batch's ids are its own until it ends: others wait, and two batches never wait for each other in a ring", async () => {
  world = makeWorld();
  const log = await world.open().ports.log();
  const duplicates = new Duplicates(log, { model: "m" });
  const order: string[] = [];
  const one = await duplicates.hold(["a", "b"]);
  expect(duplicates.waitFor("a", one)).toBeNull();
  expect(duplicates.waitFor("c", undefined)).toBeNull();
  const waiting = duplicates.waitFor("b", undefined)!.then(() => void order.push("single"));
  const batches = [
    ["b", "c"],
    ["c", "a"],
  ].map(async (ids) => {
    const hold = await duplicates.hold(ids);
    order.push(ids.join(""));
    hold.release();
  });
  await new Promise((resolve) => setImmediate(resolve));
  // The second needs "a" of the first batch; nobody has taken "c" meanwhile.
  expect(order).toEqual([]);
  one.release();
  await Promise.all([waiting, ...batches]);
  expect(order.sort()).toEqual(["bc", "ca", "single"]);
  expect(duplicates.waitFor("a", undefined)).toBeNull();
  // A request that takes several ticks to answer holds a batch off.
  let end!: () => void;
  const slow = new Promise<void>((resolve) => {
    end = resolve;
  });
  const answering = duplicates.during("z", slow);
  let taken = false;
  const last = duplicates.hold(["z"]).then((hold) => {
    taken = true;
    hold.release();
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBe(false);
  end();
  await Promise.all([answering, last]);
});

test("after a restart the filter is filled from the log, and time counts only where it was given", async () => {
  world = makeWorld();
  const one = world.open();
  const before = new Duplicates(await one.ports.log(), { model: "m" });
  await before.open();
  const body = answered(await one.ports.log(), before, parsed("a"));
  await one.close();
  const after = new Duplicates(await world.open().ports.log(), { model: "m" });
  await after.open();
  expect(after.recall(parsed("a"))).toBeUndefined();
  expect(await after.find(parsed("a"))).toEqual(body);
  expect(await after.find(parsed("a", { time: 2000, timed: false }))).toEqual(body);
  await expect(after.find(parsed("a", { time: 2000 }))).rejects.toThrow(/other content/);
  expect(after.recall(parsed("b"))).toBeNull();
});

test("a start reads only the ids that came since they were saved, and all of them where what was saved does not fit the log", async () => {
  world = makeWorld();
  const store = createFileSnapshots({ dir: path.join(world.dir, "ids") });
  const saved = { store, pipeline: "card" };
  const file = (name: string): string => path.join(world.dir, `${name}.db`);
  const filled = async (name: string): Promise<{ readonly read: number; readonly duplicates: Duplicates }> => {
    const duplicates = new Duplicates(createSqliteLog({ file: file(name) }), { model: "m", saved });
    return { read: await duplicates.open(), duplicates };
  };
  const log = createSqliteLog({ file: file("one") });
  const first = new Duplicates(log, { model: "m", saved });
  await first.persist();
  await first.open();
  for (let i = 0; i < 50; i++) answered(log, first, parsed(`a${i}`));
  await first.persist();
  for (let i = 0; i < 7; i++) answered(log, first, parsed(`b${i}`));
  await log.flush();
  const after = await filled("one");
  expect(after.read).toBe(7);
  for (const id of ["a0", "a49", "b0", "b6"]) expect(after.duplicates.recall(parsed(id))).toBeUndefined();
  expect(after.duplicates.recall(parsed("c"))).toBeNull();
  // Another log of as many entries, as after a restore from elsewhere.
  const other = createSqliteLog({ file: file("other") });
  const elsewhere = new Duplicates(other, { model: "m" });
  for (let i = 0; i < 60; i++) answered(other, elsewhere, parsed(`x${i}`));
  await other.close();
  const restored = await filled("other");
  expect([restored.read, restored.duplicates.recall(parsed("x0"))]).toEqual([60, undefined]);
  // One bit that is lost.
  const [name] = readdirSync(path.join(world.dir, "ids"));
  const bytes = readFileSync(path.join(world.dir, "ids", name));
  bytes[bytes.length - 1000] ^= 1;
  writeFileSync(path.join(world.dir, "ids", name), bytes);
  expect((await filled("one")).read).toBe(57);
  writeFileSync(path.join(world.dir, "ids", name), "no filter");
  expect((await filled("one")).read).toBe(57);
  await log.close();
});

test("while an archive is away the log outgrows its limits, and every id that it still has is known; then they go", async () => {
  world = makeWorld();
  const options = { rowsMax: 100, archivedOnly: true, recentMax: 10, flushMs: 1 };
  const log = createSqliteLog({ file: path.join(world.dir, "held.db"), options });
  const duplicates = new Duplicates(log, { model: "m", idsPerFilter: 50 });
  await duplicates.open();
  const more = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) answered(log, duplicates, parsed(`a${i}`));
    // Labels share the sequence with predictions, and one of an old transaction goes with it.
    log.appendLabel({ transactionId: "a0", fraud: true, knownAt: 1000, source: "analyst", receivedAt: 0 });
    await log.flush();
    await duplicates.persist();
  };
  for (let i = 0; i < 600; i += 100) await more(i, i + 100);
  expect((await log.counts()).predictions).toBe(600);
  for (let i = 0; i < 600; i++) expect(await duplicates.find(parsed(`a${i}`))).not.toBeNull();
  await log.archived(150);
  for (let i = 600; i < 800; i += 100) await more(i, i + 100);
  const ids: string[] = [];
  for await (const some of log.ids(0)) ids.push(...some);
  expect(ids.length).toBeLessThan(700);
  for (const id of ids) expect(duplicates.recall(parsed(id)), id).not.toBeNull();
  // The filters of those that the log has forgotten are gone.
  expect(Array.from({ length: 50 }, (_, i) => duplicates.recall(parsed(`a${i}`)))).toContain(null);
  await log.close();
});
