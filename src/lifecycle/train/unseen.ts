// Unseen: categories, hours and weekdays of the evaluation days that no training row had, named before their scores are believed.
import { DAY_MS, HOUR_MS } from "../../core/duration.ts";
import { type Column, type Table, textAt } from "../../core/table.ts";
import type { Check } from "../../core/verdict.ts";
import { visible } from "../../core/visible.ts";
import type { FeaturePlan } from "../../features/plan.ts";

/** Values named per feature; the others are counted. */
const NAMED_MAX = 3;
/** Features named; the others are counted. */
const FEATURES_NAMED_MAX = 10;

/** What a part of the time is called, by its value. */
const TIME_VALUES: Readonly<Record<string, (time: number) => string>> = {
  hour: (time) => `${Math.floor((time % DAY_MS) / HOUR_MS)}:00`,
  // 1970 began on a Thursday; 1 is Monday.
  dayOfWeek: (time) => `day ${((Math.floor(time / DAY_MS) + 3) % 7) + 1}`,
};

/** What rows to learn from have in the columns that are asked about; they may come in batches. */
export class SeenValues {
  private readonly plan: FeaturePlan;
  private readonly byFeature = new Map<string, Set<string>>();

  constructor(plan: FeaturePlan) {
    this.plan = plan;
  }

  add(table: Table, { times, rows }: { readonly times: Float64Array; readonly rows: Int32Array }): void {
    for (const { name, textOf } of askedOf(table, { plan: this.plan, times })) {
      const seen = this.of(name);
      for (const row of rows) {
        const value = textOf(row);
        if (value !== null) seen.add(value);
      }
    }
  }

  of(feature: string): Set<string> {
    const seen = this.byFeature.get(feature) ?? new Set();
    this.byFeature.set(feature, seen);
    return seen;
  }
}

/**
 * One check that always passes and names, per feature of kind category, hour or weekday, the values that judged rows have and no training
 * row had: what the model says of these rows it says of a value that it has never met. Null where the spec has no such feature.
 */
export function unseenCheck(
  table: Table,
  given: {
    readonly plan: FeaturePlan;
    readonly times: Float64Array;
    readonly learned: SeenValues;
    readonly evaluate: Int32Array;
  },
): Check | null {
  const { learned, evaluate } = given;
  const asked = askedOf(table, given);
  if (asked.length === 0) return null;
  const found = asked.flatMap(({ name, textOf }) => {
    const seen = learned.of(name);
    const counts = new Map<string, number>();
    let rows = 0;
    for (const row of evaluate) {
      const value = textOf(row);
      if (value === null || seen.has(value)) continue;
      counts.set(value, (counts.get(value) ?? 0) + 1);
      rows++;
    }
    return rows === 0 ? [] : [wordsOf(name, counts, rows / evaluate.length)];
  });
  const shown = found.slice(0, FEATURES_NAMED_MAX);
  const more = found.length > shown.length ? `; ${found.length - shown.length} more features` : "";
  return {
    name: "unseen values",
    passed: true,
    observed: found.length === 0 ? "none" : `${shown.join("; ")}${more}: scores of such rows are guesses`,
    required: "to be known: values of the judged days that the training days never had",
  };
}

interface Asked {
  readonly name: string;
  readonly textOf: (row: number) => string | null;
}

function askedOf(table: Table, { plan, times }: { readonly plan: FeaturePlan; readonly times: Float64Array }): Asked[] {
  return plan.spec.features.flatMap((def): Asked[] => {
    if (def.kind === "category") {
      const column = table.columns.get(def.column);
      return column === undefined ? [] : [{ name: def.name, textOf: textsOf(column) }];
    }
    if (def.kind !== "time" || !Object.hasOwn(TIME_VALUES, def.part)) return [];
    return [{ name: def.name, textOf: (row) => TIME_VALUES[def.part](times[row]) }];
  });
}

function textsOf(column: Column): (row: number) => string | null {
  return (row) => textAt(column, row);
}

/** `channel: "moto" (1,200 rows), "phone" (3 rows), 31 % of the rows`. */
function wordsOf(name: string, counts: ReadonlyMap<string, number>, share: number): string {
  const most = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const named = most
    .slice(0, NAMED_MAX)
    .map(([value, rows]) => `"${visible(value)}" (${rows.toLocaleString("en")} ${rows === 1 ? "row" : "rows"})`);
  const more = most.length > NAMED_MAX ? ` and ${(most.length - NAMED_MAX).toLocaleString("en")} more values` : "";
  return `${name}: ${named.join(", ")}${more}, ${Number((100 * share).toPrecision(2))} % of the judged rows`;
}
