// As many rules as a pipeline may have: what a change of one of them costs, what they cost per event, and the memory that they take.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { loadConfig } from "../src/config.ts";
import { assert } from "../src/core/errors.ts";
import { RULES_MAX } from "../src/core/rule.ts";
import { addRule, changeRules } from "../src/lifecycle/rules.ts";
import { openEngine } from "../src/online/engine.ts";
import { parsePipeline } from "../src/pipeline/pipeline.ts";
import { openPorts } from "../src/wiring.ts";
import { median } from "./bench.ts";
import { makeRules, PIPELINE, SCHEMA } from "./rules-cases.ts";
import { temporaryFolder } from "./workspace.ts";

const CHANGES = 10;

export interface ManyRules {
  readonly rules: number;
  /** The change that brings all of them, which are then read for the first time. */
  readonly firstMs: number;
  /** A change of one, and until it serves; medians. */
  readonly changeMs: number;
  readonly reloadMs: number;
  /** JavaScript heap that they take in a process that serves and changes them. */
  readonly heapMb: number;
}

export async function manyRules(seed: number, count = RULES_MAX): Promise<ManyRules> {
  const dir = temporaryFolder();
  mkdirSync(path.join(dir, "pipelines"), { recursive: true });
  const file = path.join(dir, "pipelines", "bench.yaml");
  const pipeline = parsePipeline(PIPELINE, { file, workspace: dir });
  writeFileSync(file, PIPELINE);
  writeFileSync(pipeline.schemaFile, JSON.stringify(SCHEMA));
  const { rules } = makeRules(count, seed);
  const report = { line: () => {}, progress: () => {} };
  const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), { report, pipeline: "bench" });
  const engine = await openEngine({ ports, pipeline, schema: SCHEMA });
  await engine.start();
  const heapBefore = heapMb();
  const by = { pipeline, actor: "bench" };
  const first = await timed(() => changeRules(ports, { ...by, verb: "add" }, () => ({ rules })));
  await engine.live.reload();
  const changes: number[] = [];
  const reloads: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const rule = { ...rules[i], when: `amount > ${i} AND amount < ${i + 7}` };
    changes.push((await timed(() => addRule(ports, { ...by, rule, replace: true }))).ms);
    reloads.push((await timed(() => engine.live.reload())).ms);
  }
  const { live } = engine.live.current.rules!;
  assert(live !== null && live.program.rules.length === count, "all rules serve");
  const heap = heapMb() - heapBefore;
  await engine.stop(1000);
  await close();
  return { rules: count, firstMs: first.ms, changeMs: median(changes), reloadMs: median(reloads), heapMb: heap };
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly result: T }> {
  const begun = performance.now();
  const result = await work();
  return { ms: performance.now() - begun, result };
}

function heapMb(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1_048_576;
}
