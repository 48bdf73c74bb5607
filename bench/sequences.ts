// Does the order of a card's events say more than windows do? A recurrent state per card as one more column of the trees, on validation folds.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import { mean } from "../src/core/stats.ts";
import type { Table } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { cardPrecision } from "../src/metrics/cards.ts";
import { AVERAGE_PRECISION, ROC_AUC } from "../src/metrics/ranked.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { type Matrix, takeMatrixRows, withColumn } from "../src/ml/matrix.ts";
import { CHOSEN_TREES, labelledOf, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { secondSimulation } from "./foreign.ts";
import { PEERS_MISSING, peersInstalled, runPeer } from "./peers.ts";
import { pooled } from "./pooled.ts";
import { cutFold, dayText, FOLD_DAYS, foldStarts, type Labelled } from "./protocol.ts";
import { readFloat32 } from "./synthetic.ts";
import { loadFeatures, loadTransactions, temporaryFolder } from "./workspace.ts";

/** Folds before the test folds: what is decided by these figures is decided without those. */
const FOLDS = { validation: 4, test: 4 } as const;
/** Days before a fold's training week that the recurrent state learns from, so that its answers about that week are honest ones. */
const EARLIER_DAYS = 28;
/** Days before these whose events only bring the state into its stride. */
const STRIDE_DAYS = 7;
/** Sixteen floats per card is what a state machine could afford. */
const GRU = { hidden: 16, epochs: 20, batch: 128, rate: 0.01, fraudWeight: 5 } as const;
const MODELS = 2;
const RESAMPLES = 200;

/** Of each event, by features of `features/card.ts`; amounts and times on a scale of logarithms. */
const INPUTS = [
  { name: "amount", log: true },
  { name: "customer_seconds_since_last_transaction", log: true },
  { name: "amount_to_customer_mean_30d", log: true },
  { name: "amount_customer_zscore_30d", log: false },
  { name: "hour", log: false },
  { name: "night", log: false },
  { name: "terminal_transactions_7d_delayed", log: true },
  { name: "terminal_fraud_rate_7d_delayed", log: false },
  { name: "terminal_frauds_30d_delayed", log: true },
  { name: "terminal_known_frauds_in_a_row", log: true },
  { name: "customer_frauds_30d_delayed", log: true },
] as const;

const SIDES = ["trees", "withSequence", "withEarlierTrees"] as const;
const MEASURES = ["averagePrecision", "auc", "cardPrecision100"] as const;

/**
 * On the reference (or simulated) transactions and on a second simulation: trees alone, trees with what a recurrent state of the card says, and, as the control
 * that has seen the same days, trees with what other trees say that learned them. Errors: cli.usage without the peers' libraries.
 */
export async function measureSequences(options: BenchOptions): Promise<Figures> {
  if (!peersInstalled()) {
    throw new SentinelError("cli.usage", "--cell sequences learns with Python's numpy", { hint: PEERS_MISSING });
  }
  return {
    handbook: await measured("handbook", await loadTransactions(options), options),
    second: await measured("second", secondSimulation(options.seed), options),
  };
}

async function measured(name: string, table: Table, { seed, print }: BenchOptions): Promise<Figures> {
  const vectors = vectorsOf(table, await loadFeatures("card"));
  const data = labelledOf(table);
  const starts = foldStarts(data.day, FOLDS).validation;
  print(
    `${name}: ${table.rows} transactions, training weeks from ${starts.map(dayText).join(" ")}; over trees alone, 95 % by card`,
  );
  const folder = temporaryFolder();
  const folds: Fold[] = [];
  for (const start of starts) folds.push(await foldOf({ vectors, data, start, seed, folder }));
  const figures: Record<string, Figures | number> = {
    cpuSecondsPerFold: mean(folds.map(({ cpuSeconds }) => cpuSeconds)),
  };
  SIDES.forEach((side, place) => {
    const one: Record<string, Figures | number> = {};
    const cells = MEASURES.map((measure, at) => {
      const { b, difference, low, high } = pooled(folds.map(({ sides }) => sides[place][at]));
      one[measure] = b;
      if (place > 0) one[`${measure}OverTrees`] = { difference, low, high };
      return `${measure} ${b.toFixed(4)}${place > 0 ? ` ${difference.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})` : ""}`;
    });
    figures[side] = one;
    print(`  ${side.padEnd(18)} ${cells.join("; ")}`);
  });
  return figures;
}

interface Fold {
  /** By side, intervals of {@link MEASURES} against the first side. */
  readonly sides: readonly (readonly PairedInterval[])[];
  /** Of learning the recurrent state. */
  readonly cpuSeconds: number;
}

