// Columns as a pipeline says they are written: times of several columns, money with signs, labels in words, ids from row numbers.
import { type LabelWords, labelOfWord, wordsText } from "../../core/label-words.ts";
import { type MoneyRule, moneyExample } from "../../core/money.ts";
import { type Column, codedText, type NumberColumn, type TextColumn, textAt } from "../../core/table.ts";
import { composeTime } from "../../core/time.ts";
import type { DatasetDescription } from "../../ports/dataset.ts";
import { type Place, rowNumber, typeWrong } from "./instants.ts";

/** The cells of several columns as one text per row, for the time's format. */
export function composed(columns: readonly Column[], rows: number): TextColumn {
  return codedText(rows, (row) => composeTime(columns.map((column) => textAt(column, row))));
}

/** Amounts by the pipeline's signs; a column of numbers is one as it is. Errors: dataset.type-wrong, with row and value. */
export function moneyColumn(column: Column, rule: MoneyRule, place: Place): Column {
  if (column.kind !== "text") return column;
  return numbersOf(column, rule.read, {
    place,
    what: "is no amount",
    hint: `columns.amount says that an amount is written as ${moneyExample(rule)}: correct the value or the signs`,
  });
}

/** Labels by the pipeline's words. Errors: dataset.type-wrong, with row and value. */
export function labelColumn(column: Column, words: LabelWords, place: Place): Column {
  const hint = `columns.label knows ${wordsText(words)}, letter by letter: add the word there, or correct the row`;
  if (column.kind === "text")
    return numbersOf(column, (text) => labelOfWord(text, words), { place, what: "is no label", hint });
  const values = new Float64Array(column.values.length);
  const meanings = new Map<number, number | null>();
  for (let row = 0; row < values.length; row++) {
    const value = column.values[row];
    let meaning = Number.isNaN(value) ? Number.NaN : meanings.get(value);
    if (meaning === undefined) {
      meaning = labelOfWord(textAt(column, row)!, words);
      meanings.set(value, meaning);
    }
    if (meaning === null)
      throw typeWrong(place, `is no label in data row ${rowNumber(place, row)}: ${textAt(column, row)}`, hint);
    values[row] = meaning;
  }
  return { kind: "number", values };
}

/** An id per row, "file-17" by the file's name and the row's number in it: the same at every reading, and no number that a client would send. */
export function rowIds(
  { files }: Pick<DatasetDescription, "files">,
  { from, count }: { readonly from: number; readonly count: number },
): TextColumn {
  const codes = Int32Array.from({ length: count }, (_, row) => row);
  const dictionary = new Array<string>(count);
  let before = 0;
  for (const file of files) {
    const first = Math.max(from, before);
    const end = Math.min(from + count, before + file.rows);
    for (let row = first; row < end; row++) dictionary[row - from] = `${file.name}-${row - before + 1}`;
    before += file.rows;
  }
  return { kind: "text", codes, dictionary };
}

function numbersOf(
  column: TextColumn,
  read: (text: string) => number | null,
  fault: { readonly place: Place; readonly what: string; readonly hint: string },
): NumberColumn {
  const numbers = column.dictionary.map((text) => (text.trim() === "" ? Number.NaN : read(text)));
  const values = new Float64Array(column.codes.length).fill(Number.NaN);
  for (let row = 0; row < values.length; row++) {
    const code = column.codes[row];
    if (code < 0) continue;
    const number = numbers[code];
    if (number === null) {
      const shown = JSON.stringify(column.dictionary[code].slice(0, 40));
      throw typeWrong(fault.place, `${fault.what} in data row ${rowNumber(fault.place, row)}: ${shown}`, fault.hint);
    }
    values[row] = number;
  }
  return { kind: "number", values };
}
