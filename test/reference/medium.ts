// The medium problem of scripts/reference/gbdt.py, made again here number for number (mulberry32).
import type { Matrix } from "../../src/ml/matrix.ts";

const COLUMNS = 8;

export function mediumData(rows: number, seed: number): { readonly x: Matrix; readonly y: Uint8Array } {
  const next = mulberry32(seed);
  const values = new Float32Array(rows * COLUMNS);
  const y = new Uint8Array(rows);
  for (let r = 0; r < rows; r++) {
    const u = Array.from({ length: COLUMNS }, next);
    let margin = -4.2 + 3 * u[0] * u[1] + 2.5 * (u[2] > 0.9 ? 1 : 0) - 2 * (u[3] - 0.5) + 4 * (u[4] - 0.5) ** 2;
    for (let c = 0; c < COLUMNS; c++) values[c * rows + r] = u[c];
    values[5 * rows + r] = u[5] * 10 - ((u[5] * 10) % 1);
    if (u[6] < 0.1) {
      values[3 * rows + r] = Number.NaN;
      margin += 0.7;
    }
    y[r] = next() < 1 / (1 + Math.exp(-margin)) ? 1 : 0;
  }
  return { x: { rows, names: Array.from({ length: COLUMNS }, (_, c) => `c${c}`), values }, y };
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
