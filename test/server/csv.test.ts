// CSV for spreadsheets: quotes as RFC 4180 has them, and no formula.
import { expect, test } from "vitest";
import { csvLine } from "../../src/server/api/csv.ts";

test("quotes, commas and line ends are kept within a cell", () => {
  expect(csvLine(["a", 'b"c', "d,e", "f\ng", null, true, 1.5])).toBe('a,"b""c","d,e","f\ng",,true,1.5\r\n');
});

test("a text that a spreadsheet takes for a formula begins with an apostrophe, a number below zero stays one", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"]) expect(csvLine([text])).toMatch(/^"?'/);
  expect(csvLine([-5, "a=b", "x-1"])).toBe("-5,a=b,x-1\r\n");
});
