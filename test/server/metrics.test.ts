// Metrics: every one is described; requests, decisions and faults are told by outcome, version and who decided; series are bounded.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Reply as EngineReply } from "../../src/online/reply.ts";
import type { ArchiveStatus } from "../../src/ports/archive.ts";
import { GatewayMeasures } from "../../src/server/gateway-measures.ts";
import { createMeasures, describedMetrics, type Measures } from "../../src/server/measures.ts";
import { LABELS, unitOf } from "../../src/server/metric-words.ts";
import { createStreamMeasures } from "../../src/stream/measures.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, post, SPEC_A, serve, until } from "./world.ts";

/** What /metrics says where nothing serves. */
async function textOf(
  measures: Measures,
  archive: (() => ArchiveStatus) | null = null,
  more: { readonly live?: object; readonly log?: object } = {},
): Promise<string> {
  const none = { current: { champion: null, shadows: [] }, status: "active", draining: false };
  const live = { ...none, faults: () => [], ageMs: () => null, ...more.live };
  const shadows = { status: () => [], coverage: () => [] };
  const health = () => ({ unwritten: 0, oldestMs: 0, failures: 0, pruned: 0, fault: null });
  const log = { health, refusal: () => null, ...more.log };
  const states = { sharing: () => null };
  const rules = { ageMs: () => null };
  return measures.text(NOW, { live, shadows, rules, log, states, archive } as unknown as Parameters<
    Measures["text"]
  >[1]);
}

function replyOf(version: string, changes: Partial<EngineReply> = {}): EngineReply {
  const model = { name: "card-fraud", version, bundle: "b" };
  return { transaction_id: "t", score: 0.4, anomaly_score: 0.5, decision: "review", model, ...changes };
}

test("every metric has a unit, and every label a meaning", () => {
  const all = [
    ...describedMetrics(),
    ...createStreamMeasures().described(),
    ...new GatewayMeasures({ process: false }).described(),
  ];
  expect(all.length).toBeGreaterThan(50);
  expect(all.filter(({ name }) => unitOf(name) === null).map(({ name }) => name)).toEqual([]);
  const labels = all.flatMap(({ labels }) => labels);
  expect(labels.filter((label) => !(label in LABELS))).toEqual([]);
  expect(Object.keys(LABELS).filter((label) => !labels.includes(label))).toEqual([]);
});

test.runIf(process.platform === "linux")("docs/metrics.md is what the code registers", () => {
  const script = fileURLToPath(new URL("../../scripts/metrics.mjs", import.meta.url));
  expect(execFileSync(process.execPath, [script, "--check"], { encoding: "utf8" })).toBe("");
});

test("an archive's lag runs from when everything was archived, while anything is not", async () => {
  const measures = createMeasures("card");
  const status = { position: 5, behind: 0, completeAt: NOW - 90_000, rows: 4, files: 2, failures: 1, fault: null };
  expect(await textOf(measures, () => status)).toMatch(/archive_lag_seconds\{pipeline="card"\} 0\n/);
  const fault = { code: "archive.unreachable", message: "away", hint: "wait" };
  const text = await textOf(measures, () => ({ ...status, behind: 7, fault }));
  for (const line of [
    "lag_seconds 90",
    "behind_records 7",
    "fault 1",
    "rows_total 4",
    "files_total 2",
    "failures_total 1",
  ])
    expect(text).toContain(`sentinel_archive_${line.replace(" ", '{pipeline="card"} ')}\n`);
});

test("an answer is counted by decision, version and who decided", async () => {
  const measures = createMeasures("card");
  const { counters } = measures;
  counters.answered(replyOf("3"), 0.02);
  counters.answered(replyOf("3", { score: 0.004, decision: "approve" }), 0.2);
  counters.answered(replyOf("4", { score: null, anomaly_score: null, decision: "approve", degraded: true }), 0.02);
  const text = await textOf(measures);
  expect(text).toContain('sentinel_predictions_total{decision="review",by="model",version="3",pipeline="card"} 1');
  expect(text).toContain('sentinel_predictions_total{decision="approve",by="model",version="3",pipeline="card"} 1');
  expect(text).toContain('sentinel_predictions_total{decision="approve",by="policy",version="4",pipeline="card"} 1');
  expect(text).toContain('sentinel_degraded_total{pipeline="card"} 1');
  // 20 microseconds are below 25, 200 are not.
  expect(text).toContain('sentinel_score_seconds_bucket{le="0.000025",pipeline="card",version="3"} 1');
  expect(text).toContain('sentinel_score_seconds_bucket{le="0.00025",pipeline="card",version="3"} 2');
  expect(text).toContain('sentinel_score_bucket{le="0.005",pipeline="card",version="3"} 1');
  expect(text).toContain('sentinel_anomaly_score_count{pipeline="card",version="3"} 2');
  expect(text).not.toContain('sentinel_score_count{pipeline="card",version="4"} 1');
});

const RULED = { champion: null, modelless: true, rules: {}, shadows: [] };

