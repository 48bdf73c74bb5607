// Simulated traffic for the drift tests: normal, log-normal, counted, sometimes missing and categorical features.
import { Random } from "../../src/core/random.ts";
import { buildReference, type Reference } from "../../src/drift/reference.ts";

export const NAMES = ["normal", "amount", "count", "sparse", "category"];

export interface World {
  readonly columns: Float64Array[];
  readonly scores: Float64Array;
  readonly alerts: number;
}

/** Independent rows; `amountFactor` multiplies the amounts. */
export function world(random: Random, rows: number, amountFactor = 1): World {
  const columns = NAMES.map(() => new Float64Array(rows));
  const scores = new Float64Array(rows);
  let alerts = 0;
  for (let row = 0; row < rows; row++) {
    columns[0][row] = random.normal();
    columns[1][row] = amountFactor * Math.exp(1.3 * random.normal());
    columns[2][row] = random.poisson(0.7);
    columns[3][row] = random.next() < 0.02 ? Number.NaN : random.next();
    columns[4][row] = Math.floor(random.next() ** 3 * 30);
    scores[row] = random.next() ** 6;
    if (scores[row] > 0.9) alerts++;
  }
  return { columns, scores, alerts };
}

export function referenceOf(rows: number, seed = 1): Reference {
  return buildReference({ names: NAMES, categories: ["category"], ...world(new Random(seed), rows) });
}
