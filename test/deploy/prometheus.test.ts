// The rules by promtool, and every query of the dashboard by a real Prometheus that scrapes a real server.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { GatewayMeasures } from "../../src/server/gateway-measures.ts";
import { describedMetrics } from "../../src/server/measures.ts";
import { createStreamMeasures } from "../../src/stream/measures.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, SPEC_A, serve, type World } from "../server/world.ts";
import {
  type PrometheusProcess,
  prometheusInstalled,
  promtool,
  RULES_DIR,
  startPrometheus,
} from "./prometheus-server.ts";

const DASHBOARD = fileURLToPath(new URL("../../deploy/grafana/dashboards/sentinel.json", import.meta.url));

const RUNBOOK = fileURLToPath(new URL("../../docs/runbook.md", import.meta.url));

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly expr: string; readonly record?: string; readonly alert?: string }[];
  }[];
}

const dashboard = JSON.parse(readFileSync(DASHBOARD, "utf8")) as Dashboard;
const rulesOf = (file: string) =>
  (parse(readFileSync(path.join(RULES_DIR, file), "utf8")) as Rules).groups.flatMap(({ rules }) => rules);
const RECORDED = [...rulesOf("recording.yml"), ...rulesOf("slo.yml").filter(({ record }) => record !== undefined)];
const ALERTS = [...rulesOf("alerts.yml"), ...rulesOf("slo.yml").filter(({ alert }) => alert !== undefined)];
/** Grafana's variables as a look at a young Prometheus has them. */
const asked = (expr: string): string =>
  expr.replaceAll("$__rate_interval", "1m").replaceAll(/\$(instance|pipeline)/g, ".*");
const QUERIES = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr: asked(expr) })),
);

test("queries name metrics that the server has, or rules that are recorded", () => {
  const known = new Set(RECORDED.map(({ record }) => record!));
  const metrics = [
    ...describedMetrics(),
    ...new GatewayMeasures({ process: false }).described(),
    ...createStreamMeasures().described(),
  ];
  for (const { name, type } of metrics) {
    known.add(name);
    if (type === "histogram") for (const part of ["bucket", "sum", "count"]) known.add(`${name}_${part}`);
  }
  const exprs = [...QUERIES, ...dashboard.annotations.list, ...RECORDED, ...ALERTS].map(({ expr }) => expr);
  const named = exprs.flatMap((expr) => expr.match(/\b(?:\w+:)?sentinel_\w+(?::\w+)?/g) ?? []);
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("every alert is seen to fire by the rules' own tests, and says what to do", () => {
  const tests = ["tests.yml", "tests-slo.yml", "tests-slo-slow.yml"]
    .map((file) => readFileSync(path.join(RULES_DIR, file), "utf8"))
    .join("\n");
  const runbook = readFileSync(RUNBOOK, "utf8");
  for (const rule of ALERTS as readonly { alert?: string; annotations?: Record<string, string> }[]) {
    expect([rule.alert, new RegExp(`alertname(="|: )${rule.alert}\\b`).test(tests)]).toEqual([rule.alert, true]);
    expect(runbook).toContain(`### ${rule.alert}\n`);
    expect(rule.annotations?.action).not.toBe("");
  }
});

test("panels have an id of their own and a query", () => {
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const empty = dashboard.panels.filter(
    (panel) => (panel as { type?: string }).type !== "row" && !panel.targets?.length,
  );
  expect(empty).toEqual([]);
});

const installed = prometheusInstalled();
if (!installed) {
  console.warn("SKIPPED rules and dashboard: no prometheus on the path; scripts/setup-prometheus installs it");
  test.runIf(process.env.CI === "true")("prometheus is installed", () => {
    expect.fail("CI needs a prometheus: scripts/setup-prometheus");
  });
}

describe.runIf(installed)("by Prometheus itself", () => {
  let world: World;
  let prometheus: PrometheusProcess;
  let traffic: NodeJS.Timeout;
  let url = "";
  const closing: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    world = makeWorld();
    closing.push(() => world.remove());
    await world.saveState(SPEC_A);
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    await world.alias("candidate", await world.register(makeBundle(SPEC_A, 2)));
    const running = await serve(world);
    closing.push(running.stop);
    const at = await running.server.start({ host: "127.0.0.1", port: 0 });
    url = `http://${at.host}:${at.port}`;
    prometheus = await startPrometheus(`${at.host}:${at.port}`);
    closing.push(prometheus.stop);
    const stream = payments(20_000, { seed: 12, from: NOW - 86_400_000 * 20, prefix: "g" });
    let next = 0;
    const send = (route: string, body: unknown): Promise<void> =>
      fetch(`${url}${route}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }).then((response) => void response.arrayBuffer());
    traffic = setInterval(() => {
      const payment = stream[next++ % stream.length];
      void Promise.all([
        send("/predict", bodyOf(payment)).then(() =>
          send("/feedback", { transaction_id: payment.transaction_id, fraud: payment.is_fraud }),
        ),
        send("/predict", { transaction_id: "x" }),
      ]).catch(() => {});
    }, 20);
  });

  afterAll(async () => {
    clearInterval(traffic);
    for (const close of closing.reverse()) await close();
  });

  test("promtool takes configuration and rules, and their unit tests hold", () => {
    expect(promtool("check", "config", "prometheus.yml")).toContain("SUCCESS");
    expect(promtool("test", "rules", "tests.yml", "tests-slo.yml", "tests-slo-slow.yml")).toContain("SUCCESS");
  });

  test("the text of /metrics is what promtool's linter likes", async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const own = text
      .split("\n")
      .filter((line) => !/sentinel_(nodejs|process)_/.test(line))
      .join("\n");
    const { spawnSync } = await import("node:child_process");
    const { stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: `${own}\n`, encoding: "utf8" });
    expect(`${stdout}${stderr}`).toBe("");
  });

  test.each(QUERIES)("$title: $expr", async ({ expr }) => {
    let samples = await prometheus.query(expr);
    // The first rates need two scrapes, and a garbage collection its occasion; the test's own limit ends the wait.
    while (!samples.some(({ value }) => Number.isFinite(value))) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      samples = await prometheus.query(expr);
    }
    expect(samples.length).toBeGreaterThan(0);
  });

  test("alerts and annotations are queries that Prometheus takes", async () => {
    for (const { expr } of [...ALERTS, ...dashboard.annotations.list]) await prometheus.query(asked(expr));
  });

  test("recorded figures agree with what was sent", async () => {
    const [refused] = await prometheus.query('sum(sentinel_requests_total{route="/predict", status="422"})');
    expect(refused.value).toBeGreaterThan(0);
    const shares = await prometheus.query("sum by (version) (version:sentinel_decisions:ratio_rate1h)");
    for (const { value } of shares) expect(value).toBeCloseTo(1, 6);
  });
});
