// The verb explain: a logged transaction by the version that answered, by another, and against one with features of its own.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Explained, type ExplainInput, explain } from "../../src/lifecycle/explain.ts";
import type { Ports } from "../../src/ports/ports.ts";
import {
  bodyOf,
  historyTable,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  reply,
  SPEC_A,
  SPEC_B,
  serve,
  until,
  type World,
} from "../server/world.ts";

let world: World;
let ports: Ports;
let close: () => Promise<void>;
/** What the server said of the last payment before it answered it, with the candidate's own vector at that moment. */
let live: { readonly score: number; readonly against: { readonly margin: number; readonly contributions: unknown } };
const paid = payments(40, { seed: 5, from: NOW - 3_600_000, prefix: "p" });
const last = paid[paid.length - 1];

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_B, 2)));
  const { server, stop } = await serve(world);
  await until(async () => (await reply(server.app.request("/model"))).shadows.some(({ state }) => state.warm));
  for (const payment of paid.slice(0, -1)) await post(server, "/predict", bodyOf(payment));
  live = (await (await post(server, "/explain", { ...bodyOf(last), against: "candidate" })).json()) as typeof live;
  await post(server, "/predict", bodyOf(last));
  await stop();
  ({ ports, close } = world.open());
});

afterAll(async () => {
  await close();
  await world.remove();
});

function explained(changes: Partial<ExplainInput> = {}): Promise<Explained> {
  return explain(ports, {
    pipeline: world.pipeline,
    transactionId: last.transaction_id,
    version: null,
    against: null,
    history: async () => historyTable(),
    ...changes,
  });
}

test("a logged transaction is explained by the version that answered", async () => {
  const { explanation, answered, sentences, difference, time } = await explained();
  expect(explanation).toMatchObject({ version: "1", score: live.score, decision: answered.decision });
  expect(answered).toMatchObject({ version: "1", score: live.score });
  expect(Object.keys(sentences).sort()).toEqual(SPEC_A.features.map(({ name }) => name).sort());
  expect(time).toBe(last.time);
  expect(difference).toBeNull();
});

test("features that were not logged are recomputed from raw history, as they were when the server answered", async () => {
  const { difference } = await explained({ against: "candidate" });
  expect(difference?.candidate.version).toBe("2");
  expect(difference?.candidate.margin).toBe(live.against.margin);
  expect(difference?.contributions).toEqual(live.against.contributions);
});

test("another version explains when it is named", async () => {
  const { explanation, answered, reasons } = await explained({ version: "2" });
  expect(explanation).toMatchObject({ version: "2", margin: live.against.margin });
  expect(answered.version).toBe("1");
  for (const { contribution } of reasons) expect(contribution).toBeGreaterThan(0);
});

test("what cannot be explained is told by name", async () => {
  await expect(explained({ transactionId: "never" })).rejects.toMatchObject({ code: "request.not-found" });
  await expect(explained({ against: "9" })).rejects.toMatchObject({ code: "registry.version-unknown" });
  await world.alias("candidate", null);
  await expect(explained({ against: "candidate" })).rejects.toMatchObject({ code: "lifecycle.no-candidate" });
});

test("a version whose features the server never kept is refused with what is missing", async () => {
  const spec = { ...SPEC_B, features: [...SPEC_B.features] };
  const own = {
    kind: "window",
    name: "terminal_max_2d",
    key: ["terminal_id"],
    over: "amount",
    aggregate: "max",
    window: "50d",
  } as const;
  spec.features[spec.features.length - 1] = own;
  const version = await world.register(makeBundle(spec, 3));
  await expect(explained({ against: version })).rejects.toMatchObject({
    code: "request.invalid",
    message: expect.stringContaining("terminal_max_2d"),
  });
});
