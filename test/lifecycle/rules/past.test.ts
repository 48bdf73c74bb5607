// The past beside a champion: what only a rule adds beyond it, labels as of each event's time, and what the log knows and does not know.
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../../src/core/duration.ts";
import type { Rule } from "../../../src/core/rule.ts";
import { emptyFields, type Transaction } from "../../../src/core/transaction.ts";
import { encodeAndLearn, learnArrival } from "../../../src/features/encode.ts";
import { compileSpec, layoutOf } from "../../../src/features/plan.ts";
import { FeatureState } from "../../../src/features/state.ts";
import { addRule, backtestRules } from "../../../src/lifecycle/rules.ts";
import { type Answer, loadScorer } from "../../../src/online/score.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import type { PredictionRecord } from "../../../src/ports/log.ts";
import { madeRule } from "../../rules/made.ts";
import {
  BEGIN,
  historyTable,
  makeBundle,
  makeWorld,
  type Payment,
  payments,
  SCHEMA,
  SPEC_A,
  type World,
} from "../../server/world.ts";
import { emptyPlace, type Place } from "../world.ts";

const rule = (id: string, when: string, more: Partial<Rule> = {}): Rule =>
  madeRule(id, when, { action: "review", severity: "warning", stage: "draft", share: 0.1, ...more });

const ROWS = payments(2500, { seed: 21, from: BEGIN, prefix: "p" });
const BUNDLE = makeBundle(SPEC_A, 1);

let place: Place;
let pipeline: Pipeline;
beforeAll(async () => {
  place = await emptyPlace();
  const { labels } = place.pipeline;
  pipeline = { ...place.pipeline, labels: { ...labels, delayMs: DAY_MS, maturityMs: 2 * DAY_MS } };
  await place.write("transactions.parquet", [historyTable(ROWS)]);
  place.clock.time = ROWS.at(-1)!.time + DAY_MS;
  const registry = await place.ports.registry();
  const at = place.clock.time;
  const runId = await registry.startRun({ experiment: "card", name: "r", startedAt: at, user: "t", tags: {} });
  const { model } = pipeline;
  const { version } = await registry.register({ model, runId, files: BUNDLE, description: "", tags: {}, at });
  const entry = { at, actor: "t", verb: "promote", verdict: "PROMOTE", evidence: "", reason: "" } as const;
  await registry.moveAlias({ model, alias: "champion", from: null, to: version, entry });
});
afterAll(() => place.close());

/** What the champion says of each row, label by label as each became known. */
function champion(): readonly (Answer & { readonly vector: Float32Array })[] {
  const plan = compileSpec(SPEC_A);
  const scorer = loadScorer(BUNDLE, { model: "card-fraud", version: "1" });
  const state = new FeatureState(layoutOf([plan]));
  const transactionOf = ({ transaction_id, time, amount, customer_id, terminal_id }: Payment): Transaction => ({
    id: transaction_id,
    time,
    fields: Object.assign(emptyFields(), { amount, customer_id, terminal_id }),
  });
  let known = 0;
  return ROWS.map((row) => {
    for (; ROWS[known].time + DAY_MS <= row.time; known++) {
      const about = ROWS[known];
      const knownAt = about.time + DAY_MS;
      learnArrival(state, { kind: "label", transaction: transactionOf(about), fraud: about.is_fraud, knownAt });
    }
    const { vector } = encodeAndLearn(state, plan, transactionOf(row));
    return { ...scorer.score(vector), vector };
  });
}

