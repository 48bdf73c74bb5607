// Rules in the engine: they decide beside the model, change while it serves, wait for their windows, and a replay finds the same hits.
import { writeFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import type { Rule } from "../../src/core/rule.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import {
  addRule,
  applyRules,
  changeList,
  compareRules,
  promoteRules,
  removeRule,
  rollbackRules,
  rulesHistory,
  stageRule,
} from "../../src/lifecycle/rules.ts";
import { answer } from "../../src/online/answer.ts";
import { answerItems } from "../../src/online/batch.ts";
import { type Engine, openEngine } from "../../src/online/engine.ts";
import { takeLabel } from "../../src/online/label.ts";
import type { Reply } from "../../src/online/reply.ts";
import { parsePipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  type Payment,
  payments,
  SCHEMA,
  SPEC_A,
  type World,
} from "../server/world.ts";

const worlds: World[] = [];
const engines: Engine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop(1000);
  for (const world of worlds.splice(0)) await world.remove();
});

async function worldWithModel(more = ""): Promise<World> {
  const world = makeWorld({ pipeline: more });
  worlds.push(world);
  writeFileSync(world.pipeline.schemaFile, JSON.stringify(SCHEMA));
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.saveState(SPEC_A);
  return world;
}

async function start(world: World, ports: Ports): Promise<Engine> {
  const engine = await openEngine({ ports, pipeline: world.pipeline, schema: SCHEMA });
  engines.push(engine);
  await engine.start();
  return engine;
}

function ask(engine: Engine, payment: Payment | Record<string, unknown>): Promise<Reply> {
  const body = "is_fraud" in payment ? bodyOf(payment as Payment) : payment;
  return Promise.resolve(answer(engine, engine.parser.parse(body, NOW)));
}

const rule = (id: string, when: string, more: Partial<Rule> = {}): Rule => ({
  id,
  when,
  action: "block",
  severity: "critical",
  description: "",
  stage: "live",
  share: 0.1,
  owner: "",
  ...more,
});

const events = payments(120, { seed: 3, from: HISTORY.at(-1)!.time, prefix: "e" }).filter(({ time }) => time < NOW);

/** A pipeline of rules alone. */
const SENSORS = `
name: sensors
model: none
source: data/none.parquet
features: none
schema: sensors.schema.json
suite: none
columns: { id: reading, time: at, card: sensor_id, label: broken }
`;

test("a rules file decides answers, its hits are logged, and a replay finds the same ones", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const file = `${world.dir}/card.rules.yaml`;
  writeFileSync(
    file,
    `
rules:
  - { id: night-list, when: "terminal_id IN (SELECT value FROM bad_terminals)", action: block, stage: live }
  - { id: big, when: AMOUNT >= 250 AND customer_count_1d >= 0, action: review, stage: live, severity: warning }
  - { id: fast, when: "count_last('1d', card_id) >= 2", action: tag, stage: live }
  - { id: watch, when: score >= 0, action: block, stage: shadow }
  - { id: later, when: amount > 0, action: block, stage: draft }
lists:
  bad_terminals: [{ value: t3, from: "2020-01-01" }]
`,
  );
  const by = { pipeline: world.pipeline, actor: "ana" };
  expect(await applyRules(ports, { ...by, file, check: true })).toMatchObject({ done: false });
  const applied = await applyRules(ports, { ...by, file });
  expect(applied.changes).toContain(
    "+ rule night-list (live, block): terminal_id IN (SELECT value FROM bad_terminals)",
  );
  expect(await applyRules(ports, { ...by, file })).toMatchObject({ changes: [], done: false });
  const engine = await start(world, ports);
  const replies: Reply[] = [];
  for (const event of events) replies.push(await ask(engine, event));
  for (const [i, reply] of replies.entries()) {
    const { terminal_id, amount } = events[i];
    expect(reply.rules).toMatchObject({ set: applied.set, shadow: ["watch"] });
    if (terminal_id === "t3")
      expect(reply).toMatchObject({ decision: "block", decided_by: "list", rules: { rule: "night-list" } });
    else if (amount >= 250 && reply.decision !== "block")
      expect(reply).toMatchObject({ decision: "review", decided_by: "rule", rules: { rule: "big" } });
    else expect(reply.decided_by).toBe("model");
  }
  // A review rule never softens a model that blocks.
  const kept = replies.filter(
    ({ decided_by, rules, decision }) => decided_by === "model" && decision === "block" && rules!.fired.includes("big"),
  );
  expect(kept.length).toBeGreaterThan(0);
  expect(replies.some(({ decided_by }) => decided_by === "list")).toBe(true);
  expect(replies.some(({ decided_by }) => decided_by === "rule")).toBe(true);
  expect(replies.some(({ rules }) => rules!.fired.includes("fast"))).toBe(true);
  // The same answer again, with the same hits.
  expect(await ask(engine, events[5])).toEqual(replies[5]);
  await engines.pop()!.stop(1000);
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({
    verdict: "pass",
    rulesCompared: events.length,
    rulesMismatchCount: 0,
    rulesSkipped: 0,
  });
});

