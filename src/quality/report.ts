// The report of a validation as one HTML page that needs nothing else: no network, no script, light and dark.
import { CHART_STYLE } from "../core/chart.ts";
import { escapeHtml } from "../core/html.ts";
import { checkName, observedText, requiredText } from "./describe.ts";
import { pictureOf } from "./pictures.ts";
import { STYLE } from "./report-style.ts";
import type { CheckStatus, ExpectationResult, ValidationResult } from "./result.ts";
import type { ColumnSketch } from "./sketch.ts";

/** How many rows at fault the page shows of one check; what is drawn of all is no longer. */
const SAMPLE_SHOWN_MAX = 40;
const TEXT_LENGTH_MAX = 400;
/** A page of more pictures takes long to open. */
const PICTURES_MAX = 200;
/** CSV that a page carries with it. */
const EXPORT_BYTES_MAX = 2_000_000;

/**
 * A page with the answer, the figures, and every check: what was wanted, what was seen, which rows. Everything that comes from
 * data or suite is escaped.
 */
export function htmlReport(
  result: ValidationResult,
  {
    title = "Data gate",
    subtitle = "",
    sketches = new Map(),
    sampled = new Map(),
    failures = null,
  }: ReportOptions = {},
): string {
  const failing = result.results.filter(({ success }) => !success).sort(bySeverity);
  const passing = result.results.filter(({ success }) => success);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}: ${escapeHtml(result.suite_name)}</title>
<style>${STYLE}${CHART_STYLE}</style>
</head>
<body>
<main>
${header(result, { title, subtitle })}
${download(failures)}
${section("What needs attention", failing, { open: "open", sketches, sampled })}
${section("What is as expected", passing, { open: "", sketches, sampled })}
<footer>Suite <b>${escapeHtml(result.suite_name)}</b> in Great Expectations' JSON, judged by Sentinel.</footer>
</main>
</body>
</html>
`;
}

export interface ReportOptions {
  readonly title?: string;
  readonly subtitle?: string;
  /** What the columns look like; without one a check has no picture of its column. */
  readonly sketches?: ReadonlyMap<string, ColumnSketch>;
  /** Of each failing check the rows drawn from all; the first ones are shown where a check has none here. */
  readonly sampled?: ReadonlyMap<ExpectationResult, readonly SampledRow[]>;
  /** The rows at fault as CSV, to be saved from the page. */
  readonly failures?: string | null;
}

/** A row at fault: its number from 0, and what it holds in the columns of the check. */
export interface SampledRow {
  readonly row: number;
  readonly value: string;
}

type Answer = "pass" | "warn" | "fail";

const ANSWERS: Readonly<Record<Answer, readonly [string, string]>> = {
  pass: ["Fit for use", "Every check passed."],
  warn: ["Fit for use, with warnings", "Nothing critical failed; look at the warnings below."],
  fail: ["Not fit for use", "At least one critical check failed or could not be judged."],
};

function answerOf({ results }: ValidationResult): Answer {
  if (results.every(({ success }) => success)) return "pass";
  const stops = results.some((one) => !one.success && severityRank(one) === 0);
  return stops ? "fail" : "warn";
}

function header(result: ValidationResult, { title, subtitle }: { title: string; subtitle: string }): string {
  const answer = answerOf(result);
  const [headline, explanation] = ANSWERS[answer];
  const { evaluated_expectations: total, successful_expectations: passed } = result.statistics;
  const share = total === 0 ? 100 : (passed / total) * 100;
  return `<header class="${answer}">
<p class="kicker">${escapeHtml(title)} · ${escapeHtml(result.suite_name)}</p>
<h1>${headline}</h1>
<p>${explanation}${subtitle === "" ? "" : ` ${escapeHtml(subtitle)}`}</p>
<dl class="figures">
${figure("Checks passed", `${passed} of ${total}`)}
${figure("Failed", String(total - passed))}
${figure("Rows", grouped(result.meta.rows))}
${figure("Columns", String(result.meta.columns.length))}
</dl>
<div class="bar" role="img" aria-label="${passed} of ${total} checks passed"><span style="width:${share.toFixed(2)}%"></span></div>
</header>`;
}

function figure(name: string, value: string): string {
  return `<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