interface FoldTask {
  readonly vectors: Matrix;
  readonly data: Labelled;
  readonly start: number;
  readonly seed: number;
  readonly folder: string;
}

async function foldOf(task: FoldTask): Promise<Fold> {
  const { vectors, data, start, seed } = task;
  const { train, test } = cutFold(data, start);
  const labels = (rows: Int32Array): Uint8Array => Uint8Array.from(rows, (row) => data.y[row]);
  const boosted = (rows: Int32Array, extra: Float32Array | null, later: Int32Array): Float64Array => {
    const input = (of: Int32Array): Matrix => {
      const x = takeMatrixRows(vectors, of);
      return extra === null
        ? x
        : withColumn(
            x,
            "said_before",
            Float32Array.from(of, (row) => extra[row]),
          );
    };
    const margins = new Float64Array(later.length);
    const [x, to] = [input(rows), input(later)];
    for (let m = 0; m < MODELS; m++) {
      const { model } = trainGbdt({
        x,
        y: labels(rows),
        params: { ...defaultGbdtParams, ...CHOSEN_TREES },
        seed: seed + m,
      });
      scoreMatrix(model, to).forEach((margin, row) => {
        margins[row] += margin;
      });
    }
    return margins;
  };
  const sequence = await sequenceColumn(task);
  const earlier = rowsOfDays(data, start - EARLIER_DAYS, start);
  const both = Int32Array.from([...train, ...test]);
  const byTrees = new Float32Array(vectors.rows).fill(Number.NaN);
  boosted(earlier, null, both).forEach((margin, at) => {
    byTrees[both[at]] = margin;
  });
  const scores = [boosted(train, null, test), boosted(train, sequence.column, test), boosted(train, byTrees, test)];
  const sides = scores.map((b) =>
    pairedBootstraps({
      y: labels(test),
      card: test.map((row) => data.card[row]),
      day: test.map((row) => data.day[row]),
      a: scores[0],
      b,
      metrics: [AVERAGE_PRECISION, ROC_AUC, cardPrecision(100)],
      resamples: RESAMPLES,
      seed,
    }),
  );
  return { sides, cpuSeconds: sequence.cpuSeconds };
}

/** The log-odds of the recurrent state at each event of the fold's days; NaN at all others. */
async function sequenceColumn({ vectors, data, start, seed, folder }: FoldTask): Promise<{
  readonly column: Float32Array;
  readonly cpuSeconds: number;
}> {
  const rows = rowsOfDays(data, start - EARLIER_DAYS - STRIDE_DAYS, start + FOLD_DAYS);
  // Card by card, each in order of time.
  const order = Int32Array.from(rows).sort((a, b) => data.card[a] - data.card[b] || a - b);
  const offsets: number[] = [];
  order.forEach((row, at) => {
    if (at === 0 || data.card[row] !== data.card[order[at - 1]]) offsets.push(at);
  });
  offsets.push(order.length);
  const columns = INPUTS.map(({ name, log }) => {
    const from = vectors.names.indexOf(name) * vectors.rows;
    const values = vectors.values.subarray(from, from + vectors.rows);
    return (row: number): number => {
      const value = Number.isFinite(values[row]) ? values[row] : 0;
      return log ? Math.log1p(Math.max(0, value)) : value;
    };
  });
  const inputs = new Float32Array(order.length * columns.length);
  order.forEach((row, at) => {
    columns.forEach((column, c) => {
      inputs[at * columns.length + c] = column(row);
    });
  });
  const file = (name: string, values: Float32Array | Int32Array | Uint8Array): string => {
    writeFileSync(path.join(folder, name), values);
    return path.join(folder, name);
  };
  const isLearned = (row: number): number => Number(data.day[row] >= start - EARLIER_DAYS && data.day[row] < start);
  const predictions = path.join(folder, "sequence.out");
  const { cpuSeconds } = await runPeer<{ readonly cpuSeconds: number }>("sequences-peer", {
    ...GRU,
    columns: columns.length,
    inputs: file("sequence.inputs", inputs),
    offsets: file("sequence.offsets", Int32Array.from(offsets)),
    labels: file(
      "sequence.labels",
      Uint8Array.from(order, (row) => data.y[row]),
    ),
    learned: file("sequence.learned", Uint8Array.from(order, isLearned)),
    predictions,
    seed,
  });
  const column = new Float32Array(vectors.rows).fill(Number.NaN);
  readFloat32(predictions).forEach((margin, at) => {
    column[order[at]] = margin;
  });
  return { column, cpuSeconds };
}

function rowsOfDays({ day }: Labelled, from: number, to: number): Int32Array {
  return Int32Array.from(day.keys()).filter((row) => day[row] >= from && day[row] < to);
}