test("a change is live within the poll, whole, and a rollback puts the rules before it back", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  const engine = await start(world, ports);
  expect(await ask(engine, events[0])).not.toHaveProperty("rules");
  const first = await addRule(ports, { ...by, rule: rule("all", "amount >= 0") });
  await engine.live.reload();
  expect(await ask(engine, events[1])).toMatchObject({
    decision: "block",
    decided_by: "rule",
    rules: { set: first.set },
  });
  await stageRule(ports, { ...by, id: "all", stage: "shadow" });
  await engine.live.reload();
  expect(await ask(engine, events[2])).toMatchObject({ decided_by: "model", rules: { fired: [], shadow: ["all"] } });
  await rollbackRules(ports, { ...by, reason: "too quiet" });
  await engine.live.reload();
  expect(await ask(engine, events[3])).toMatchObject({ decided_by: "rule", rules: { set: first.set } });
  await removeRule(ports, { ...by, id: "all" });
  await engine.live.reload();
  expect(await ask(engine, events[4])).toMatchObject({ decided_by: "model", rules: { fired: [], shadow: [] } });
  expect((await rulesHistory(ports)).map(({ verb, actor }) => `${verb} ${actor}`)).toEqual(
    ["add", "stage", "rollback", "remove"].map((verb) => `${verb} ana`),
  );
  await engines.pop()!.stop(1000);
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", rulesCompared: 4, rulesMismatchCount: 0 });
});

test("lanes: an approval goes before a list, a list before a block, a block before a review", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  await changeList(ports, { ...by, list: "cards", values: ["c1"], from: 0 });
  await addRule(ports, { ...by, rule: rule("review", "amount > 10", { action: "review" }) });
  await addRule(ports, { ...by, rule: rule("block", "amount > 20") });
  await addRule(ports, {
    ...by,
    rule: rule("list", "customer_id IN (SELECT user_id FROM cards)", { action: "review" }),
  });
  await addRule(ports, { ...by, rule: rule("vip", "amount > 40", { action: "approve" }) });
  await addRule(ports, { ...by, rule: rule("tag", "TRUE", { action: "tag" }) });
  const engine = await start(world, ports);
  const pay = (id: string, amount: number, customer: string): Promise<Reply> =>
    ask(engine, { transaction_id: id, time: NOW - 1000, amount, customer_id: customer, terminal_id: "t9" });
  expect(await pay("l1", 5, "c2")).toMatchObject({ decided_by: "model", rules: { rule: null, fired: ["tag"] } });
  expect(await pay("l2", 15, "c2")).toMatchObject({
    decision: "review",
    rules: { rule: "review", fired: ["review", "tag"] },
  });
  expect(await pay("l3", 25, "c2")).toMatchObject({ decision: "block", decided_by: "rule", rules: { rule: "block" } });
  expect(await pay("l4", 25, "c1")).toMatchObject({ decision: "review", decided_by: "list", rules: { rule: "list" } });
  expect(await pay("l5", 45, "c1")).toMatchObject({
    decision: "approve",
    rules: { rule: "vip", fired: ["review", "block", "list", "vip", "tag"] },
  });
  const risky = await Promise.all(
    [0, 1, 2, 3].map((i) =>
      ask(engine, { transaction_id: `r${i}`, time: NOW - 1000, amount: 250 + i, customer_id: "c2", terminal_id: "t1" }),
    ),
  );
  expect(risky.every(({ decision }) => decision === "approve")).toBe(true);
});

