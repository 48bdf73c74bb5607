// Plausible: what a training table lacks or says that no server would have seen: columns that are not there, and rows of the future.
import { DAY_MS, formatDuration, HOUR_MS } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { type Table, textAt } from "../../core/table.ts";
import { featuresReading, inputsOf } from "../../features/inputs.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { rowsOf, type Source, timesOf } from "./source.ts";

/** Columns that one line names; the rest are counted. */
const NAMES_SHOWN = 8;

/** Clocks of the machines that write tables may differ by so much; a time zone taken for UTC differs by more. */
const SKEW_MAX_MS = HOUR_MS;

/** Up to this share, rows later than now are mistakes; a table with more of them has dates that are made up, as a simulation's are. */
const STRAY_SHARE_MAX = 0.1;

/** One line on the columns that features read and the table has not: they are missing in every row. Null when it has all. */
export function lackingText({ path, table }: Pick<Source, "path" | "table">, plan: FeaturePlan): string | null {
  const lacking = inputsOf(plan).all.filter((name) => !table.columns.has(name));
  if (lacking.length === 0) return null;
  const shown = lacking.slice(0, NAMES_SHOWN).map((name) => {
    const [first, ...more] = featuresReading(plan, name);
    if (first === undefined || (first === name && more.length === 0)) return name;
    return `${name} (${first}${more.length > 0 ? ` and ${more.length} more` : ""})`;
  });
  const rest = lacking.length - shown.length;
  const list = `${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
  return `  ? ${path} lacks columns that features read, which are missing in every row: ${list}`;
}

/**
 * Refuses a table in which a few rows are later than now: they move the state's clock of event time, and a server that starts with that
 * state takes every payment until then for late. Where many are, the dates are made up, and one line says so; null when none is.
 * Errors: dataset.type-wrong, naming the latest row.
 */
export function aheadText(
  source: Pick<Source, "path" | "table" | "part">,
  given: {
    readonly pipeline: Pipeline;
    readonly now: number;
    /** Of a table that is not at hand as a whole: times of all its rows that are later than {@link laterThan}, counted where they are. */
    readonly count?: number;
  },
): string | null {
  const { pipeline, now } = given;
  const { path, table, part } = source;
  const times = timesOf(table, pipeline);
  const rows = rowsOf(source);
  let found = 0;
  let latest = 0;
  for (let row = 0; row < times.length; row++) {
    if (times[row] <= laterThan(now)) continue;
    if (found === 0 || times[row] > times[latest]) latest = row;
    found++;
  }
  const count = given.count ?? found;
  if (count === 0) return null;
  const unit = times[latest] - now > 2 * DAY_MS ? DAY_MS : HOUR_MS;
  const by = formatDuration(Math.ceil((times[latest] - now) / unit) * unit);
  const what = `${count.toLocaleString("en")} of ${rows.toLocaleString("en")} transactions are later than now`;
  if (count > STRAY_SHARE_MAX * rows)
    return `  ? ${what}, by up to ${by}: a server that starts from them takes every payment until then for late`;
  throw new SentinelError(
    "dataset.type-wrong",
    `${path}: ${what}: ${rowText(table, { row: latest, number: part?.rows[latest] ?? latest }, pipeline)}, ${by} ahead`,
    {
      hint: "correct the times or remove the rows; times without an offset are read as UTC: declare another zone as columns: time: {column: …, format: …, zone: Europe/Paris}",
    },
  );
}

/** Times up to this are not later than now: clocks differ. */
export function laterThan(now: number): number {
  return now + SKEW_MAX_MS;
}

function rowText(
  table: Table,
  { row, number }: { readonly row: number; readonly number: number },
  pipeline: Pipeline,
): string {
  const id = textAt(table.columns.get(pipeline.columns.id)!, row) ?? "";
  const time = timesOf(table, pipeline)[row];
  return `column ${pipeline.columns.time} in data row ${number + 1} (${id.slice(0, 40)}) is ${new Date(time).toISOString()}`;
}
