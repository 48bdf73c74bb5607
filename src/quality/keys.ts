// Cells as keys that can be compared across batches: a number is itself, a text is 106 bits of its hash.
import type { Column } from "../core/table.ts";
import { mix } from "./key-tally.ts";

/** The keys of a batch's cells; a missing cell has no key. */
export interface CellKeys {
  /** NaN where the cell is missing. */
  readonly first: Float64Array;
  readonly second: Float64Array;
}

export function cellKeys(column: Column): CellKeys {
  if (column.kind !== "text") return { first: column.values, second: zeros(column.values.length) };
  const { codes, dictionary } = column;
  const known = new Uint8Array(dictionary.length);
  const ofCode = new Float64Array(2 * dictionary.length);
  const first = new Float64Array(codes.length).fill(Number.NaN);
  const second = new Float64Array(codes.length);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row];
    if (code < 0) continue;
    if (known[code] === 0) {
      known[code] = 1;
      hashText(dictionary[code], ofCode, 2 * code);
    }
    first[row] = ofCode[2 * code];
    second[row] = ofCode[2 * code + 1];
  }
  return { first, second };
}

let ZEROS = new Float64Array();

/** The second halves of numbers, which nobody changes. */
function zeros(count: number): Float64Array {
  if (ZEROS.length < count) ZEROS = new Float64Array(count);
  return ZEROS.subarray(0, count);
}

/** Keys of tuples; missing equals missing, as in pandas. A row that is ignored has no key. */
export function tupleKeys(columns: readonly Column[], ignored: Uint8Array): CellKeys {
  const count = ignored.length;
  const state = [0x9e3779b9, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f].map((seed) => new Uint32Array(count).fill(seed));
  const [a, b, c, d] = state;
  const cell = new Float64Array(2);
  const bits = new Uint32Array(cell.buffer);
  for (const column of columns) {
    const { first, second } = cellKeys(column);
    for (let row = 0; row < count; row++) {
      cell[0] = first[row] + 0;
      cell[1] = second[row];
      // One bit pattern for all missing cells.
      if (Number.isNaN(cell[0])) cell[0] = Number.NaN;
      a[row] = mix(a[row] ^ bits[0], bits[1]);
      b[row] = mix(b[row] ^ bits[1], bits[0]);
      c[row] = mix(c[row] ^ bits[2], bits[3] ^ a[row]);
      d[row] = mix(d[row] ^ bits[3], bits[2] ^ b[row]);
    }
  }
  const first = new Float64Array(count);
  const second = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    first[row] = ignored[row] === 1 ? Number.NaN : whole53(a[row], b[row]);
    second[row] = whole53(c[row], d[row]);
  }
  return { first, second };
}

function hashText(text: string, into: Float64Array, at: number): void {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  let c = 0xc2b2ae35;
  let d = 0x27d4eb2f;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x5bd1e995);
    c = Math.imul(c + unit, 0x2c1b3c6d) ^ (c >>> 15);
    d = Math.imul(d + unit, 0x297a2d39) ^ (d >>> 13);
  }
  a = mix(a, text.length);
  b = mix(b, a);
  c = mix(c, a);
  d = mix(d, b);
  into[at] = whole53(a, b);
  into[at + 1] = whole53(c, d);
}

/** 53 bits as a whole number. */
function whole53(low: number, high: number): number {
  return (low >>> 0) * 2097152 + (high >>> 11);
}
