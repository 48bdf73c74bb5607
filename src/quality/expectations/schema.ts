// Sentinel's own check that the columns a pipeline needs are there and of the right type.
import type { Column } from "../../core/table.ts";
import type { ExpectationDefinition } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";

/** `key` is what names something: a number or a text. `any` only has to be there. */
const KINDS = ["number", "time", "text", "key", "any"] as const;
export type RequiredKind = (typeof KINDS)[number];

export const SCHEMA: readonly ExpectationDefinition[] = [
  {
    type: "sentinel_schema",
    prepare(kwargs) {
      const wanted = wantedKinds(kwargs);
      return (rows) => {
        const missing = wanted.map(([name]) => name).filter((name) => !rows.has(name));
        const present = wanted.filter(([name]) => rows.has(name));
        const observed = present.map(([name]) => [name, rows.column(name).kind] as const);
        const wrong = present
          .filter(([name, kind]) => !isOfKind(rows.column(name), kind))
          .map(([name, expected]) => ({ column: name, expected, found: rows.column(name).kind }));
        const problem = [
          ...missing.map((name) => `column ${name} is missing`),
          ...wrong.map(({ column, expected, found }) => `column ${column} holds ${found}, not ${expected}`),
        ].join("; ");
        const details = { problem, missing, wrong_type: wrong };
        const isRight = missing.length === 0 && wrong.length === 0;
        const result = { observed_value: Object.fromEntries(observed), ...(isRight ? {} : { details }) };
        return { success: isRight, result };
      };
    },
  },
];

function isOfKind(column: Column, kind: RequiredKind): boolean {
  if (kind === "any") return true;
  return kind === "key" ? column.kind !== "time" : column.kind === kind;
}

function wantedKinds(kwargs: Kwargs): readonly (readonly [string, RequiredKind])[] {
  const given = kwargs.get("columns");
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return kwargs.wrong("columns", "an object from column name to type");
  }
  return Object.entries(given).map(([name, kind]) => {
    const known = KINDS.find((one) => one === kind);
    return [name, known ?? kwargs.wrong("columns", `an object whose values are ${KINDS.join(", ")}`)] as const;
  });
}
