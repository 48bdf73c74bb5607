// The archive in a folder: exact values, exactly once whatever breaks off where, compaction, verify, expire, readers.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { archiveFile, currentFiles, parseArchiveFile } from "../../../src/core/archive-names.ts";
import { DAY_MS } from "../../../src/core/duration.ts";
import { numberAt, textAt } from "../../../src/core/table.ts";
import { followLog } from "../../../src/lifecycle/archive/follow.ts";
import { compactArchive, expireArchive } from "../../../src/lifecycle/archive/maintain.ts";
import { listArchive, verifyArchive } from "../../../src/lifecycle/archive/verify.ts";
import { archiveNow } from "../../../src/lifecycle/archive/write.ts";
import { compact } from "../../../src/lifecycle/compact.ts";
import { readSource } from "../../../src/lifecycle/data/source.ts";
import type { Archive } from "../../../src/ports/archive.ts";
import type { ObjectStore } from "../../../src/ports/objects.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { label, prediction } from "../../drivers/records.ts";
import { killAgainAndAgain, STEPS } from "./killed.ts";
import { type ArchivePlace, anyReader, archivePlace, ask, DAY, fillLog, NOW, SCHEMA } from "./place.ts";

let place: ArchivePlace;
let ports: Ports;
let close: () => Promise<void>;
const reopen = async (): Promise<void> => {
  await close();
  ({ ports, close } = place.open());
};
beforeEach(() => {
  place = archivePlace();
  ({ ports, close } = place.open());
});
afterEach(async () => {
  await close();
  place.dispose();
});

/** Rows, different ids, and the sum of their numbers. */
const totals = async (): Promise<unknown[]> =>
  (await ask(`SELECT count(*), count(DISTINCT transaction_id), sum(items) FROM ${anyReader(place.root)}`))[0].map(
    Number,
  );
const expected = (count: number): unknown[] => [count, count, (count * (count - 1)) / 2];

test("what was answered is what the Parquet holds: integers, decimals, times, nulls, texts of any kind, nested extras, bits of vectors", async () => {
  const log = await ports.log();
  const fields = {
    amount: 0.1 + 0.2,
    customer_id: 9_007_199_254_740_991,
    account: "9223372036854775807",
    items: -9_007_199_254_740_991,
    rate: 1e300,
    online: true,
    country: "FR",
  };
  const rules = {
    set: "s".repeat(64),
    by: "rule" as const,
    rule: "r1",
    fired: ["r1", "ü2"],
    without: "approve" as const,
    shadow: ["s1"],
    unready: 0,
  };
  const extra = { "ключ ☃": [1, { deep: [null, true, "x'\"\\\n"] }], big: 1e21 };
  const whole = prediction("Ünïcode 😀 'x' \"y\" \\", { time: DAY + 1, fields, extra, rules, score: 0.1, applied: 7 });
  log.appendPrediction(whole);
  const nothing = {
    amount: null,
    customer_id: null,
    account: null,
    items: null,
    rate: null,
    online: null,
    country: null,
  };
  log.appendPrediction(
    prediction("nulls", { time: DAY + 2, fields: nothing, extra: {}, score: Number.NaN, degraded: true }),
  );
  log.appendPrediction(
    prediction("odd", {
      time: DAY + DAY_MS,
      fields: { amount: 1, account: "half \ud800", country: "nul\0", other: "x" },
    }),
  );
  await archiveNow(ports, place.input);
  const columns =
    "transaction_id, epoch_ms(time), amount, customer_id, account, items, rate, online, country, extra, score, decision, decided_by, decided_rule, rules_fired, rule_set, version, bundle, vector, misfits, is_fraud, applied, epoch_ms(received_at), degraded";
  const [first, second, third] = await ask(`SELECT ${columns} FROM ${anyReader(place.root)} ORDER BY time`);
  expect(first.slice(0, 9)).toEqual([
    whole.transactionId,
    String(DAY + 1),
    0.1 + 0.2,
    "9007199254740991",
    "9223372036854775807",
    "-9007199254740991",
    1e300,
    true,
    "FR",
  ]);
  expect(JSON.parse(first[9] as string)).toEqual(extra);
  expect(first.slice(10, 18)).toEqual([0.1, "review", "rule", "r1", ["r1", "ü2"], rules.set, "3", "b".repeat(64)]);
  expect(first.slice(19)).toEqual([null, null, "7", String(whole.receivedAt), false]);
  expect(second.slice(2, 15)).toEqual([...new Array(8).fill(null), null, "review", "policy", null, null]);
  expect(third.slice(4, 5)).toEqual([null]);
  expect(JSON.parse(third[19] as string)).toEqual({ account: "half \ud800", country: "nul\0", other: "x" });
  const types = await ask(`DESCRIBE SELECT * FROM ${anyReader(place.root)}`);
  const typeOf = Object.fromEntries(types.map(([name, type]) => [name, type]));
  expect(typeOf).toMatchObject({
    amount: "DOUBLE",
    customer_id: "VARCHAR",
    account: "VARCHAR",
    items: "BIGINT",
    online: "BOOLEAN",
    time: "TIMESTAMP",
    rules_fired: "VARCHAR[]",
    vector: "FLOAT[]",
    is_fraud: "BIGINT",
  });
  // Bit for bit, NaN and minus zero too.
  const archive = (await ports.archive!())!;
  const files = readdirSync(path.join(place.root, "date=2026-03-01")).map((name) =>
    path.join(place.root, "date=2026-03-01", name),
  );
  for await (const { columns: read, rows } of archive.files.read(files)) {
    const vector = rows.cells[read.findIndex(({ name }) => name === "vector")][0] as Float32Array;
    expect(new Uint32Array(vector.buffer)).toEqual(new Uint32Array(whole.vector.slice().buffer));
  }
  expect((await verifyArchive(ports, place.input)).faults).toBe(0);
});

