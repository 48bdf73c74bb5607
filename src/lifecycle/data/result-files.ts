// Result files: metrics as JSON and curves as CSV, the forms in which DVC and spreadsheets read them.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { Curve } from "../../metrics/curves.ts";

/** File name to content. */
export type ResultFiles = Readonly<Record<string, string>>;

/** Each file appears whole or not at all, with `mode` where it is given; those that were there are replaced. Errors: workspace.unwritable. */
export function writeResults(dir: string, files: ResultFiles, options: { readonly mode?: number } = {}): void {
  try {
    mkdirSync(dir, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const part = path.join(dir, `${name}.part`);
      try {
        writeFileSync(part, text, options);
        renameSync(part, path.join(dir, name));
      } finally {
        rmSync(part, { force: true });
      }
    }
  } catch (error) {
    throw new SentinelError("workspace.unwritable", `cannot write results into ${dir}: ${messageOf(error)}`, {
      hint: "name a folder you may write to with --out",
      cause: error,
    });
  }
}

/** JSON of numbers, texts and nested objects. What is not defined (NaN) is null, as in all of our JSON; DVC passes over it. */
export function metricsJson(metrics: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(metrics, null, 2)}\n`;
}

/** One line a point under a header; numbers in full, so that the same curve is the same text, and nothing for NaN. */
export function curveCsv(curve: Curve): string {
  const names = Object.keys(curve);
  const points = curve[names[0]]?.length ?? 0;
  const lines = Array.from({ length: points }, (_, i) => names.map((name) => cellOf(curve[name][i])).join(","));
  return `${[names.join(","), ...lines].join("\n")}\n`;
}

function cellOf(value: number): string {
  return Number.isNaN(value) ? "" : String(value);
}
