// Sentinel's own check that the columns a pipeline needs are there and of the right type.
import type { Column } from "../../core/table.ts";
import type { ExpectationDefinition } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import { isEmptyText } from "../rows.ts";

/** `key` is what names something: a number or a text. `any` only has to be there. */
const KINDS = ["number", "time", "text", "key", "any"] as const;
export type RequiredKind = (typeof KINDS)[number];

export const SCHEMA: readonly ExpectationDefinition[] = [
  {
    type: "sentinel_schema",
    prepare(kwargs) {
      const wanted = wantedKinds(kwargs);
      return (shape) => {
        const missing = wanted.map(([name]) => name).filter((name) => !shape.has(name));
        const present = wanted
          .filter(([name]) => shape.has(name))
          .map(([name, kind]) => ({ name, kind, found: shape.column(name).kind, empty: true }));
        return {
          push(rows) {
            for (const one of present) {
              if (one.empty && one.found === "text") one.empty = isEmptyText(rows.column(one.name));
            }
          },
          finish() {
            // A text column without one value says nothing of its type: it is judged as numbers that are missing.
            const kinds = present.map(({ name, kind, found, empty }) => ({
              column: name,
              expected: kind,
              found: found === "text" && empty ? ("number" as const) : found,
            }));
            const wrong = kinds.filter(({ expected, found }) => !isOfKind(found, expected));
            const problem = [
              ...missing.map((name) => `column ${name} is missing`),
              ...wrong.map(({ column, expected, found }) => `column ${column} holds ${found}, not ${expected}`),
            ].join("; ");
            const details = { problem, missing, wrong_type: wrong };
            const isRight = missing.length === 0 && wrong.length === 0;
            const observed = Object.fromEntries(kinds.map(({ column, found }) => [column, found]));
            return { success: isRight, result: { observed_value: observed, ...(isRight ? {} : { details }) } };
          },
        };
      };
    },
  },
];

function isOfKind(found: Column["kind"], kind: RequiredKind): boolean {
  if (kind === "any") return true;
  return kind === "key" ? found !== "time" : found === kind;
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
