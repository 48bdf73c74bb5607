// What serves: swaps under load, broken versions, a registry that vanishes, candidates that misbehave, scoring that fails.
import { existsSync, readdirSync, renameSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { BundleFiles } from "../../src/core/bundle.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import type { ContributionDifference } from "../../src/online/explain/attribution.ts";
import { explainVector } from "../../src/online/explain.ts";
import { loadScorer } from "../../src/online/score.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  payments,
  post,
  reply,
  SPEC_A,
  SPEC_B,
  serve,
  until,
  type World,
} from "./world.ts";

let bundles: { readonly a1: BundleFiles; readonly a2: BundleFiles; readonly b: BundleFiles };
let world: World;

beforeAll(() => {
  bundles = { a1: makeBundle(SPEC_A, 1), a2: makeBundle(SPEC_A, 2), b: makeBundle(SPEC_B, 3) };
});

afterEach(async () => world.remove());

const traffic = (count: number, prefix: string) =>
  payments(count, { seed: 5, from: HISTORY[HISTORY.length - 1].time, prefix }).map(bodyOf);

async function json(server: SentinelServer, route: string) {
  return reply(server.app.request(route));
}

/** A world with a champion, and a server on it. */
async function begin(options: Parameters<typeof serve>[1] = {}) {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.saveState(SPEC_B);
  await world.alias("champion", await world.register(bundles.a1));
  return serve(world, options);
}

/**
 * The answer to a request that no promotion may fail. A machine that is busy with other tests may refuse some as overload, which says so
 * and when to come again.
 */
async function answerTo(url: string, body: string): Promise<Awaited<ReturnType<typeof reply>>> {
  for (;;) {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const answer = await reply(response);
    if (answer.code !== "server.overloaded") {
      expect(response.status, JSON.stringify(answer)).toBe(200);
      return answer;
    }
    refusedAsOverload++;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers.get("retry-after"))));
  }
}
let refusedAsOverload = 0;

/** Requests under promotions; the long form: SENTINEL_PROMOTION_REQUESTS=100000, with --testTimeout=3600000. */
const UNDER_PROMOTION = Number(process.env.SENTINEL_PROMOTION_REQUESTS ?? 1200);
const PROMOTIONS = 20;

test("while the alias moves back and forth no request fails, and each answer is of the one bundle that it names", async () => {
  // The machine may be busy with other tests: it is promotions that are looked at, not overload.
  const running = await begin({ lagMsMax: 60_000 });
  const { server } = running;
  await world.register(bundles.a2);
  await world.register(bundles.b);
  const { port } = await server.start({ host: "127.0.0.1", port: 0 });
  const from = HISTORY[HISTORY.length - 1].time;
  const items = traffic(UNDER_PROMOTION, "w").map((item, index) => ({
    ...item,
    time: Math.round(from + (index / UNDER_PROMOTION) * 30 * DAY_MS),
  }));
  const answers: { transaction_id: string; score: number; model: { version: string } }[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < items.length) {
      const body = JSON.stringify(items[next++]);
      answers.push(await answerTo(`http://127.0.0.1:${port}/predict`, body));
    }
  };
  const mover = async (): Promise<void> => {
    for (let move = 0; move < PROMOTIONS; move++) {
      await until(() => next >= (move * items.length) / PROMOTIONS);
      await world.alias("champion", ["2", "3", "1"][move % 3]);
    }
  };
  await Promise.all([mover(), ...Array.from({ length: 16 }, client)]);
  expect(answers).toHaveLength(items.length);
  expect(new Set(answers.map((answer) => answer.model.version)).size).toBeGreaterThan(1);
  const log = await running.ports.log();
  const scorers = new Map(await Promise.all(["1", "2", "3"].map(async (v) => [v, await world.scorer(v)] as const)));
  for (const answer of answers) {
    const record = (await log.find(answer.transaction_id))!;
    const scorer = scorers.get(answer.model.version)!;
    expect(record.bundle).toBe(scorer.bundle);
    expect(answer.score).toBe(scorer.score(record.vector).score);
  }
  if (UNDER_PROMOTION > 1200) console.log(`${answers.length} answered, ${refusedAsOverload} refused once as overload`);
  const replayed = await replay(running.ports, { pipeline: world.pipeline, history: async () => historyTable() });
  expect(replayed).toMatchObject({ verdict: "pass", compared: items.length, mismatches: [] });
  await running.stop();
});

test("a version that does not hold its golden rows is not swapped in; the last good one stays", async () => {
  const running = await begin();
  const golden = JSON.parse(new TextDecoder().decode(bundles.a2.get("golden.json")));
  golden.rows[0].score = 0.123;
  const broken = new Map(bundles.a2).set("golden.json", new TextEncoder().encode(JSON.stringify(golden)));
  await world.alias("champion", await world.register(broken));
  await until(async () => (await json(running.server, "/model")).broken.length > 0);
  const model = await json(running.server, "/model");
  expect(model).toMatchObject({ champion: { version: "1" }, broken: [{ version: "2", code: "bundle.corrupt" }] });
  expect((await post(running.server, "/predict", traffic(1, "g")[0])).status).toBe(200);
  expect(await (await running.server.app.request("/metrics")).text()).toMatch(
    /swap_failures_total\{code="bundle.corrupt",pipeline="card"\} 1/,
  );
  await world.alias("champion", await world.register(bundles.a2));
  await until(async () => (await json(running.server, "/model")).champion.version === "3");
  await running.stop();
});

