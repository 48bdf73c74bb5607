// How often is the promotion gate wrong when it is asked every day? Hundreds of simulated candidates, judged by the gate itself.
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { SentinelError } from "../src/core/errors.ts";
import { PROMOTION_POLICY, type PromotionPolicy } from "../src/evidence/promotion.ts";
import { averagePrecision } from "../src/metrics/metrics.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { DAYS, ONE_LOOKS, type Path } from "./evidence-path.ts";
import { evidencePicture } from "./evidence-picture.ts";
import type { EvidenceTask } from "./evidence-worker.ts";
import { ROWS_A_DAY, simulate, type World } from "./evidence-world.ts";

/** Simulated candidates for each of `--repeats`: 400 with its default of five. */
const CANDIDATES_A_REPEAT = 80;
/** The gain in average precision that a good candidate truly has. */
const TRUE_GAIN = 0.04;
/** A candidate at the very limit of what a routine retraining may lose: here the chance of a false promotion is largest. */
const TRUE_LOSS = -PROMOTION_POLICY.margin;
const GAIN_TOLERANCE = 0.0005;
/** Shifts of the frauds' scores that are tried for a gain or a loss. */
const SHIFT_MAX = 0.5;
/** Days that stand for the truth: its standard error is about 0.001. */
const TRUTH_DAYS = 6000;
const TRUTH_CARDS = 40_000;

/** What each cell's candidates truly gain in average precision, what blocking hides, and what the pipeline asks of them. */
interface Cell extends Pick<World, "blocking"> {
  readonly truth: number;
  readonly mode: PromotionPolicy["mode"];
}

const CELLS: Readonly<Record<string, Cell>> = {
  equal: { truth: 0, blocking: "seen", mode: "superiority" },
  better: { truth: TRUE_GAIN, blocking: "seen", mode: "superiority" },
  equalExplored: { truth: 0, blocking: "explored", mode: "superiority" },
  betterExplored: { truth: TRUE_GAIN, blocking: "explored", mode: "superiority" },
  equalHidden: { truth: 0, blocking: "hidden", mode: "superiority" },
  betterHidden: { truth: TRUE_GAIN, blocking: "hidden", mode: "superiority" },
  worseByMargin: { truth: TRUE_LOSS, blocking: "seen", mode: "non-inferiority" },
};

export const bench: Bench = {
  async run(options) {
    const candidates = CANDIDATES_A_REPEAT * options.repeats;
    const gains = new Map([[0, 0]]);
    options.print(`${candidates} candidates in each cell, asked every day for ${DAYS} days; ${ROWS_A_DAY} rows a day`);
    const figures: Record<string, Figures> = {};
    const paths: Record<string, readonly Path[]> = {};
    for (const [name, cell] of Object.entries(CELLS)) {
      if (options.cell !== undefined && options.cell !== name) continue;
      const { truth, blocking, mode } = cell;
      const gain = gains.get(truth) ?? gainFor(truth, options.seed);
      gains.set(truth, gain);
      const world = { blocking, days: DAYS, gain };
      const seeds = Array.from({ length: candidates }, (_, i) => options.seed * 1_000_003 + i);
      paths[name] = await followAll(seeds, { world, truth, mode });
      figures[name] = summary(paths[name]);
      show(options, { name, figures: figures[name] });
    }
    if (Object.keys(figures).length === 0) {
      throw new SentinelError("cli.usage", `there is no cell ${JSON.stringify(options.cell)}`, {
        hint: `cells: ${Object.keys(CELLS).join(", ")}`,
      });
    }
    if (options.picture !== undefined) writeFileSync(options.picture, evidencePicture({ paths, days: DAYS }));
    return { candidates, days: DAYS, ...figures };
  },
};

/** Every thread takes its share; what comes back does not depend on how many there are. */
async function followAll(seeds: readonly number[], given: Omit<EvidenceTask, "seeds">): Promise<readonly Path[]> {
  const threads = Math.min(availableParallelism(), seeds.length);
  const parts = Array.from({ length: threads }, (_, thread) => seeds.filter((_, i) => i % threads === thread));
  const followed = await Promise.all(parts.map((part) => followIn({ seeds: part, ...given })));
  return seeds.map((_, i) => followed[i % threads][Math.floor(i / threads)]);
}

function followIn(task: EvidenceTask): Promise<readonly Path[]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./evidence-worker.js", import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

function summary(paths: readonly Path[]): Figures {
  const share = (is: (path: Path) => boolean): number => paths.filter(is).length / paths.length;
  const waits = paths.flatMap(({ promoted }) => (promoted === null ? [] : [promoted])).sort((a, b) => a - b);
  return {
    promoted: share(({ promoted }) => promoted !== null),
    rejected: share(({ rejected }) => rejected !== null),
    medianDays: waits.length === 0 ? null : waits[waits.length >> 1],
    promotedByDailyTTest: share(({ promotedByT }) => promotedByT !== null),
    promotedByOneLookInterval: share(({ promotedByOneLook }) => promotedByOneLook !== null),
    coverageOneLook: Object.fromEntries(
      ONE_LOOKS.map((day, at) => [`day${day}`, coverage(paths.flatMap(({ covered }) => covered[at] ?? []))]),
    ),
    coverageAllLooks: share(({ coveredAlways }) => coveredAlways),
  };
}

/** Of the looks that had enough frauds; null without any. */
function coverage(covered: readonly boolean[]): number | null {
  return covered.length === 0 ? null : covered.filter(Boolean).length / covered.length;
}

function show({ print }: BenchOptions, { name, figures }: { readonly name: string; readonly figures: Figures }): void {
  print(`\n${name}`);
  for (const [key, value] of Object.entries(figures)) {
    const words = value !== null && typeof value === "object" ? Object.values(value).join(" ") : String(value);
    print(`  ${key.padEnd(28)}${words}`);
  }
}

/** How far the candidate's frauds must lie above the champion's for this gain (below, for a loss) in average precision, by bisection on one long stretch. */
function gainFor(wanted: number, seed: number): number {
  const difference = (gain: number): number => {
    const pairs = simulate(seed, { days: TRUTH_DAYS, gain, blocking: "seen", cards: TRUTH_CARDS });
    return averagePrecision(pairs.b, pairs.label) - averagePrecision(pairs.a, pairs.label);
  };
  let [low, high] = wanted < 0 ? [-SHIFT_MAX, 0] : [0, SHIFT_MAX];
  for (let step = 0; step < 12; step++) {
    const middle = (low + high) / 2;
    const got = difference(middle);
    if (Math.abs(got - wanted) < GAIN_TOLERANCE) return middle;
    if (got < wanted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
