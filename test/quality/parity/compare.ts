// How an answer of Sentinel's and one of Great Expectations' are compared: the same success, counts, percentages and observed values.
import type { Table } from "../../../src/core/table.ts";
import type { ExpectationResult } from "../../../src/quality/result.ts";
import { parseSuite, type Suite } from "../../../src/quality/suite.ts";
import type { Asked } from "./suite.ts";

export interface Answer {
  readonly success?: boolean;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly exception?: string;
  readonly refused?: string;
}

/** What Sentinel means to answer otherwise: the place of the question in the suite, the table, and why. */
export const MEANT: readonly { readonly question: number; readonly table: string; readonly why: string }[] = [
  { question: 39, table: "nulls: all channels", why: "a column without one value says nothing of its type" },
  { question: 40, table: "shape: no rows", why: "an empty table says nothing of the types in its file" },
  { question: 41, table: "shape: no rows", why: "an empty table says nothing of the types in its file" },
  { question: 44, table: "types: times as text", why: "texts are not compared with instants" },
];

export function suiteFor(asked: readonly Asked[]): Suite {
  return parseSuite(JSON.stringify({ name: "parity", expectations: asked }), { where: "parity" });
}

/** Sentinel's result in the shape of a stored answer. */
export function ours({ success, result, exception_info, meta }: ExpectationResult): Answer {
  if (meta.status === "unsupported") return { refused: "unsupported" };
  if (exception_info.raised_exception) return { success, exception: exception_info.exception_message ?? "" };
  return JSON.parse(JSON.stringify({ success, result })) as Answer;
}

/** Digits in which sums taken in another order agree. */
const RELATIVE = 1e-9;

/** What differs, in words; empty where nothing does. What raises there and is refused or raises here is the same. */
export function differences(mine: Answer, theirs: Answer): readonly string[] {
  const judged = (one: Answer): boolean => one.exception === undefined && one.refused === undefined;
  if (!judged(mine) || !judged(theirs)) {
    if (judged(mine) === judged(theirs)) return [];
    const said = [mine, theirs].map((one) => one.refused ?? one.exception ?? `success ${one.success}`);
    return [`Sentinel: ${said[0]}; Great Expectations: ${said[1]}`];
  }
  const faults = mine.success === theirs.success ? [] : [`success ${mine.success} against ${theirs.success}`];
  const names = new Set([...Object.keys(mine.result ?? {}), ...Object.keys(theirs.result ?? {})]);
  for (const name of names) {
    const [a, b] = [mine.result?.[name], theirs.result?.[name]].map((value) => levelled(name, value));
    if (!same(a, b)) faults.push(`${name} ${show(a)} against ${show(b)}`);
  }
  return faults;
}

/** Two spellings: a missing time is null, and missing values are counted together, since NaN is not equal to itself. */
function levelled(name: string, value: unknown): unknown {
  const text = JSON.stringify(value);
  if (text === undefined) return value;
  const plain: unknown = JSON.parse(text.replaceAll('"NaT"', "null"));
  // Python's sets have another order in every process.
  if (name === "partial_missing_list" && Array.isArray(plain)) return plain.sort();
  if (name !== "partial_unexpected_counts" || !text.includes("null")) return plain;
  const counts = new Map<string, number>();
  for (const { value: shown, count } of plain as readonly { readonly value: unknown; readonly count: number }[]) {
    counts.set(JSON.stringify(shown), (counts.get(JSON.stringify(shown)) ?? 0) + count);
  }
  return Object.fromEntries([...counts].sort());
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) <= RELATIVE * Math.max(1, Math.abs(b));
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return (
    left.length === right.length && left.every(([name, value]) => same(value, (b as Record<string, unknown>)[name]))
  );
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? "absent").slice(0, 120);
}

/** A table cut into batches of so many rows. */
export function cut(table: Table, rows: number): readonly Table[] {
  const batches: Table[] = [];
  for (let from = 0; from < table.rows; from += rows) {
    const count = Math.min(rows, table.rows - from);
    const columns = new Map(
      [...table.columns].map(([name, column]) => [
        name,
        column.kind === "text"
          ? { ...column, codes: column.codes.slice(from, from + count) }
          : { ...column, values: column.values.slice(from, from + count) },
      ]),
    );
    batches.push({ rows: count, columns });
  }
  return batches;
}
