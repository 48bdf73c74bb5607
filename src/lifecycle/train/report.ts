// The training report: one self-contained HTML page with the metrics, curves and features of a bundle.
import type { BundleManifest } from "../../online/bundle.ts";
import { format } from "./card.ts";
import type { Ablation } from "./fit.ts";
import type { Trained } from "./trained.ts";

const WIDTH = 420;
const HEIGHT = 240;
const CURVE_POINTS = 200;

/** The page; every text is escaped, nothing is loaded from elsewhere. */
export function trainingReport(trained: Trained, manifest: BundleManifest): string {
  const { metrics, fitted, importance, evaluation } = trained;
  const rows = Object.entries(metrics).map(
    ([key, value]) => `<tr><td>${escapeHtml(key)}</td><td>${format(value)}</td></tr>`,
  );
  const bars = importance.slice(0, 25).map(({ name, gain }) => {
    const width = Math.max(1, Math.round((100 * gain) / Math.max(importance[0].gain, 1e-12)));
    return `<tr><td>${escapeHtml(name)}</td><td class="bar"><i style="width:${width}%"></i></td><td>${(100 * gain).toFixed(1)} %</td></tr>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(manifest.model)} training report</title>
<style>
:root{color-scheme:light dark;--ink:light-dark(#1b2430,#e8edf3);--dim:light-dark(#5b6776,#93a1b3);--line:light-dark(#dde3ea,#2c3744);--one:light-dark(#0b6bcb,#63b3ff);--two:light-dark(#c2410c,#ff9f6b)}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}.dim{color:var(--dim)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1.5rem}
table{border-collapse:collapse;width:100%}td{padding:.2rem .5rem;border-bottom:1px solid var(--line)}td:last-child{text-align:right;font-variant-numeric:tabular-nums}
.bar{width:45%}.bar i{display:block;height:.7rem;background:var(--one);border-radius:2px}
svg{width:100%;height:auto}svg text{fill:var(--dim);font-size:11px}svg .axis{stroke:var(--line)}
</style></head><body>
<h1>${escapeHtml(manifest.model)}</h1>
<p class="dim">pipeline ${escapeHtml(manifest.pipeline)} · data ${manifest.provenance.dataHash.slice(0, 12)} · ${manifest.provenance.dataRows} transactions · seed ${manifest.provenance.seed}</p>
<div class="grid">
<section><h2>On the evaluation slice</h2><table>${rows.join("")}</table></section>
<section><h2>Precision and recall</h2>${lineChart([precisionRecall(evaluation.scores, evaluation.y)], { x: "recall", y: "precision" })}
<h2>Log-loss by tree</h2>${lineChart([fitted.curve.train, fitted.curve.validation].map(curvePoints), { x: "trees", y: "loss: train, later days" })}</section>
</div>
${bars.length === 0 ? "" : `<h2>What the trees look at</h2><table>${bars.join("")}</table>`}
${fitted.ablation === null ? "" : ablationHtml(fitted.ablation)}</body></html>
`;
}

function ablationHtml(ablation: Ablation): string {
  return `<h2>Does the anomaly score help the trees?</h2>
<p>Average precision on the calibration slice is ${format(ablation.without)} without it and ${format(ablation.with)} with it: ${ablation.kept ? "kept" : "left out"}.</p>
`;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function precisionRecall(scores: Float32Array, y: Uint8Array): Point[] {
  const order = Int32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const frauds = y.reduce((sum, label) => sum + label, 0);
  const points: Point[] = [];
  let hits = 0;
  let drawn = -1;
  for (let i = 0; i < order.length; i++) {
    hits += y[order[i]];
    const step = Math.floor((hits / frauds) * CURVE_POINTS);
    if (step > drawn) points.push({ x: hits / frauds, y: hits / (i + 1) });
    drawn = Math.max(drawn, step);
  }
  return points;
}

function curvePoints(values: readonly number[]): Point[] {
  return values.map((value, index) => ({ x: index + 1, y: value }));
}

function lineChart(lines: readonly (readonly Point[])[], names: { readonly x: string; readonly y: string }): string {
  const all = lines.flat();
  if (all.length === 0) return "<p class=dim>nothing to draw</p>";
  const xMax = Math.max(...all.map(({ x }) => x));
  const yMax = Math.max(...all.map(({ y }) => y), 1e-12);
  const at = ({ x, y }: Point): string =>
    `${(36 + (x / xMax) * (WIDTH - 46)).toFixed(1)},${(HEIGHT - 24 - (y / yMax) * (HEIGHT - 40)).toFixed(1)}`;
  const paths = lines.map(
    (line, i) =>
      `<polyline fill="none" stroke="var(--${i === 0 ? "one" : "two"})" stroke-width="2" points="${line.map(at).join(" ")}"/>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(names.y)} by ${escapeHtml(names.x)}">
<line class="axis" x1="36" y1="${HEIGHT - 24}" x2="${WIDTH - 10}" y2="${HEIGHT - 24}"/><line class="axis" x1="36" y1="12" x2="36" y2="${HEIGHT - 24}"/>
<text x="${WIDTH / 2}" y="${HEIGHT - 6}">${escapeHtml(names.x)} (to ${xMax.toFixed(xMax > 2 ? 0 : 2)})</text><text x="2" y="10">${escapeHtml(names.y)} (to ${yMax.toFixed(3)})</text>${paths.join("")}</svg>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