test("with the registry's folder gone the last known good serves, and its age is told", async () => {
  const running = await begin();
  const folder = path.join(world.dir, "models");
  renameSync(folder, `${folder}-away`);
  await until(async () => (await json(running.server, "/model")).registry.reachable === false);
  const items = traffic(20, "v");
  for (const item of items) expect((await post(running.server, "/predict", item)).status).toBe(200);
  expect((await running.server.app.request("/readyz")).status).toBe(200);
  expect(await json(running.server, "/model")).toMatchObject({
    champion: { version: "1" },
    registry: { reachable: false, fault: expect.any(String), age_ms: expect.any(Number) },
  });
  if (existsSync(folder)) renameSync(folder, `${folder}-made-anew`);
  renameSync(`${folder}-away`, folder);
  await until(async () => (await json(running.server, "/model")).registry.reachable === true);
  expect(readdirSync(folder)).toContain("mlflow.db");
  await running.stop();
});

test.each(["throws.mjs", "hangs.mjs", "exits.mjs", "garbage.mjs"])(
  "a candidate that %s changes no answer and no status, and the ledger counts it",
  async (module) => {
    const running = await begin({ workerModule: new URL(`../online/shadow/${module}`, import.meta.url) });
    await world.alias("candidate", await world.register(bundles.b));
    await until(async () => (await json(running.server, "/model")).shadows.length === 1);
    const scorer = await world.scorer("1");
    const log = await running.ports.log();
    const items = traffic(60, "k");
    for (const item of items) {
      const response = await post(running.server, "/predict", item);
      expect(response.status).toBe(200);
      const answer = await reply(response);
      expect(answer.model.version).toBe("1");
      expect(answer.score).toBe(scorer.score((await log.find(answer.transaction_id))!.vector).score);
    }
    await running.server.stop();
    const [coverage] = await log.coverage();
    expect(coverage.scored).toBe(0);
    expect(Object.values(coverage.missed).reduce((sum, count) => sum + count, 0)).toBe(items.length);
    await running.stop();
  },
);

interface Disagreement {
  readonly transaction_id: string;
  readonly champion: { readonly score: number; readonly decision: string };
  readonly candidate: { readonly score: number; readonly decision: string };
  readonly difference: { readonly score: number };
  readonly features: readonly ContributionDifference[] | null;
  readonly unexplained?: { readonly code: string };
}
interface ShadowReportBody {
  readonly champion: string;
  readonly candidates: readonly {
    readonly version: string;
    readonly disagreements: {
      readonly explained: number;
      readonly features: readonly { readonly feature: string }[];
      readonly pairs: readonly Disagreement[];
    };
  }[];
}