test("a rollout decides for a share of the cards, the same ones at every larger share", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  await addRule(ports, { ...by, rule: rule("some", "amount >= 0", { stage: "rollout", share: 0.2 }) });
  const engine = await start(world, ports);
  const inAt = async (share: number): Promise<Set<string>> => {
    await stageRule(ports, { ...by, id: "some", stage: "rollout", share });
    await engine.live.reload();
    const found = new Set<string>();
    for (let card = 0; card < 200; card++) {
      const payment = {
        transaction_id: `${share} ${card}`,
        time: NOW,
        amount: 1,
        customer_id: `k${card}`,
        terminal_id: "t9",
      };
      const { rules } = await ask(engine, payment);
      expect(rules!.fired.length + rules!.shadow.length).toBe(1);
      if (rules!.fired.length === 1) found.add(`k${card}`);
    }
    return found;
  };
  const shares = [0, 0.1, 0.35, 0.8, 1];
  const sets: Set<string>[] = [];
  for (const share of shares) sets.push(await inAt(share));
  for (let i = 1; i < sets.length; i++) expect([...sets[i - 1]].every((card) => sets[i].has(card))).toBe(true);
  expect(sets.map(({ size }) => size / 200)[0]).toBe(0);
  expect(sets.at(-1)!.size).toBe(200);
  expect(sets[2].size / 200).toBeGreaterThan(0.2);
  expect(sets[2].size / 200).toBeLessThan(0.5);
});

