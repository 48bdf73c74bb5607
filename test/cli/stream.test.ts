// `sentinel stream`, `replay --topic` and `stream --check` on files, from the command line: no Kafka, no model.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { edit, makeWorkspace, removeWorkspace, sentinel, sentinelJson } from "./sentinel.ts";

let dir: string;
beforeAll(() => {
  dir = makeWorkspace();
  edit(dir, "pipelines/card.yaml", (text) => text.replace("model: card-fraud ", "model: none "));
  writeFileSync(
    path.join(dir, "pipelines", "card.rules.yaml"),
    "rules:\n  - { id: big, when: amount > 90, stage: live }\n",
  );
  mkdirSync(path.join(dir, "data", "stream"), { recursive: true });
  const lines = Array.from({ length: 100 }, (_, at) =>
    JSON.stringify({
      transaction_id: `t${at}`,
      time: 1_790_000_000_000 + at,
      amount: at,
      customer_id: "c",
      terminal_id: "x",
    }),
  );
  writeFileSync(path.join(dir, "data", "stream", "card.ndjson"), `${lines.join("\n")}\n`);
});
afterAll(() => removeWorkspace(dir));

const run = (...args: string[]) => sentinelJson([...args, "--workspace", dir]);

test("a stream is judged to its end, and judged again by other rules, which changes nothing of the workspace", async () => {
  expect(await run("rules", "apply")).toMatchObject({ code: 0 });
  const judged = await run("stream", "--until-end", "--no-port", "--log-level", "silent");
  expect(judged).toMatchObject({ code: 0, json: { pipelines: { card: { decided: 100, alerts: 9 } } } });
  const state = () => readFileSync(path.join(dir, "data", "stream", "card-decisions.ndjson"), "utf8");
  const before = state();
  const same = await run("replay", "--topic");
  expect(same).toMatchObject({ code: 0, json: { topic: "card", decided: 100, compared: 100, changed: 0 } });
  const file = path.join(dir, "next.rules.yaml");
  writeFileSync(
    file,
    "rules:\n  - { id: big, when: amount > 95, stage: live }\n  - { id: none, when: amount < 2, action: block, stage: live }\n",
  );
  const other = await run("replay", "--topic", "--rules", file);
  expect(other.json).toMatchObject({ changed: 7, changes: { "review → approve": 5, "approve → block": 2 } });
  expect(other.json.examples[0]).toMatchObject({
    transactionId: "t0",
    before: { decision: "approve" },
    after: { decision: "block", by: "rule none" },
  });
  expect(state()).toBe(before);
  expect((await run("replay", "--topic", "--rules", file, "--until-offsets", "nine")).json.error.code).toBe(
    "cli.usage",
  );
  expect((await run("replay", "--rules", file)).json.error.code).toBe("cli.usage");
});

test("a next JSON Schema is compatible where it adds, and refused with the field where it takes away", async () => {
  const schema = JSON.parse(readFileSync(path.join(dir, "pipelines", "card.schema.json"), "utf8"));
  const next = path.join(dir, "next.json");
  const check = async (change: object) => {
    writeFileSync(next, JSON.stringify({ ...schema, ...change }));
    return sentinel(["stream", "--check", "--schema", next, "--workspace", dir]);
  };
  const properties = { ...schema.properties, channel: { type: ["string", "null"] } };
  expect(await check({ properties })).toMatchObject({ code: 0, stdout: expect.stringContaining("compatible") });
  expect(await check({ properties, required: [...schema.required, "channel"] })).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("field channel is required now"),
  });
  expect(await check({ properties: { ...schema.properties, amount: { type: "string" } } })).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("field amount was number and is string now"),
  });
  const { customer_id: _, ...rest } = schema.properties;
  expect(await check({ properties: rest })).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("field customer_id is gone"),
  });
});

test("Avro without a registry, or into files, is refused with what to set", async () => {
  const none = await sentinel(["produce", "--format", "avro", "--count", "1", "--workspace", dir]);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("SENTINEL_SCHEMA_REGISTRY_URL") });
  const files = await sentinel(["produce", "--format", "avro", "--count", "1", "--workspace", dir], {
    env: { SENTINEL_SCHEMA_REGISTRY_URL: "http://127.0.0.1:1" },
  });
  expect(files).toMatchObject({ code: 2, stderr: expect.stringContaining("holds lines of text") });
});
