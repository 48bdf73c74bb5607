// Section `columns` and key `aliases`: the role of each canonical column, and the other names it comes under.
import { list, type Place, record, text } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

export const COLUMNS = section({
  id: key(text, { required: true, means: "Column with the transaction id. Scoring is idempotent by it." }),
  time: key(text, { required: true, means: "Column with the event time." }),
  amount: key(text, { required: true, means: "Column with the amount." }),
  card: key(text, {
    required: true,
    means: "Column that says whose card it is. Evidence is resampled by it, because frauds of one card come together.",
  }),
  label: key(text, { required: true, means: "Column with the label, 0 or 1." }),
});

export const ALIASES = key(record(list(text, { to: 50 })), {
  default: {},
  means:
    "Other names of a column, in tables and in requests: canonical name → list. One name cannot stand for two columns.",
});

/** Any accepted name → canonical name; a canonical name leads to itself. Refuses a name that stands for two columns. */
export function canonicalNames(
  columns: ValueOf<typeof COLUMNS.fields>,
  aliases: Readonly<Record<string, readonly string[]>>,
  refuse: Place["refuse"],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const column of [...Object.values(columns), ...Object.keys(aliases)]) names.set(column, column);
  for (const [column, others] of Object.entries(aliases)) {
    for (const [place, other] of others.entries()) {
      const taken = names.get(other);
      if (taken !== undefined && taken !== column) {
        const what = `aliases: ${other} stands for both ${taken} and ${column}`;
        refuse(["aliases", column, place], { what, hint: "keep one of the two" });
      }
      names.set(other, column);
    }
  }
  return names;
}
