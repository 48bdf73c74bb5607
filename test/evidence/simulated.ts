// Simulated scores of two models on the same rows, for checks of the statistics.
import { Random } from "../../src/core/random.ts";

export interface Simulated {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly y: Uint8Array;
  readonly card: Int32Array;
}

/**
 * Normal scores with correlation `rho` between the models; frauds lie higher by `gapA` and `gapB`. With `perCard` rows a
 * card, `cardEffect` is the share of each model's variance that all rows of a card have in common, frauds included.
 */
export function simulated(
  seed: number,
  shape: {
    readonly rows: number;
    readonly prevalence: number;
    readonly rho: number;
    readonly gapA: number;
    readonly gapB: number;
    readonly perCard?: number;
    readonly cardEffect?: number;
  },
): Simulated {
  const { rows, perCard = 1, cardEffect = 0 } = shape;
  const random = new Random(seed);
  const a = new Float64Array(rows);
  const b = new Float64Array(rows);
  const y = new Uint8Array(rows);
  const card = new Int32Array(rows);
  let fraudCard = false;
  let shiftA = 0;
  let shiftB = 0;
  for (let row = 0; row < rows; row++) {
    if (row % perCard === 0) {
      fraudCard = random.next() < shape.prevalence;
      shiftA = random.normal();
      shiftB = random.normal();
    }
    const shared = random.normal() * Math.sqrt(shape.rho);
    const own = Math.sqrt(1 - shape.rho);
    const within = Math.sqrt(1 - cardEffect);
    const between = Math.sqrt(cardEffect);
    y[row] = fraudCard ? 1 : 0;
    a[row] = within * (shared + own * random.normal()) + between * shiftA + (fraudCard ? shape.gapA : 0);
    b[row] = within * (shared + own * random.normal()) + between * shiftB + (fraudCard ? shape.gapB : 0);
    card[row] = Math.floor(row / perCard);
  }
  return { a, b, y, card };
}
