// Tables as CSV and NDJSON text, streamed to a file in pieces.
import { open } from "node:fs/promises";
import type { Column, Table } from "../../../core/table.ts";

/** A cell as text; what missing, times and odd numbers look like is the format's matter. */
type CellText = (row: number) => string;

const PIECE_CHARS = 1 << 20;

/**
 * CSV (RFC 4180 with \n): missing is empty, an empty text is `""`. NDJSON: missing is left out, infinities are the texts
 * "Infinity" and "-Infinity", which JSON has no numbers for. Times are ISO 8601 in UTC.
 */
export async function writeText(
  tables: AsyncIterable<Table>,
  { format, done }: { readonly format: "csv" | "ndjson"; readonly done: string },
): Promise<number> {
  const handle = await open(done, "wx");
  try {
    let rows = 0;
    let piece = "";
    let first = true;
    for await (const table of tables) {
      if (first && format === "csv") piece += `${[...table.columns.keys()].map(csvField).join(",")}\n`;
      first = false;
      const rowText = format === "csv" ? csvRow(table) : ndjsonRow(table);
      for (let row = 0; row < table.rows; row++) {
        piece += rowText(row);
        if (piece.length < PIECE_CHARS) continue;
        await handle.appendFile(piece);
        piece = "";
      }
      rows += table.rows;
    }
    await handle.appendFile(piece);
    return rows;
  } finally {
    await handle.close();
  }
}

function csvRow(table: Table): CellText {
  const cells = [...table.columns.values()].map((column) => csvCell(column));
  return (row) => {
    let text = cells[0]?.(row) ?? "";
    for (let i = 1; i < cells.length; i++) text += `,${cells[i](row)}`;
    return `${text}\n`;
  };
}

function csvCell(column: Column): CellText {
  if (column.kind === "text") {
    const fields = column.dictionary.map(csvField);
    return (row) => (column.codes[row] < 0 ? "" : fields[column.codes[row]]);
  }
  const { values } = column;
  if (column.kind === "time") return (row) => timeText(values[row]);
  return (row) => (Number.isNaN(values[row]) ? "" : numberText(values[row]));
}

function csvField(text: string): string {
  return text === "" || /[",\r\n;\t|]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function ndjsonRow(table: Table): CellText {
  const members = [...table.columns].map(([name, column]) => ({ key: JSON.stringify(name), cell: jsonCell(column) }));
  return (row) => {
    let text = "";
    for (const { key, cell } of members) {
      const value = cell(row);
      if (value !== "") text += `${text === "" ? "" : ","}${key}:${value}`;
    }
    return `{${text}}\n`;
  };
}

function jsonCell(column: Column): CellText {
  if (column.kind === "text") {
    const texts = column.dictionary.map((text) => JSON.stringify(text));
    return (row) => (column.codes[row] < 0 ? "" : texts[column.codes[row]]);
  }
  const { values } = column;
  if (column.kind === "time") {
    return (row) => {
      const text = timeText(values[row]);
      return text === "" ? "" : `"${text}"`;
    };
  }
  return (row) => {
    const value = values[row];
    if (Number.isFinite(value)) return numberText(value);
    return Number.isNaN(value) ? "" : `"${value}"`;
  };
}

/** "" for a missing time and for one that no calendar has. */
function timeText(value: number): string {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** Shortest text that gives the same double. Great ones get an exponent, so that they do not look like long ids. */
function numberText(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  return Math.abs(value) < 2 ** 53 || !Number.isFinite(value) ? String(value) : value.toExponential();
}
