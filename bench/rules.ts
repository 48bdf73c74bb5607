// Rules per event: 250 of them in one pass against json-rules-engine, a change while events come, and what it does to their latency.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Engine as PeerEngine } from "json-rules-engine";
import { loadConfig } from "../src/config.ts";
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { emptyFields, type Transaction } from "../src/core/transaction.ts";
import { addRule, applyRules } from "../src/lifecycle/rules.ts";
import { answer } from "../src/online/answer.ts";
import { type Engine, openEngine } from "../src/online/engine.ts";
import { ruleScope } from "../src/online/rules.ts";
import { parsePipeline } from "../src/pipeline/pipeline.ts";
import { EMPTY_LIST } from "../src/rules/lists.ts";
import { compileRules, type RuleProgram } from "../src/rules/program.ts";
import { openPorts } from "../src/wiring.ts";
import { type Bench, type Figures, median, quantileOf } from "./bench.ts";
import { runOwn } from "./peers.ts";
import { type Event, makeEvent, makeRules, PIPELINE, SCHEMA } from "./rules-cases.ts";
import { manyRules } from "./rules-many.ts";
import { temporaryFolder } from "./workspace.ts";

const RULES = 250;
const EVENTS = 20_000;
/** As many as a pipeline may have. */
const MANY = 10_000;
const MANY_EVENTS = 1000;
const PEER_EVENTS = 300;
/** Events of the open loop, a millisecond apart; a rule is changed every tenth of a second. */
const PACED_EVENTS = 8000;
const PACE_MS = 1;
const RELOAD_EVERY_MS = 100;
const RELOADS = 20;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const { rules, peer } = makeRules(RULES, options.seed);
    const random = new Random(options.seed + 1);
    const events = Array.from({ length: EVENTS }, () => makeEvent(random));
    const program = await compiled(rules);
    const own: number[] = [];
    for (let round = 0; round <= options.repeats; round++) {
      const micros = ownMicros(program, events);
      // The first round warms the machine up.
      if (round > 0) own.push(micros);
    }
    const engine = new PeerEngine([...peer], { allowUndefinedFacts: true });
    const their: number[] = [];
    for (let round = 0; round < options.repeats; round++) {
      const cpu = process.cpuUsage();
      for (const event of events.slice(0, PEER_EVENTS)) await engine.run(event);
      their.push(cpuMicros(cpu) / PEER_EVENTS);
    }
    await checkSame(program, { engine, events: events.slice(0, PEER_EVENTS) });
    const [micros, peerMicros] = [median(own), median(their)];
    options.print(`  ${RULES} rules, ${program.steps} operations: ${micros.toFixed(1)} µs per event`);
    options.print(
      `  json-rules-engine: ${peerMicros.toFixed(0)} µs per event, ${(peerMicros / micros).toFixed(0)} times as long`,
    );
    const reload = await reloads(options.seed);
    options.print(
      `  a change: ${reload.reloadMs.toFixed(1)} ms until it decides; p99 ${reload.p99Ratio.toFixed(2)} times that without changes`,
    );
    const all = makeRules(MANY, options.seed).rules;
    const everything = await compiled(all);
    const manyMicros = ownMicros(everything, events.slice(0, MANY_EVENTS));
    const many = { ...(await manyRules(options.seed, MANY)), microsPerEvent: manyMicros };
    options.print(
      `  ${MANY} rules: ${manyMicros.toFixed(0)} µs per event; a change ${many.changeMs.toFixed(0)} ms, until it serves ${many.reloadMs.toFixed(0)} ms more; ${many.heapMb.toFixed(0)} MB`,
    );
    return {
      many: { ...many },
      microsPer250Rules: micros,
      reloadMs: reload.reloadMs,
      p99RatioDuringReload: reload.p99Ratio,
      jsonRulesEngine: { micros: peerMicros, ratio: peerMicros / micros },
    };
  },
};

