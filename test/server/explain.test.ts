// Reasons and attributions over HTTP: of a new transaction, of an earlier one, of champion against candidate.
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadScorer } from "../../src/online/score.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
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
} from "./world.ts";

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const paid = payments(60, { seed: 3, from: NOW - 3_600_000, prefix: "p" });

interface Reason {
  readonly code: string;
  readonly text: string;
  readonly feature: string;
  readonly value: number | null;
  readonly contribution: number;
}

interface Attribution {
  readonly feature: string;
  readonly value: number | null;
  readonly contribution: number;
  readonly text: string;
}

interface Difference {
  readonly feature: string;
  readonly values: { readonly champion: number | null; readonly candidate: number | null };
  readonly champion: number | null;
  readonly candidate: number | null;
  readonly difference: number;
}

interface Explained {
  readonly transaction_id: string;
  readonly logged: boolean;
  readonly model: { readonly version: string };
  readonly decision: string;
  readonly score: number;
  readonly uncalibrated_score: number;
  readonly margin: number;
  readonly baseline: number;
  readonly additivity_error: number;
  readonly reasons: readonly Reason[];
  readonly contributions: readonly Attribution[];
  readonly against: {
    readonly model: { readonly version: string };
    readonly score: number;
    readonly margin: number;
    readonly difference: { readonly baseline: number; readonly margin: number; readonly score: number };
    readonly contributions: readonly Difference[];
  };
}

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world));
});

afterAll(async () => {
  await stop();
  await world.remove();
});

async function json<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}

test("?explain=true adds reasons to the same answer, and nothing without it", async () => {
  const risky = { ...bodyOf(paid[0]), terminal_id: "t0", amount: 250 };
  const plain = await json<object>(post(server, "/predict", { ...risky, transaction_id: "plain" }));
  expect(plain).not.toHaveProperty("reasons");
  expect(await json<object>(post(server, "/predict?explain=false", { ...risky, transaction_id: "plain" }))).toEqual(
    plain,
  );
  const { reasons, ...rest } = await json<{ readonly reasons: readonly Reason[] }>(
    post(server, "/predict?explain=true", { ...risky, transaction_id: "plain" }),
  );
  expect(rest).toEqual(plain);
  const fresh = await json<{ readonly reasons: readonly Reason[] }>(
    post(server, "/predict?explain=true", { ...risky, transaction_id: "fresh" }),
  );
  for (const given of [reasons, fresh.reasons]) {
    expect(given.length).toBeGreaterThan(0);
    expect(
      given.every(({ contribution }, i) => contribution > 0 && contribution <= given[Math.max(0, i - 1)].contribution),
    ).toBe(true);
    for (const { code, text, feature } of given) {
      expect(code).toMatch(/^[A-Z0-9_]+$/);
      expect(text.length).toBeGreaterThan(10);
      expect(SPEC_A.features.map(({ name }) => name)).toContain(feature);
    }
  }
});

test("anything but true or false is refused", async () => {
  const response = await post(server, "/predict?explain=maybe", bodyOf(paid[1]));
  expect(response.status).toBe(422);
  expect(await json(response)).toMatchObject({ code: "request.invalid", errors: [{ field: "explain" }] });
});

test("a batch is explained item by item, as an array and as a stream", async () => {
  const items = [2, 3, 4].map((i) => bodyOf(paid[i]));
  const array = await json<readonly { readonly reasons: readonly Reason[] }[]>(
    post(server, "/predict/batch?explain=true", items),
  );
  const lines = items.map((item) => JSON.stringify(item)).join("\n");
  const stream = await post(server, "/predict/batch?explain=true", lines, { "content-type": "application/x-ndjson" });
  const streamed = (await stream.text()).trim().split("\n");
  expect(streamed.map((line) => JSON.parse(line))).toEqual(array);
  for (const { reasons } of array) expect(Array.isArray(reasons)).toBe(true);
  expect((await post(server, "/predict/batch?explain=1", items)).status).toBe(422);
});

test("a new transaction is explained as it would be judged, and neither logged nor learned", async () => {
  const body = bodyOf(paid[10]);
  const before = await reply(server.app.request("/health"));
  const explained = await json<Explained>(post(server, "/explain", body));
  expect(await json<Explained>(post(server, "/explain", body))).toEqual(explained);
  expect((await reply(server.app.request("/health"))).log.predictions).toBe(before.log.predictions);
  const answer = await reply(post(server, "/predict", body));
  expect(explained).toMatchObject({
    transaction_id: paid[10].transaction_id,
    logged: false,
    score: answer.score,
    decision: answer.decision,
    model: answer.model,
  });
  const sum = explained.contributions.reduce((total, one) => total + one.contribution, explained.baseline);
  expect(Math.abs(sum - explained.margin)).toBeLessThan(1e-6);
  expect(explained.additivity_error).toBeLessThan(1e-6);
  expect(explained.uncalibrated_score).toBeCloseTo(1 / (1 + Math.exp(-explained.margin)), 12);
  expect(explained.contributions.map(({ feature }) => feature).sort()).toEqual(
    SPEC_A.features.map(({ name }) => name).sort(),
  );
  expect(explained.contributions.find(({ feature }) => feature === "amount")).toMatchObject({
    value: Math.fround(paid[10].amount),
    text: expect.stringMatching(/^the amount is [\d.]+$/),
  });
});

test("an earlier transaction is explained by what was logged, by its id or sent again", async () => {
  const body = bodyOf(paid[11]);
  const asked = await json<Explained>(post(server, "/explain", body));
  await post(server, "/predict", body);
  const byId = await json<Explained>(post(server, "/explain", { id: paid[11].transaction_id }));
  expect(byId).toEqual({ ...asked, logged: true });
  // The state has learned the transaction since: read again it would see itself among the earlier ones.
  expect(await json<Explained>(post(server, "/explain", body))).toEqual(byId);
});

