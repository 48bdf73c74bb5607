// Inputs: which columns of a transaction a plan reads, and as what.
import type { FeatureDef } from "./definition.ts";
import { derivedOf } from "./derived.ts";
import { columnOfIdentity } from "./distinct.ts";
import { columnsOfPlan, type FeaturePlan } from "./plan.ts";

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
  const values = plan.series.flatMap(({ columns }) => columns);
  const identities = values.map(columnOfIdentity).filter((name) => name !== null);
  const derived = values.map(derivedOf).filter((one) => one !== null);
  const plain = values.filter((name) => columnOfIdentity(name) === null && derivedOf(name) === null);
  const read = (isText: boolean): string[] =>
    derived.flatMap(({ columns }) =>
      Object.keys(columns).filter((name) => columns[name] !== "time" && (columns[name] === "text") === isText),
    );
  const keys = unique(plan.series.flatMap(({ key }) => key));
  const numbers = unique([...plain, ...read(false), ...plan.steps.columns.map(({ column }) => column)]);
  const texts = unique([...identities, ...read(true), ...plan.steps.texts]);
  return { keys, numbers, texts, all: columnsOfPlan(plan) };
}

/** The features that read a column, by name. */
export function featuresReading(plan: FeaturePlan, column: string): readonly string[] {
  return plan.spec.features.filter((feature) => columnsOf(feature).includes(column)).map(({ name }) => name);
}

function columnsOf(feature: FeatureDef): readonly string[] {
  const read = [
    ...("key" in feature ? feature.key : []),
    ...("column" in feature ? [feature.column] : []),
    ...("over" in feature ? [feature.over] : []),
  ];
  return feature.kind === "expression" ? Object.keys(feature.columns ?? {}) : read;
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
