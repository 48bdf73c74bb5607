// A process for the kill tests: changes rules and lists without an end, says when it has begun, waits to be killed.
import { loadConfig } from "../../../dist/src/config.js";
import { ruleSetHash } from "../../../dist/src/core/rule.js";
import { openPorts } from "../../../dist/src/wiring.js";

const at = Date.UTC(2026, 10, 21);
const report = { line: () => {}, progress: () => {} };
const { ports } = openPorts(loadConfig({ workspace: process.argv[2] }), { report, pipeline: "card" });
const rules = await ports.rules();
const store = await ports.store();
for (let turn = 0; ; turn++) {
  const { revision } = await rules.head();
  const more = { when: "amount > 1", action: "block", severity: "critical", description: "", stage: "live" };
  const set = {
    format: "sentinel-rules/1",
    pipeline: "card",
    rules: Array.from({ length: 20 }, (_, i) => ({ id: `r${revision}-${i}`, ...more, share: 0.1, owner: "" })),
    areas: {},
    lists: { listed: revision * 3 + 3 },
  };
  const value = { value: `v${revision}`, from: 1, to: null, at, actor: "child", reason: "" };
  const changes = [`to ${revision}`];
  await rules.commit({
    expected: revision,
    sets: [set],
    live: ruleSetHash(set),
    candidate: null,
    lists: { listed: [value, value, value] },
    entry: { at, actor: "child", verb: "add", reason: "", verdict: "", evidence: "", changes },
  });
  const schema = [{ name: `f${revision}`, type: "integer", nullable: true }];
  const fields = { slug: "card", name: "card", source: "file", kafkaTopic: null, schema, settings: {} };
  await store.pipelines.declare(fields, { actor: "child", at });
  if (turn === 0) process.stdout.write("changing\n");
}
