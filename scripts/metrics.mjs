// Writes docs/metrics.md, the page of all metrics, from what the server registers; with --check only says whether it is up to date.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = path.join(ROOT, "docs", "metrics.md");
// Node 20 runs no TypeScript by itself.
const jiti = createJiti(import.meta.url);
const { describedMetrics } = await jiti.import("../src/server/measures.ts");
const { createStreamMeasures } = await jiti.import("../src/stream/measures.ts");
const { GatewayMeasures } = await jiti.import("../src/server/gateway-measures.ts");
const { LABELS, unitOf } = await jiti.import("../src/server/metric-words.ts");

const HEAD = `# Metrics

What \`GET /metrics\` of \`sentinel serve\` answers, of \`sentinel stream\` where the name begins with \`sentinel_stream_\`, and of \`sentinel gateway\` where it begins with \`sentinel_gateway_\`, in Prometheus' text format. Made from the code by \`npm run map\`; a test compares. Every name begins with
\`sentinel_\`. A counter starts at 0 with the process: ask for \`rate\` or \`increase\`. A gauge is true at the moment of the scrape.

[\`deploy/prometheus\`](../deploy/prometheus) holds a scrape configuration, recording rules and alerts with their tests;
[\`deploy/grafana\`](../deploy/grafana) a dashboard. \`docker compose --profile full up\` starts all of it.
`;

const all = [
  ...describedMetrics(),
  ...createStreamMeasures().described(),
  ...new GatewayMeasures({ process: false }).described(),
];
const text = [
  HEAD,
  "## Sentinel's own",
  "",
  ...tableOf(all.filter(({ name }) => !isProcess(name))),
  "",
  "## Labels",
  "",
  "| label | values |",
  "| --- | --- |",
  ...labelsOf(all).map((label) => `| \`${label}\` | ${LABELS[label] ?? fail(`label ${label} has no meaning`)} |`),
  "",
  "## Buckets",
  "",
  "Upper bounds of the histograms, in the unit of each.",
  "",
  "| name | `le` |",
  "| --- | --- |",
  ...all
    .filter(({ buckets, name }) => buckets.length > 0 && !isProcess(name))
    .map(({ name, buckets }) => `| \`${name}\` | ${buckets.join(", ")} |`),
  "",
  "## The process",
  "",
  "The figures of Node that `prom-client` gives.",
  "",
  ...tableOf(all.filter(({ name }) => isProcess(name))),
  "",
].join("\n");

const written = existsSync(PAGE) ? readFileSync(PAGE, "utf8") : "";
if (text !== written) {
  if (process.argv.includes("--check")) fail("docs/metrics.md differs from what the server registers: npm run map");
  writeFileSync(PAGE, text);
  console.log("docs/metrics.md is new");
}
// The measures watch the event loop, which would keep this script alive.
process.exit(0);

function isProcess(name) {
  return /^sentinel_(process|nodejs)_/.test(name);
}

function tableOf(metrics) {
  return [
    "| name | type | labels | unit | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...[...metrics]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, type, labels, help }) => {
        const unit = unitOf(name) ?? fail(`${name} says no unit: add its ending to src/server/metric-words.ts`);
        return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${unit} | ${cell(help)} |`;
      }),
  ];
}

function labelsOf(metrics) {
  return [...new Set(metrics.flatMap(({ labels }) => labels))].sort();
}

function cell(help) {
  return help.replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

function fail(message) {
  console.error(`metrics: ${message}`);
  process.exit(1);
}
