// A file's own lists of categories against the pipeline's features: each value becomes the number that our vectors have for it.
import type { FeatureDef } from "../../features/definition.ts";
import { type EncodedValue, type ForeignTrees, unsupportedModel } from "../../ml/foreign/flatten.ts";
import { recodeColumn } from "../../ml/foreign/recode.ts";

/** What the numbers in a model's own lists are: numbers of Sentinel's vectors, or values of the transactions' column. */
export const CATEGORY_MEANINGS = ["codes", "values"] as const;
export type CategoryMeaning = (typeof CATEGORY_MEANINGS)[number];

export interface Translated {
  readonly model: ForeignTrees;
  readonly notes: readonly string[];
}

const SHOWN = 8;

/**
 * The model with every number of its own lists replaced by ours: column c of the model takes the feature `features[columns[c]]`.
 * Errors: `ml.model-unsupported` where a value that the trees ask for has no number of ours, or where numbers may mean two things;
 * `cli.usage` is not its matter: `meaning` is parsed before.
 */
export function translateCategories(
  model: ForeignTrees,
  given: {
    readonly features: readonly FeatureDef[];
    readonly columns: readonly number[];
    readonly meaning: CategoryMeaning | null;
  },
): Translated {
  const notes: string[] = [];
  let { trees } = model;
  for (const [column, values] of model.encoders) {
    if (!trees.some(({ feature }) => feature.includes(column))) continue;
    const feature = given.features[given.columns[column]];
    const title = model.names?.[column] ?? `number ${column}`;
    const { numberOf, note } = numbering(values, { feature, title, meaning: given.meaning });
    trees = trees.map((tree) => recodeColumn(tree, { column, count: values.length, numberOf }));
    notes.push(note);
  }
  const bare = new Set<number>();
  for (const { sets, feature } of model.trees) {
    for (const node of sets.keys()) if (!model.encoders.has(feature[node])) bare.add(feature[node]);
  }
  if (bare.size > 0) {
    const names = [...bare].sort((a, b) => a - b).map((column) => model.names?.[column] ?? `number ${column}`);
    notes.push(
      `The model splits on categories of ${listed(names)} and keeps no list of their values: their numbers are taken for those of Sentinel's vectors, the place of a value in the feature's list.`,
    );
  }
  return { model: { ...model, trees }, notes };
}

interface Column {
  readonly feature: FeatureDef;
  readonly title: string;
  readonly meaning: CategoryMeaning | null;
}

/** The number of a value by its place in the model's list, refusing those that have none; and what was understood. */
function numbering(
  values: readonly EncodedValue[],
  column: Column,
): { readonly numberOf: (code: number) => number; readonly note: string } {
  const { feature, title } = column;
  const own = feature.kind === "category" ? feature.values : null;
  const byCodes = own === null || meaningOf(values, own, column) === "codes";
  const numberOf = (code: number): number => {
    const value = values[code];
    const number = byCodes ? codeOf(value, own) : own.indexOf(String(value));
    if (number >= 0) return number;
    throw byCodes ? noCode(value, column) : noValue(value, own, column);
  };
  const how = byCodes ? "as the numbers of Sentinel's vectors" : "by the values of the feature";
  const note = `The file numbers the categories of ${title} itself (${listed(values.map((value) => JSON.stringify(value)))}): translated ${how}${byCodes ? "" : ` ${feature.name}`}.`;
  return { numberOf, note };
}

/** A number as our vectors hold it, or −1. */
function codeOf(value: EncodedValue, own: readonly string[] | null): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) return -1;
  // One more than the list's places stands for any value that is not in it.
  return own === null || value <= own.length ? value : -1;
}

/** Texts are values. Numbers may be values or codes: what only one of them explains is that, and what both explain is asked. */
function meaningOf(values: readonly EncodedValue[], own: readonly string[], column: Column): CategoryMeaning {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < values.length) return "values";
  if (column.meaning !== null) return column.meaning;
  const asCodes = numbers.every((value) => codeOf(value, own) >= 0);
  const places = numbers.map((value) => own.indexOf(String(value)));
  if (!asCodes) return "values";
  if (places.every((place, i) => place < 0 || place === numbers[i])) return "codes";
  throw unsupportedModel(
    `the categories of the model's column ${column.title} are the numbers ${listed(numbers.map(String))}, which are values of the feature ${column.feature.name} and numbers of its places too`,
    "say which: --categories values where the model was trained on the transactions' own values, --categories codes where on Sentinel's vectors",
  );
}

function noValue(value: EncodedValue, own: readonly string[], { feature, title }: Column): Error {
  return unsupportedModel(
    `the model knows the category ${JSON.stringify(value)} of ${title}, which is no value of the feature ${feature.name}: ${listed(own)}`,
    `add it to the values of ${feature.name}, or train on the categories that the feature knows, all others being one`,
  );
}

function noCode(value: EncodedValue, { feature, title }: Column): Error {
  const what =
    feature.kind === "category"
      ? `is beyond the ${feature.values.length} values of the feature ${feature.name}`
      : `the feature ${feature.name}, which is a number and no category, cannot hold as a whole number from 0`;
  return unsupportedModel(
    `the model knows the category ${JSON.stringify(value)} of ${title}, which ${what}`,
    `make ${feature.name} a category feature that lists the values, or train on numbers as \`sentinel featurise\` writes them`,
  );
}

function listed(names: readonly string[]): string {
  return names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ", …" : "");
}