test("a pipeline without a model: rules alone decide, windows wait until they have seen enough, and a replay agrees", async () => {
  const bare = makeWorld();
  worlds.push(bare);
  const schema = {
    type: "object",
    properties: {
      sensor_id: { type: "string" },
      temperature: { type: "number" },
      vibration: { type: ["number", "null"] },
      reading: { type: "string" },
      at: { type: "string" },
      open: { type: "boolean" },
    },
  };
  const pipeline = parsePipeline(SENSORS, { file: `${bare.dir}/sensors.yaml`, workspace: bare.dir });
  writeFileSync(pipeline.schemaFile, JSON.stringify(schema));
  const { ports } = bare.open();
  const by = { pipeline, actor: "ana" };
  const engine = await openEngine({ ports, pipeline, schema });
  engines.push(engine);
  await engine.start();
  const at = (minutes: number): string => new Date(NOW - 3_600_000 + minutes * 60_000).toISOString();
  let count = 0;
  const read = async (minutes: number, temperature: number, more: object = {}): Promise<Reply> => {
    const body = { reading: `s${count++}`, sensor_id: "a", at: at(minutes), temperature, open: false, ...more };
    return answer(engine, engine.parser.parse(body, NOW));
  };
  await expect(read(0, 20)).rejects.toThrow(/no model, and no rules yet/);
  await addRule(ports, { ...by, rule: rule("hot", "temperature > 150 OR temperature < -20") });
  await addRule(ports, { ...by, rule: rule("often", "count_last('5m', sensor_id) >= 3", { action: "review" }) });
  await addRule(ports, {
    ...by,
    rule: rule("jump", "sequence(sensor_id, '10m', temperature < 30, temperature > 100, NOT open = true)", {
      action: "tag",
    }),
  });
  await engine.live.reload();
  expect(await read(0, 20)).toMatchObject({
    decision: "approve",
    model: null,
    score: null,
    decided_by: "policy",
    rules: { unready: 2 },
  });
  expect(await read(1, 151)).toMatchObject({
    decision: "block",
    decided_by: "rule",
    rules: { rule: "hot", unready: 2 },
  });
  expect(await read(2, 20)).toMatchObject({ decision: "approve", rules: { fired: [] } });
  // Five minutes after the first, count_last is known; the sequence needs ten.
  expect(await read(5.5, 21)).toMatchObject({ rules: { fired: ["often"], unready: 1 } });
  expect(await read(11, 20)).toMatchObject({ rules: { fired: [] } });
  expect(await read(12, 120)).toMatchObject({ decision: "approve", rules: { fired: ["jump"] } });
  expect(await read(13, 20, { open: true })).toMatchObject({ rules: { fired: ["often"] } });
  // What must not come in between came at the very instant of the first.
  expect((await read(14, 120)).rules!.fired).toEqual(["often"]);
  expect((await read(15, 20)).rules!.fired).toEqual(["often"]);
  expect((await read(16, 50, { open: true })).rules!.fired).toEqual(["often"]);
  expect((await read(17, 130)).rules!.fired).toEqual(["often"]);
  expect((await read(18, 20)).rules!.fired).toEqual(["often"]);
  expect((await read(19, 130)).rules!.fired).toEqual(["often", "jump"]);
  await engines.pop()!.stop(1000);
  const report = await replay(ports, { pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", rulesCompared: 13, rulesMismatchCount: 0, rulesSkipped: 0 });
});

test("whether training left a state for windows that began empty is looked for now and then, not at every poll", async () => {
  const bare = makeWorld();
  worlds.push(bare);
  const pipeline = parsePipeline(SENSORS, { file: `${bare.dir}/sensors.yaml`, workspace: bare.dir });
  const texts = ["sensor_id", "reading", "at"].map((name) => [name, { type: "string" }]);
  const schema = { type: "object", properties: Object.fromEntries(texts) };
  writeFileSync(pipeline.schemaFile, JSON.stringify(schema));
  const { ports: own } = bare.open();
  let [elapsed, looks] = [0, 0];
  const ports: Ports = {
    ...own,
    clock: { now: () => NOW, elapsed: () => elapsed },
    snapshots: async () => {
      const store = await own.snapshots();
      const load: typeof store.load = (name) => {
        if (name.startsWith("state-train-")) looks++;
        return store.load(name);
      };
      return { ...store, load };
    },
  };
  await addRule(ports, { pipeline, actor: "ana", rule: rule("often", "count_last('5m', sensor_id) >= 3") });
  const engine = await openEngine({ ports, pipeline, schema });
  engines.push(engine);
  await engine.start();
  expect(engine.rules.status().windowsWarm).toBe(true);
  const first = looks;
  expect(first).toBeGreaterThan(0);
  for (let poll = 0; poll < 5; poll++) await engine.live.poll();
  expect(looks).toBe(first);
  elapsed = 5000;
  for (let poll = 0; poll < 5; poll++) await engine.live.poll();
  expect(looks).toBe(first + 1);
});

test("a candidate rule set decides beside the live one, whole and without effect, and its promotion is one step", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  await addRule(ports, { ...by, rule: rule("big", "amount > 250", { action: "review" }) });
  await addRule(ports, { ...by, side: "candidate", rule: rule("bigger", "amount > 290", { action: "block" }) });
  const engine = await start(world, ports);
  const road = { clock: ports.clock, log: engine.log, states: engine.states, delayMs: 0, knownMax: NOW };
  for (const event of events) {
    const reply = await ask(engine, event);
    const { candidate, fired } = engine.log.recall(event.transaction_id)!.rules!;
    expect(reply.rules!.fired).toEqual(event.amount > 250 ? ["big"] : []);
    expect(fired).toEqual(reply.rules!.fired);
    expect(candidate!.fired).toEqual([
      ...(event.amount > 250 ? ["big"] : []),
      ...(event.amount > 290 ? ["bigger"] : []),
    ]);
    if (event.amount > 290) expect(candidate).toMatchObject({ decision: "block", by: "rule", rule: "bigger" });
    await takeLabel(road, {
      transactionId: event.transaction_id,
      fraud: event.is_fraud,
      source: "analyst",
      knownAt: "now",
    });
  }
  const compared = await compareRules(ports, { pipeline: world.pipeline, seed: 1 });
  expect(compared.pairs).toBe(events.length);
  const blocked = events.filter(({ amount }) => amount > 290).length;
  expect(compared.agreement.reduce((sum, row) => sum + row[2], 0)).toBeGreaterThanOrEqual(blocked);
  expect(compared.verdict).toMatchObject({ verdict: "HOLD" });
  const input = { pipeline: world.pipeline, actor: "ana", seed: 1 };
  expect(await promoteRules(ports, { ...input, forced: null })).toMatchObject({ moved: false });
  expect(await promoteRules(ports, { ...input, forced: "attack" })).toMatchObject({ moved: true });
  await engine.live.reload();
  expect(engine.live.current.rules).toMatchObject({ candidate: null });
  expect(engine.live.current.rules!.live!.program.hash).toBe(compared.candidate);
  expect((await rulesHistory(ports)).at(-1)).toMatchObject({ verb: "promote", verdict: "FORCED", reason: "attack" });
  await engines.pop()!.stop(1000);
  const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(report).toMatchObject({ verdict: "pass", rulesCompared: events.length, rulesMismatchCount: 0 });
});

test("a candidate that finds more frauds is promoted by its evidence, and one that lets them through is refused", async () => {
  const world = await worldWithModel("gates: { promotion: { frauds_min: 15, days_min: 3, resamples: 200 } }\n");
  const { ports } = world.open();
  const { pipeline } = world;
  const by = { pipeline, actor: "ana" };
  await addRule(ports, { ...by, rule: rule("trust", "terminal_id = 't0'", { action: "approve" }) });
  await addRule(ports, { ...by, rule: rule("noise", "terminal_id = 't5'", { action: "review" }) });
  const both = async (stage: Rule["stage"]): Promise<void> => {
    for (const id of ["trust", "noise"]) await stageRule(ports, { ...by, side: "candidate", id, stage });
  };
  await both("off");
  const engine = await start(world, ports);
  const road = { clock: ports.clock, log: engine.log, states: engine.states, delayMs: 0, knownMax: NOW };
  interface Both {
    readonly payment: Payment;
    readonly live: boolean;
    readonly candidate: boolean;
  }
  const live = async (seed: number, from: number): Promise<readonly Both[]> => {
    const seen: Both[] = [];
    for (const payment of payments(350, { seed, from, prefix: `s${seed}-` })) {
      const reply = await ask(engine, payment);
      const { candidate } = engine.log.recall(payment.transaction_id)!.rules!;
      seen.push({ payment, live: reply.decision !== "approve", candidate: candidate!.decision !== "approve" });
      const { transaction_id: transactionId, is_fraud: fraud } = payment;
      await takeLabel(road, { transactionId, fraud, source: "analyst", knownAt: "now" });
    }
    return seen;
  };
  const matured = (all: readonly Both[]): readonly Both[] =>
    all.filter(({ payment }) => payment.time <= all.at(-1)!.payment.time - pipeline.labels.maturityMs);
  const recall = (all: readonly Both[], side: "live" | "candidate"): number => {
    const frauds = matured(all).filter(({ payment }) => payment.is_fraud);
    return frauds.filter((one) => one[side]).length / frauds.length;
  };
  const precision = (all: readonly Both[], side: "live" | "candidate"): number => {
    const alerts = matured(all).filter((one) => one[side]);
    return alerts.filter(({ payment }) => payment.is_fraud).length / alerts.length;
  };
  const first = await live(11, HISTORY.at(-1)!.time);
  const input = { ...by, seed: 1 };
  const better = await compareRules(ports, input);
  expect(better).toMatchObject({ pairs: first.length, matured: matured(first).length });
  for (const [interval, of] of [
    [better.recall!, recall],
    [better.precision!, precision],
  ] as const) {
    expect(interval.observedA).toBeCloseTo(of(first, "live"), 12);
    expect(interval.observedB).toBeCloseTo(of(first, "candidate"), 12);
    expect(interval.low).toBeLessThanOrEqual(interval.difference);
    expect(interval.high).toBeGreaterThanOrEqual(interval.difference);
  }
  expect(better.recall!.low).toBeGreaterThan(0);
  expect(better.precision!.low).toBeGreaterThan(0);
  expect(better.verdict).toMatchObject({ verdict: "PROMOTE", gate: "rule" });
  expect(better.verdict.checks.every(({ passed }) => passed)).toBe(true);
  expect(await promoteRules(ports, { ...input, forced: null })).toMatchObject({ moved: true });
  expect((await rulesHistory(ports)).at(-1)).toMatchObject({
    verb: "promote",
    verdict: "PROMOTE",
    live: { from: better.live, to: better.candidate },
    reason: expect.stringContaining("recall"),
  });
  // The other way around.
  await both("live");
  await engine.live.reload();
  const second = await live(12, first.at(-1)!.payment.time);
  const worse = await compareRules(ports, input);
  expect(worse).toMatchObject({ live: better.candidate, pairs: second.length });
  expect(worse.recall!.observedB).toBeCloseTo(recall(second, "candidate"), 12);
  expect(worse.recall!.high).toBeLessThan(-pipeline.gates.promotion.margin);
  expect(worse.verdict).toMatchObject({
    verdict: "REJECT",
    reasons: expect.arrayContaining([expect.stringContaining("recall falls")]),
  });
  expect(await promoteRules(ports, { ...input, forced: null })).toMatchObject({ moved: false });
  await engine.live.reload();
  expect(engine.live.current.rules!.live!.program.hash).toBe(better.candidate);
});

test("while requests and batches are under way rules change: every answer, and every batch, is by exactly one set", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const engine = await start(world, ports);
  const file = `${world.dir}/card.rules.yaml`;
  const sets = new Map<string, number>();
  const change = async (version: number): Promise<void> => {
    const rules = ["a", "b", "c"].map(
      (id) => `  - { id: ${id}${version}, when: amount >= 0, action: tag, stage: live }`,
    );
    writeFileSync(file, `rules:\n${rules.join("\n")}\n`);
    const { set } = await applyRules(ports, { pipeline: world.pipeline, actor: "ana", file });
    sets.set(set, version);
    await engine.live.reload();
  };
  await change(0);
  let count = 0;
  const payment = (): object => {
    const transaction_id = `q${count++}`;
    return { transaction_id, time: NOW - 1000, amount: 5, customer_id: `c${count % 9}`, terminal_id: "t9" };
  };
  /** What decided an answer, by the answer itself and by the log. */
  const groundOf = ({ rules, transaction_id }: Reply): string => {
    const logged = engine.log.recall(transaction_id)!.rules!;
    return [rules!.set, ...rules!.fired, "logged", logged.set, ...logged.fired].join(" ");
  };
  const expectedOf = (): readonly string[] =>
    [...sets].map(([set, version]) => {
      const fired = `a${version} b${version} c${version}`;
      return `${set} ${fired} logged ${set} ${fired}`;
    });
  /** Batches that were begun under one set and ended under another. */
  let crossed = 0;
  let version = 0;
  const CHANGES_MIN = 2;
  const CHANGES_MAX = 60;
  const grounds = new Set<string>();
  const mixed: string[][] = [];
  const take = (together: readonly Reply[]): void => {
    const own = new Set(together.map(groundOf));
    if (own.size !== 1) mixed.push([...own]);
    for (const one of own) grounds.add(one);
  };
  while ((crossed === 0 || version < CHANGES_MIN) && version < CHANGES_MAX) {
    let changing = true;
    const done = change(++version).finally(() => {
      changing = false;
    });
    while (changing) {
      const before = engine.live.current.rules;
      const [batch, ...singles] = await Promise.all([
        answerItems(engine, Array.from({ length: 100 }, payment), { charge: () => {} }),
        ...Array.from({ length: 5 }, () => ask(engine, payment() as Record<string, unknown>)),
      ]);
      if (engine.live.current.rules !== before) crossed++;
      take(batch);
      for (const one of singles) take([one]);
      // The change has to read files and the store, which takes turns of its own.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await done;
    const { rules } = await ask(engine, payment() as Record<string, unknown>);
    expect(sets.get(rules!.set)).toBe(version);
  }
  expect(mixed).toEqual([]);
  expect(expectedOf()).toEqual(expect.arrayContaining([...grounds]));
  expect(grounds.size).toBeGreaterThanOrEqual(2);
  expect(crossed).toBeGreaterThan(0);
});

test("while the rules cannot be read the last ones serve, and that is told", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  let away = false;
  const own = ports.rules!;
  const broken: Ports = { ...ports, rules: () => (away ? Promise.reject(new Error("the store is away")) : own()) };
  await addRule(ports, { pipeline: world.pipeline, actor: "ana", rule: rule("all", "amount >= 0") });
  const engine = await start(world, broken);
  away = true;
  await engine.live.reload();
  expect(await ask(engine, events[0])).toMatchObject({ decision: "block", decided_by: "rule" });
  expect(engine.rules.status()).toMatchObject({ storeFault: "the store is away" });
  away = false;
  await engine.live.reload();
  expect(engine.rules.status()).toMatchObject({ storeFault: null });
});