test("batch after batch, by the day that each transaction happened on, and nothing twice", async () => {
  await fillLog(ports, { from: 0, count: 3000 });
  const run = await archiveNow(ports, place.input);
  expect(run).toMatchObject({ rows: 3000, labels: 330, missed: 0, position: run.last });
  expect(await totals()).toEqual(expected(3000));
  expect(await archiveNow(ports, place.input)).toMatchObject({ rows: 0, files: 0 });
  await fillLog(ports, { from: 3000, count: 500 });
  await reopen();
  expect(await archiveNow(ports, place.input)).toMatchObject({ rows: 500 });
  expect(await totals()).toEqual(expected(3500));
  const days = await ask(
    `SELECT date::VARCHAR, count(*) FILTER (WHERE strftime(time, '%Y-%m-%d') <> date::VARCHAR) FROM ${anyReader(place.root)} GROUP BY 1 ORDER BY 1`,
  );
  expect(days.map(([day, wrong]) => [day, Number(wrong)])).toEqual(
    ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"].map((day) => [day, 0]),
  );
});

/** A store in which something breaks off before one of its changes; breaking off after one leaves what breaking off before the next leaves. */
function breaking(archive: Archive, stepsLeft: number): Archive {
  let left = stepsLeft;
  const step = async <T>(change: () => Promise<T>): Promise<T> => {
    if (left-- === 0) throw new Error("broken off");
    return await change();
  };
  const { objects, files } = archive;
  const broken: ObjectStore = {
    ...objects,
    create: (key, body) => step(() => objects.create(key, body)),
    move: (from, to) => step(() => objects.move(from, to)),
    async remove(keys) {
      // One at a time, as disks and buckets do.
      for (const key of keys) await step(() => objects.remove([key]));
    },
  };
  return { files, objects: broken };
}

/** Own readers see every row once, at every moment. */
async function ownRows(): Promise<number> {
  const table = await (await ports.dataset()).read(place.root, { columns: ["transaction_id"] });
  const ids = new Set(
    Array.from({ length: table.rows }, (_, row) => textAt(table.columns.get("transaction_id")!, row)),
  );
  expect(ids.size).toBe(table.rows);
  return table.rows;
}

test("a write that breaks off at any step goes on: no row is lost, none is there twice, and no reader sees half a file", async () => {
  await fillLog(ports, { from: 0, count: 40, days: 2 });
  const whole = (await ports.archive!())!;
  let steps = 0;
  for (let done = false; !done; steps++) {
    const broken = { ...ports, archive: async () => breaking(whole, steps) };
    done = await archiveNow(broken, place.input).then(
      () => true,
      () => false,
    );
    if (existsSync(path.join(place.root, "date=2026-03-01"))) expect(Number((await totals())[0])).toBe(await ownRows());
    // Later entries must not move the end of the batch that was begun.
    await fillLog(ports, { from: 40 + steps, count: 1, days: 2 });
    await archiveNow(ports, place.input);
    expect(await totals()).toEqual(expected(41 + steps));
    if (done) expect((await verifyArchive(ports, place.input)).faults).toBe(0);
    rmSync(place.root, { recursive: true });
  }
  // A claim, two days, labels, a mark.
  expect(steps).toBe(6);
});