test("bad requests are refused with what is wrong", async () => {
  const refusals: readonly (readonly [body: unknown, status: number, code: string])[] = [
    [{ transaction_id: "never seen" }, 404, "request.not-found"],
    [{ transaction_id: 1.5 }, 422, "request.invalid"],
    [{ transaction_id: "" }, 422, "request.invalid"],
    [{ transaction_id: "x", amount: "much" }, 422, "request.invalid"],
    [{ ...bodyOf(paid[12]), against: 7 }, 422, "request.invalid"],
    [{ ...bodyOf(paid[12]), against: "candidate" }, 404, "lifecycle.no-candidate"],
    [{ ...bodyOf(paid[12]), against: "__proto__" }, 404, "lifecycle.no-candidate"],
    [{ ...bodyOf(paid[11]), amount: 1 }, 409, "request.duplicate"],
    [[bodyOf(paid[12])], 422, "request.invalid"],
    ["null", 422, "request.invalid"],
    ["{", 400, "request.malformed"],
  ];
  for (const [body, status, code] of refusals) {
    const response = await post(server, "/explain", body);
    expect(response.status, JSON.stringify(body)).toBe(status);
    expect(await json(response)).toMatchObject({ code, hint: expect.any(String) });
  }
});

test("the document describes the route, its query and its shapes", async () => {
  const { paths, components } = await reply(server.app.request("/openapi.json"));
  expect(paths["/explain"]).toBeDefined();
  expect(paths["/predict"]).toMatchObject({ post: { parameters: [{ name: "explain", in: "query" }] } });
  for (const name of ["Explanation", "Reason"]) expect(components.schemas[name]).toBeDefined();
  expect(await (await server.app.request("/docs")).text()).toContain("?explain=");
});

test("a candidate with features of its own is set against the champion, by union of features", async () => {
  await world.saveState(SPEC_B);
  await world.alias("candidate", await world.register(makeBundle(SPEC_B, 2)));
  await until(async () => (await reply(server.app.request("/model"))).shadows.some(({ state }) => state.warm));
  const explained = await json<Explained>(post(server, "/explain", { ...bodyOf(paid[20]), against: "candidate" }));
  const { against } = explained;
  expect([explained.model.version, against.model.version]).toEqual(["1", "2"]);
  const sum = against.contributions.reduce((total, one) => total + one.difference, against.difference.baseline);
  expect(sum).toBeCloseTo(against.difference.margin, 9);
  expect(against.margin - explained.margin).toBeCloseTo(against.difference.margin, 12);
  expect(against.contributions.map(({ feature }) => feature).sort()).toEqual(
    SPEC_B.features.map(({ name }) => name).sort(),
  );
  expect(against.contributions.find(({ feature }) => feature === "terminal_sum_3d")).toMatchObject({
    champion: null,
    values: { champion: null, candidate: expect.any(Number) },
  });
  // Of a logged transaction only the champion's features are known.
  const response = await post(server, "/explain", { transaction_id: paid[11].transaction_id, against: "2" });
  expect(response.status).toBe(422);
  expect((await reply(response)).detail).toContain("terminal_sum_3d");
});

test("after a promotion an earlier transaction is still explained by the version that answered", async () => {
  const before = await json<Explained>(post(server, "/explain", { transaction_id: paid[11].transaction_id }));
  await world.alias("champion", "2");
  await world.alias("candidate", null);
  await until(async () => (await reply(server.app.request("/model"))).champion.version === "2");
  expect(await json<Explained>(post(server, "/explain", { transaction_id: paid[11].transaction_id }))).toEqual(before);
  const again = await json<{ readonly reasons: readonly Reason[] }>(
    post(server, "/predict?explain=true", bodyOf(paid[11])),
  );
  expect(again.reasons).toEqual(before.reasons);
  // The new champion's vector holds all that the old one's features need.
  await post(server, "/predict", bodyOf(paid[30]));
  await world.alias("candidate", "1");
  await until(async () => (await reply(server.app.request("/model"))).shadows.some(({ version }) => version === "1"));
  const { against } = await json<Explained>(
    post(server, "/explain", { transaction_id: paid[30].transaction_id, against: "candidate" }),
  );
  expect(against.contributions.find(({ feature }) => feature === "terminal_sum_3d")?.candidate).toBeNull();
});

test("an answer of the policy has no reasons and no explanation; an answer stands without its reasons", async () => {
  const failing = makeWorld();
  await failing.alias("champion", await failing.register(makeBundle(SPEC_A, 1)));
  const running = await serve(failing, {
    load: (files, name) => {
      const scorer = loadScorer(files, name);
      const score = (vector: Float32Array) => {
        if (vector[0] === 13) throw new Error("no luck");
        return scorer.score(vector);
      };
      return { ...scorer, score, files: new Map() };
    },
  });
  try {
    const degraded = await json<object>(
      post(running.server, "/predict?explain=true", { ...bodyOf(paid[0]), amount: 13 }),
    );
    expect(degraded).toMatchObject({ degraded: true, reasons: null, reasons_absent: { code: "degraded" } });
    const refused = await post(running.server, "/explain", { transaction_id: paid[0].transaction_id });
    expect(refused.status).toBe(422);
    expect((await reply(refused)).detail).toContain("policy");
    const bare = await json<object>(post(running.server, "/predict?explain=true", bodyOf(paid[1])));
    expect(bare).toMatchObject({
      transaction_id: paid[1].transaction_id,
      score: expect.any(Number),
      reasons: null,
      reasons_absent: { code: "failed", text: expect.stringMatching(/log/) },
    });
  } finally {
    await running.stop();
    await failing.remove();
  }
});
