// The registry table: every expectation type this gate can judge, one entry a type.
import type { ExpectationDefinition } from "../definition.ts";
import { AGGREGATES } from "./aggregates.ts";
import { DISTINCT } from "./distinct.ts";
import { DIVERGENCE } from "./divergence.ts";
import { FORMATS } from "./formats.ts";
import { INFINITY } from "./infinity.ts";
import { LABEL } from "./label.ts";
import { NULLITY } from "./nullity.ts";
import { PAIRS } from "./pairs.ts";
import { QUANTILES } from "./quantiles.ts";
import { RANGES } from "./ranges.ts";
import { RECORDS } from "./records.ts";
import { SCHEMA } from "./schema.ts";
import { SCORES } from "./scores.ts";
import { SETS } from "./sets.ts";
import { TABLES } from "./tables.ts";
import { TEXT } from "./text.ts";
import { TIME } from "./time.ts";
import { TYPES } from "./types.ts";
import { UNIQUENESS } from "./uniqueness.ts";

const FAMILIES: readonly (readonly ExpectationDefinition[])[] = [
  TABLES,
  NULLITY,
  UNIQUENESS,
  SETS,
  RANGES,
  TEXT,
  FORMATS,
  TYPES,
  AGGREGATES,
  DISTINCT,
  QUANTILES,
  SCORES,
  DIVERGENCE,
  PAIRS,
  RECORDS,
  SCHEMA,
  INFINITY,
  TIME,
  LABEL,
];

const BY_TYPE: ReadonlyMap<string, ExpectationDefinition> = new Map(
  FAMILIES.flat().map((definition) => [definition.type, definition]),
);

/** Undefined for a type this gate does not know; it must then fail, never skip. */
export function definitionOf(type: string): ExpectationDefinition | undefined {
  return BY_TYPE.get(type);
}

/** Every type this gate judges, in the order of the table. */
export const EXPECTATION_TYPES: readonly string[] = [...BY_TYPE.keys()];
