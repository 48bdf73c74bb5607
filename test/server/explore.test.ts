// Exploration as it is served: what is let through by chance is answered, logged and shadowed as such, and replay draws the same again.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { replay } from "../../src/lifecycle/replay.ts";
import { explorerOf } from "../../src/online/explore.ts";
import { parsePipeline } from "../../src/pipeline/pipeline.ts";
import type { PredictionRecord, ShadowPair } from "../../src/ports/log.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  payments,
  post,
  SPEC_A,
  serve,
  type World,
} from "./world.ts";

const EXPLORE = `
decisions:
  explore: { bands: [{ up_to: 200, share: 0.5 }, { up_to: 260, share: 0.2 }], answer: approve, seed: 3 }
`;

let world: World;
let running: Awaited<ReturnType<typeof serve>>;
let records: PredictionRecord[];
let pairs: ShadowPair[];
const answers: Record<string, Record<string, unknown>> = {};
const items = payments(400, { seed: 41, from: HISTORY[HISTORY.length - 1].time, prefix: "z" });

beforeAll(async () => {
  world = makeWorld({ pipeline: EXPLORE });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
  running = await serve(world);
  for (const item of items) {
    const response = await post(running.server, "/predict", bodyOf(item));
    expect(response.status).toBe(200);
    answers[item.transaction_id] = (await response.json()) as Record<string, unknown>;
  }
  const log = await running.ports.log();
  while ((await log.counts()).shadows < items.length) await sleep(20);
  await log.flush();
  records = [...(await log.recent(1000))];
  pairs = [];
  for await (const pair of log.pairs("2")) pairs.push(pair);
});
afterAll(async () => {
  await running.stop();
  await world.remove();
});

const amountOf = (record: PredictionRecord): number => Number(record.fields.amount);
/** The bundle's own threshold. */
const wouldBlock = (record: PredictionRecord): boolean => record.score >= Math.fround(0.7);

test("only what the model blocks takes part, by its band; the answer and the log say chance, outcome and why", () => {
  const blocked = records.filter(wouldBlock);
  const drawn = blocked.filter((record) => amountOf(record) <= 260);
  expect(drawn.length).toBeGreaterThan(15);
  expect(blocked.length).toBeGreaterThan(drawn.length);
  for (const record of records) {
    const answer = answers[record.transactionId];
    expect(answer.decision).toBe(record.decision);
    if (!drawn.includes(record)) {
      expect(record).not.toHaveProperty("explored");
      expect(answer).not.toHaveProperty("explored");
      if (wouldBlock(record)) expect(record.decision).toBe("block");
      continue;
    }
    const propensity = amountOf(record) <= 200 ? 0.5 : 0.2;
    expect(record.explored).toMatchObject({ propensity, upTo: amountOf(record) <= 200 ? 200 : 260 });
    expect(answer.explored).toEqual({
      model_decision: "block",
      let_through: record.decision === "approve",
      propensity,
      why: expect.stringMatching(record.decision === "approve" ? /let through by chance/ : /not among them/),
    });
  }
  const through = drawn.filter(({ decision }) => decision === "approve");
  expect(through.length).toBeGreaterThan(0);
  expect(through.length).toBeLessThan(drawn.length);
});

test("the shadow compares what the models decide, and the pair knows what was answered", () => {
  for (const pair of pairs) {
    const record = records.find(({ transactionId }) => transactionId === pair.transactionId)!;
    expect(pair.champion.decision).toBe(
      wouldBlock(record) ? "block" : record.score >= Math.fround(0.3) ? "review" : "approve",
    );
    expect([pair.answered, pair.propensity]).toEqual([record.decision, record.explored?.propensity ?? null]);
  }
});

test("the same id again gets the same answer", async () => {
  const again = items.find(({ transaction_id: id }) => answers[id].explored !== undefined)!;
  const response = await post(running.server, "/predict", bodyOf(again));
  expect(await response.json()).toEqual(answers[again.transaction_id]);
});

test("replay draws again and gets the same; a changed record is seen; other rules than those of then are said, not judged", async () => {
  const history = async () => historyTable();
  const drawn = records.filter(({ explored }) => explored !== undefined).length;
  const report = await replay(running.ports, { pipeline: world.pipeline, history });
  expect(report).toMatchObject({ verdict: "pass", draws: { compared: drawn, byOtherRules: 0 } });
  const { decisions } = world.pipeline;
  const changed = { ...decisions, explore: { ...decisions.explore, seed: 4 } };
  const other = await replay(running.ports, { pipeline: { ...world.pipeline, decisions: changed }, history });
  expect(other).toMatchObject({ verdict: "pass", draws: { compared: 0, byOtherRules: drawn } });
  const log = await running.ports.log();
  const scan = log.scan.bind(log);
  const victim = records.find(({ explored, decision }) => explored !== undefined && decision === "block")!;
  log.scan = async function* (from) {
    for await (const entry of scan(from)) {
      const isVictim = entry.kind === "prediction" && entry.record.transactionId === victim.transactionId;
      yield isVictim ? { ...entry, record: { ...entry.record, decision: "approve" } } : entry;
    }
  };
  const tampered = await replay(running.ports, { pipeline: world.pipeline, history });
  log.scan = scan;
  expect(tampered.verdict).toBe("fail");
  expect(tampered.mismatches).toEqual([
    { transactionId: victim.transactionId, feature: "(decision)", logged: 0, replayed: 2 },
  ]);
});

test("the draw takes the share it says, by id and seed alone", () => {
  const explorer = explorerOf(world.pipeline)!;
  const through = (seed: number): string[] => {
    const { decisions } = world.pipeline;
    const own = explorerOf({
      ...world.pipeline,
      decisions: { ...decisions, explore: { ...decisions.explore, seed } },
    })!;
    return Array.from({ length: 4000 }, (_, i) => `id ${i}`).filter(
      (id) => own.draw({ id, fields: { amount: 250 } })?.decision === "approve",
    );
  };
  const [first, again, other] = [through(3), through(3), through(4)];
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
  // 20 % of 4,000, four standard errors each way.
  for (const { length } of [first, other]) expect(Math.abs(length - 800)).toBeLessThan(4 * Math.sqrt(4000 * 0.2 * 0.8));
  for (const amount of [261, null, "12", Number.NaN]) expect(explorer.draw({ id: "a", fields: { amount } })).toBeNull();
});

test("bands that do not rise, or that have no amount to look at, are refused where they stand", () => {
  const parse = (text: string) => () => parsePipeline(text, { file: "card.yaml", workspace: "." });
  const head = `
name: card
model: card-fraud
source: data/history.parquet
features: card
schema: card.schema.json
suite: card.suite.json
`;
  const columns = "columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }\n";
  const bands = (...all: string[]) => `decisions: { explore: { bands: [${all.join(", ")}] } }\n`;
  expect(parse(head + columns + bands("{ up_to: 50, share: 0.1 }", "{ up_to: 50, share: 0.2 }"))).toThrow(
    /band 2 ends at 50, not after the one before/,
  );
  expect(parse(head + columns + bands("{ up_to: 50, share: 0.6 }"))).toThrow(/decisions\.explore\.bands/);
  expect(parse(head + columns.replace("amount: amount, ", "") + bands("{ up_to: 50, share: 0.1 }"))).toThrow(
    /the pipeline has no amount/,
  );
});
