// A person in the rows of a log: which columns may name somebody, and what a row becomes.
import type { Eraser } from "../../../core/erasure.ts";
import { loadText, type Row, storeText } from "./rows.ts";

/** Rows that one transaction looks at. */
export const ERASE_PAGE_ROWS = 2000;

/** `text`: as ids are kept; `record`: members that belong together with the other records of the row. */
type ColumnKind = "text" | "json" | "record";

export interface ErasedTable {
  readonly name: string;
  readonly columns: readonly (readonly [name: string, kind: ColumnKind])[];
}

/** Every table of a log but its counters and its coverage, which hold numbers and versions. */
export const ERASED_TABLES: readonly ErasedTable[] = [
  {
    name: "predictions",
    columns: [
      ["transaction_id", "text"],
      ["fields", "record"],
      ["extra", "record"],
      ["rules", "json"],
      ["explored", "json"],
      ["adapted", "json"],
      ["position", "text"],
    ],
  },
  {
    name: "labels",
    columns: [
      ["transaction_id", "text"],
      ["source", "text"],
      ["review", "json"],
    ],
  },
  { name: "shadows", columns: [["transaction_id", "text"]] },
];

/** The row's cells afterwards, in the order of the columns; null: nothing of the person is in it. */
export function erasedCells({ columns }: ErasedTable, cells: Row, eraser: Eraser): readonly (string | null)[] | null {
  const records = columns.map(([, kind], i) =>
    kind === "record" ? (JSON.parse(String(cells[i])) as Readonly<Record<string, unknown>>) : null,
  );
  const owned = records.some((record) => record !== null && eraser.owns(record));
  let changed = false;
  const after = columns.map(([, kind], i): string | null => {
    const cell = cells[i];
    if (cell === null || cell === undefined) return null;
    const before = String(cell);
    const next = kind === "record" ? recordText(records[i]!, owned, eraser) : otherText(before, kind, eraser);
    changed ||= next !== null;
    return next ?? before;
  });
  return changed ? after : null;
}

function recordText(record: Readonly<Record<string, unknown>>, owned: boolean, eraser: Eraser): string | null {
  const after = eraser.record(record, owned);
  return after === null ? null : JSON.stringify(after);
}

function otherText(before: string, kind: ColumnKind, eraser: Eraser): string | null {
  if (kind === "json") return eraser.json(before);
  const after = eraser.text(loadText(before));
  return after === null ? null : storeText(after);
}