test("beyond the model: frauds, hits and money that neither it nor another rule catches, as a loop counts them", async () => {
  const said = champion();
  const middle = said.map(({ anomalyScore }) => anomalyScore).sort((a, b) => a - b)[Math.floor(ROWS.length / 2)];
  const isBig = ({ amount }: Payment): boolean => amount >= 250;
  const isRisky = ({ terminal_id, amount }: Payment): boolean =>
    (terminal_id === "t0" || terminal_id === "t1") && amount > 110;
  const cases: readonly (readonly [Rule, (row: Payment, at: number) => boolean])[] = [
    [rule("big", "amount >= 250", { stage: "live" }), isBig],
    [rule("risky", "terminal_id IN ('t0', 't1') AND amount > 110", { action: "block" }), isRisky],
    [rule("small", "amount < 60"), ({ amount }) => amount < 60],
    [rule("likely", "score >= 0.3"), (_, at) => said[at].score >= Math.fround(0.3)],
    [rule("odd", `anomaly_score >= ${middle}`, { action: "tag" }), (_, at) => said[at].anomalyScore >= middle],
  ];
  await addRule(place.ports, { pipeline, actor: "ana", rule: cases[0][0] });
  const drafts = cases.slice(1).map(([draft]) => draft);
  const report = await backtestRules(place.ports, { pipeline, path: pipeline.source, drafts });
  expect(report).toMatchObject({ model: "1", rows: ROWS.length });
  const maturedTo = ROWS.at(-1)!.time - 2 * DAY_MS;
  for (const [{ id, action }, fires] of cases) {
    const found = report.rules.find((one) => one.rule.id === id)!;
    const hits = [...ROWS.entries()].filter(([at, row]) => fires(row, at));
    // Only the live rule decides today; its own hits are its own.
    const alone = hits.filter(([, row]) => id === "big" || !isBig(row));
    const beyond = alone.filter(([at]) =>
      action === "block" ? said[at].decision !== "block" : said[at].decision === "approve",
    );
    const frauds = beyond.filter(([, row]) => row.is_fraud && row.time <= maturedTo);
    expect(found.fires, id).toBe(hits.length);
    expect(found.beyondModel, id).toMatchObject({
      hits: beyond.length,
      frauds: frauds.length,
      precision: { rows: beyond.filter(([, row]) => row.time <= maturedTo).length, hits: frauds.length },
    });
    const money = frauds.reduce((sum, [, row]) => sum + row.amount, 0);
    expect(found.money!.beyondModel, id).toBeCloseTo(money, 6);
    expect(found.onlyMe, id).toBe(alone.filter(([, row]) => row.is_fraud && row.time <= maturedTo).length);
  }
  // The figures above are no zeros, and what the model flags itself is no news.
  const of = (id: string) => report.rules.find((one) => one.rule.id === id)!;
  expect(of("risky").beyondModel!.frauds).toBeGreaterThan(0);
  expect(of("risky").beyondModel!.frauds).toBeLessThan(of("risky").onlyMe);
  expect(of("likely")).toMatchObject({ beyondModel: { frauds: 0, hits: 0 }, money: { beyondModel: 0 } });
  expect(of("likely").verdict).toMatchObject({
    verdict: "REJECT",
    reasons: ["every fraud that it finds the model and other rules catch too"],
  });
  expect(of("odd").fires).toBeGreaterThanOrEqual(ROWS.length / 2);
});

test("a feature that labels feed is as of the event's time: a fraud counts once it was known, never before", async () => {
  const drafts = [rule("bitten", "terminal_frauds_7d >= 2")];
  const { rules } = await backtestRules(place.ports, { pipeline, path: pipeline.source, drafts });
  const frauds = ROWS.filter(({ is_fraud }) => is_fraud);
  const firesBy = (delayMs: number): number =>
    ROWS.filter(({ terminal_id, time }) => {
      const own = frauds.filter(
        (one) => one.terminal_id === terminal_id && one.time > time - 7 * DAY_MS && one.time + delayMs <= time,
      );
      return own.length >= 2;
    }).length;
  expect(rules.find((one) => one.rule.id === "bitten")!.fires).toBe(firesBy(DAY_MS));
  expect(firesBy(DAY_MS)).toBeGreaterThan(0);
  expect(firesBy(DAY_MS)).toBeLessThan(firesBy(0));
});