async function compiled(rules: readonly ReturnType<typeof makeRules>["rules"][number][]): Promise<RuleProgram> {
  const pipeline = parsePipeline(PIPELINE, { file: "/w/bench.yaml", workspace: "/w" });
  const scope = ruleScope({ pipeline, schema: SCHEMA, plan: null, areas: {}, lists: null });
  const set = { format: "sentinel-rules/1", pipeline: "bench", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  assert(program.faults.length === 0, "every rule can be compiled");
  return program;
}

function transactionOf(event: Event, at: number): Transaction {
  return { id: `e${at}`, time: Date.UTC(2026, 0, 1) + at, fields: Object.assign(emptyFields(), event) };
}

/** Processor time per event: on a machine that others use too, a clock on the wall measures them. */
function ownMicros(program: RuleProgram, events: readonly Event[]): number {
  const transactions = events.map(transactionOf);
  const hits = new Uint8Array(program.rules.length);
  const cpu = process.cpuUsage();
  for (const transaction of transactions) program.ask(inputOf(transaction), hits);
  return cpuMicros(cpu) / events.length;
}

function inputOf(transaction: Transaction) {
  const none = { vector: null, windows: null, score: Number.NaN, anomalyScore: Number.NaN };
  return { transaction, ...none, reachMs: Number.POSITIVE_INFINITY };
}

function cpuMicros(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

async function checkSame(
  program: RuleProgram,
  on: { readonly engine: PeerEngine; readonly events: readonly Event[] },
): Promise<void> {
  const hits = new Uint8Array(RULES);
  for (const [at, event] of on.events.entries()) {
    program.ask(inputOf(transactionOf(event, at)), hits);
    const own = program.rules.filter((_, i) => hits[i] === 1).map(({ rule }) => rule.id);
    const their = (await on.engine.run(event)).events.map(({ type }) => type);
    assert(
      JSON.stringify(own.sort()) === JSON.stringify(their.sort()),
      `both sides fire the same rules on event ${at}`,
    );
  }
}

/** An engine with the rules under a steady stream, once undisturbed and once while rules change. */
async function reloads(seed: number): Promise<{ readonly reloadMs: number; readonly p99Ratio: number }> {
  const dir = temporaryFolder();
  mkdirSync(path.join(dir, "pipelines"), { recursive: true });
  const file = path.join(dir, "pipelines", "bench.yaml");
  const pipeline = parsePipeline(PIPELINE, { file, workspace: dir });
  writeFileSync(file, PIPELINE);
  writeFileSync(pipeline.schemaFile, JSON.stringify(SCHEMA));
  const { rules } = makeRules(RULES, seed);
  const rulesFile = path.join(dir, "pipelines", "bench.rules.yaml");
  writeFileSync(
    rulesFile,
    `rules:\n${rules.map(({ id, when }) => `  - { id: ${id}, when: ${JSON.stringify(when)}, action: tag, stage: live }\n`).join("")}`,
  );
  const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
    report: { line: () => {}, progress: () => {} },
    pipeline: "bench",
  });
  const by = { pipeline, actor: "bench" };
  await applyRules(ports, { ...by, file: rulesFile });
  const engine = await openEngine({ ports, pipeline, schema: SCHEMA });
  await engine.start();
  const random = new Random(seed + 2);
  const times: number[] = [];
  for (let i = 0; i < RELOADS; i++) {
    const { set } = await addRule(ports, { ...by, rule: { ...rules[0], when: `amount > ${i}` }, replace: true });
    const begun = performance.now();
    await engine.live.reload();
    times.push(performance.now() - begun);
    assert(engine.live.current.rules?.live?.program.hash === set, "the changed rule set serves");
  }
  await paced(engine, { random, prefix: "w" });
  const still = await paced(engine, { random, prefix: "s" });
  const changes = Math.floor((PACED_EVENTS * PACE_MS) / RELOAD_EVERY_MS);
  const analyst = runOwn("rules-own", { dir, seed, changes, everyMs: RELOAD_EVERY_MS });
  const changed = await paced(engine, { random, prefix: "c" });
  await analyst;
  await engine.stop(1000);
  await close();
  return { reloadMs: median(times), p99Ratio: changed / still };
}

/** 99th percentile of the time from when an event was due to its answer, in milliseconds. */
async function paced(engine: Engine, on: { readonly random: Random; readonly prefix: string }): Promise<number> {
  const latencies = new Float64Array(PACED_EVENTS);
  const begun = performance.now();
  for (let at = 0; at < PACED_EVENTS; ) {
    const due = begun + at * PACE_MS;
    if (performance.now() < due) {
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    const body = { id: `${on.prefix}${at}`, time: new Date().toISOString(), user_id: "u", ...makeEvent(on.random) };
    await answer(engine, engine.parser.parse(body, Date.now()));
    latencies[at++] = performance.now() - due;
  }
  return quantileOf(latencies.sort(), 0.99);
}
