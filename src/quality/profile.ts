// A suite proposed from data: what held for this table, with slack where the next one will differ, for an analyst to keep with few edits.
import { DAY_MS } from "../core/duration.ts";
import { isoText } from "./cells.ts";
import { type Batches, evaluateBatches } from "./evaluate.ts";
import type { ColumnShape } from "./shape.ts";
import { type ColumnSketch, Sketcher } from "./sketch.ts";
import { type Severity, type Suite, suiteOf } from "./suite.ts";
import type { TallyPool } from "./tally-pool.ts";

/** A suite in Great Expectations' shape, as it is written to a file. */
export interface ProposedSuite {
  readonly suite: {
    readonly name: string;
    readonly meta: Readonly<Record<string, unknown>>;
    readonly expectations: readonly Proposed[];
  };
  /** What was left out on purpose, in words. */
  readonly notes: readonly string[];
}

export interface Proposed {
  readonly type: string;
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly severity?: Severity;
  readonly notes: string;
}

/** What columns are for, where a pipeline says it. */
export interface Roles {
  readonly id: string | null;
  readonly time: string | null;
  readonly amount: string | null;
  readonly label: string | null;
  readonly card: string | null;
}

/** A column with at most so many values is taken for a set; with more, only a pipeline's author knows. */
const SET_VALUES_MAX = 30;
/** Each value of a set occurs at least so often on average: twenty names in thirty rows are no set. */
const SET_ROWS_PER_VALUE = 50;
/** Numbers of a set: codes, flags. More of them are amounts or counts. */
const SET_NUMBERS_MAX = 12;
/** Slack of a range, as a share of its width, and of the middle of the values. */
const RANGE_SLACK = 0.2;
const MEDIAN_SLACK = 0.25;
/** Slack of a share of missing cells: so many standard errors of a table a tenth as long, and half of the share itself. */
const ERRORS_WIDE = 4;
const SHARE_SLACK = 0.5;
/** Fewer rows say little about shares and medians. */
const ROWS_TO_JUDGE = 1000;
/** Rows of the next table: at least this part of this one's. */
const ROWS_PART_MIN = 0.5;
/** Numbers that name something have no range and no middle. */
const KEY_NAME = /(^|_)(id|key|code|number)$/i;
/** A text column has a shape only where all its texts are of one. */
const SHAPES: readonly (readonly [name: string, regex: string])[] = [
  ["digits", "^[0-9]+$"],
  ["hexadecimal digits", "^[0-9a-f]+$"],
  ["a UUID", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"],
  ["letters, digits and _", "^[A-Za-z0-9_]+$"],
  ["letters, digits, _, . and -", "^[A-Za-z0-9_.-]+$"],
];

/** Looks at the table twice: at its columns, and at what a column of ids or an order would have to show. Errors: those of reading. */
export async function proposeSuite(
  batches: Batches,
  given: {
    readonly name: string;
    readonly roles: Roles;
    readonly shapes: readonly ColumnShape[];
    readonly pool: TallyPool;
    readonly origin: string;
  },
): Promise<ProposedSuite> {
  const { name, roles, shapes, pool, origin } = given;
  const sketcher = new Sketcher(shapes);
  const questions = shapes.flatMap((shape) => questionsAbout(shape, roles));
  const suite: Suite = suiteOf({ name, expectations: questions }, { where: "profile" });
  const { result } = await evaluateBatches(batches, suite, { now: null, pool, onlooker: sketcher });
  const holds = questions.filter((_, i) => result.results[i].success);
  const sketches = [...sketcher.sketches().values()];
  const notes: string[] = [];
  const expectations = [
    ...aboutTable(sketches),
    ...sketches.flatMap((sketch) => aboutColumn(sketch, { roles, holds, notes })),
  ];
  const meta = { proposed_by: "sentinel validate --profile", proposed_from: origin };
  return { suite: { name, meta, expectations }, notes };
}

/** What only all rows together tell. */
function questionsAbout({ name, kind }: ColumnShape, roles: Roles): readonly Omit<Proposed, "notes">[] {
  const questions: Omit<Proposed, "notes">[] = [
    { type: "expect_column_values_to_be_unique", kwargs: { column: name } },
  ];
  if (kind === "text") {
    for (const [, regex] of SHAPES)
      questions.push({ type: "expect_column_values_to_match_regex", kwargs: { column: name, regex } });
  } else if (name === roles.time) {
    questions.push({ type: "expect_column_values_to_be_increasing", kwargs: { column: name } });
  }
  return questions;
}

function aboutTable(sketches: readonly ColumnSketch[]): readonly Proposed[] {
  const rows = sketches[0]?.rows ?? 0;
  return [
    {
      type: "expect_table_columns_to_match_set",
      kwargs: { column_set: sketches.map(({ name }) => name), exact_match: false },
      notes: "Every column of this table is there. A new one is no fault; drop those you can do without.",
    },
    {
      type: "expect_table_row_count_to_be_between",
      kwargs: { min_value: Math.max(1, rounded(rows * ROWS_PART_MIN, "down")) },
      notes: `This table has ${rows} rows. Raise or lower the minimum to what a batch of yours must have.`,
    },
  ];
}

interface Known {
  readonly roles: Roles;
  /** The questions that were answered with yes. */
  readonly holds: readonly Omit<Proposed, "notes">[];
  readonly notes: string[];
}

function aboutColumn(sketch: ColumnSketch, known: Known): readonly Proposed[] {
  const { name, rows, missing } = sketch;
  if (rows === missing) {
    known.notes.push(`${name}: no value at all, so nothing is proposed`);
    return [];
  }
  return [
    ...aboutMissing(sketch),
    ...aboutUniqueness(sketch, known),
    ...(name === known.roles.time || sketch.kind === "time" ? aboutTime(sketch, known) : aboutValues(sketch, known)),
  ];
}

function aboutMissing({ name, rows, missing }: ColumnSketch): readonly Proposed[] {
  const type = "expect_column_values_to_not_be_null";
  if (missing === 0) return [{ type, kwargs: { column: name }, notes: `None of ${rows} cells was missing.` }];
  const share = missing / rows;
  const error = Math.sqrt((share * (1 - share)) / Math.max(1, rows / 10));
  const mostly = floorTo(1 - share - Math.max(ERRORS_WIDE * error, SHARE_SLACK * share), 3);
  if (mostly <= 0) return [];
  return [
    {
      type,
      kwargs: { column: name, mostly },
      severity: "warning",
      notes: `${percent(share)} of the cells were missing; the limit leaves room for ${percent(1 - mostly)}.`,
    },
  ];
}

function aboutUniqueness({ name, rows, missing }: ColumnSketch, { roles, holds, notes }: Known): readonly Proposed[] {
  const type = "expect_column_values_to_be_unique";
  const unique = holds.some((one) => one.type === type && one.kwargs.column === name);
  if (name === roles.id) {
    const fact = unique
      ? "No id occurred twice."
      : "Ids occurred twice in this table: it fails its own suite until that is settled.";
    return [{ type, kwargs: { column: name }, notes: fact }];
  }
  if (unique && rows - missing >= ROWS_TO_JUDGE && name !== roles.time) {
    notes.push(`${name}: all values differ, which may be chance; add ${type} if it is a key`);
  }
  return [];
}

function aboutTime({ name, min, max, rows }: ColumnSketch, { roles, holds }: Known): readonly Proposed[] {
  const day = (ms: number): string => isoText(ms, "T").slice(0, 10);
  const proposed: Proposed[] = [];
  const type = "expect_column_values_to_be_increasing";
  const inOrder = holds.some((one) => one.type === type && one.kwargs.column === name);
  if (name === roles.time && inOrder && rows > 1) {
    proposed.push({
      type,
      kwargs: { column: name },
      severity: "warning",
      notes: "Rows stood in the order of time, equal times included.",
    });
  }
  proposed.push({
    type: "expect_column_values_to_be_between",
    kwargs: { column: name, min_value: `${day(min - 366 * DAY_MS)}T00:00:00` },
    notes: `Times went from ${day(min)} to ${day(max)}. The limit keeps out clocks that restarted at 1970; the future is the freshness check's matter.`,
  });
  return proposed;
}

function aboutValues(sketch: ColumnSketch, known: Known): readonly Proposed[] {
  const set = setOf(sketch, known.roles);
  if (set !== null) return aboutSet(sketch, set, known);
  return sketch.kind === "text" ? aboutTexts(sketch, known) : aboutNumbers(sketch, known);
}

/** The values of a column that is a set, most frequent first; null for one that is none: ids, cards, and what takes too many values. */
function setOf(
  { name, kind, values, rows, missing, whole }: ColumnSketch,
  roles: Roles,
): readonly (string | number)[] | null {
  if (values === null || name === roles.id || name === roles.card || name === roles.amount) return null;
  const most = kind === "text" ? SET_VALUES_MAX : SET_NUMBERS_MAX;
  if (values.size > most || (kind !== "text" && !whole)) return null;
  if (name !== roles.label && rows - missing < SET_ROWS_PER_VALUE * values.size) return null;
  return [...values].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([value]) => value);
}

