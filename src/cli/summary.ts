// A summary in Markdown of what a verb said, for a pull request's page: `--summary "$GITHUB_STEP_SUMMARY"`.
import { appendFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Check, Verdict } from "../core/verdict.ts";
import { visible } from "../core/visible.ts";
import type { Output } from "./output.ts";

/** The option of verbs whose words are worth keeping. */
export const SUMMARY_OPTION: readonly [flags: string, meaning: string] = [
  "--summary <file>",
  'append what is said to this file as Markdown, for example "$GITHUB_STEP_SUMMARY"',
];

/** GitHub takes 1 MiB per step and drops a summary that is longer. */
const LENGTH_MAX = 900_000;
const CHECKS_MAX = 300;
const CELL_LENGTH_MAX = 300;

export interface Recorded {
  /** Says what the given output says, and keeps it. */
  readonly output: Output;
  /** Appends what was kept; `error` is what ended the verb, if anything did. Errors: workspace.unwritable. */
  write(error?: unknown): void;
}

export function recorded(output: Output, { verb, file }: { readonly verb: string; readonly file: string }): Recorded {
  const parts: string[] = [`## sentinel ${verb}\n`];
  return {
    output: {
      ...output,
      heading(text) {
        parts.push(`### ${escaped(text)}\n`);
        output.heading(text);
      },
      line(text) {
        const plain = text.trim();
        if (plain !== "") parts.push(`${plain.split("\n").map(escaped).join("<br>")}\n`);
        output.line(text);
      },
      warn(text) {
        parts.push(`⚠️ ${escaped(text)}\n`);
        output.warn(text);
      },
      table(rows) {
        parts.push(tableMarkdown(rows));
        output.table(rows);
      },
      verdict(verdict) {
        parts.push(verdictMarkdown(verdict));
        output.verdict(verdict);
      },
    },
    write(error) {
      if (error !== undefined) parts.push(errorMarkdown(error));
      append(file, cut(parts.join("\n")));
    },
  };
}

const SIGNS: Readonly<Record<Verdict["verdict"], string>> = {
  pass: "✅",
  PROMOTE: "✅",
  HOLD: "⏸️",
  fail: "❌",
  REJECT: "❌",
};

/** The verdict with its reasons, and every check in a table that opens at a click. */
export function verdictMarkdown({ gate, verdict, reasons, checks }: Verdict): string {
  const list = reasons.map((reason) => `- ${escaped(reason)}`).join("\n");
  const shown = checks.slice(0, CHECKS_MAX);
  const rows = [["", "check", "observed", "required"], ...shown.map(checkCells)];
  const more = checks.length > shown.length ? `\n${checks.length - shown.length} more checks.\n` : "";
  const passed = checks.filter((check) => check.passed).length;
  return `${SIGNS[verdict]} **${gate} gate: ${verdict}**\n\n${list}\n\n<details><summary>${passed} of ${checks.length} checks passed</summary>\n\n${tableMarkdown(rows)}${more}\n</details>\n`;
}

function checkCells({ name, passed, observed, required }: Check): readonly string[] {
  return [passed ? "✔" : "✘", name, observed, required];
}

function tableMarkdown(rows: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = rows;
  const row = (cells: readonly string[]): string =>
    `| ${head.map((_, i) => escaped((cells[i] ?? "").slice(0, CELL_LENGTH_MAX))).join(" | ")} |`;
  return `${[row(head), `| ${head.map(() => "---").join(" | ")} |`, ...rest.map(row)].join("\n")}\n`;
}

function errorMarkdown(error: unknown): string {
  if (!(error instanceof SentinelError)) return `❌ **this is a bug in Sentinel**: ${escaped(messageOf(error))}\n`;
  return `❌ **${escaped(error.message)}**\n\nWhat to do: ${escaped(error.hint)} (\`${error.code}\`)\n`;
}

/** What a table or a model says must stay text: no HTML, no links, no cells of its own. */
function escaped(text: string): string {
  return visible(text)
    .replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)
    .replace(/[\\`*_[\]|~#]/g, "\\$&");
}

function cut(text: string): string {
  if (text.length <= LENGTH_MAX) return text;
  return `${text.slice(0, LENGTH_MAX)}\n\n…\n\nThe summary is longer than GitHub takes; the report has all.\n`;
}

function append(file: string, text: string): void {
  try {
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
    appendFileSync(file, `${text}\n`);
  } catch (cause) {
    throw new SentinelError("workspace.unwritable", `--summary ${file} cannot be written: ${messageOf(cause)}`, {
      hint: "name a file in a folder that is there and that you may write to",
      cause,
    });
  }
}