test("a store that was put back from a copy names another set by the same revision: that one serves", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  await addRule(ports, { ...by, rule: rule("all", "amount >= 0") });
  const elsewhere = makeWorld();
  worlds.push(elsewhere);
  const restored = elsewhere.open().ports;
  await addRule({ ...ports, rules: restored.rules }, { ...by, rule: rule("none", "amount < 0") });
  let rules = ports.rules!;
  const engine = await start(world, { ...ports, rules: () => rules() });
  expect(await ask(engine, events[0])).toMatchObject({ decision: "block", decided_by: "rule" });
  rules = restored.rules!;
  await engine.live.reload();
  expect(engine.rules.status().live).toBe((await (await restored.rules!()).head()).live);
  expect(await ask(engine, events[1])).not.toMatchObject({ decided_by: "rule" });
});

test("two changes from one revision: the later one is refused", async () => {
  const world = await worldWithModel();
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  const { head } = await addRule(ports, { ...by, rule: rule("one", "amount > 1") });
  await addRule(ports, { ...by, rule: rule("two", "amount > 2"), expected: head.revision });
  await expect(addRule(ports, { ...by, rule: rule("three", "amount > 3"), expected: head.revision })).rejects.toThrow(
    /revision 2, not 1/,
  );
  const several = Array.from({ length: 5 }, (_, i) => addRule(ports, { ...by, rule: rule(`p${i}`, `amount > ${i}`) }));
  const done = await Promise.allSettled(several);
  const refused = done.filter((one) => one.status === "rejected");
  expect(refused.every(({ reason }) => reason.code === "rules.conflict")).toBe(true);
  const store = await ports.rules!();
  const ids = (await store.set((await store.head()).live!)).rules.map(({ id }) => id);
  expect(ids.length).toBe(2 + done.length - refused.length);
  expect((await rulesHistory(ports)).length).toBe(ids.length);
});

