// What monitor found in Prometheus' text format, for the textfile collector of node_exporter.
import type { MonitorResult } from "./result.ts";

interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly values: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
}

/** All gauges have the label `pipeline`; numbers that are not known are left out. */
export function prometheusText(result: MonitorResult, pipeline: string): string {
  const { drift, performance } = result;
  const columns = [drift.score, ...drift.features];
  const byFeature = (value: (feature: (typeof columns)[number]) => number): Gauge["values"] =>
    columns.map((feature) => [{ feature: feature.name }, value(feature)]);
  const gauges: Gauge[] = [
    { name: "alarm", help: "1 when monitor raised an alarm.", values: [[{}, result.alarm ? 1 : 0]] },
    { name: "window_rows", help: "Transactions of the window.", values: [[{}, drift.rows]] },
    { name: "window_end_seconds", help: "End of the window.", values: [[{}, result.to / 1000]] },
    { name: "drift_psi", help: "Population stability index.", values: byFeature(({ psi }) => psi) },
    { name: "drift_psi_limit", help: "From where the index counts.", values: byFeature(({ psiLimit }) => psiLimit) },
    { name: "drifted", help: "1 when the feature drifted.", values: byFeature(({ drifted }) => (drifted ? 1 : 0)) },
    { name: "alert_rate", help: "Share of reviews and blocks.", values: [[{}, drift.alertRate.window]] },
    {
      name: "feed_fault_share",
      help: "Share of rows with a fault of the feed.",
      values: drift.dataQuality.map(({ feature, fault, window }) => [{ feature: feature ?? "", fault }, window]),
    },
    {
      name: "average_precision",
      help: "On matured frauds.",
      values: performance === null ? [] : [[{}, performance.averagePrecision]],
    },
  ];
  return gauges.map((gauge) => gaugeText(gauge, pipeline)).join("");
}

function gaugeText({ name, help, values }: Gauge, pipeline: string): string {
  const known = values.filter(([, value]) => Number.isFinite(value));
  if (known.length === 0) return "";
  const full = `sentinel_monitor_${name}`;
  const lines = known.map(([labels, value]) => {
    const all = Object.entries({ pipeline, ...labels }).map(([label, text]) => `${label}="${quoted(text)}"`);
    return `${full}{${all.join(",")}} ${value}\n`;
  });
  return `# HELP ${full} ${help}\n# TYPE ${full} gauge\n${lines.join("")}`;
}

function quoted(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
