// What every prediction log must do; each driver's test runs this suite.
import { afterEach, beforeEach, expect, test } from "vitest";
import { erasedHash, eraserOf, isPseudonym, pseudonymOf, searcherOf } from "../../src/core/erasure.ts";
import type { LogOptions, SqlLog } from "../../src/drivers/log/sql/driver.ts";
import { label, prediction, shadow } from "../drivers/records.ts";

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Waits for what a log's thread does in its own time. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2000 && !(await isSo()); tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await isSo()).toBe(true);
}

/** `open` gives a log on the same storage each time within one test; `fresh` makes that storage empty. */
export function predictionLogContract(
  name: string,
  driver: { readonly fresh: () => Promise<void>; readonly open: (options?: LogOptions) => Promise<SqlLog> },
): void {
  let log: SqlLog;
  beforeEach(async () => {
    await driver.fresh();
    log = await driver.open();
  });
  afterEach(async () => {
    await log.close();
  });
  const reopen = async (options: LogOptions): Promise<void> => {
    await log.close();
    log = await driver.open(options);
  };

  test(`${name}: answers of one bundle in order of arrival, from a place on, without those that the policy gave`, async () => {
    const vector = Float32Array.of(1.5, Number.NaN);
    log.appendPrediction(prediction("a", { bundle: "one", vector, score: 0.25, time: 9 }));
    log.appendPrediction(prediction("b", { bundle: "two" }));
    log.appendPrediction(prediction("c", { bundle: "one", degraded: true }));
    log.appendPrediction(prediction("d", { bundle: "one", time: 3 }));
    await log.flush();
    const all = (await collect(log.answered({ bundle: "one", from: 1 }))).flat();
    expect(all.map(({ transactionId, time }) => [transactionId, time])).toEqual([
      ["a", 9],
      ["d", 3],
    ]);
    expect(all[0]).toMatchObject({ score: 0.25, vector });
    const later = (await collect(log.answered({ bundle: "one", from: all[0].sequence + 1 }))).flat();
    expect(later.map(({ transactionId }) => transactionId)).toEqual(["d"]);
    expect((await collect(log.answered({ bundle: "none", from: 1 }))).flat()).toEqual([]);
  });

  test(`${name}: matured answers of a short log are all of them, each with the label known last by then`, async () => {
    const at = (id: string, time: number, more: Parameters<typeof prediction>[1] = {}): void => {
      log.appendPrediction(prediction(id, { bundle: "one", time, ...more }));
    };
    at("before", 4);
    at("fraud", 5);
    at("none", 6, { score: 0.5 });
    at("corrected", 7);
    at("later", 8);
    at("after", 11);
    at("other", 7, { bundle: "two" });
    at("policy", 7, { degraded: true });
    for (const id of ["fraud", "corrected"]) log.appendLabel(label(id, { fraud: true, knownAt: 20 }));
    log.appendLabel(label("corrected", { fraud: false, knownAt: 21 }));
    log.appendLabel(label("later", { fraud: true, knownAt: 31 }));
    await log.flush();
    const found = await log.matured({ bundle: "one", from: 5, to: 10, until: 30, rows: 100 });
    expect([...found.time]).toEqual([5, 6, 7, 8]);
    expect([...found.label]).toEqual([1, 2, 0, 2]);
    expect(found.score[1]).toBe(0.5);
    expect([...found.weight]).toEqual([1, 1, 1, 1]);
    expect((await log.matured({ bundle: "none", from: 0, to: 10, until: 30, rows: 100 })).rows).toBe(0);
  });

  test(`${name}: of a long log they are every fraud once, and an even sample that stands for the rest`, async () => {
    const COUNT = 6000;
    for (let i = 0; i < COUNT; i++) {
      log.appendPrediction(prediction(`t${i}`, { bundle: "one", time: i }));
      if (i % 100 === 0) log.appendLabel(label(`t${i}`, { fraud: true, knownAt: i + 1 }));
      if (i % 500 === 499) await log.flush();
    }
    // Known twice, and no fraud after all.
    log.appendLabel(label("t100", { fraud: true, knownAt: COUNT }));
    log.appendLabel(label("t200", { fraud: false, knownAt: COUNT }));
    await log.flush();
    const found = await log.matured({ bundle: "one", from: 0, to: COUNT, until: COUNT, rows: 2048 });
    const frauds = [...found.time.keys()].filter((row) => found.label[row] === 1);
    const expected = Array.from({ length: COUNT / 100 }, (_, i) => 100 * i).filter((time) => time !== 200);
    expect(frauds.map((row) => found.time[row]).sort((a, b) => a - b)).toEqual(expected);
    expect(new Set(frauds.map((row) => found.weight[row]))).toEqual(new Set([1]));
    expect(found.rows).toBeLessThan(2200);
    const weight = found.weight.reduce((sum, one) => sum + one, 0);
    expect(Math.abs(weight - COUNT)).toBeLessThan(COUNT / 20);
    // Each quarter of the time has its share.
    for (let quarter = 0; quarter < 4; quarter++) {
      const rows = [...found.time].filter((time) => Math.floor((4 * time) / COUNT) === quarter);
      expect(rows.length).toBeGreaterThan(350);
    }
  });

  test(`${name}: a log is the same log when it is opened again, and another one is another`, async () => {
    const identity = await log.identity();
    expect(identity).toMatch(/^[0-9a-f]{12}$/);
    await log.close();
    log = await driver.open();
    expect(await log.identity()).toBe(identity);
    await log.archived(7);
    await log.archived(3);
    await log.close();
    await driver.fresh();
    log = await driver.open();
    expect(await log.identity()).not.toBe(identity);
  });

  test(`${name}: a person is erased in place, found by a keyed hash until then, and a second time there is nothing to erase`, async () => {
    const value = "card-77:ü";
    const names = { names: new Set(["customer_id"]), personal: new Set(["email"]) };
    const pseudonym = pseudonymOf(new Uint8Array(12));
    const eraser = eraserOf([value], { ...names, pseudonym });
    const searcher = searcherOf([erasedHash(value, "k".repeat(16))], { ...names, key: "k".repeat(16) });
    const fields = { customer_id: value, email: "m@example.org", amount: 0.1 + 0.2 };
    for (let i = 0; i < 2500; i++)
      log.appendPrediction(prediction(`t${i}`, { fields: { customer_id: `${value}${i}` } }));
    log.appendPrediction(prediction(`own-${value}`, { fields, extra: { email: "other", note: `of ${value}.` } }));
    log.appendPrediction(
      prediction("extra", { fields: { email: "stays" }, extra: { customer_id: value, email: "goes" } }),
    );
    log.appendLabel(label(`own-${value}`, { source: `who knows ${value}` }));
    log.appendShadow(shadow(`own-${value}`));
    await log.flush();
    const before = await log.counts();
    const found = (erased: readonly { readonly found: number }[]): number[] => erased.map((one) => one.found);
    expect(found(await log.erase(searcher, { write: false }))).toEqual([2, 1, 1]);
    expect(found(await log.erase(eraser, { write: false }))).toEqual([2, 1, 1]);
    expect(await log.find(`own-${value}`)).not.toBeNull();
    expect(found(await log.erase(eraser, { write: true }))).toEqual([2, 1, 1]);
    await reopen({});
    for (const look of [searcher, eraser]) expect(found(await log.erase(look, { write: true }))).toEqual([0, 0, 0]);
    expect(await log.counts()).toEqual(before);
    const own = (await log.find(`own-${pseudonym}`))!;
    expect(own.fields).toEqual({ customer_id: pseudonym, email: null, amount: 0.1 + 0.2 });
    expect(own.extra).toEqual({ email: null, note: `of ${pseudonym}.` });
    expect(isPseudonym(own.fields.customer_id)).toBe(true);
    expect((await log.find("extra"))!.extra).toEqual({ customer_id: pseudonym, email: null });
    expect((await log.find("extra"))!.fields).toEqual({ email: null });
    expect((await log.labelsOf(`own-${pseudonym}`))[0].source).toBe(`who knows ${pseudonym}`);
    // Longer values are those of somebody else.
    expect((await log.find("t7"))!.fields).toEqual({ customer_id: `${value}7` });
  });

  test(`${name}: a prediction comes back as it was given`, async () => {
    const given = prediction("t1");
    expect(log.appendPrediction(given)).toBe(true);
    await log.flush();
    const found = await log.find("t1");
    expect(found).toEqual({ ...given, sequence: found!.sequence });
    expect(new Uint8Array(found!.vector.buffer)).toEqual(new Uint8Array(given.vector.buffer));
    expect(await log.find("t2")).toBeNull();
  });

  test(`${name}: the threshold that judged comes back with the record, bit for bit`, async () => {
    const adapted = { review: Math.fround(0.123456789), rules: "0123abcd" };
    log.appendPrediction(prediction("t1", { adapted }));
    log.appendPrediction(prediction("t2"));
    expect((await log.find("t1"))!.adapted).toEqual(adapted);
    await log.flush();
    expect((await log.find("t1"))!.adapted).toEqual(adapted);
    expect(await log.find("t2")).not.toHaveProperty("adapted");
    expect((await log.recent(2)).map((record) => record.adapted)).toEqual([adapted, undefined]);
  });

  test(`${name}: the place in a stream comes back with the record`, async () => {
    const position = "payments/3/9007199254740991";
    log.appendPrediction(prediction("t1", { position }));
    log.appendPrediction(prediction("t2"));
    expect(await log.find("t1")).toMatchObject({ position });
    await log.flush();
    expect(await log.find("t1")).toMatchObject({ position });
    expect(await log.find("t2")).not.toHaveProperty("position");
    const old = await collect(log.old(Number.MAX_SAFE_INTEGER));
    expect(old.map(({ record, label }) => [record.position, label])).toEqual([
      [position, null],
      [undefined, null],
    ]);
  });

  test(`${name}: a draw about what the model blocks comes back with the record, and with the pair`, async () => {
    const explored = { propensity: 0.05, upTo: 250.5, rules: "0123abcd" };
    const given = prediction("t1", { decision: "approve", explored });
    log.appendPrediction(given);
    log.appendPrediction(prediction("t2"));
    log.appendShadow(shadow("t1"));
    log.appendShadow(shadow("t2"));
    expect(await log.find("t1")).toMatchObject({ explored, decision: "approve" });
    await log.flush();
    expect((await log.find("t1"))!.explored).toEqual(explored);
    expect(await log.find("t2")).not.toHaveProperty("explored");
    const pairs = await collect(log.pairs("4"));
    expect(pairs.map(({ answered, propensity }) => [answered, propensity])).toEqual([
      ["approve", 0.05],
      ["review", null],
    ]);
  });

  test(`${name}: truths and what the rules said come back, flushed or not`, async () => {
    const rules = {
      set: "a".repeat(64),
      by: "list",
      rule: "mule",
      fired: ["mule", "big"],
      without: "approve",
      shadow: [],
      unready: 1,
      candidate: { set: "b".repeat(64), by: "model", rule: null, fired: [], decision: "approve" },
    } as const;
    const record = prediction("ruled", { fields: { open: true, shut: false, none: null, word: "true" }, rules });
    log.appendPrediction(record);
    expect(log.recall("ruled")).toMatchObject({ fields: { ...record.fields }, rules });
    await log.flush();
    const found = await log.find("ruled");
    expect({ ...found!.fields }).toEqual(record.fields);
    expect(found!.rules).toEqual(rules);
    log.appendPrediction(prediction("plain"));
    await log.flush();
    expect(await log.find("plain")).not.toHaveProperty("rules");
  });

  test(`${name}: what is not yet flushed is found, and a vector reused by its owner is not changed`, async () => {
    const vector = Float32Array.of(1, 2);
    log.appendPrediction(prediction("t1", { vector }));
    vector.fill(9);
    expect((await log.find("t1"))!.vector).toEqual(Float32Array.of(1, 2));
    await log.flush();
    expect((await log.find("t1"))!.vector).toEqual(Float32Array.of(1, 2));
  });

  test(`${name}: the first answer to a transaction stands, flushed or not`, async () => {
    log.appendPrediction(prediction("t1", { score: 0.1 }));
    log.appendPrediction(prediction("t1", { score: 0.2 }));
    await log.flush();
    log.appendPrediction(prediction("t1", { score: 0.3 }));
    expect((await log.find("t1"))!.score).toBe(0.1);
    await log.flush();
    expect((await log.find("t1"))!.score).toBe(0.1);
    expect(await log.counts()).toEqual({ predictions: 1, labels: 0, shadows: 0 });
  });

  test(`${name}: hostile ids, field names and missing values are only data`, async () => {
    const ids = ["a\u0000b", "a\u0000c", "\\u0000", "'; DROP TABLE predictions; --", "\ud800", "\udfff", "😀", " "];
    const fields = JSON.parse('{"__proto__": "x", "constructor": 1, "amount": null}');
    for (const id of ids) log.appendPrediction(prediction(id, { fields, vector: new Float32Array(0) }));
    await log.flush();
    for (const id of ids) {
      const found = await log.find(id);
      expect(found!.transactionId).toBe(id);
      expect(Object.entries(found!.fields)).toEqual([
        ["__proto__", "x"],
        ["constructor", 1],
        ["amount", null],
      ]);
    }
    expect((await log.counts()).predictions).toBe(ids.length);
  });

  test(`${name}: NaN in a number does not stop the records behind it`, async () => {
    log.appendPrediction(prediction("t1", { anomalyScore: Number.NaN, latencyMs: Number.POSITIVE_INFINITY }));
    log.appendPrediction(prediction("t2"));
    await log.flush();
    expect((await log.find("t1"))!.anomalyScore).toBeNaN();
    expect(await log.find("t2")).not.toBeNull();
  });

  test(`${name}: a scan gives predictions and labels in one order of arrival, from any point, over many pages`, async () => {
    const order: string[] = [];
    for (let i = 0; i < 1500; i++) {
      log.appendPrediction(prediction(`t${i}`));
      order.push(`prediction t${i}`);
      if (i % 3 === 2) {
        log.appendLabel(label(`t${i - 1}`));
        order.push(`label t${i - 1}`);
      }
    }
    const events = await collect(log.scan(0));
    expect(events.map((event) => `${event.kind} ${event.record.transactionId}`)).toEqual(order);
    const sequences = events.map((event) => event.record.sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    expect(await collect(log.scan(sequences[700]))).toEqual(events.slice(700));
    expect(await collect(log.scan(sequences.at(-1)! + 1))).toEqual([]);
  });

  test(`${name}: pairs carry card, amount and the label known last, also when it arrived first`, async () => {
    log.appendPrediction(prediction("t1", { fields: { customer_id: 42, amount: 10 } }));
    log.appendPrediction(prediction("t2", { fields: { customer_id: "c2", amount: null } }));
    log.appendShadow(shadow("t1"));
    log.appendShadow(shadow("t2"));
    log.appendShadow(shadow("t2", { candidate: { version: "5", score: 0, decision: "approve" } }));
    log.appendLabel(label("t1", { fraud: false, knownAt: 900, source: "chargeback" }));
    log.appendLabel(label("t1", { fraud: true, knownAt: 800 }));
    const pairs = await collect(log.pairs("4"));
    const answer = { answered: "review", propensity: null };
    expect(pairs[0]).toEqual({ ...shadow("t1"), ...answer, card: "42", amount: 10, fraud: false, labelKnownAt: 900 });
    expect(pairs[1]).toMatchObject({ transactionId: "t2", card: "c2", fraud: null, labelKnownAt: null });
    expect(pairs[1].amount).toBeNaN();
    expect(await collect(log.pairs("5"))).toHaveLength(1);
    expect(await collect(log.pairs("6"))).toEqual([]);
    const labels = (await collect(log.scan(0))).filter((event) => event.kind === "label");
    expect(labels).toHaveLength(2);
  });

  test(`${name}: the labels of one transaction, oldest first, each with the review behind it where there was one`, async () => {
    const review = { case: 3, closing: 2, why: "linked", propensity: null } as const;
    log.appendPrediction(prediction("t1"));
    log.appendLabel(label("t1", { fraud: true, source: "chargeback" }));
    log.appendLabel(label("t2"));
    log.appendLabel(label("t1", { fraud: false, source: "analyst", review }));
    const labels = await log.labelsOf("t1");
    expect(labels.map(({ fraud, source, review: why }) => [fraud, source, why])).toEqual([
      [true, "chargeback", undefined],
      [false, "analyst", review],
    ]);
    expect(await log.labelsOf("nobody's")).toEqual([]);
    const scanned = (await collect(log.scan(0))).filter((event) => event.kind === "label");
    expect(scanned.map(({ record, about }) => [record.transactionId, record.review, about?.transactionId])).toEqual([
      ["t1", undefined, "t1"],
      ["t2", undefined, undefined],
      ["t1", review, "t1"],
    ]);
  });

  test(`${name}: equal known_at: the label that arrived later wins; a shadow given twice counts once`, async () => {
    log.appendPrediction(prediction("t1"));
    log.appendShadow(shadow("t1"));
    log.appendShadow(shadow("t1", { latencyMs: 99 }));
    log.appendLabel(label("t1", { fraud: true }));
    log.appendLabel(label("t1", { fraud: false }));
    const pairs = await collect(log.pairs("4"));
    expect(pairs.map((pair) => [pair.fraud, pair.latencyMs])).toEqual([[false, 1.25]]);
    expect(await log.counts()).toEqual({ predictions: 1, labels: 2, shadows: 1 });
  });

  test(`${name}: pairs stream over many pages without loss`, async () => {
    for (let i = 0; i < 1000; i++) {
      log.appendPrediction(prediction(`t${i}`));
      log.appendShadow(shadow(`t${i}`));
    }
    const pairs = await collect(log.pairs("4"));
    expect(pairs.map((pair) => pair.transactionId)).toEqual(Array.from({ length: 1000 }, (_, i) => `t${i}`));
  });

  test(`${name}: recent gives the newest, oldest first`, async () => {
    for (let i = 0; i < 700; i++) log.appendPrediction(prediction(`t${i}`));
    const recent = await log.recent(600);
    expect(recent.map((record) => record.transactionId)).toEqual(Array.from({ length: 600 }, (_, i) => `t${i + 100}`));
    expect(await log.recent(5000)).toHaveLength(700);
    expect(await log.recent(0)).toEqual([]);
  });

  test(`${name}: answers by day, with the label known last, and only the newest`, async () => {
    const day = (i: number): number => Date.UTC(2026, 0, 1 + i, 13);
    for (let i = 0; i < 9000; i++) {
      const decision = i % 10 === 0 ? "review" : "approve";
      log.appendPrediction(prediction(`t${i}`, { time: day(i % 3), decision }));
    }
    log.appendLabel(label("t0", { fraud: false, knownAt: day(5) }));
    log.appendLabel(label("t0", { fraud: true, knownAt: day(9) }));
    log.appendLabel(label("t3", { fraud: true, knownAt: day(9) }));
    log.appendLabel(label("t6", { fraud: false, knownAt: day(9) }));
    const midnight = (i: number): number => Date.UTC(2026, 0, 1 + i);
    const quiet = { labelled: 0, frauds: 0, caught: 0, transactions: 3000, flagged: 300 };
    expect(await log.days(1_000_000)).toEqual([
      { day: midnight(0), transactions: 3000, flagged: 300, labelled: 3, frauds: 2, caught: 1 },
      { day: midnight(1), ...quiet },
      { day: midnight(2), ...quiet },
    ]);
    const newest = await log.days(4500);
    expect(newest.reduce((sum, { transactions }) => sum + transactions, 0)).toBe(4500);
    expect(newest.every(({ labelled }) => labelled === 0)).toBe(true);
    expect(await log.days(0)).toEqual([]);
  });

  test(`${name}: coverage adds up, also across a restart`, async () => {
    log.addCoverage("4", 10, { timeout: 2, "queue-full": 1 });
    log.addCoverage("4", 5, { timeout: 1 });
    log.addCoverage("5", 0, { error: 7 });
    await log.close();
    log = await driver.open();
    log.addCoverage("4", 1, {});
    const coverage = await log.coverage();
    expect(coverage.map((entry) => [entry.version, entry.scored])).toEqual([
      ["4", 16],
      ["5", 0],
    ]);
    expect(coverage[0].missed).toEqual({
      "sampled-out": 0,
      "queue-full": 1,
      timeout: 3,
      "breaker-open": 0,
      error: 0,
      "spec-not-warm": 0,
    });
    expect(coverage[1].missed.error).toBe(7);
  });

  test(`${name}: everything survives a restart and numbering goes on`, async () => {
    log.appendPrediction(prediction("t1"));
    log.appendLabel(label("t1"));
    await log.close();
    await log.close();
    log = await driver.open();
    log.appendPrediction(prediction("t2"));
    const sequences = (await collect(log.scan(0))).map((event) => event.record.sequence);
    expect(sequences).toHaveLength(3);
    expect(sequences[2]).toBeGreaterThan(sequences[1]);
    expect(await log.counts()).toEqual({ predictions: 2, labels: 1, shadows: 0 });
  });

  test(`${name}: after closing, appends are dropped and said to be`, async () => {
    log.appendPrediction(prediction("t1"));
    await log.close();
    expect(log.appendPrediction(prediction("t2"))).toBe(false);
    expect(log.appendLabel(label("t1"))).toBe(false);
    log = await driver.open();
    expect(await log.counts()).toEqual({ predictions: 1, labels: 0, shadows: 0 });
  });

  test(`${name}: two open logs see each other's flushed records and share one numbering`, async () => {
    const second = await driver.open();
    try {
      for (let i = 0; i < 300; i++) {
        log.appendPrediction(prediction(`t${i}`));
        second.appendLabel(label(`t${i}`));
      }
      await Promise.all([log.flush(), second.flush()]);
      expect(await second.find("t299")).not.toBeNull();
      expect(await log.counts()).toEqual({ predictions: 300, labels: 300, shadows: 0 });
      const sequences = (await collect(second.scan(0))).map((event) => event.record.sequence);
      expect(new Set(sequences).size).toBe(600);
    } finally {
      await second.close();
    }
  });

  test(`${name}: what a shared state applied comes back in its order, whoever wrote it when`, async () => {
    log.appendPrediction(prediction("own"));
    expect(await log.last()).toEqual({ sequence: 1, applied: 0 });
    log.appendPrediction(prediction("t3", { applied: 103 }));
    log.appendLabel(label("t1", { applied: 102 }));
    log.appendPrediction(prediction("t1", { applied: 101 }));
    // A drained label comes twice.
    log.appendLabel(label("t1", { applied: 102 }));
    const applied = await collect(log.scanApplied(1));
    expect(applied.map(({ kind, record }) => [kind, record.applied])).toEqual([
      ["prediction", 101],
      ["label", 102],
      ["prediction", 103],
    ]);
    expect((await collect(log.scanApplied(103))).map(({ record }) => record.transactionId)).toEqual(["t3"]);
    expect((await log.last()).applied).toBe(103);
    expect((await log.find("own"))!.applied).toBeUndefined();
    expect(await log.counts()).toMatchObject({ predictions: 3, labels: 1 });
  });

  test(`${name}: an answer given without the shared state stands, and tells when it was applied after all`, async () => {
    for (const flushed of [true, false]) {
      const id = `degraded ${flushed}`;
      log.appendPrediction(prediction(id, { degraded: true, applied: 0, score: 0.1 }));
      if (flushed) await log.flush();
      log.appendPrediction(prediction(id, { applied: 7, score: 0.9 }));
      log.appendPrediction(prediction(id, { applied: 8 }));
      await log.flush();
      expect(await log.find(id)).toMatchObject({ degraded: true, score: 0.1, applied: 7 });
    }
    expect(await log.counts()).toMatchObject({ predictions: 2 });
  });

  test(`${name}: a full buffer drops and says so; after a flush there is room again`, async () => {
    await reopen({ bufferMax: 3, flushMs: 3_600_000 });
    const taken = ["a", "b", "c", "d"].map((id) => log.appendPrediction(prediction(id)));
    expect(taken).toEqual([true, true, true, false]);
    expect(log.appendLabel(label("a"))).toBe(false);
    expect(log.appendShadow(shadow("a"))).toBe(false);
    await log.flush();
    expect(log.appendLabel(label("a"))).toBe(true);
    expect(await log.find("d")).toBeNull();
  });

  test(`${name}: a prediction is recalled from memory, written or not, until newer ones take its place`, async () => {
    await reopen({ recentMax: 100, flushMs: 3_600_000 });
    const given = prediction("t0", { applied: 4 });
    log.appendPrediction(given);
    log.appendPrediction(prediction("t0", { score: 0.9 }));
    expect(log.recall("t0")).toEqual({ ...given, sequence: 0 });
    await log.flush();
    expect(log.recall("t0")).toEqual({ ...given, sequence: 0 });
    expect(log.recall("never")).toBeNull();
    for (let i = 1; i < 3000; i++) log.appendPrediction(prediction(`t${i}`));
    await log.flush();
    expect(log.recall("t0")).toBeNull();
    expect((await log.find("t0"))!.sequence).toBe(1);
  });

  test(`${name}: a thread that lags refuses more, also when nothing failed`, async () => {
    let now = 0;
    await reopen({ flushMs: 3_600_000, lagMsMax: 500, bufferMax: 10, elapsed: () => now });
    log.appendPrediction(prediction("a"));
    expect(log.refusal()).toBeNull();
    expect(log.refusal(10)).toMatchObject({ code: "server.overloaded" });
    now = 501;
    expect(log.refusal()).toMatchObject({ code: "log.unwritable", hint: expect.stringContaining("log.lag_max") });
    await log.flush();
    expect(log.refusal()).toBeNull();
  });

  test(`${name}: ignored duplicates are counted`, async () => {
    log.appendPrediction(prediction("t1"));
    log.appendPrediction(prediction("t1"));
    await log.flush();
    log.appendPrediction(prediction("t1"));
    log.appendShadow(shadow("t1"));
    log.appendShadow(shadow("t1"));
    await log.flush();
    expect(log.duplicates()).toBe(3);
  });

  test(`${name}: a log that is kept for an archive forgets nothing that is not archived, and no label before its time`, async () => {
    await reopen({ archivedOnly: true, rowsMax: 5 });
    for (let i = 0; i < 30; i++) log.appendPrediction(prediction(`t${i}`, { receivedAt: i }));
    log.appendLabel(label("t2"));
    await log.flush();
    expect([await log.forget(1000), (await log.counts()).predictions]).toEqual([0, 30]);
    await log.archived(10);
    // The log may have come back to its limits by itself by now.
    await log.prune({ before: 1000 });
    expect(await log.counts()).toEqual({ predictions: 20, labels: 1, shadows: 0 });
    const [first] = await collect(log.scan(0));
    expect(first).toMatchObject({ record: { transactionId: "t10" } });
    await log.archived((await log.last()).sequence);
    expect([await log.forget(1000), (await log.counts()).labels]).toEqual([20, 1]);
    // A label of nobody goes with what came after it.
    log.appendPrediction(prediction("t30", { receivedAt: 30 }));
    await log.flush();
    await log.archived((await log.last()).sequence);
    expect(await log.forget(1000)).toBe(1);
    expect(await log.counts()).toEqual({ predictions: 0, labels: 0, shadows: 0 });
  });

  test(`${name}: pruning forgets the oldest with their labels and shadows, by age and by number`, async () => {
    await reopen({ batchRowsMax: 7 });
    for (let i = 0; i < 100; i++) {
      log.appendPrediction(prediction(`t${i}`, { receivedAt: i }));
      log.appendShadow(shadow(`t${i}`));
    }
    for (let i = 0; i < 100; i += 2) log.appendLabel(label(`t${i}`));
    expect(await log.prune({ before: 30 })).toBe(30);
    expect(await log.counts()).toEqual({ predictions: 70, labels: 35, shadows: 70 });
    expect(await log.prune({ rowsMax: 10 })).toBe(60);
    expect(await log.counts()).toEqual({ predictions: 10, labels: 5, shadows: 10 });
    expect((await collect(log.pairs("4"))).map((pair) => pair.transactionId)).toEqual(
      Array.from({ length: 10 }, (_, i) => `t${90 + i}`),
    );
    expect(await log.prune({ before: 30, rowsMax: 10 })).toBe(0);
  });

  test(`${name}: the log comes back to its limits by itself, says where it begins, and never gives a number twice`, async () => {
    await reopen({ batchRowsMax: 10, rowsMax: 50 });
    let told = 0;
    log.watch({
      pruned(predictions) {
        told += predictions;
      },
    });
    for (let i = 0; i < 200; i++) log.appendPrediction(prediction(`t${i}`, { time: 1000 + i }));
    await log.flush();
    await until(async () => (await log.counts()).predictions === 50);
    await until(() => told === 150);
    expect(await log.begin()).toEqual({ through: 150, time: 1149, applied: 0 });
    expect(log.health().pruned).toBe(150);
    await log.prune({ rowsMax: 0 });
    log.appendPrediction(prediction("after"));
    await log.flush();
    expect((await log.find("after"))!.sequence).toBe(201);
  });

  test(`${name}: predictions older than they may be kept go, and the labels that came later for them with them`, async () => {
    await reopen({ keptMsMax: 1000 });
    log.appendPrediction(prediction("old", { receivedAt: 5000 }));
    log.appendPrediction(prediction("young", { receivedAt: 5900 }));
    log.appendLabel(label("old"));
    await log.flush();
    expect(await log.begin()).toEqual({ through: 0, time: 0, applied: 0 });
    log.appendPrediction(prediction("now", { receivedAt: 6500 }));
    await until(async () => (await log.counts()).predictions === 2);
    expect(await log.counts()).toEqual({ predictions: 2, labels: 0, shadows: 0 });
    expect((await log.begin()).through).toBe(3);
  });

  test(`${name}: card and amount come from the fields the options name`, async () => {
    await reopen({ card: "pan", amount: "value" });
    log.appendPrediction(prediction("t1", { fields: { pan: "p9", value: 3, customer_id: "x", amount: 1 } }));
    log.appendPrediction(prediction("t2", { fields: {} }));
    for (const id of ["t1", "t2"]) log.appendShadow(shadow(id));
    const pairs = await collect(log.pairs("4"));
    expect(pairs.map((pair) => [pair.card, pair.amount])).toEqual([
      ["p9", 3],
      ["t2", Number.NaN],
    ]);
  });
}
