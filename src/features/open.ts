// Open specs: what a feature file leaves to the training table, checked, and made a spec that says everything.
import { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { type Column, textAt } from "../core/table.ts";
import {
  EXCEPT_MAX,
  type FeatureDef,
  type FeatureSpec,
  isEventWord,
  LEARNED_DEFAULTS,
  LEARNED_VALUES_MAX,
  type LearnedCategory,
  NAME_LENGTH_MAX,
  type NumericColumns,
  type OpenFeature,
  type OpenSpec,
} from "./definition.ts";
import { checkSpec } from "./spec.ts";

export type { OpenSpec } from "./definition.ts";

/** Different values of one column that are counted: beyond, the column names single transactions and is no category. */
const DISTINCT_MAX = 5_000_000;
/** In place of values that are not learned yet. */
const UNLEARNED: readonly string[] = ["(learned in training)"];

/** What training says of a column of its table: the canonical name, and whether its cells are numbers. */
export interface TableColumn {
  readonly name: string;
  readonly numeric: boolean;
}

/**
 * A spec from untrusted JSON, which may leave values and columns to the training table. Errors: those of {@link checkSpec}; `features.spec-invalid`
 * naming a field of a learned category or of `columns` that is wrong.
 */
export function checkOpenSpec(value: unknown, options: { readonly columns?: readonly string[] } = {}): OpenSpec {
  const given = value as { readonly name?: unknown; readonly features?: unknown } | null;
  const list: readonly unknown[] = Array.isArray(given?.features) ? given.features : [];
  if (!list.some((one) => isColumns(one) || isLearned(one))) return checkSpec(value, options);
  const where = `spec ${String(given?.name)}`;
  if (list.filter(isColumns).length > 1) throw invalid(`${where} has columns twice`, "name all numeric columns once");
  for (const one of list) {
    if (isColumns(one)) checkColumns(one, where);
    else if (isLearned(one)) checkLearned(one, where);
  }
  const open = list.map((one) => (isLearned(one) ? closed(one, UNLEARNED) : one)).filter((one) => !isColumns(one));
  // A spec of columns alone has no feature yet; any valid one stands in for the check of the rest.
  const checked = checkSpec({ ...(value as object), features: open.length > 0 ? open : [STAND_IN] }, options);
  return { ...checked, features: list as readonly OpenFeature[] };
}

const STAND_IN: FeatureDef = { kind: "time", name: "hour", part: "hour" };

/** Whether the table still has to say something. */
export function isOpen(spec: OpenSpec): boolean {
  return spec.features.some((one) => isColumns(one) || isLearned(one));
}

/** The features whose values are to be learned. */
export function learnedNames(spec: OpenSpec): readonly string[] {
  return spec.features.filter(isLearned).map(({ name }) => name);
}

/** The columns that hold them. */
export function learnedColumns(spec: OpenSpec): readonly string[] {
  return [...new Set(spec.features.filter(isLearned).map(({ column }) => column))];
}

/**
 * The spec with every numeric column of the table as a feature under the column's name, in the order of the names, where the file says `columns`;
 * characters that no feature's name may have become _. Left out: `roles`, `except`, and what other features read as a key, a text or that very
 * column. Errors: `features.spec-invalid` for an exception that the table does not have, or two columns of one feature name; `features.limit`.
 */
export function nameColumns(
  spec: OpenSpec,
  table: { readonly columns: readonly TableColumn[]; readonly roles: readonly string[] },
): OpenSpec {
  const which = spec.features.find(isColumns);
  if (which === undefined) return spec;
  const where = `spec ${spec.name}`;
  const { except = [] } = which;
  const names = table.columns.map(({ name }) => name);
  const unknown = except.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const near = nearestName(unknown, names);
    const hint = near === null ? "take it out of except" : `did you mean ${near}?`;
    throw invalid(`${where}: columns: except names ${unknown}, which is no column of the table`, hint);
  }
  const others = spec.features.filter((one) => !isColumns(one));
  const out = new Set([...table.roles, ...except, ...others.flatMap(readOtherwise)]);
  const found = table.columns.filter(({ name, numeric }) => numeric && !out.has(name) && !isEventWord(name));
  const columns = found.map(({ name }) => name).sort();
  const owners = new Map<string, string>(others.map(({ name }) => [name, `feature ${name}`]));
  const made = columns.map((column): FeatureDef => {
    const name = featureName(column);
    const other = owners.get(name);
    if (other !== undefined) {
      throw invalid(
        `${where}: column ${column} of the table would be the feature ${name}, and so is ${other}`,
        `add ${column} to except of columns, or give the other feature another name`,
      );
    }
    owners.set(name, `column ${column}`);
    return { kind: "column", name, column };
  });
  if (made.length === 0) {
    throw invalid(
      `${where}: the table has no numeric column for columns`,
      "take columns out, or look at the file's types",
    );
  }
  const features = spec.features.flatMap((one) => (isColumns(one) ? made : [one]));
  return checkOpenSpec({ ...spec, features });
}

/**
 * The values of a learned category: of those that at least `rowsMin` of the rows hold, the `max` with the most rows, most first, ties by
 * spelling (UTF-16). Missing cells and texts too long to list count for nothing. Errors: `features.spec-invalid` when no value is
 * frequent enough; `features.limit`.
 */