test("candidates shadow with their own windows, the old champion stays in shadow, and the report pairs and explains them", async () => {
  let running = await begin();
  await world.alias("candidate", await world.register(bundles.b));
  await world.alias("candidate-night", await world.register(bundles.a2));
  await until(async () => {
    const { shadows } = await json(running.server, "/model");
    return shadows.length === 2 && shadows.every(({ state }) => state.warm);
  });
  const items = traffic(80, "c");
  for (const item of items) await post(running.server, "/predict", item);
  await post(
    running.server,
    "/feedback",
    items.slice(0, 40).map((item, i) => ({ transaction_id: item.transaction_id, fraud: i % 4 === 0 })),
  );
  await until(async () => {
    const text = await (await running.server.app.request("/metrics")).text();
    return [...text.matchAll(/outcome="scored",pipeline="card"\} 80$/gm)].length === 2;
  });
  const report = (await (await running.server.app.request("/shadow/report")).json()) as ShadowReportBody;
  const whole = { coverage: { scored: 80, seen: 80, share: 1 }, report: { pairs: 80 } };
  expect(report).toMatchObject({
    champion: "1",
    candidates: [
      { version: "2", ...whole },
      { version: "3", ...whole },
    ],
  });
  const champion = await world.scorer("1");
  const log = await running.ports.log();
  for (const { version, disagreements } of report.candidates) {
    const { pairs, features, explained } = disagreements;
    expect([pairs.length, explained]).toEqual([20, 20]);
    const logged = new Map<string, number>();
    for await (const pair of log.pairs(version)) {
      const { decision } = pair.candidate;
      const apart = Math.abs(pair.candidate.score - pair.champion.score);
      logged.set(pair.transactionId, apart + (decision === pair.champion.decision ? 0 : 1));
    }
    // The twenty furthest apart of all, the furthest first.
    const weights = pairs.map((pair) => logged.get(pair.transaction_id)!);
    expect(weights).toEqual([...logged.values()].sort((x, y) => y - x).slice(0, 20));
    for (const pair of pairs) {
      expect(pair.difference.score).toBe(pair.candidate.score - pair.champion.score);
      const own = explainVector(champion, (await log.find(pair.transaction_id))!.vector);
      for (const { feature, champion: part, candidate, difference } of pair.features!) {
        expect(difference).toBeCloseTo((candidate ?? 0) - (part ?? 0), 12);
        expect(part).toBe(own.contributions.find((one) => one.feature === feature)?.contribution ?? null);
      }
      const sizes = pair.features!.map(({ difference }) => Math.abs(difference));
      expect(sizes).toEqual([...sizes].sort((x, y) => y - x));
    }
    // The window that the champion has not got is among what drives the first candidate.
    expect(features.some(({ feature }) => feature === "terminal_sum_3d")).toBe(version === "2");
  }
  // A server that started anew has no vectors of a candidate's own windows, and says so.
  await running.stop();
  running = await serve(world);
  await until(async () => (await json(running.server, "/model")).shadows.length === 2);
  const again = (await (await running.server.app.request("/shadow/report")).json()) as ShadowReportBody;
  expect(again.candidates.map(({ disagreements }) => disagreements.explained)).toEqual([0, 20]);
  expect(again.candidates[0].disagreements.pairs[0]).toMatchObject({
    features: null,
    unexplained: { code: "request.invalid" },
  });
  await world.alias("candidate-night", null);
  // The promotion, as the registry does it: champion and previous move, candidate goes.
  await world.alias("champion", "2");
  await world.alias("previous", "1");
  await world.alias("candidate", null);
  await until(async () => {
    const { champion, shadows } = await json(running.server, "/model");
    return champion.version === "2" && shadows.length === 1 && shadows[0].version === "1";
  });
  const more = traffic(20, "d");
  for (const item of more) expect((await reply(post(running.server, "/predict", item))).model.version).toBe("2");
  await until(async () => {
    const text = await (await running.server.app.request("/metrics")).text();
    return text.includes('sentinel_shadow_outcomes_total{version="1",outcome="scored",pipeline="card"} 20');
  });
  await running.stop();
});

test("a candidate whose windows have no history is a miss each time, and told as not warm", async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(bundles.a1));
  await world.alias("candidate", await world.register(bundles.b));
  const running = await serve(world);
  for (const item of traffic(10, "n")) await post(running.server, "/predict", item);
  expect((await json(running.server, "/model")).shadows).toMatchObject([{ version: "2", state: { warm: false } }]);
  await running.server.stop();
  expect(await (await running.ports.log()).coverage()).toMatchObject([
    { version: "2", missed: { "spec-not-warm": 10 } },
  ]);
  await running.stop();
});

test("when scoring itself fails the policy answers, flagged, behind a breaker; a repeat gets the same", async () => {
  let failing = true;
  const running = await begin({
    load(files, name) {
      const scorer = loadScorer(files, name);
      return {
        ...scorer,
        score(vector) {
          if (failing) throw new Error("scoring fails");
          return scorer.score(vector);
        },
      };
    },
  });
  const items = traffic(12, "f");
  for (const item of items) {
    const response = await post(running.server, "/predict", item);
    expect(response.status).toBe(200);
    expect(await reply(response)).toMatchObject({
      score: null,
      anomaly_score: null,
      decision: "review",
      degraded: true,
    });
  }
  expect((await json(running.server, "/circuit/status")).champion).toMatchObject({ breaker: "open" });
  failing = false;
  expect(await reply(post(running.server, "/predict", items[0]))).toMatchObject({ degraded: true });
  await running.server.stop();
  const { record } = await firstEntry(running.ports);
  expect(record).toMatchObject({ degraded: true, decision: "review" });
  await running.stop();
});

async function firstEntry(ports: Awaited<ReturnType<typeof serve>>["ports"]) {
  for await (const entry of (await ports.log()).scan(0)) if (entry.kind === "prediction") return entry;
  throw new Error("the log is empty");
}

test("a fresh server whose champion cannot be loaded says what is broken, not that there is none", async () => {
  world = makeWorld();
  const files = new Map(makeBundle(SPEC_A, 1));
  files.set("trees.bin", files.get("trees.bin")!.subarray(0, 40));
  await world.alias("champion", await world.register(files));
  const { server, stop } = await serve(world);
  const refused = await reply(post(server, "/predict", bodyOf(HISTORY[0])));
  expect(refused).toMatchObject({ status: 503, code: "server.not-ready" });
  expect(refused.detail).toMatch(/^version 1 is champion and cannot be served: the boosted model cannot be read/);
  expect(refused.hint).toMatch(/rollback/);
  const ready = await server.app.request("/readyz");
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ reason: "the champion cannot be served", fault: { version: "1" } });
  await stop();
});