function aboutSet(sketch: ColumnSketch, set: readonly (string | number)[], { roles }: Known): readonly Proposed[] {
  const { name, values, rows, missing } = sketch;
  const top = set[0];
  const share = values!.get(top)! / (rows - missing);
  const isLabel = name === roles.label;
  return [
    {
      type: "expect_column_values_to_be_in_set",
      kwargs: { column: name, value_set: isLabel ? [0, 1] : set },
      notes: isLabel
        ? "A label is 0 or 1, or missing."
        : `These ${set.length} values occurred; ${JSON.stringify(top)} most often (${percent(share)}). Add those that may come.`,
    },
  ];
}

function aboutNumbers(sketch: ColumnSketch, known: Known): readonly Proposed[] {
  const { name, min, max, whole, rows, missing, histogram } = sketch;
  const isKey = name === known.roles.id || name === known.roles.card || KEY_NAME.test(name);
  if (isKey || histogram === null || !(max > min) || !Number.isFinite(max - min)) return [];
  const slack = RANGE_SLACK * (max - min);
  // What never went below zero is most often not allowed to.
  const low = min >= 0 ? Math.max(0, rounded(min - slack, "down")) : rounded(min - slack, "down");
  const high = max <= 0 ? Math.min(0, rounded(max + slack, "up")) : rounded(max + slack, "up");
  const proposed: Proposed[] = [
    {
      type: "expect_column_values_to_be_between",
      kwargs: { column: name, min_value: low, max_value: high },
      notes: `Values went from ${shortNumber(min)} to ${shortNumber(max)}${whole ? ", all whole" : ""}.`,
    },
  ];
  if (rows - missing < ROWS_TO_JUDGE) return proposed;
  const median = histogram.quantile(0.5);
  const spread = histogram.quantile(0.75) - histogram.quantile(0.25);
  const room = Math.max(MEDIAN_SLACK * Math.abs(median), MEDIAN_SLACK * spread);
  if (!(room > 0)) return proposed;
  proposed.push({
    type: "expect_column_median_to_be_between",
    kwargs: { column: name, min_value: rounded(median - room, "down"), max_value: rounded(median + room, "up") },
    severity: "warning",
    notes: `The median was ${shortNumber(median)}: a shift beyond these limits is another kind of data.`,
  });
  return proposed;
}