export function learnValues(feature: LearnedCategory, column: Column, rows: Int32Array): string[] {
  const { max = LEARNED_DEFAULTS.max, rowsMin = LEARNED_DEFAULTS.rowsMin } = feature;
  const counts = countTexts(feature, column, rows);
  const frequent = [...counts].filter(
    ([text, count]) => count >= rowsMin && text !== "" && text.length <= NAME_LENGTH_MAX,
  );
  frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  if (frequent.length > 0) return frequent.slice(0, max).map(([text]) => text);
  throw invalid(
    `feature ${feature.name}: none of the ${counts.size} values that column ${feature.column} has in ${rows.length} training rows stands in ${rowsMin} of them`,
    "lower rowsMin, or drop the feature: it would be the same for every transaction",
  );
}

/** The spec with the values of learned categories as `valuesOf` gives them. */
export function closeSpec(spec: OpenSpec, valuesOf: (feature: LearnedCategory) => readonly string[]): FeatureSpec {
  return checkSpec({
    ...spec,
    features: spec.features.map((one) => (isLearned(one) ? closed(one, valuesOf(one)) : one)),
  });
}

/** The spec for asking which columns it reads, its learned categories without values. Its vectors would be wrong. */
export function unlearned(spec: OpenSpec): FeatureSpec {
  return closeSpec(spec, () => UNLEARNED);
}

function countTexts(feature: LearnedCategory, column: Column, rows: Int32Array): Map<string, number> {
  const counts = new Map<string, number>();
  if (column.kind === "text") {
    const ofCode = new Float64Array(column.dictionary.length);
    for (const row of rows) if (column.codes[row] >= 0) ofCode[column.codes[row]]++;
    ofCode.forEach((count, code) => {
      if (count > 0) counts.set(column.dictionary[code], count);
    });
    return counts;
  }
  for (const row of rows) {
    const text = textAt(column, row);
    if (text === null) continue;
    counts.set(text, (counts.get(text) ?? 0) + 1);
    if (counts.size <= DISTINCT_MAX) continue;
    throw new SentinelError(
      "features.limit",
      `feature ${feature.name}: column ${feature.column} has more than ${DISTINCT_MAX} values`,
      {
        hint: "such a column tells single transactions apart and is no category: drop the feature",
      },
    );
  }
  return counts;
}

/** Columns that a feature reads as a key or text, or is itself. */
function readOtherwise(feature: Exclude<OpenFeature, NumericColumns>): readonly string[] {
  if (feature.kind === "column" || feature.kind === "category") return [feature.column];
  if (feature.kind === "expression") {
    return Object.entries(feature.columns ?? {}).flatMap(([name, type]) => (type === "text" ? [name] : []));
  }
  const history = "history" in feature ? (feature.history ?? []) : [];
  const key = "key" in feature ? [...feature.key, ...history] : [];
  if (feature.kind === "first-seen" || feature.kind === "new-values" || feature.kind === "neighbours") {
    return [...key, feature.column];
  }
  if (feature.kind === "window" && feature.derived !== undefined) {
    return [
      ...key,
      ...Object.entries(feature.derived.columns).flatMap(([name, type]) => (type === "text" ? [name] : [])),
    ];
  }
  return feature.kind === "window" && feature.aggregate === "distinct" ? [...key, feature.over] : key;
}

function featureName(column: string): string {
  const name = column.replaceAll(/[^A-Za-z0-9_.-]/g, "_");
  return /^[A-Za-z_]/.test(name) ? name : `_${name}`;
}

function closed({ kind, name, column }: LearnedCategory, values: readonly string[]): FeatureDef {
  return { kind, name, column, values };
}

function isColumns(value: unknown): value is NumericColumns {
  return kindOf(value) === "columns";
}

function isLearned(value: unknown): value is LearnedCategory {
  return kindOf(value) === "category" && !Array.isArray((value as { readonly values?: unknown }).values);
}

function kindOf(value: unknown): unknown {
  return value !== null && typeof value === "object" ? (value as { readonly kind?: unknown }).kind : undefined;
}

function checkColumns(feature: NumericColumns, spec: string): void {
  const where = `${spec}: columns`;
  onlyFields(feature, ["kind", "all", "except"], where);
  if (feature.all !== "numeric")
    throw invalid(`${where}: all is ${JSON.stringify(feature.all)}`, 'write all: "numeric"');
  const { except = [] } = feature;
  const good = Array.isArray(except) && except.length <= EXCEPT_MAX && except.every((one) => typeof one === "string");
  if (!good)
    throw invalid(`${where}: except is no list of columns`, `give at most ${EXCEPT_MAX} names, such as ["step"]`);
}

function checkLearned(feature: LearnedCategory, spec: string): void {
  const where = `${spec}: feature ${String(feature.name)}`;
  if (feature.values !== "learned") {
    throw invalid(`${where}: values is ${JSON.stringify(feature.values) ?? "missing"}`, 'give the texts, or "learned"');
  }
  onlyFields(feature, ["kind", "name", "column", "values", "max", "rowsMin"], where);
  const { max = LEARNED_DEFAULTS.max, rowsMin = LEARNED_DEFAULTS.rowsMin } = feature;
  if (!Number.isInteger(max) || max < 1 || max > LEARNED_VALUES_MAX) {
    const hint = `give a whole number from 1 to ${LEARNED_VALUES_MAX}; list the values yourself where a model from elsewhere tells more apart`;
    throw invalid(`${where}: max is ${JSON.stringify(max)}`, hint);
  }
  if (!Number.isSafeInteger(rowsMin) || rowsMin < 1) {
    throw invalid(`${where}: rowsMin is ${JSON.stringify(rowsMin)}`, "give a whole number of rows from 1 up");
  }
}

function onlyFields(value: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown === undefined) return;
  throw invalid(`${where} has an unknown field ${unknown}`, `allowed: ${known.join(", ")}`);
}

function invalid(message: string, hint: string): SentinelError {
  return new SentinelError("features.spec-invalid", message, { hint });
}
