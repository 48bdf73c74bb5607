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

/** `seconds` is a training of a process that has trained before; its first one, and scoring all rows, come beside it. */
export type ForestMeasured = Measured & {
  readonly coldSeconds: number;
  readonly scoreSeconds: number;
  readonly scoreCpuSeconds: number;
};

export interface Round {
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
    options.print("                 train s     cpu   first s   score s     cpu");
    options.print(sideText("sentinel", own));
    if (withPeer) options.print(sideText("scikit-learn", peer));
    return compare(own, peer);
  },
};

/** Correlations are means over all pairs: of ours with the peer's, of the peer's among themselves. */
export function compare(own: readonly Round[], peer: readonly Round[]): Figures {
  const pairs = own.flatMap((a) => peer.map((b) => rankCorrelation(a.scores, b.scores)));
  const seeds = peer.flatMap((a, i) => peer.slice(i + 1).map((b) => rankCorrelation(a.scores, b.scores)));
  const ratio = (key: keyof ForestMeasured): number | null =>
    peer.length === 0 ? null : medianOf(own, key) / medianOf(peer, key);
  return {
    train: ratio("seconds"),
    trainCpu: ratio("cpuSeconds"),
    trainCold: ratio("coldSeconds"),
    score: ratio("scoreSeconds"),
    scoreCpu: ratio("scoreCpuSeconds"),
    rankCorrelation: meanOf(pairs),
    rankCorrelationPeerSeeds: meanOf(seeds),
    trainSeconds: medianOf(own, "seconds"),
    scoreSeconds: medianOf(own, "scoreSeconds"),
  };
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function medianOf(rounds: readonly Round[], key: keyof ForestMeasured): number {
  return median(rounds.map(({ measured }) => measured[key]));
}

function sideText(name: string, rounds: readonly Round[]): string {
  const cell = (key: keyof ForestMeasured, digits: number, width: number): string =>
    medianOf(rounds, key).toFixed(digits).padStart(width);
  const train = cell("seconds", 4, 8) + cell("cpuSeconds", 4, 8) + cell("coldSeconds", 4, 10);
  return `  ${name.padEnd(14)}${train}${cell("scoreSeconds", 3, 10)}${cell("scoreCpuSeconds", 3, 8)}`;
}