/** A link that holds the file, where it is not too long for a page; it works without a network. */
function download(csv: string | null): string {
  if (csv === null) return "";
  const bytes = Buffer.from(csv, "utf8");
  if (bytes.length > EXPORT_BYTES_MAX)
    return '<p class="export">The rows at fault are too many for this page: <code>sentinel validate --failures FILE</code> writes them as CSV.</p>';
  const href = `data:text/csv;charset=utf-8;base64,${bytes.toString("base64")}`;
  return `<p class="export"><a download="failing-rows.csv" href="${href}">Save the rows at fault as CSV</a> (the first of each check and a sample of all, with every column)</p>`;
}

interface Drawn {
  readonly open: "open" | "";
  readonly sketches: ReadonlyMap<string, ColumnSketch>;
  readonly sampled: ReadonlyMap<ExpectationResult, readonly SampledRow[]>;
}

function section(title: string, results: readonly ExpectationResult[], drawn: Drawn): string {
  if (results.length === 0) return "";
  return `<section>
<h2>${title} <span class="count">${results.length}</span></h2>
${results.map((one, i) => card(one, drawn, i < PICTURES_MAX)).join("\n")}
</section>`;
}

function card(one: ExpectationResult, { open, sketches, sampled }: Drawn, pictured: boolean): string {
  const { type, notes, description, severity } = one.expectation_config;
  const why = description ?? notes ?? "";
  const tone = one.success ? "pass" : severityRank(one) === 0 ? "fail" : "warn";
  return `<details class="check ${tone}" ${open}>
<summary><span class="mark" aria-hidden="true">${one.success ? "✓" : "✕"}</span><span class="name">${text(checkName(one))}</span><span class="tag">${one.success ? "passed" : `${STATUS_WORD[one.meta.status]} · ${severity}`}</span></summary>
<div class="body">
${why === "" ? "" : `<p class="why">${text(why)}</p>`}
<dl class="pairs">
<dt>Wanted</dt><dd>${text(requiredText(one))}</dd>
<dt>Seen</dt><dd>${text(observedText(one))}</dd>
<dt>Check</dt><dd><code>${text(type)}</code></dd>
</dl>
${pictured ? pictureOf(one, sketches) : ""}
${rowsAtFault(one, sampled.get(one) ?? null)}
</div>
</details>`;
}

const STATUS_WORD: Readonly<Record<CheckStatus, string>> = {
  passed: "passed",
  failed: "failed",
  errored: "could not be judged",
  unsupported: "unsupported",
};

/** Rows at fault drawn from all of them, or the first ones; nothing for checks that have none. */
function rowsAtFault(one: ExpectationResult, drawn: readonly SampledRow[] | null): string {
  const rows = (drawn ?? firstRows(one)).slice(0, SAMPLE_SHOWN_MAX);
  if (rows.length === 0) return "";
  const lines = rows.map(
    ({ row, value }) => `<tr><td>${text(grouped(row + 1))}</td><td><code>${text(value)}</code></td></tr>`,
  );
  const total = Number(one.result.unexpected_count);
  const of = `${lines.length} of ${grouped(total)} rows at fault`;
  const some = drawn === null ? `The first ${of}` : `${of}, drawn evenly`;
  const caption = total > lines.length ? some : "Rows at fault";
  return `<div class="rows"><table><caption>${caption}</caption><thead><tr><th>Data row</th><th>Value</th></tr></thead><tbody>${lines.join("")}</tbody></table></div>`;
}

function firstRows({ result }: ExpectationResult): readonly SampledRow[] {
  const { partial_unexpected_list: values, partial_unexpected_index_list: rows } = result;
  if (!Array.isArray(values) || !Array.isArray(rows)) return [];
  return values.map((value, i) => ({ row: Number(rows[i]), value: shown(value) }));
}

function shown(value: unknown): string {
  return value === null ? "missing" : typeof value === "string" ? value : JSON.stringify(value);
}

/** 0 stops the gate (critical, or unsupported at any severity), 1 warns, 2 informs. */
function severityRank({ expectation_config: { severity }, meta }: ExpectationResult): number {
  if (severity === "critical" || meta.status === "unsupported") return 0;
  return severity === "warning" ? 1 : 2;
}

function bySeverity(a: ExpectationResult, b: ExpectationResult): number {
  return severityRank(a) - severityRank(b);
}

/** 1754155 → "1,754,155", the same in every locale. */
function grouped(value: unknown): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function text(content: string): string {
  return escapeHtml(content.length <= TEXT_LENGTH_MAX ? content : `${content.slice(0, TEXT_LENGTH_MAX - 1)}…`);
}
