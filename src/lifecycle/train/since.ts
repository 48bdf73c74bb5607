// Learning a new world: folds of its own days say whether older days still help, how many trees are right, and what the scores mean.
import { DAY_MS } from "../../core/duration.ts";
import { averagePrecision } from "../../metrics/metrics.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { takeMatrixRows } from "../../ml/matrix.ts";
import type { Basis } from "./basis.ts";
import { boost } from "./boost.ts";
import { type FitInput, type Fitted, inputsOf, labelsAt } from "./fit.ts";

/** Frauds that each fold of the new days must hold, and those it is judged by must have learned from. */
const FRAUDS_MIN = { judged: 10, learned: 20 } as const;
/** Folds that are tried, the most first: each costs two trainings. */
const FOLDS = [3, 2] as const;

/** What the new days say of the two ways to learn them. */
export interface Lately {
  /** From when on the model that serves should learn: the begin of the new world, or −∞ where older days help too. */
  readonly from: number;
  readonly rounds: number;
  /** Rows of the new world, and what models that had not learned them said: log-odds. */
  readonly rows: Int32Array;
  readonly margins: Float64Array;
  /** Average precision of both ways on them. */
  readonly averagePrecision: { readonly all: number; readonly since: number };
  readonly folds: number;
}

/**
 * After a shift of the frauds the older days contradict the newer ones: what was a sign of fraud is one no longer. Whether it is so, and not that only
 * amounts have moved, say models that learned all but a stretch of the new days, with and without the older ones, of that stretch. A stretch ends with
 * a day, since the frauds of a night belong together. Null where the new days hold too few frauds for that.
 */
export async function learnLately(
  { x }: Basis,
  given: {
    readonly judged: Fitted;
    readonly labels: Uint8Array;
    readonly times: Float64Array;
    /** All that may be learned, older rows too. */
    readonly rows: Int32Array;
    readonly since: number;
  } & Pick<FitInput, "kinds" | "pipeline" | "seed" | "threads" | "report">,
): Promise<Lately | null> {
  const { judged, labels, times, since, pipeline } = given;
  const older = given.rows.filter((row) => times[row] < since);
  const newer = given.rows.filter((row) => times[row] >= since);
  const folds = FOLDS.map((count) => foldsOf(newer, { labels, times, count })).find((found) => found !== null);
  if (folds === undefined) return null;
  const params = gbdtParams(pipeline.modelParameters);
  const ways = { all: older, since: new Int32Array(0) };
  const found: Record<string, { margins: Float64Array[]; rounds: number[] }> = {};
  for (const [way, beside] of Object.entries(ways)) {
    found[way] = { margins: [], rounds: [] };
    for (const later of folds) {
      const asked = new Set(later);
      const rows = Int32Array.from([...beside, ...newer.filter((row) => !asked.has(row))]);
      const { model, bestRound } = await boost(
        { x, labels, rows, later },
        { ...given, by: judged, params, label: "asking the new days" },
      );
      found[way].margins.push(scoreMatrix(model, inputsOf(takeMatrixRows(x, later), judged)));
      found[way].rounds.push(bestRound);
    }
  }
  const rows = Int32Array.from(folds.flatMap((fold) => [...fold]));
  const y = labelsAt(labels, rows);
  const margins = (way: string): Float64Array => Float64Array.from(found[way].margins.flatMap((some) => [...some]));
  const [all, alone] = [averagePrecision(margins("all"), y), averagePrecision(margins("since"), y)];
  const way = alone > all ? "since" : "all";
  return {
    from: way === "since" ? since : Number.NEGATIVE_INFINITY,
    rounds: middle(found[way].rounds),
    rows,
    margins: margins(way),
    averagePrecision: { all, since: alone },
    folds: folds.length,
  };
}

/** Stretches of whole days, oldest first, with about as many frauds each; null where one would hold too few, or leave too few to learn. */
function foldsOf(
  rows: Int32Array,
  { labels, times, count }: { readonly labels: Uint8Array; readonly times: Float64Array; readonly count: number },
): Int32Array[] | null {
  const days = new Map<number, number[]>();
  for (const row of rows) {
    const day = Math.floor(times[row] / DAY_MS);
    const ofDay = days.get(day) ?? [];
    ofDay.push(row);
    days.set(day, ofDay);
  }
  const total = fraudsIn(rows, labels);
  const folds: number[][] = Array.from({ length: count }, () => []);
  let before = 0;
  for (const [, ofDay] of [...days].sort(([a], [b]) => a - b)) {
    const place = Math.min(count - 1, Math.floor((count * before) / Math.max(1, total)));
    for (const row of ofDay) folds[place].push(row);
    before += fraudsIn(ofDay, labels);
  }
  const frauds = folds.map((fold) => fraudsIn(fold, labels));
  const isEnough = frauds.every(
    (own, at) => own >= FRAUDS_MIN.judged && total - own >= FRAUDS_MIN.learned && own < folds[at].length,
  );
  return isEnough ? folds.map((fold) => Int32Array.from(fold)) : null;
}

function fraudsIn(rows: Iterable<number>, labels: Uint8Array): number {
  let sum = 0;
  for (const row of rows) sum += labels[row];
  return sum;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
