// A list of rows to pick from: j and k move, Enter opens; the row that is chosen is the one that the browser shows and a screen reader reads.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "../keys.ts";

export interface Column<T> {
  readonly name: string;
  readonly show: (row: T) => ComponentChildren;
  /** Numbers stand right; `fit` takes no more room than it needs; `clip` takes what is left and is cut; `rest` is left out on a telephone, `wall` on all but wide screens; `name` may break on a telephone. */
  readonly kind?: string;
}

export function List<T>({
  label,
  rows,
  columns,
  keyOf,
  opened,
  onOpen,
}: {
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  /** The key of the row that is open beside the list. */
  readonly opened?: string;
  readonly onOpen: (row: T) => void;
}) {
  const [at, setAt] = useState(-1);
  const body = useRef<HTMLTableSectionElement>(null);
  const openAt = opened === undefined ? -1 : rows.findIndex((row) => keyOf(row) === opened);
  useEffect(() => {
    if (openAt >= 0) setAt(openAt);
  }, [openAt]);
  const move = (by: number): void => {
    if (rows.length === 0) return;
    const next = Math.max(0, Math.min(rows.length - 1, at + by));
    setAt(next);
    const row = body.current?.rows[next];
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
    if (openAt >= 0) onOpen(rows[next]);
  };
  useKeys([
    { key: "j", what: "Next row", run: () => move(1) },
    { key: "k", what: "Row before", run: () => move(-1) },
    { key: "Enter", what: "Open the row", run: () => at >= 0 && at < rows.length && onOpen(rows[at]) },
  ]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a table that is wider than its room scrolls by the keyboard
    // biome-ignore lint/a11y/useSemanticElements: a section would be a landmark for each table
    <div class="table-wrap" tabIndex={0} role="region" aria-label={label}>
      <table class="rows pick">
        <Head columns={columns} />
        <tbody ref={body}>
          {rows.map((row, place) => {
            const key = keyOf(row);
            return (
              <tr
                key={key}
                tabIndex={place === Math.max(0, at) ? 0 : -1}
                class={key === opened ? "chosen" : undefined}
                onFocus={() => setAt(place)}
                onClick={() => {
                  setAt(place);
                  onOpen(row);
                }}
              >
                {cellsOf(row, columns)}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** A table that is only looked at. */
export function Rows<T>({
  label,
  rows,
  columns,
  keyOf,
}: {
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a table that is wider than its room scrolls by the keyboard
    // biome-ignore lint/a11y/useSemanticElements: a section would be a landmark for each table
    <div class="table-wrap" tabIndex={0} role="region" aria-label={label}>
      <table class="rows">
        <Head columns={columns} />
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>{cellsOf(row, columns)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Head<T>({ columns }: { readonly columns: readonly Column<T>[] }) {
  return (
    <thead>
      <tr>
        {columns.map(({ name, kind }) => (
          <th key={name} scope="col" class={kind}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function cellsOf<T>(row: T, columns: readonly Column<T>[]) {
  return columns.map(({ name, show, kind }) => (
    <td key={name} class={kind}>
      {show(row)}
    </td>
  ));
}