test("a rule whose column is gone is reported and decides nothing, and changes of others go on", async () => {
  const world = makeWorld();
  worlds.push(world);
  const { properties, ...rest } = SCHEMA;
  const schemaWith = (more: object): void =>
    writeFileSync(world.pipeline.schemaFile, JSON.stringify({ ...rest, properties: { ...properties, ...more } }));
  schemaWith({ channel: { type: "string" } });
  const { ports } = world.open();
  const by = { pipeline: world.pipeline, actor: "ana" };
  await addRule(ports, { ...by, rule: rule("web", "channel = 'web'") });
  await addRule(ports, { ...by, rule: rule("rests", "channel = 'app'", { stage: "off" }) });
  await addRule(ports, { ...by, rule: rule("big", "amount > 250") });
  schemaWith({});
  const broken = [
    { id: "web", message: expect.stringContaining("no column or feature channel") },
    { id: "rests", message: expect.stringContaining("no column or feature channel") },
  ];
  expect(await addRule(ports, { ...by, rule: rule("new", "amount > 100") })).toMatchObject({
    done: true,
    faults: broken,
  });
  expect(await stageRule(ports, { ...by, id: "big", stage: "off" })).toMatchObject({ done: true, faults: broken });
  // What the change itself brings or wakes has to be right, and so has all of a file.
  const refused = { code: "rules.invalid" };
  await expect(addRule(ports, { ...by, rule: rule("bad", "chanel = 'web'") })).rejects.toMatchObject(refused);
  await expect(stageRule(ports, { ...by, id: "rests", stage: "live" })).rejects.toMatchObject(refused);
  const again = rule("web", "channel = 'shop'");
  await expect(addRule(ports, { ...by, rule: again, replace: true })).rejects.toMatchObject(refused);
  const file = `${world.dir}/card.rules.yaml`;
  writeFileSync(file, "rules: [{ id: web, when: channel = 'web', stage: live }]\n");
  await expect(applyRules(ports, { ...by, file })).rejects.toMatchObject(refused);
  expect(await removeRule(ports, { ...by, id: "web" })).toMatchObject({ done: true, faults: broken.slice(1) });
  expect(await removeRule(ports, { ...by, id: "rests" })).toMatchObject({ done: true, faults: [] });
});
