// Inputs: which columns of a transaction a plan reads, and as what.
import type { DerivedValue } from "../core/window.ts";
import type { FeatureDef, WindowFeature } from "./definition.ts";
import { derivedOf } from "./derived.ts";
import { columnOfIdentity } from "./distinct.ts";
import { hopOf } from "./hops.ts";
import { columnsOfPlan, type FeaturePlan, keptColumns } from "./plan.ts";

export interface PlanInputs {
  /** Columns that join transactions, each once. */
  readonly keys: readonly string[];
  /** Columns read as numbers. */
  readonly numbers: readonly string[];
  /** Columns read as texts: categories, distinct values, texts of expressions. */
  readonly texts: readonly string[];
  /** All of them, each once. */
  readonly all: readonly string[];
}

export function inputsOf(plan: FeaturePlan): PlanInputs {
  const values = plan.series.flatMap(keptColumns);
  const identities = values.map(columnOfIdentity).filter((name) => name !== null);
  const derived = values.map(derivedOf).filter((one) => one !== null);
  // The key that a hop leads to is a series of the plan.
  const plain = values.filter((name) => [columnOfIdentity, derivedOf, hopOf].every((of) => of(name) === null));
  const read = (isText: boolean): string[] =>
    derived.flatMap(({ columns }) =>
      Object.keys(columns).filter((name) => columns[name] !== "time" && (columns[name] === "text") === isText),
    );
  const keys = unique(plan.series.flatMap(({ key, readBy = [] }) => [...key, ...readBy.flat()]));
  const numbers = unique([...plain, ...read(false), ...plan.steps.columns.map(({ column }) => column)]);
  const texts = unique([...identities, ...read(true), ...plan.steps.texts]);
  return { keys, numbers, texts, all: columnsOfPlan(plan) };
}

/**
 * Whether two plans can be given one table: no column counts by its spelling for one and as a number for the other, for which 007 is 7.
 * Such a column would be read as a number for both.
 */
export function readAlike(a: FeaturePlan, b: FeaturePlan): boolean {
  const [one, other] = [inputsOf(a), inputsOf(b)];
  const spelled = ({ keys, texts, numbers }: PlanInputs): string[] =>
    [...keys, ...texts].filter((name) => !numbers.includes(name));
  return (
    !spelled(one).some((name) => other.numbers.includes(name)) &&
    !spelled(other).some((name) => one.numbers.includes(name))
  );
}

/** The features that read a column, by name. */
export function featuresReading(plan: FeaturePlan, column: string): readonly string[] {
  return plan.spec.features.filter((feature) => columnsOf(feature).includes(column)).map(({ name }) => name);
}

/** The columns whose value names the key of a feature's window, and those that it reads as values. */
export function rolesIn(feature: FeatureDef): { readonly key: readonly string[]; readonly values: readonly string[] } {
  const key = "key" in feature ? feature.key : [];
  const values = [...columnsOf(feature)];
  for (const column of key) values.splice(values.indexOf(column), 1);
  return { key, values };
}

function columnsOf(feature: FeatureDef): readonly string[] {
  const read = [
    ...("key" in feature ? feature.key : []),
    ...("column" in feature ? [feature.column] : []),
    ...("history" in feature ? (feature.history ?? []) : []),
    ...("through" in feature ? feature.through : []),
    ...(feature.kind === "movement" ? [feature.latitude, feature.longitude] : []),
    ...(isOverExpression(feature) ? namedBy(feature.derived) : "over" in feature ? [feature.over] : []),
  ];
  return feature.kind === "expression" ? namedBy({ columns: feature.columns ?? {} }) : read;
}

function isOverExpression(feature: FeatureDef): feature is WindowFeature & { readonly derived: DerivedValue } {
  return feature.kind === "window" && feature.derived !== undefined;
}

function namedBy({ columns }: Pick<DerivedValue, "columns">): readonly string[] {
  return Object.keys(columns).filter((name) => columns[name] !== "time");
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
