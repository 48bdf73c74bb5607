// What requests bring to the champion's features: fields that lack and keys that training never saw are counted, told and warned of.
import { afterEach, expect, test } from "vitest";
import { orderBy } from "../../src/core/table.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { InputTally, packInputs, trainedInputs, unpackInputs } from "../../src/features/trained-inputs.ts";
import { servedReport } from "../../src/lifecycle/data/served.ts";
import { saveInputs } from "../../src/online/served-inputs.ts";
import { createServer } from "../../src/server/server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  SCHEMA,
  SPEC_A,
  serve,
  silent,
  type World,
} from "./world.ts";

const plan = compileSpec(SPEC_A);
let world: World;
afterEach(() => world?.remove());

const inputs = () => {
  const order = orderBy(Float64Array.from(HISTORY, (row) => row.time));
  return trainedInputs(historyTable(), { plan, order, dataHash: "d" });
};

interface Model {
  readonly champion: unknown;
  readonly broken: readonly { readonly message: string }[];
  readonly inputs: {
    readonly requests: number;
    readonly fields: Record<string, { lacking: number; text: number }>;
    readonly keys: readonly { key: string[]; requests: number; known_to_training: number; known_in_training: number }[];
    readonly warnings: readonly string[];
  };
}

async function serving() {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const { ports, close } = world.open();
  await saveInputs(ports, { pipeline: "card", plan, inputs: inputs() });
  await close();
  const running = await serve(world);
  const model = async (): Promise<Model> => (await running.server.app.request("/model")).json() as Promise<Model>;
  return { ...running, model };
}

test("what training kept of its keys reads back as it was", () => {
  const kept = inputs();
  expect(unpackInputs(packInputs(kept))).toEqual(kept);
  expect(kept.keys.map(({ key }) => key.join())).toEqual(["customer_id", "terminal_id"]);
  for (const { returning } of kept.keys) expect(returning).toBe(1);
  expect(() => unpackInputs(Uint8Array.of(1, 2, 3))).toThrow(/cannot be read/);
});

test("keys as the table spells them are known, without a word", async () => {
  const { server, model, stop } = await serving();
  await post(server, "/predict", bodyOf(payments(1, { seed: 2, from: NOW, prefix: "first" })[0]));
  for (const one of payments(60, { seed: 3, from: NOW - 1e9, prefix: "x" }))
    await post(server, "/predict", bodyOf(one));
  const { inputs: seen } = await model();
  expect(seen.warnings).toEqual([]);
  expect(seen.keys.map(({ known_to_training }) => known_to_training)).toEqual([1, 1]);
  await stop();
});

test("keys spelled otherwise raise a warning in /model and on the log, though every vector is right for what was sent", async () => {
  const { server, ports, model, stop } = await serving();
  for (const one of payments(60, { seed: 3, from: NOW - 1e9, prefix: "x" })) {
    await post(server, "/predict", { ...bodyOf(one), customer_id: `0${one.customer_id}` });
  }
  const { inputs: seen } = await model();
  expect(seen.keys.map(({ known_to_training }) => known_to_training)).toEqual([0, 1]);
  expect(seen.warnings).toEqual([
    expect.stringMatching(/^customer_id: 0 % of \d+ served keys are in the training table, 100 %/),
  ]);
  // Told without the keys themselves: /model is for everybody.
  expect(seen.warnings[0]).not.toMatch(/"0c\d+"/);
  const report = await servedReport(ports, { pipeline: world.pipeline, plan });
  expect(report.warnings).toEqual([expect.stringMatching(/served are such as "0c\d+".*the table has such as "c\d+"/)]);
  await stop();
});

test("a field that requests lack is counted by name, in /model and in the metrics", async () => {
  const tally = new InputTally(plan, inputs());
  const told: string[] = [];
  for (let i = 0; i < 30; i++) {
    const fields = { amount: i < 25 ? null : i, terminal_id: "t1" };
    tally.add({ id: `${i}`, time: NOW, fields }, (field, how) => told.push(`${field} ${how}`));
  }
  expect(told.filter((one) => one === "customer_id absent")).toHaveLength(30);
  expect(told.filter((one) => one === "amount null")).toHaveLength(25);
  expect(tally.report({ examples: true }).warnings).toEqual([
    expect.stringMatching(
      /customer_id is lacking in 30 of 30 requests, in training in 0 %.*customer_count_1d, customer_mean_7d see nothing/,
    ),
    expect.stringMatching(/amount is lacking in 25 of 30/),
  ]);
  const { server, model, stop } = await serving();
  const [payment] = payments(1, { seed: 4, from: NOW - 1e9, prefix: "x" });
  // An empty text is a missing one, as in a table.
  await post(server, "/predict", { ...bodyOf(payment), customer_id: "" });
  expect((await model()).inputs.fields.customer_id).toMatchObject({ lacking: 1 });
  const metrics = await (await server.app.request("/metrics")).text();
  expect(metrics).toContain('sentinel_fields_lacking_total{field="customer_id",how="null",pipeline="card"} 1');
  await stop();
});

test("a champion whose features read what the schema does not name does not serve, and /model says why", async () => {
  world = makeWorld();
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const { ports, close } = world.open();
  const { terminal_id: _, ...properties } = SCHEMA.properties;
  const schema = { ...SCHEMA, required: ["transaction_id"], properties };
  const server = await createServer({ ports, pipeline: world.pipeline, schema, options: { logger: silent } });
  const model = (await (await server.app.request("/model")).json()) as Model;
  expect(model.champion).toBeNull();
  expect(model.broken[0].message).toMatch(
    /feature terminal_frauds_7d reads terminal_id, which .*card\.schema\.json does not name/,
  );
  await server.stop();
  await close();
});
