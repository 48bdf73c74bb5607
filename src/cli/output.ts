// What people see: lines, headings, tables, verdicts and progress on a terminal; nothing but one JSON document with --json.
import pc from "picocolors";
import type { Check, Verdict } from "../core/verdict.ts";
import { visible, visibleLines } from "../core/visible.ts";
import type { Reporter } from "../ports/ports.ts";

export interface Output extends Reporter {
  readonly json: boolean;
  heading(text: string): void;
  /** Aligned columns; the first row is the head. */
  table(rows: readonly (readonly string[])[]): void;
  verdict(verdict: Verdict): void;
  /** One line on stderr, unless quiet. */
  warn(text: string): void;
}

/** Checks shown per verdict; the rest are counted. */
const CHECKS_SHOWN_MAX = 40;
/** The colours that lines of ours hold; without colours there is nothing to let pass. */
const COLOURS = pc.isColorSupported ? new RegExp(`${String.fromCharCode(27)}\\[(?:1|2|22|3[1-6]|39)m`, "g") : /(?!)/g;
const PROGRESS_EVERY_MS = 100;
const BAR_WIDTH = 24;
/** An estimate made earlier than this jumps about. */
const TELL_AFTER_MS = 1000;

/** Output on stdout (text) and stderr (progress). With `json` or `quiet` only the result or errors remain. */
export function createOutput(options: {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly elapsed: () => number;
}): Output {
  const { stdout, stderr } = options;
  const silent = options.json || options.quiet;
  const bars = !silent && stderr.isTTY === true;
  let drawn = false;
  let shownAt = Number.NEGATIVE_INFINITY;
  let begun = { label: "", at: 0, done: 0 };
  const clear = (): void => {
    if (drawn) stderr.write("\r\x1b[2K");
    drawn = false;
  };
  const line = (text: string): void => {
    if (silent) return;
    clear();
    stdout.write(`${visibleLines(text, COLOURS)}\n`);
  };
  return {
    json: options.json,
    line,
    warn: (text) => {
      if (options.quiet) return;
      clear();
      stderr.write(`warning: ${visible(text)}\n`);
    },
    heading: (text) => line(`\n${pc.bold(visible(text))}`),
    table: (rows) => {
      for (const text of alignColumns(rows)) line(text);
    },
    verdict: (verdict) => {
      line(`  ${wordOf(verdict)} ${pc.bold(`${verdict.gate} gate`)}: ${visible(verdict.reasons[0] ?? "")}`);
      for (const reason of verdict.reasons.slice(1)) line(`       ${visible(reason)}`);
      const checks = verdict.checks.filter((check) => check.passed || !isSaid(check, verdict));
      for (const check of checks.slice(0, CHECKS_SHOWN_MAX)) line(`    ${checkLine(check)}`);
      if (checks.length > CHECKS_SHOWN_MAX) line(`    … ${checks.length - CHECKS_SHOWN_MAX} more checks`);
    },
    progress: (label, done, total) => {
      if (!bars) return;
      const now = options.elapsed();
      if (label !== begun.label || done < begun.done) begun = { label, at: now, done };
      if (now - shownAt < PROGRESS_EVERY_MS && done < total) return;
      shownAt = now;
      if (done >= total) {
        clear();
        return;
      }
      const filled = Math.round((BAR_WIDTH * done) / Math.max(1, total));
      const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
      const left = timeLeft(now - begun.at, (done - begun.done) / Math.max(1, total - begun.done));
      stderr.write(`\r\x1b[2K  ${bar} ${Math.floor((100 * done) / Math.max(1, total))} % ${label}${left}`);
      drawn = true;
    },
  };
}

/** What remains at the rate so far, in words; nothing while too little is done to tell. */
function timeLeft(ms: number, share: number): string {
  if (ms < TELL_AFTER_MS || !(share > 0)) return "";
  const seconds = Math.ceil((ms * (1 - share)) / share / 1000);
  return seconds < 120 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

/** A figure in a table: whole numbers as such, a dash where it is not defined (a precision of no alerts). */
export function figure(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return Number.isInteger(value) ? String(value) : value.toFixed(digits);
}

/** Columns padded to the widest cell; numbers to the right. A cell keeps to its line, whoever wrote it. */
export function alignColumns(given: readonly (readonly string[])[]): string[] {
  const rows = given.map((row) => row.map(visible));
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map((row, index) => {
    const cells = row.map((cell, i) =>
      index > 0 && /^([-+−]?[\d.,]+( ?%| ?ms| ?s)?|–)$/.test(cell) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]),
    );
    const text = `  ${cells.join("   ").trimEnd()}`;
    return index === 0 ? pc.dim(text) : text;
  });
}

function wordOf(verdict: Verdict): string {
  const word = verdict.verdict;
  if (word === "pass" || word === "PROMOTE") return pc.green(`✔ ${word}`);
  return word === "HOLD" ? pc.yellow(`■ ${word}`) : pc.red(`✘ ${word}`);
}

/** A failed check whose reason stands above needs no line of its own. */
function isSaid(check: Check, verdict: Verdict): boolean {
  return verdict.reasons.some((reason) => reason === check.reason || reason.startsWith(`${check.name}: `));
}

function checkLine(check: Check): string {
  const mark = check.passed ? pc.green("✔") : pc.red("✘");
  return `${mark} ${visible(`${check.name}: ${check.observed}`)} ${pc.dim(visible(`(required: ${check.required})`))}`;
}