test("a compaction that breaks off at any step goes on: no row is lost, none is seen twice at any moment", async () => {
  let count = 0;
  let steps = 0;
  const whole = (await ports.archive!())!;
  for (let done = false; !done; steps++) {
    rmSync(place.root, { recursive: true, force: true });
    for (let batch = 0; batch < 2; batch++) {
      await fillLog(ports, { from: count, count: 2, days: 1 });
      count += 2;
      await archiveNow(ports, place.input);
    }
    const broken = { ...ports, archive: async () => breaking(whole, steps) };
    done = await compactArchive(broken, place.input).then(
      () => true,
      () => false,
    );
    expect(await ownRows()).toBe(count);
    // Somebody who reads by a pattern may miss rows in the moment of a swap, and never sees one twice.
    const [rows, ids] = await totals().catch(() => [0, 0]);
    expect(rows).toBe(ids);
    await compactArchive(ports, place.input);
    expect(await totals()).toEqual(expected(count));
    for (const day of readdirSync(place.root).filter((name) => name.startsWith("date="))) {
      expect(readdirSync(path.join(place.root, day)), day).toHaveLength(1);
    }
    if (done) expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0, unsettled: 0 });
  }
  // A file that is made, two that go, one that gets its name; a mark that is made, two marks and two claims that go.
  expect(steps).toBe(10);
});

test("killed by SIGKILL at named steps and at any moment, a write and a compaction lose nothing and double nothing", async () => {
  await killAgainAndAgain({
    place,
    environment: {},
    steps: STEPS,
    asked: place.root,
    count: async () => {
      const [rows = 0, ids = 0] = (await totals().catch(() => [])).map(Number);
      return [rows, ids];
    },
  });
});

test("a batch that nobody waits for any longer is left in the middle, and the next run writes it", async () => {
  await fillLog(ports, { from: 0, count: 200 });
  const told: unknown[] = [];
  let asked = 0;
  await followLog(ports, place.input, {
    stopping: () => true,
    abandoned: () => ++asked > 90,
    wait: async () => {},
    tell: (status) => told.push(status),
  });
  // No failure is told: the process ends because it is to end.
  expect([asked > 90, told]).toEqual([true, []]);
  expect((await listArchive(ports, place.input)).position).toBe(0);
  await archiveNow(ports, place.input);
  expect(await totals()).toEqual(expected(200));
  expect((await verifyArchive(ports, place.input)).faults).toBe(0);
});

test("labels: beside the rows at once, in the rows after a compaction, and the one known last counts", async () => {
  await fillLog(ports, { from: 0, count: 1000 });
  await archiveNow(ports, place.input);
  const read = async () => {
    const { table } = await readSource(await ports.dataset(), place.pipeline, {
      path: place.root,
      plans: [],
      labelled: true,
    });
    const cell = (name: string) => table.columns.get(name)!;
    const facts = new Map<string, readonly [number, number]>();
    for (let row = 0; row < table.rows; row++) {
      const id = textAt(cell("transaction_id"), row)!;
      facts.set(id, [numberAt(cell("is_fraud"), row), numberAt(cell("label_known_at"), row)]);
    }
    return facts;
  };
  const before = await read();
  expect(before.get("t10")).toEqual([0, DAY + (10 % 4) * DAY_MS + 10_000 + DAY_MS]);
  expect(before.get("t100")).toEqual([1, DAY + 100_000 + 2 * DAY_MS]);
  expect(before.get("t7")).toEqual([Number.NaN, Number.NaN]);
  expect((await ask(`SELECT count(is_fraud) FROM ${anyReader(place.root)}`))[0]).toEqual(["0"]);
  await compactArchive(ports, place.input);
  expect(
    await ask(
      `SELECT is_fraud, label_source FROM ${anyReader(place.root)} WHERE transaction_id IN ('t10', 't100', 't7') ORDER BY items`,
    ),
  ).toEqual([
    [null, null],
    ["0", "analyst"],
    ["1", "analyst"],
  ]);
  expect(await read()).toEqual(before);
  const log = await ports.log();
  log.appendLabel(label("t7", { fraud: true, knownAt: DAY + 9 * DAY_MS, source: "chargeback" }));
  await archiveNow(ports, place.input);
  expect((await read()).get("t7")).toEqual([1, DAY + 9 * DAY_MS]);
  expect(await compactArchive(ports, place.input)).toMatchObject({ days: 1, filesBefore: 1, filesAfter: 1 });
  expect(await ask(`SELECT is_fraud, label_source FROM ${anyReader(place.root)} WHERE transaction_id = 't7'`)).toEqual([
    ["1", "chargeback"],
  ]);
  expect(await totals()).toEqual(expected(1000));
  expect((await verifyArchive(ports, place.input)).faults).toBe(0);
  expect(await compactArchive(ports, place.input)).toMatchObject({ days: 0 });
});

