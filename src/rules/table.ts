// A rule set asked of the rows of a table: registers are filled from columns, without a transaction per row.
import { type Column, isBoolean, type Table, textAt } from "../core/table.ts";
import type { Program } from "../expression/program.ts";
import { FIRED, QUIET, type RuleProgram, UNREADY } from "./program.ts";
import { sourceOf } from "./scope.ts";

/** Values of the model, row by row; NaN where it gave none. */
export interface ModelColumns {
  readonly score: Float32Array;
  readonly anomalyScore: Float32Array;
  /** Features that the rules name. */
  readonly features: ReadonlyMap<string, Float32Array>;
  /** 1 where the model answered, and 1 where its features are known too; null: everywhere. */
  readonly answered: Uint8Array | null;
  readonly described: Uint8Array | null;
}

/** A text column as codes into a dictionary, -1 missing. */
interface Texts {
  readonly to: number;
  readonly codes: Int32Array;
  readonly dictionary: readonly string[];
}

/** Asks the rules of a row; `windows` are those of the program, in their order, and null where there are none. */
export type AskRow = (row: number, windows: Float64Array | null, reachMs: number, hits: Uint8Array) => void;

/** `times`: of the rows. A column that the table lacks is missing in every row. */
export function tableAsker(
  of: Pick<RuleProgram, "program" | "rules" | "windows" | "scope">,
  on: { readonly table: Table; readonly times: Float64Array; readonly model: ModelColumns | null },
): AskRow {
  const { program, rules } = of;
  const load = rowLoader(of, program, on);
  const { numbers, results } = program;
  const isModelless = on.model === null;
  const reaches = Float64Array.from(rules, ({ reachMs }) => reachMs);
  const unanswerable = Uint8Array.from(rules, ({ condition }) => (isModelless && condition.needsModel ? 1 : 0));
  const { answered = null, described = null } = on.model ?? {};
  // As online: a rule that asks the model is not ready where the model gave nothing.
  const asked = rules.map(({ condition }) =>
    condition.features.length > 0 ? described : condition.needsModel ? answered : null,
  );
  return (row, windows, reachMs, hits) => {
    load(row, windows);
    program.run();
    for (let i = 0; i < results.length; i++) {
      if (unanswerable[i] === 1 || reaches[i] > reachMs || asked[i]?.[row] === 0) hits[i] = UNREADY;
      else hits[i] = numbers[results[i]] === 1 ? FIRED : QUIET;
    }
  };
}

function rowLoader(
  of: Pick<RuleProgram, "windows" | "scope">,
  program: Program,
  on: { readonly table: Table; readonly times: Float64Array; readonly model: ModelColumns | null },
): (row: number, windows: Float64Array | null) => void {
  const { table, times, model } = on;
  const { numbers, texts } = program;
  const numberOf: { readonly to: number; readonly values: ArrayLike<number> }[] = [];
  const textOf: Texts[] = [];
  const windowOf: { readonly to: number; readonly from: number }[] = [];
  for (const [to, resolved] of program.columns.entries()) {
    const { kind, name } = sourceOf(resolved);
    if (kind === "window") windowOf.push({ to, from: of.windows.findIndex((one) => one.name === name) });
    else if (kind === "feature") numberOf.push({ to, values: model?.features.get(name) ?? missing(table) });
    else if (kind === "score") numberOf.push({ to, values: model?.score ?? missing(table) });
    else if (kind === "anomaly") numberOf.push({ to, values: model?.anomalyScore ?? missing(table) });
    else if (name === of.scope.time) numberOf.push({ to, values: times });
    else if (of.scope.columns.get(name) === "text")
      textOf.push({ to, ...textsOf(table.columns.get(name), table.rows) });
    else numberOf.push({ to, values: numbersOf(table.columns.get(name), table) });
  }
  return (row, windows) => {
    for (let i = 0; i < numberOf.length; i++) {
      const value = numberOf[i].values[row];
      numbers[numberOf[i].to] = Number.isFinite(value) ? value : Number.NaN;
    }
    for (let i = 0; i < textOf.length; i++) {
      const { to, codes, dictionary } = textOf[i];
      const code = codes[row];
      texts[to] = code < 0 ? null : dictionary[code];
    }
    for (let i = 0; i < windowOf.length; i++) {
      numbers[windowOf[i].to] = windows === null ? Number.NaN : windows[windowOf[i].from];
    }
  };
}

/** One column of nothing per table, and one set of codes per column: several programs are asked of the same table. */
const nothing = new WeakMap<Table, Float64Array>();
const coded = new WeakMap<Column, Omit<Texts, "to">>();

function missing(table: Table): Float64Array {
  let values = nothing.get(table);
  if (values === undefined) {
    values = new Float64Array(table.rows).fill(Number.NaN);
    nothing.set(table, values);
  }
  return values;
}

function numbersOf(column: Column | undefined, table: Table): ArrayLike<number> {
  return column === undefined || column.kind === "text" ? missing(table) : column.values;
}

/** A column of numbers has its cells as texts, each different one once. */
function textsOf(column: Column | undefined, rows: number): Omit<Texts, "to"> {
  if (column === undefined) return { codes: new Int32Array(rows).fill(-1), dictionary: [] };
  if (column.kind === "text") return column;
  const made = coded.get(column);
  if (made !== undefined) return made;
  const codes = new Int32Array(rows);
  const dictionary: string[] = [];
  const known = new Map<number, number>();
  for (let row = 0; row < rows; row++) {
    const value = column.values[row];
    if (Number.isNaN(value)) {
      codes[row] = -1;
      continue;
    }
    let code = known.get(value);
    if (code === undefined) {
      code = dictionary.push(isBoolean(column) ? String(value === 1) : (textAt(column, row) ?? "")) - 1;
      known.set(value, code);
    }
    codes[row] = code;
  }
  coded.set(column, { codes, dictionary });
  return { codes, dictionary };
}
