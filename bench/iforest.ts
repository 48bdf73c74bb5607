// Isolation forest against scikit-learn's: training, scoring, and whether both find the same rows strange.
import path from "node:path";
import { type Bench, type Figures, median } from "./bench.ts";
import { type Measured, PEERS_MISSING, peersInstalled, runOwn, runPeer } from "./peers.ts";
import { rankCorrelation } from "./rank-correlation.ts";
import { type RawTable, readFloat32, writeSynthetic } from "./synthetic.ts";
import { temporaryFolder } from "./workspace.ts";

/** scikit-learn does not take missing values here, so there are none. */
const SHAPE = { rows: 300_000, columns: 30, missing: 0 } as const;
const FOREST = { trees: 100, sample: 256 } as const;

export type ForestTask = typeof FOREST & {
  readonly table: RawTable;
  readonly seed: number;
  /** Where the anomaly scores of all rows go as Float32. */
  readonly scores: string;
};

/** `seconds` is training; scoring all rows comes beside it. */
export type ForestMeasured = Measured & { readonly scoreSeconds: number };

interface Round {
  readonly measured: ForestMeasured;
  readonly scores: Float32Array;
}

export const bench: Bench = {
  async run(options) {
    const folder = temporaryFolder();
    const table = writeSynthetic(folder, "table", { ...SHAPE, seed: options.seed });
    const withPeer = peersInstalled();
    if (!withPeer) options.print(PEERS_MISSING);
    const own: Round[] = [];
    const peer: Round[] = [];
    for (let round = 0; round < options.repeats; round++) {
      const task: ForestTask = { ...FOREST, table, seed: options.seed + round, scores: path.join(folder, "scores") };
      const runs = [
        async () => own.push({ measured: await runOwn("iforest-own", task), scores: readFloat32(task.scores) }),
        async () => peer.push({ measured: await runPeer("iforest-peer", task), scores: readFloat32(task.scores) }),
      ].slice(0, withPeer ? 2 : 1);
      // Sides take turns at going first.
      for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
    }
    options.print(`${SHAPE.rows} × ${SHAPE.columns}; ${FOREST.trees} trees on ${FOREST.sample} rows each; one thread`);
    options.print("                 train s   score s");
    options.print(sideText("sentinel", own));
    if (withPeer) options.print(sideText("scikit-learn", peer));
    return withPeer ? compare(own, peer) : { trainSeconds: trainOf(own), scoreSeconds: scoreOf(own) };
  },
};

/** Correlations are medians over pairs: ours and the peer's of one round, the peer's of a round and the next. */
function compare(own: readonly Round[], peer: readonly Round[]): Figures {
  const pairs = own.map((one, i) => rankCorrelation(one.scores, peer[i].scores));
  const seeds = peer.slice(1).map((one, i) => rankCorrelation(one.scores, peer[i].scores));
  return {
    train: trainOf(own) / trainOf(peer),
    score: scoreOf(own) / scoreOf(peer),
    rankCorrelation: median(pairs),
    rankCorrelationPeerSeeds: seeds.length === 0 ? null : median(seeds),
  };
}

function trainOf(rounds: readonly Round[]): number {
  return median(rounds.map(({ measured }) => measured.seconds));
}

function scoreOf(rounds: readonly Round[]): number {
  return median(rounds.map(({ measured }) => measured.scoreSeconds));
}

function sideText(name: string, rounds: readonly Round[]): string {
  return `  ${name.padEnd(14)}${trainOf(rounds).toFixed(4).padStart(8)}${scoreOf(rounds).toFixed(3).padStart(10)}`;
}
