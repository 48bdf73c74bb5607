// The monitor's report: one self-contained HTML page with the drift strip (feature × time) and the scores then and now.
import { CHART_STYLE, chart, heightAxis } from "../../core/chart.ts";
import { HOUR_MS } from "../../core/duration.ts";
import { escapeHtml } from "../../core/html.ts";
import type { DriftReport, StripRow } from "../../drift/monitor.ts";
import type { MonitorResult } from "./result.ts";

/** Rows of the strip: what moved most. */
const STRIP_ROWS_MAX = 40;
/** Shares of the full colour from which white is read better than black on a light page, and black better than white on a dark one. */
const FULL = { light: 0.9, dark: 0.67 } as const;
/** Excess of PSI over chance from which a cell has its full colour: the customary "act". */
const EXCESS_FULL = 0.25;

const STYLE = `
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5b6776;--line:#dde3ea;--moved:192,57,43;--good:#1a7f4b;--bad:#c0272d}
@media (prefers-color-scheme:dark){:root{--ground:#11161c;--card:#1a212a;--ink:#e8edf3;--soft:#9aa7b4;--line:#2c3744;--moved:255,123,107;--good:#5cc98d;--bad:#ff7b7b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h1.bad{color:var(--bad)}h1.good{color:var(--good)}h2{font-size:1.1rem;margin:2rem 0 .75rem}
.soft{color:var(--soft);margin:0;overflow-wrap:anywhere}.chart,.box{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem}
.chart{max-width:34rem}.box{overflow-x:auto}
table{border-collapse:separate;border-spacing:2px;font-size:.8125rem;width:100%}th{font-weight:400;text-align:left;overflow-wrap:anywhere;min-width:9rem}
thead th{color:var(--soft);min-width:3.5rem;text-align:center}
td{text-align:center;font-variant-numeric:tabular-nums;border-radius:3px;padding:.15rem .3rem}
.strip td{color:#000}.strip td.full{color:#fff}
@media (prefers-color-scheme:dark){.strip td,.strip td.full{color:#fff}.strip td.high{color:#000}}
@media (max-width:40rem){main{padding:1rem .75rem 2rem}h1{font-size:1.3rem}.chart,.box{padding:.75rem}ul{padding-left:1.1rem}}
`;

/** The page; every text is escaped, nothing is loaded from elsewhere. */
export function monitorReport(result: MonitorResult): string {
  const { drift, performance } = result;
  const cause = drift.alarm ? drift.verdict : "performance fell";
  const reasons = result.reasons.map((reason) => `<li>${escapeHtml(reason)}</li>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Monitor report</title><style>${STYLE}${CHART_STYLE}</style></head><body><main>
<h1 class="${result.alarm ? "bad" : "good"}">${result.alarm ? `Alarm: ${cause}` : escapeHtml(drift.verdict)}</h1>
<p class="soft">${drift.rows.toLocaleString("en")} transactions of ${escapeHtml(result.source)} · ${instant(result.from)} to ${instant(result.to)} · champion version ${escapeHtml(result.version)}</p>
<ul>${reasons}</ul>
<h2>Features by time</h2>
<p class="soft">PSI beyond what chance and the natural swing give; a dot is nothing, a blank is too few rows.</p>
<div class="box">${strip(drift)}</div>
<h2>Scores</h2>
${scores(drift)}
<h2>What moved</h2>
${moved(result)}
<h2>Performance</h2>
<p>${performance === null ? "Too few matured frauds to say." : `Average precision ${performance.averagePrecision.toFixed(3)} on ${performance.frauds.toLocaleString("en")} matured frauds, ${performance.averagePrecisionAtTraining.toFixed(3)} when trained.`}</p>
</main></body></html>
`;
}

/** The score first, then the features that moved most. */
function strip({ strip: { from, rows }, features, score }: DriftReport): string {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const shown = [score, ...features].slice(0, STRIP_ROWS_MAX).flatMap(({ name }) => byName.get(name) ?? []);
  const daily = from.length < 2 || from[1] - from[0] >= 24 * HOUR_MS;
  const heads = from.map((time) => `<th>${daily ? instant(time).slice(5, 10) : instant(time).slice(5, 16)}</th>`);
  return `<table class="strip"><thead><tr><th></th>${heads.join("")}</tr></thead><tbody>${shown.map(stripRow).join("")}</tbody></table>`;
}

function stripRow({ name, excess }: StripRow): string {
  const cells = excess.map((value) => {
    if (value === null) return "<td></td>";
    const strength = Math.min(1, value / EXCESS_FULL);
    const look = [strength >= FULL.light ? "full" : "", strength >= FULL.dark ? "high" : ""].join(" ").trim();
    return `<td class="${look}" style="background:rgba(var(--moved),${strength.toFixed(2)})">${value < 0.005 ? "·" : value.toFixed(2)}</td>`;
  });
  return `<tr><th>${escapeHtml(name)}</th>${cells.join("")}</tr>`;
}

/** Bins are deciles of the reference, so they are drawn by rank: then is flat by construction, now shows what changed. */
function scores({ scores: { edges, reference, window } }: DriftReport): string {
  const bars = (shares: readonly number[], side: 0 | 1) =>
    shares.map((value, bin) => ({ from: bin + 0.1 + 0.4 * side, to: bin + 0.5 + 0.4 * side, value }));
  const bounds = edges.map((edge) => Number(edge.toPrecision(2))).join(", ");
  return chart({
    title: "Scores when trained and now",
    x: { label: "bin of the score, low to high", from: 0, to: Math.max(1, reference.length) },
    y: heightAxis("share of transactions", [...reference, ...window]),
    parts: [
      { kind: "bars", bars: bars(reference, 0), tone: "dim", name: "when trained" },
      { kind: "bars", bars: bars(window, 1), tone: "one", name: "now" },
    ],
    note: `Bins end at ${bounds}.`,
  });
}

function moved({ drift, effects }: MonitorResult): string {
  if (drift.shifts.length === 0) return "<p>Nothing beyond chance.</p>";
  const effect = new Map(effects.map(({ feature, logOdds }) => [feature, logOdds]));
  const rows = drift.shifts.map(({ feature, reference, window, example }) => {
    const since = drift.features.find(({ name }) => name === feature)?.since ?? null;
    const onScore = effect.get(feature);
    const cells = [
      since === null ? "" : instant(since),
      `${percent(reference)} → ${percent(window)}`,
      example === null ? "" : `${example.value ?? "missing"} (${example.id})`,
      onScore === undefined ? "" : `${onScore < 0 ? "−" : "+"}${Math.abs(onScore).toFixed(2)}`,
    ];
    return `<tr><th>${escapeHtml(feature)}</th>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`;
  });
  return `<div class="box"><table><thead><tr><th></th><th>since</th><th>rows in the bin that gained most</th><th>example</th><th>log-odds of the score</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function instant(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
