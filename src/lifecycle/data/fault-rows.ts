// The rows at fault with all their columns: the first of each failing check and a sample of all, for the report and as CSV.
import { type Column, type Table, textAt } from "../../core/table.ts";
import { isoText } from "../../quality/cells.ts";
import { checkName, columnNames } from "../../quality/describe.ts";
import type { DataGateResult } from "../../quality/gate.ts";
import type { SampledRow } from "../../quality/report.ts";
import type { ExpectationResult } from "../../quality/result.ts";
import type { OpenSource } from "./source.ts";

/** Different rows that are looked up, over all checks. */
const ROWS_MAX = 2000;

export interface FaultExport {
  /** RFC 4180: check, severity, how the row was chosen, its number in the table from 1, and its columns. */
  readonly csv: string;
  readonly rows: number;
  /** Failing checks that have rows. */
  readonly checks: number;
  /** Of each failing check the rows drawn from all, in order, with what they hold in its columns. */
  readonly sampled: ReadonlyMap<ExpectationResult, readonly SampledRow[]>;
}

interface Wanted {
  readonly check: string;
  readonly severity: string;
  readonly chosen: "first" | "sampled";
  readonly row: number;
}

/** Reads the table once more, up to the last row at fault; null where none is. Errors: those of reading. */
export async function faultExport(source: OpenSource, gate: DataGateResult): Promise<FaultExport | null> {
  const wanted = wantedRows(gate);
  if (wanted.length === 0) return null;
  const names = [...source.empty.columns.keys()];
  const cells = await readRows(
    source,
    names,
    [...new Set(wanted.map(({ row }) => row))].sort((a, b) => a - b),
  );
  const lines = wanted.map(({ check, severity, chosen, row }) =>
    [check, severity, chosen, String(row + 1), ...(cells.get(row) ?? [])].map(field).join(","),
  );
  const head = ["check", "severity", "chosen", "data_row", ...names].map(field).join(",");
  return {
    csv: `${[head, ...lines].join("\n")}\n`,
    rows: cells.size,
    checks: new Set(wanted.map(({ check }) => check)).size,
    sampled: sampledRows(gate, { names, cells }),
  };
}

function sampledRows(
  { result, faults }: DataGateResult,
  read: { readonly names: readonly string[]; readonly cells: ReadonlyMap<number, readonly string[]> },
): FaultExport["sampled"] {
  const sampled = new Map<ExpectationResult, readonly SampledRow[]>();
  result.results.forEach((one, i) => {
    const own = faults[i];
    if (one.success || own === null) return;
    const asked = columnNames(one.expectation_config.kwargs).map((name) => ({ name, at: read.names.indexOf(name) }));
    const rows = own.sampled.flatMap((row) => {
      const found = read.cells.get(row);
      if (found === undefined) return [];
      const texts = asked.map(({ name, at }) => ({ name, text: found[at] === "" ? "missing" : found[at] }));
      const value = texts.length === 1 ? texts[0].text : texts.map(({ name, text }) => `${name} ${text}`).join(", ");
      return [{ row, value }];
    });
    // Where so many checks failed that rows were left out, those that are left are no fair draw.
    if (asked.every(({ at }) => at >= 0) && rows.length === own.sampled.length) sampled.set(one, rows);
  });
  return sampled;
}

function wantedRows({ result, faults }: DataGateResult): readonly Wanted[] {
  const wanted: Wanted[] = [];
  const rows = new Set<number>();
  result.results.forEach((one, i) => {
    const own = faults[i];
    if (one.success || own === null) return;
    const first = new Set(own.first);
    for (const row of [...own.first, ...own.sampled.filter((other) => !first.has(other))]) {
      if (!rows.has(row) && rows.size === ROWS_MAX) continue;
      rows.add(row);
      const { severity } = one.expectation_config;
      wanted.push({ check: checkName(one), severity, chosen: first.has(row) ? "first" : "sampled", row });
    }
  });
  return wanted;
}

async function readRows(
  source: OpenSource,
  names: readonly string[],
  rows: readonly number[],
): Promise<ReadonlyMap<number, readonly string[]>> {
  const cells = new Map<number, readonly string[]>();
  let before = 0;
  let next = 0;
  for await (const batch of source.batches(names)) {
    for (; next < rows.length && rows[next] < before + batch.rows; next++) {
      cells.set(rows[next], rowTexts(batch, names, rows[next] - before));
    }
    before += batch.rows;
    if (next === rows.length) break;
  }
  return cells;
}

function rowTexts(table: Table, names: readonly string[], row: number): readonly string[] {
  return names.map((name) => cellText(table.columns.get(name)!, row));
}

function cellText(column: Column, row: number): string {
  if (column.kind !== "time") return textAt(column, row) ?? "";
  return Number.isNaN(column.values[row]) ? "" : isoText(column.values[row], "T");
}

function field(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
