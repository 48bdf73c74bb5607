// What is served beside what was trained on, in lines: the share of known keys, and each warning.

import { visible } from "../core/visible.ts";
import type { InputReport } from "../features/trained-inputs.ts";
import type { Output } from "./output.ts";

/** Nothing where nothing was served. */
export function showInputs(output: Output, report: InputReport | null): void {
  if (report === null || report.rows === 0) return;
  for (const { key, rows, known, trained } of report.keys) {
    if (rows === 0) continue;
    const before = trained === null ? "" : ` (${percent(trained)} of the table's own last rows)`;
    output.line(`  ${key.join(" + ")}: the table knows ${percent(known / rows)} of ${rows} served keys${before}`);
  }
  for (const warning of report.warnings) output.line(`  ■ warning: ${visible(warning)}`);
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}
