// CSV for spreadsheets: RFC 4180, and no cell that a spreadsheet would take for a formula.

export type Cell = string | number | boolean | null;

const QUOTED = /[",\r\n]/;
/** What Excel, LibreOffice and Google Sheets begin a formula with, and the blanks that they skip before it (OWASP, "CSV Injection"). */
const FORMULA = /^[\s]*[=+\-@\t\r]/;

/** One line with its end. A number stays a number, also below zero; a text that begins like a formula gets an apostrophe. */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(",")}\r\n`;
}

function csvCell(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const safe = FORMULA.test(cell) ? `'${cell}` : cell;
  return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