test("the log: what was blocked is unknown unless somebody says, the label known last counts, and the model's own decision", async () => {
  const world: World = makeWorld();
  try {
    writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
    await world.alias("champion", await world.register(BUNDLE));
    const { ports } = world.open();
    const log = await ports.log();
    const { width, names } = compileSpec(SPEC_A);
    const bitten = new Float32Array(width);
    bitten[names.indexOf("terminal_frauds_7d")] = 2;
    const answered = (id: string, more: Partial<PredictionRecord> = {}): void => {
      const time = BEGIN + Number(id.slice(1)) * HOUR_MS;
      log.appendPrediction({
        transactionId: id,
        time,
        receivedAt: time,
        fields: { amount: 300, customer_id: `c${id}`, terminal_id: "t9" },
        extra: {},
        vector: new Float32Array(width),
        score: 0.1,
        anomalyScore: 0.1,
        decision: "approve",
        version: "1",
        bundle: "b",
        latencyMs: 1,
        degraded: false,
        ...more,
      });
    };
    const told = (id: string, fraud: boolean, hours: number): void => {
      const knownAt = BEGIN + Number(id.slice(1)) * HOUR_MS + hours * HOUR_MS;
      log.appendLabel({ transactionId: id, fraud, source: "analyst", knownAt, receivedAt: knownAt });
    };
    const byRule = {
      set: "s",
      by: "rule",
      rule: "x",
      fired: ["x"],
      without: "approve",
      shadow: [],
      unready: 0,
    } as const;
    answered("a1", { decision: "block" });
    answered("a2", { decision: "block" });
    answered("a3", { vector: bitten });
    answered("a4");
    answered("a5");
    answered("a6");
    answered("a7", { decision: "block", rules: byRule });
    answered("a8", { fields: { amount: 5, customer_id: "ca8", terminal_id: "t9" } });
    answered("a200", { fields: { amount: 5, customer_id: "ca9", terminal_id: "t9" } });
    told("a2", true, 10);
    // The verdict that became known last came first.
    told("a4", false, 20);
    told("a4", true, 10);
    told("a5", true, 10);
    told("a5", false, 20);
    told("a6", false, 10);
    told("a6", true, 30);
    told("a7", true, 10);
    const drafts = [
      rule("big", "amount >= 300", { action: "block" }),
      rule("bitten", "terminal_frauds_7d >= 2"),
      rule("vip", "amount >= 300", { action: "approve" }),
    ];
    const report = await backtestRules(ports, { pipeline: world.pipeline, path: null, drafts });
    expect(report).toMatchObject({ model: "as logged", rows: 9, frauds: 3 });
    expect(report.notes).toContainEqual(expect.stringMatching(/^3 transactions were blocked/));
    const [big, asked, vip] = report.rules;
    expect(big).toMatchObject({
      fires: 7,
      // a1: blocked, and nobody said what it would have been.
      unknowable: 1,
      immature: 0,
      // a2, a6 and a7.
      precision: { rows: 6, hits: 3 },
      frauds: 3,
      onlyMe: 3,
      // Of a1 and a2 the model took care itself; a7 was blocked by a rule alone.
      beyondModel: { hits: 5, frauds: 2 },
      money: { frauds: 900, beyondModel: 600 },
    });
    // The vectors that were logged then are asked, not new ones.
    expect(asked).toMatchObject({ fires: 1, precision: { rows: 1, hits: 0 } });
    expect(vip.verdict).toMatchObject({
      verdict: "HOLD",
      reasons: [expect.stringMatching(/^6 matured hits/), "of 1 of its hits nobody knows what they would have been"],
    });
  } finally {
    await world.remove();
  }
});

test("the log: features are those of the version that answered, and where nothing answered a rule that asks the model was not asked", async () => {
  const world: World = makeWorld();
  try {
    writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
    await world.alias("champion", await world.register(BUNDLE));
    // As wide as the other, in another order.
    const turned = { ...SPEC_A, name: "turned", features: [...SPEC_A.features].reverse() };
    const other = await world.register(makeBundle(turned, 2));
    const { ports } = world.open();
    const log = await ports.log();
    const place = compileSpec(turned).names.indexOf("terminal_frauds_7d");
    const { width } = compileSpec(SPEC_A);
    expect(compileSpec(SPEC_A).names.indexOf("terminal_frauds_7d")).not.toBe(place);
    const answered = (id: number, more: Partial<PredictionRecord>): void => {
      const time = BEGIN + id * HOUR_MS;
      log.appendPrediction({
        ...{ transactionId: `x${id}`, time, receivedAt: time, extra: {}, decision: "approve", latencyMs: 1 },
        ...{ fields: { amount: 1, customer_id: "c", terminal_id: "t9" }, vector: new Float32Array(width) },
        ...{ score: 0.1, anomalyScore: 0.1, version: other, bundle: "b", degraded: false },
        ...more,
      });
    };
    answered(0, { vector: Float32Array.from({ length: width }, (_, at) => (at === place ? 2 : 0)) });
    answered(1, {});
    answered(2, { degraded: true, score: 0 });
    answered(3, { version: "77" });
    const drafts = [rule("bitten", "terminal_frauds_7d >= 2"), rule("sure", "score < 0.5")];
    const past = { pipeline: world.pipeline, path: null, drafts };
    const { rules, notes } = await backtestRules(ports, past);
    expect(rules.map(({ fires, unready }) => [fires, unready])).toEqual([
      [1, 2],
      [3, 1],
    ]);
    expect(notes).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^the model gave no answer to 1 transactions/),
        expect.stringMatching(/^1 transactions were answered by versions whose features/),
      ]),
    );
    const newest = await backtestRules(ports, { ...past, logRowsMax: 2 });
    expect(newest).toMatchObject({ rows: 2, from: BEGIN + 2 * HOUR_MS });
    expect(newest.notes).toContainEqual(expect.stringMatching(/^2 older transactions/));
  } finally {
    await world.remove();
  }
});
