// Learning a new world: its own days say whether older days still help, how many trees are right, and what the scores mean.
import { DAY_MS } from "../../core/duration.ts";
import { averagePrecision } from "../../metrics/metrics.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { takeMatrixRows } from "../../ml/matrix.ts";
import type { LatelyWay } from "../../online/bundle.ts";
import type { LearningBasis } from "./basis.ts";
import { boost } from "./boost.ts";
import { type FitInput, type Fitted, inputsOf, labelsAt } from "./fit.ts";
import { weightsOf } from "./recipe.ts";

/** Frauds that each stretch of the new days must hold, and those it is judged by must have learned from. */
const FRAUDS_MIN = { judged: 10, learned: 20 } as const;
/** Stretches that are tried, the most first. */
const STRETCHES = [3, 2] as const;
/** Older days that fade lose half of what they count in a week: after a month, nearly all. */
const FADING_MS = 7 * DAY_MS;
const WAYS: readonly LatelyWay[] = ["fading days", "all days", "new days"];
/**
 * What another way must be better by than fading days. The newest stretch is judged by models that have seen less of the new world than the one that
 * will serve, and holds more of the old one than the days to come: both speak for older days. And among the fifty frauds that it mostly has, a
 * smaller difference is chance.
 */
const CLEARLY = 0.1;

/** What the new days say of the ways to learn them. */
export interface Lately {
  readonly way: LatelyWay;
  /** From when on the model that serves learns: the begin of the new world, or −∞ where older days help too. */
  readonly from: number;
  /** As of a recipe; absent where all rows count the same. */
  readonly weights?: Float32Array;
  readonly rounds: number;
  /** Rows of the new world, and what models that had not learned them said: log-odds. */
  readonly rows: Int32Array;
  readonly margins: Float64Array;
  /** Average precision of each way on the newest stretch. */
  readonly averagePrecision: Readonly<Record<LatelyWay, number>>;
  readonly stretches: number;
}

type LatelyInput = {
  readonly judged: Fitted;
  readonly labels: Uint8Array;
  readonly times: Float64Array;
  /** All that may be learned, older rows too. */
  readonly rows: Int32Array;
  readonly since: number;
} & Pick<FitInput, "kinds" | "pipeline" | "seed" | "threads" | "report">;

/**
 * After a shift of the frauds the older days contradict the newer ones: what was a sign of fraud is one no longer. After one of amounts or hours they
 * do not. So older days fade, unless the newest stretch of the new days clearly says that they count in full or not at all, asked of models that
 * learned all before it in each way. The chosen way is then asked about the other stretches too, each by a model that learned the rest. A
 * stretch ends with a day, since the frauds of a night belong together. Null where the new days hold too few frauds for that.
 */
export async function learnLately({ x }: LearningBasis, given: LatelyInput): Promise<Lately | null> {
  const { judged, labels, times, since, pipeline } = given;
  const newer = given.rows.filter((row) => times[row] >= since);
  const stretches = STRETCHES.map((count) => stretchesOf(newer, { labels, times, count })).find(
    (found) => found !== null,
  );
  if (stretches === undefined || stretches === null) return null;
  const params = gbdtParams(pipeline.modelParameters);
  const faded = weightsOf({ continued: false, halfLifeMs: FADING_MS }, times);
  const ask = async (way: LatelyWay, later: Int32Array): Promise<{ margins: Float64Array; rounds: number }> => {
    const asked = new Set(later);
    const rows = (way === "new days" ? newer : given.rows).filter((row) => !asked.has(row));
    const { model, bestRound } = await boost(
      { x, labels, rows, later },
      {
        ...given,
        ...(way === "fading days" ? { weights: faded } : {}),
        by: judged,
        params,
        label: "asking the new days",
      },
    );
    return { margins: scoreMatrix(model, inputsOf(takeMatrixRows(x, later), judged)), rounds: bestRound };
  };
  const newest = stretches[stretches.length - 1];
  const precision = {} as Record<LatelyWay, number>;
  let best: { readonly way: LatelyWay; readonly answer: Awaited<ReturnType<typeof ask>> } | null = null;
  for (const way of WAYS) {
    const answer = await ask(way, newest);
    precision[way] = averagePrecision(answer.margins, labelsAt(labels, newest));
    const hurdle = best === null ? 0 : precision[best.way] + (best.way === "fading days" ? CLEARLY : 0);
    if (best === null || precision[way] > hurdle) best = { way, answer };
  }
  const { way, answer } = best!;
  const others: (typeof answer)[] = [];
  for (const stretch of stretches.slice(0, -1)) others.push(await ask(way, stretch));
  const answers = [...others, answer];
  return {
    way,
    from: way === "new days" ? since : Number.NEGATIVE_INFINITY,
    ...(way === "fading days" ? { weights: faded } : {}),
    rounds: middle(answers.map(({ rounds }) => rounds)),
    rows: Int32Array.from(stretches.flatMap((stretch) => [...stretch])),
    margins: Float64Array.from(answers.flatMap(({ margins }) => [...margins])),
    averagePrecision: precision,
    stretches: stretches.length,
  };
}

/** Stretches of whole days, oldest first, with about as many frauds each; null where one would hold too few, or leave too few to learn. */
function stretchesOf(
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
  const stretches: number[][] = Array.from({ length: count }, () => []);
  let before = 0;
  for (const [, ofDay] of [...days].sort(([a], [b]) => a - b)) {
    const place = Math.min(count - 1, Math.floor((count * before) / Math.max(1, total)));
    for (const row of ofDay) stretches[place].push(row);
    before += fraudsIn(ofDay, labels);
  }
  const frauds = stretches.map((stretch) => fraudsIn(stretch, labels));
  const isEnough = frauds.every(
    (own, at) => own >= FRAUDS_MIN.judged && total - own >= FRAUDS_MIN.learned && own < stretches[at].length,
  );
  return isEnough ? stretches.map((stretch) => Int32Array.from(stretch)) : null;
}

function fraudsIn(rows: Iterable<number>, labels: Uint8Array): number {
  let sum = 0;
  for (const row of rows) sum += labels[row];
  return sum;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