function aboutTexts({ name, lengths, rows, missing }: ColumnSketch, { holds }: Known): readonly Proposed[] {
  const type = "expect_column_values_to_match_regex";
  const shape = SHAPES.find(([, regex]) =>
    holds.some((one) => one.type === type && one.kwargs.column === name && one.kwargs.regex === regex),
  );
  const [shortest, longest] = lengths;
  const proposed: Proposed[] = [];
  if (shape !== undefined && rows - missing >= ROWS_TO_JUDGE) {
    proposed.push({
      type,
      kwargs: { column: name, regex: shape[1] },
      severity: "warning",
      notes: `All ${rows - missing} texts were ${shape[0]}.`,
    });
  }
  if (shortest === longest) {
    proposed.push({
      type: "expect_column_value_lengths_to_equal",
      kwargs: { column: name, value: longest },
      severity: "warning",
      notes: `All texts were ${longest} characters long.`,
    });
  } else {
    proposed.push({
      type: "expect_column_value_lengths_to_be_between",
      kwargs: { column: name, min_value: shortest > 0 ? 1 : 0, max_value: Math.ceil(longest * (1 + SHARE_SLACK)) },
      severity: "warning",
      notes: `Texts were ${shortest} to ${longest} characters long.`,
    });
  }
  return proposed;
}

/** To two digits, away from the values that were seen. */
function rounded(value: number, towards: "down" | "up"): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const step = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 1);
  const steps = towards === "down" ? Math.floor(value / step) : Math.ceil(value / step);
  return Number((steps * step).toPrecision(12));
}

function floorTo(value: number, digits: number): number {
  return Math.floor(value * 10 ** digits) / 10 ** digits;
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}
