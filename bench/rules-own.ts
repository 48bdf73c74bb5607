// The analyst beside the rules bench: a process of its own that changes one rule again and again.
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../src/config.ts";
import { addRule } from "../src/lifecycle/rules.ts";
import { parsePipeline } from "../src/pipeline/pipeline.ts";
import { openPorts } from "../src/wiring.ts";
import { makeRules, PIPELINE } from "./rules-cases.ts";

const task = JSON.parse(process.argv[2]) as {
  readonly dir: string;
  readonly seed: number;
  readonly changes: number;
  readonly everyMs: number;
};
const pipeline = parsePipeline(PIPELINE, { file: `${task.dir}/pipelines/bench.yaml`, workspace: task.dir });
const { ports, close } = openPorts(loadConfig({ workspace: task.dir, environment: {} }), {
  report: { line: () => {}, progress: () => {} },
  pipeline: "bench",
});
const [rule] = makeRules(1, task.seed).rules;
for (let i = 0; i < task.changes; i++) {
  await addRule(ports, { pipeline, actor: "analyst", rule: { ...rule, when: `amount > ${100 + i}` }, replace: true });
  await sleep(task.everyMs);
}
await close();
process.stdout.write(`${JSON.stringify({ changes: task.changes })}\n`);