test("a schema that changes: new columns are null before, another type stays apart, and verify knows both", async () => {
  await fillLog(ports, { from: 0, count: 8 });
  await archiveNow(ports, place.input);
  const changed = {
    ...place.input,
    schema: {
      type: "object",
      properties: { ...SCHEMA.properties, fresh: { type: "string" }, items: { type: "string" } },
    },
  };
  const log = await ports.log();
  for (let i = 8; i < 12; i++)
    log.appendPrediction(prediction(`t${i}`, { time: DAY + i, fields: { amount: 1, fresh: "new", items: "many" } }));
  await archiveNow(ports, changed);
  expect(await compactArchive(ports, changed)).toMatchObject({ days: 0 });
  expect(await ask(`SELECT fresh, count(*)::INTEGER FROM ${anyReader(place.root)} GROUP BY 1 ORDER BY 1`)).toEqual([
    ["new", 4],
    [null, 8],
  ]);
  expect(await verifyArchive(ports, changed)).toMatchObject({ faults: 0 });
  const { table } = await readSource(await ports.dataset(), place.pipeline, {
    path: place.root,
    plans: [],
    labelled: true,
  });
  expect(table.rows).toBe(12);
});

test("verify tells a file that is missing, one that is there twice, and one whose rows are others", async () => {
  await fillLog(ports, { from: 0, count: 400 });
  await archiveNow(ports, place.input);
  const day = path.join(place.root, "date=2026-03-02");
  const [file] = readdirSync(day).map((name) => path.join(day, name));
  const bytes = readFileSync(file);
  const faultOf = async () =>
    (await verifyArchive(ports, place.input)).days.find((one) => one.day === "2026-03-02")?.fault;
  expect(await faultOf()).toBeNull();
  rmSync(file);
  expect(await faultOf()).toBe("100 of 100 rows that were archived are missing");
  writeFileSync(file, bytes);
  const name = parseArchiveFile(path.basename(file))!;
  const twice = path.join(day, archiveFile({ ...name, from: name.to + 1, to: name.to + 50 }));
  writeFileSync(twice, bytes);
  expect(await faultOf()).toBe("100 rows more than the 100 that were archived");
  rmSync(twice);
  await ask(
    `COPY (SELECT * REPLACE (amount + 1 AS amount) FROM read_parquet('${file}', hive_partitioning=false)) TO '${file}.new' (FORMAT parquet)`,
  );
  writeFileSync(file, readFileSync(`${file}.new`));
  rmSync(`${file}.new`);
  expect(await faultOf()).toBe("the rows are not those that were archived");
});

test("days expire on purpose, and verify does not miss them", async () => {
  await fillLog(ports, { from: 0, count: 400 });
  await archiveNow(ports, place.input);
  const days = Math.round((NOW - DAY) / DAY_MS) - 2;
  expect(await expireArchive(ports, { ...place.input, days })).toMatchObject({ before: "2026-03-03", days: 2 });
  expect((await ask(`SELECT DISTINCT date::VARCHAR FROM ${anyReader(place.root)} ORDER BY 1`)).flat()).toEqual([
    "2026-03-03",
    "2026-03-04",
  ]);
  const verdict = await verifyArchive(ports, place.input);
  expect([verdict.faults, verdict.days.map(({ day }) => day)]).toEqual([0, ["2026-03-03", "2026-03-04"]]);
  expect((await listArchive(ports, place.input)).days).toHaveLength(2);
});

test("the log forgets only what is archived; compact fills the archive first and writes no file of its own", async () => {
  const log = await ports.log();
  for (let i = 0; i < 300; i++) log.appendPrediction(prediction(`t${i}`, { receivedAt: i, time: DAY + i }));
  log.appendLabel(label("t5", { fraud: true, knownAt: DAY + 900 }));
  expect(await log.forget(200)).toBe(0);
  const other = path.join(place.dir, "elsewhere");
  const done = await compact(ports, { ...place.input, before: 200, folder: null, otherwise: other });
  expect(done).toEqual({ file: place.root, predictions: 200, labelled: 1 });
  expect([(await log.counts()).predictions, existsSync(other)]).toEqual([100, false]);
  expect(Number((await ask(`SELECT count(*) FROM ${anyReader(place.root)}`))[0][0])).toBe(300);
  // The log forgot them, and verify still knows what they were.
  expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0 });
});