test.each([
  ["rules alone", { current: RULED }, {}, 1],
  ["no rules yet", { current: { ...RULED, rules: undefined } }, {}, 0],
  ["no champion", {}, {}, 0],
  ["a log that cannot be written", { current: RULED }, { refusal: () => new Error("full") }, 0],
  [
    "paused by somebody, for whom nobody need be called",
    { current: { ...RULED, paused: "paused" }, status: "paused" },
    {},
    1,
  ],
  ["paused, and stopping", { current: { ...RULED, paused: "paused" }, status: "paused", draining: true }, {}, 0],
  ["stopping", { current: RULED, draining: true }, {}, 0],
])("the measure of readiness says what /readyz says: %s", async (_, live, log, ready) => {
  const text = await textOf(createMeasures("card"), null, { live, log });
  expect(text).toContain(`sentinel_ready{pipeline="card"} ${ready}\n`);
});

test("a request's time is told by route, outcome and version, below a millisecond too", async () => {
  const measures = createMeasures("card");
  for (const status of [200, 422, 503, 500]) {
    measures.requested({ route: "/predict", status, ms: 0.2, version: "3" });
  }
  measures.requested({ route: "/livez", status: 200, ms: 0.05 });
  const text = await textOf(measures);
  for (const outcome of ["ok", "refused", "unavailable", "failed"]) {
    expect(text).toContain(
      `sentinel_request_seconds_bucket{le="0.00025",pipeline="card",route="/predict",outcome="${outcome}",version="3"} 1`,
    );
    expect(text).toContain(
      `sentinel_request_seconds_bucket{le="0.0001",pipeline="card",route="/predict",outcome="${outcome}",version="3"} 0`,
    );
  }
  expect(text).toContain('sentinel_requests_total{route="/predict",status="503",pipeline="card"} 1');
  expect(text).toContain('sentinel_request_seconds_count{pipeline="card",route="/livez",outcome="ok",version=""} 1');
});

test("a process that sees versions without end keeps a bounded number of series", async () => {
  const measures = createMeasures("card");
  for (let version = 1; version <= 3000; version++) {
    measures.counters.answered(replyOf(String(version)), 1);
    measures.requested({ route: "/predict", status: 200, ms: 1, version: String(version) });
  }
  const text = await textOf(measures);
  expect(text.match(/^sentinel_predictions_total\{/gm)).toHaveLength(51);
  expect(text).toContain(
    'sentinel_predictions_total{decision="review",by="model",version="other",pipeline="card"} 2950',
  );
  expect(text.match(/^sentinel_request_seconds_count\{/gm)).toHaveLength(51);
});

test("faults with known labels begin at zero, so that the first one is an increase", async () => {
  const text = await textOf(createMeasures("card"));
  for (const line of [
    'sentinel_log_dropped_total{kind="prediction",pipeline="card"} 0',
    'sentinel_state_failures_total{code="state.unreachable",pipeline="card"} 0',
    'sentinel_labels_total{outcome="accepted",pipeline="card"} 0',
    'sentinel_learn_failures_total{pipeline="card"} 0',
    'sentinel_ready{pipeline="card"} 0',
  ]) {
    expect(text).toContain(line);
  }
});

test("a server tells readiness, warmth, coverage by reason, breakers and the loop's delay", async () => {
  const world = makeWorld({ pipeline: "" });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
  const { server, stop } = await serve(world);
  const text = async (): Promise<string> => (await server.app.request("/metrics")).text();
  for (const payment of payments(5, { seed: 9, from: NOW - 3_600_000, prefix: "m" })) {
    await post(server, "/predict", bodyOf(payment));
  }
  // On a busy machine a candidate may miss some: each is counted, as scored or by its reason.
  const outcomes = (page: string): number[] =>
    [...page.matchAll(/^sentinel_shadow_outcomes_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count));
  const sumOf = (page: string): number => outcomes(page).reduce((sum, count) => sum + count, 0);
  await until(async () => sumOf(await text()) === 5);
  const now = await text();
  const scored = Number(/outcome="scored",pipeline="card"\} (\d+)$/m.exec(now)![1]);
  for (const line of [
    'sentinel_ready{pipeline="card"} 1',
    'sentinel_state_warm{role="champion",version="1",pipeline="card"} 1',
    'sentinel_state_warm{role="shadow",version="2",pipeline="card"} 1',
    'sentinel_breaker_open{breaker="champion",pipeline="card"} 0',
    `sentinel_shadow_coverage_ratio{version="2",pipeline="card"} ${scored / 5}`,
    'sentinel_shadow_queue{version="2",pipeline="card"} 0',
    'sentinel_shadow_outcomes_total{version="2",outcome="queue-full",pipeline="card"} 0',
    'sentinel_versions_broken{pipeline="card"} 0',
  ]) {
    expect(now).toContain(line);
  }
  expect(now).toMatch(/^sentinel_breaker_open\{breaker="2",pipeline="card"\} [01]$/m);
  expect(now).toMatch(
    /^sentinel_request_seconds_count\{pipeline="card",route="\/predict",outcome="ok",version="1"\} 5$/m,
  );
  await until(async () => /^sentinel_loop_lag_seconds_count [1-9]/m.test(await text()));
  await stop();
  await world.remove();
});
