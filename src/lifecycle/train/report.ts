// The training report: one self-contained HTML page with the figures and pictures of a bundle.
import { CHART_STYLE } from "../../core/chart.ts";
import { escapeHtml } from "../../core/html.ts";
import type { BundleManifest, RefitFacts } from "../../online/bundle.ts";
import { format } from "./card.ts";
import { choicesHtml } from "./choices.ts";
import type { Ablation } from "./fit.ts";
import { trainingPictures } from "./pictures.ts";
import type { Trained } from "./trained.ts";

/** Figures that stand large at the top, where the evaluation has them. */
const HEADLINES: readonly (readonly [key: string, name: string])[] = [
  ["average_precision", "average precision"],
  ["recall_at_review", "frauds caught by review"],
  ["precision_at_review", "of the alerts, frauds"],
  ["fraud_amount_caught_share", "of the fraud money, caught"],
];

const STYLE = `
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5b6776;--line:#dde3ea}
@media (prefers-color-scheme:dark){:root{--ground:#11161c;--card:#1a212a;--ink:#e8edf3;--soft:#9aa7b4;--line:#2c3744}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{font-size:1.6rem;margin:0 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .75rem}.soft{color:var(--soft);margin:0;overflow-wrap:anywhere}
.headlines{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;margin:1.25rem 0 0}
.headlines div,.chart{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem}
.headlines dt{color:var(--soft);font-size:.8125rem}.headlines dd{margin:0;font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
.table{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.5rem 1rem;columns:2 22rem;column-gap:2rem}
.table div{display:flex;justify-content:space-between;gap:1rem;padding:.2rem 0;border-bottom:1px solid var(--line);break-inside:avoid}
.choices{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:0 0 1rem}
.choices table{border-collapse:collapse;font-size:.8125rem;font-variant-numeric:tabular-nums}.choices th,.choices td{padding:.35rem .75rem;text-align:right;border-bottom:1px solid var(--line)}
.choices th{font-weight:400;color:var(--soft)}.choices th:first-child{text-align:left;color:var(--ink);white-space:nowrap}.choices tbody tr:first-child{font-weight:600}.choices tbody tr:first-child th{font-weight:600}
.table span{overflow-wrap:anywhere}.table b{font-weight:400;font-variant-numeric:tabular-nums}
@media (max-width:40rem){main{padding:1rem .75rem 2rem}h1{font-size:1.3rem}.chart{padding:.75rem}}
`;

/** The page; every text is escaped, nothing is loaded from elsewhere. */
export function trainingReport(trained: Trained, manifest: BundleManifest): string {
  const { metrics, fitted } = trained;
  const { dataHash, dataRows, seed } = manifest.provenance;
  const headlines = HEADLINES.filter(([key]) => key in metrics).map(
    ([key, name]) => `<div><dt>${name}</dt><dd>${headline(key, metrics[key])}</dd></div>`,
  );
  const rows = Object.entries(metrics).map(
    ([key, value]) => `<div><span>${escapeHtml(key)}</span><b>${format(value)}</b></div>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(manifest.model)} training report</title>
<style>${STYLE}${CHART_STYLE}</style></head><body><main>
<h1>${escapeHtml(manifest.model)}</h1>
<p class="soft">pipeline ${escapeHtml(manifest.pipeline)} · data ${dataHash.slice(0, 12)} · ${dataRows.toLocaleString("en")} transactions · seed ${seed}</p>
<p class="soft">${manifest.refit === undefined ? "Everything below is measured on the evaluation slice, which nothing else saw." : refitHtml(manifest.refit)}</p>
<dl class="headlines">${headlines.join("")}</dl>
<h2>Pictures</h2>
${trainingPictures(trained)}
${choicesHtml(trained)}<h2>Figures</h2>
<div class="table">${rows.join("")}</div>
${fitted.ablation === null ? "" : ablationHtml(fitted.ablation)}</main></body></html>
`;
}

/** Which model the figures belong to. */
function refitHtml({ rows, from, to, unseenRows, scoreShift, alertAgreement, lately }: RefitFacts): string {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `Everything below belongs to the judged twin, measured on the evaluation slice, which it never saw. The model that serves was fitted once more on ${rows.toLocaleString("en")} transactions of ${day(from)} … ${day(to)}, that slice included, with the same parameters${lately === undefined ? " and number of trees" : ""}. On ${unseenRows.toLocaleString("en")} newer rows that neither has seen, their scores differ by a PSI of ${format(scoreShift)}, and ${(100 * alertAgreement).toFixed(1)} % of the highest rows are the same; ${lately === undefined ? "calibration and thresholds are carried over there by equal ranks" : "calibration and number of trees are from the days of the new world"}.`;
}

function headline(key: string, value: number): string {
  if (!Number.isFinite(value)) return "–";
  return key === "average_precision" ? value.toFixed(3) : `${(100 * value).toFixed(1)} %`;
}

function ablationHtml(ablation: Ablation): string {
  return `<h2>Does the anomaly score help the trees?</h2>
<p>Average precision on the calibration slice is ${format(ablation.without)} without it and ${format(ablation.with)} with it, a gain of at least ${format(ablation.gainLow)} (95 %, cards resampled): ${ablation.kept ? "kept" : "left out"}.</p>
`;
}