test("a log that was put back from an older copy is told from one that goes on", async () => {
  await fillLog(ports, { from: 0, count: 100 });
  await close();
  const [state, older] = ["state", "older"].map((name) => path.join(place.dir, "models", name));
  cpSync(state, older, { recursive: true });
  ({ ports, close } = place.open());
  await fillLog(ports, { from: 100, count: 50 });
  await archiveNow(ports, place.input);
  await close();
  rmSync(state, { recursive: true });
  cpSync(older, state, { recursive: true });
  ({ ports, close } = place.open());
  await expect(archiveNow(ports, place.input)).rejects.toMatchObject({ code: "archive.foreign" });
});

test("a new log beside an old archive begins anew in it, without a clash", async () => {
  await fillLog(ports, { from: 0, count: 100 });
  await archiveNow(ports, place.input);
  await close();
  rmSync(path.join(place.dir, "models"), { recursive: true });
  ({ ports, close } = place.open());
  await fillLog(ports, { from: 100, count: 100 });
  await archiveNow(ports, place.input);
  expect(await totals()).toEqual(expected(200));
  await compactArchive(ports, place.input);
  expect(await totals()).toEqual(expected(200));
  expect((await verifyArchive(ports, place.input)).faults).toBe(0);
});

test("two archivers at once write the same", async () => {
  await fillLog(ports, { from: 0, count: 5000 });
  const second = place.open();
  await Promise.all([archiveNow(ports, place.input), archiveNow(second.ports, place.input)]);
  await second.close();
  expect(await totals()).toEqual(expected(5000));
});

test("a folder, a day, a pattern and a file are read alike; what another file has taken the place of is not", async () => {
  await fillLog(ports, { from: 0, count: 400 });
  await archiveNow(ports, place.input);
  const dataset = await ports.dataset();
  const day = path.join(place.root, "date=2026-03-01");
  const [file] = readdirSync(day);
  const rows = async (asked: string): Promise<number> => (await dataset.describe(asked)).rows;
  expect([
    await rows(place.root),
    await rows(day),
    await rows(`${place.root}/date=2026-03-0[12]/*.parquet`.replace("[12]", "?")),
    await rows(path.join(day, file)),
    await rows(`${day},${place.root}/date=2026-03-02`),
  ]).toEqual([400, 100, 400, 100, 200]);
  // The moment of a swap: the new file is there, and the old one not gone.
  const name = parseArchiveFile(file)!;
  writeFileSync(path.join(day, archiveFile({ ...name, labels: 9, next: true })), readFileSync(path.join(day, file)));
  expect([await rows(place.root), await rows(day), await rows(`${place.root}/*/*.parquet`)]).toEqual([400, 100, 400]);
  rmSync(path.join(day, file));
  expect([await rows(place.root), await rows(day), await rows(`${place.root}/*/*.parquet`)]).toEqual([400, 100, 400]);
});

test("which files count is a matter of their names", () => {
  const name = (from: number, to: number, labels = 0, next = false): string =>
    archiveFile({ log: "0123456789ab", from, to, labels, next });
  const counting = (...names: string[]): readonly string[] => currentFiles(names, (one) => `d/${one}`);
  expect(counting(name(1, 5), name(6, 9))).toEqual([name(1, 5), name(6, 9)]);
  expect(counting(name(1, 5), name(6, 9), name(1, 9, 3))).toEqual([name(1, 9, 3)]);
  expect(counting(name(1, 9, 3), name(1, 9, 4))).toEqual([name(1, 9, 4)]);
  expect(counting(name(1, 9, 4, true), name(1, 9, 4))).toEqual([name(1, 9, 4)]);
  expect(counting(name(1, 9, 4, true), name(1, 5), name(6, 9), name(10, 12), "other.parquet")).toEqual([
    name(1, 9, 4, true),
    name(10, 12),
    "other.parquet",
  ]);
  for (const odd of ["_0123456789ab-000000000000001-000000000000002.parquet", "x.parquet", `${name(1, 2)}.next`])
    expect(parseArchiveFile(odd)).toBeNull();
});

test("a folder that takes no files is an error that says so, and the log keeps everything", async () => {
  await fillLog(ports, { from: 0, count: 10 });
  mkdirSync(path.dirname(place.root), { recursive: true });
  writeFileSync(place.root, "a file where a folder should be");
  await expect(archiveNow(ports, place.input)).rejects.toMatchObject({ code: "archive.unwritable" });
  rmSync(place.root);
  await archiveNow(ports, place.input);
  expect(await totals()).toEqual(expected(10));
});
