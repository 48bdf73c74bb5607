// Expectations about repeated values: in one column, or over several taken together.
import type { Column } from "../../core/table.ts";
import { cellAt } from "../cells.ts";
import { missingCells } from "../columns.ts";
import type { ExpectationDefinition, Outcome, Running, ShownValue } from "../definition.ts";
import { type CellKeys, cellKeys, tupleKeys } from "../keys.ts";
import type { Rows } from "../rows.ts";
import type { FaultSample } from "../sample.ts";
import { countMissing, summaryOutcome } from "../summary.ts";
import type { TallyPool } from "../tally-pool.ts";
import { IGNORE_RECORD_IF, ignoredRecords } from "./ignored.ts";
import { OrderedTuples } from "./runs.ts";
import { startDistinct } from "./tallied.ts";

/** Every copy of a repeated value is at fault, the first included. */
export const UNIQUENESS: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_be_unique",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const mostly = kwargs.mostly();
      return (shape, context) => {
        shape.column(name);
        return repeats(context.pool, {
          mostly,
          missingOf: (rows) => missingCells(rows.column(name)),
          keysOf: (rows) => cellKeys(rows.column(name)),
          valueAt: (rows, row) => cellAt(rows.column(name), row),
        });
      };
    },
  },
  {
    type: "expect_compound_columns_to_be_unique",
    prepare(kwargs) {
      const names = kwargs.texts("column_list");
      if (names.length < 2) kwargs.wrong("column_list", "a list of two columns or more");
      const ignore = kwargs.choice("ignore_row_if", IGNORE_RECORD_IF);
      const mostly = kwargs.mostly();
      return (shape, context) => {
        for (const name of names) shape.column(name);
        const columnsOf = (rows: Rows): readonly Column[] => names.map((name) => rows.column(name));
        return repeats(context.pool, {
          mostly,
          ordered: new OrderedTuples(names, ignore),
          missingOf: (rows) => ignoredRecords(rows.count, columnsOf(rows), ignore),
          keysOf: (rows, ignored) => tupleKeys(columnsOf(rows), ignored),
          valueAt: (rows, row) => Object.fromEntries(names.map((name) => [name, cellAt(rows.column(name), row)])),
        });
      };
    },
  },
];

interface What {
  readonly mostly: number;
  /** Where equal rows stand close together; absent where that is of no use. */
  readonly ordered?: OrderedTuples;
  /** 1 where a row does not count. */
  missingOf(rows: Rows): Uint8Array;
  keysOf(rows: Rows, missing: Uint8Array): CellKeys;
  valueAt(rows: Rows, row: number): ShownValue;
}

function repeats(pool: TallyPool, what: What): Running {
  const { ordered, mostly } = what;
  let count = 0;
  let missing = 0;
  let batches = 0;
  let inOrder = ordered !== undefined;
  const end = (repeated: FaultSample): Outcome | Running => {
    if (repeated.count === 0) return summaryOutcome({ count, missing, mostly, values: [], sample: repeated });
    // Which rows they are is known at the end; what stands in the first ones is read then.
    return readValues(repeated, what.valueAt, (values) =>
      summaryOutcome({ count, missing, mostly, values, sample: repeated }),
    );
  };
  const tallied = (): Running =>
    startDistinct(pool, {
      rows: true,
      keysOf: (rows) => what.keysOf(rows, what.missingOf(rows)),
      end: ({ repeated }) => end(repeated),
    });
  let tally = inOrder ? null : tallied();
  return {
    push(rows) {
      count += rows.count;
      missing += countMissing(what.missingOf(rows));
      batches++;
      if (inOrder) inOrder = ordered!.push(rows);
      if (inOrder) return;
      // Of a table without an order its first batch tells; of one whose order ends later the first rows have to come once more.
      if (batches === 1) tally ??= tallied();
      tally?.push(rows);
    },
    finish() {
      if (inOrder) return end(ordered!.repeated);
      return tally === null ? tallied() : tally.finish();
    },
  };
}

/** Reads the values of the first rows at fault in a pass of its own. */
function readValues(
  sample: FaultSample,
  valueAt: What["valueAt"],
  end: (values: readonly ShownValue[]) => ReturnType<Running["finish"]>,
): Running {
  const { first } = sample.rows();
  const values: ShownValue[] = [];
  return {
    push(rows) {
      for (let row = 0; row < rows.count && values.length < first.length; row++) {
        if (rows.sourceRow(row) === first[values.length]) values.push(valueAt(rows, row));
      }
    },
    isDone: () => values.length === first.length,
    finish: () => end(values),
  };
}
