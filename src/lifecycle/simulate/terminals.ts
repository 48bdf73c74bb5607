// Terminals on the map, in a grid, so that one near a customer is found without looking at all of them.
import type { Random } from "../../core/random.ts";

export const MAP_SIDE = 100;
/** How far a customer goes; also the side of a grid cell, so that all terminals in reach lie in nine cells. */
const RADIUS = 5;
const CELLS = MAP_SIDE / RADIUS;
/** Draws before the candidates are listed instead; about every third candidate is in reach. */
const DRAWS_MAX = 64;

/** Terminals sorted by cell, row by row, so that three neighbouring cells of a row are one range. */
export interface TerminalMap {
  readonly ids: Int32Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** First terminal of each cell, and one past the last. */
  readonly starts: Int32Array;
}

export function placeTerminals(random: Random, count: number): TerminalMap {
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    x[i] = MAP_SIDE * random.next();
    y[i] = MAP_SIDE * random.next();
  }
  const starts = new Int32Array(CELLS * CELLS + 1);
  for (let i = 0; i < count; i++) starts[cellOf(x[i], y[i]) + 1]++;
  for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
  const next = starts.slice();
  const map = { ids: new Int32Array(count), x: new Float64Array(count), y: new Float64Array(count), starts };
  for (let i = 0; i < count; i++) {
    const at = next[cellOf(x[i], y[i])]++;
    map.ids[at] = i;
    map.x[at] = x[i];
    map.y[at] = y[i];
  }
  return map;
}

export function anyInReach(map: TerminalMap, x: number, y: number): boolean {
  return positionsInReach(map, { x, y, most: 1 }).length > 0;
}

/**
 * A terminal within the radius of a point, each equally likely: one of the nine cells' is drawn until it is in reach.
 * The point must have a terminal in reach ({@link anyInReach}).
 */
export function drawInReach(map: TerminalMap, random: Random, x: number, y: number): number {
  const row = clampCell(y);
  const from = Math.max(clampCell(x) - 1, 0);
  const to = Math.min(clampCell(x) + 1, CELLS - 1) + 1;
  const a = row > 0 ? map.starts[(row - 1) * CELLS + from] : 0;
  const aCount = row > 0 ? map.starts[(row - 1) * CELLS + to] - a : 0;
  const b = map.starts[row * CELLS + from];
  const bCount = map.starts[row * CELLS + to] - b;
  const c = row < CELLS - 1 ? map.starts[(row + 1) * CELLS + from] : 0;
  const cCount = row < CELLS - 1 ? map.starts[(row + 1) * CELLS + to] - c : 0;
  const total = aCount + bCount + cCount;
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const k = random.integer(total);
    const at = k < aCount ? a + k : k < aCount + bCount ? b + k - aCount : c + k - aCount - bCount;
    if (inReach(map, at, x, y)) return map.ids[at];
  }
  const positions = positionsInReach(map, { x, y, most: total });
  return map.ids[positions[random.integer(positions.length)]];
}

function positionsInReach(
  map: TerminalMap,
  { x, y, most }: { readonly x: number; readonly y: number; readonly most: number },
): number[] {
  const found: number[] = [];
  for (let row = Math.max(clampCell(y) - 1, 0); row <= Math.min(clampCell(y) + 1, CELLS - 1); row++) {
    const from = map.starts[row * CELLS + Math.max(clampCell(x) - 1, 0)];
    const to = map.starts[row * CELLS + Math.min(clampCell(x) + 1, CELLS - 1) + 1];
    for (let at = from; at < to && found.length < most; at++) if (inReach(map, at, x, y)) found.push(at);
  }
  return found;
}

function inReach(map: TerminalMap, at: number, x: number, y: number): boolean {
  return (map.x[at] - x) ** 2 + (map.y[at] - y) ** 2 < RADIUS * RADIUS;
}

function cellOf(x: number, y: number): number {
  return clampCell(y) * CELLS + clampCell(x);
}

function clampCell(along: number): number {
  return Math.min(Math.floor(along / RADIUS), CELLS - 1);
}
