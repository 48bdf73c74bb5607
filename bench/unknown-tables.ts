// Quality on tables that nobody tuned for: the shipped features against XGBoost on the same vectors, and against what an hour of pandas would give it.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import type { Table } from "../src/core/table.ts";
import { declareColumns } from "../src/features/builder.ts";
import type { FeatureSpec } from "../src/features/spec.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { type Difference, pairedDifference } from "./ablation.ts";
import { labelledOf, qualityText, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { paysimLike, SHOP_KINDS, secondSimulation, sparkovLike } from "./foreign.ts";
import { PEERS_MISSING, peersInstalled, runPeer } from "./peers.ts";
import { cutFold, type Fold, foldStarts, meanQuality, type Quality, qualityOf } from "./protocol.ts";
import { type RawTable, readFloat32 } from "./synthetic.ts";
import { loadExampleFeatures, loadFeatures, temporaryFolder } from "./workspace.ts";

/** None of these tables has chosen anything, so that all folds test. */
const FOLDS = { validation: 1, test: 8 } as const;
/** Equal for both learners; neither draws rows or columns. */
const PARAMETERS = {
  trees: 100,
  depthMax: 4,
  learningRate: 0.1,
  lambda: 1,
  minChildWeight: 1,
  binsMax: 256,
  startRate: 0.2,
} as const;

interface Cell {
  readonly table: (seed: number) => Table;
  readonly spec: () => Promise<FeatureSpec>;
  /** Amounts, hours, habits by plain windows; no late labels. */
  readonly hour: () => Promise<FeatureSpec> | FeatureSpec;
}

export const UNKNOWN_TABLES: Readonly<Record<string, Cell>> = {
  second: { table: secondSimulation, spec: () => loadFeatures("card"), hour: () => loadFeatures("handbook") },
  sparkov: { table: sparkovLike, spec: () => loadExampleFeatures("sparkov"), hour: sparkovHour },
  paysim: { table: paysimLike, spec: () => loadExampleFeatures("paysim"), hour: paysimHour },
};

/** The folds' quality of ours, of XGBoost on the same vectors, and of XGBoost on an hour's features. Errors: cli.usage. */
export async function measureUnknownTable(name: string, options: BenchOptions): Promise<Figures> {
  const { print, seed } = options;
  if (!Object.hasOwn(UNKNOWN_TABLES, name)) {
    throw new SentinelError("cli.usage", `--cell: there is no cell ${JSON.stringify(name)}`, {
      hint: `give one of ${Object.keys(UNKNOWN_TABLES).join(", ")}, tuning, withheld, decisions, ideas or sequences`,
    });
  }
  const cell = UNKNOWN_TABLES[name];
  const table = cell.table(seed);
  const data = labelledOf(table);
  const frauds = data.y.reduce((sum, label) => sum + label, 0);
  print(
    `${name}: ${table.rows} transactions, ${frauds} frauds, seed ${seed}; ${FOLDS.test} folds, training 7 days each`,
  );
  const folds = foldStarts(data.day, FOLDS).test.map((start) => cutFold(data, start));
  const own = vectorsOf(table, await cell.spec());
  const hour = vectorsOf(table, await cell.hour());
  const hasPeers = peersInstalled();
  if (!hasPeers) print(PEERS_MISSING);
  const task = { labels: data.y, seed, folder: temporaryFolder() };
  const sides: (readonly [string, (fold: Fold) => Promise<Float64Array> | Float64Array])[] = [
    ["sentinel", (fold) => scoredHere({ ...task, vectors: own, fold })],
  ];
  if (hasPeers) {
    sides.push(["xgboost", (fold) => scoredByPeer({ ...task, vectors: own, fold })]);
    sides.push(["xgboostOnAnHour", (fold) => scoredByPeer({ ...task, vectors: hour, fold })]);
  }
  const found = new Map<string, Quality[]>();
  for (const [side, scored] of sides) {
    const list: Quality[] = [];
    for (const fold of folds) list.push(qualityOf(data, fold.test, await scored(fold)));
    found.set(side, list);
    print(`  ${side.padEnd(18)}${qualityText(meanQuality(list))}`);
  }
  const figures: Record<string, Figures | number> = { transactions: table.rows, frauds };
  const [first] = found.values();
  for (const [side, list] of found) {
    figures[side] = { ...meanQuality(list) };
    if (side === "sentinel") continue;
    const over = pairedDifference(first.map(({ ap }, fold) => ap - list[fold].ap));
    figures[`apOver${side[0].toUpperCase()}${side.slice(1)}`] = { ...over };
    print(`  AP over ${side}: ${intervalText(over)} (95 %, Student's over ${folds.length} folds)`);
  }
  return figures;
}

interface FoldTask {
  readonly vectors: Matrix;
  readonly fold: Fold;
  readonly labels: Uint8Array;
  readonly seed: number;
  /** For the peer's files. */
  readonly folder: string;
}

function scoredHere({ vectors, fold, labels, seed }: FoldTask): Float64Array {
  const x = takeMatrixRows(vectors, fold.train);
  const y = Uint8Array.from(fold.train, (row) => labels[row]);
  const { model } = trainGbdt({ x, y, params: { ...defaultGbdtParams, ...PARAMETERS }, seed });
  return Float64Array.from(scoreMatrix(model, takeMatrixRows(vectors, fold.test)));
}

async function scoredByPeer({ vectors, fold, labels, seed, folder }: FoldTask): Promise<Float64Array> {
  const predictions = path.join(folder, "predictions");
  const raw = (name: string, rows: Int32Array): RawTable =>
    rawOf(path.join(folder, name), {
      x: takeMatrixRows(vectors, rows),
      y: Uint8Array.from(rows, (row) => labels[row]),
    });
  const [train, test] = [raw("train", fold.train), raw("test", fold.test)];
  await runPeer("train-peer", { ...PARAMETERS, peer: "xgboost", train, test, predictions, seed, threads: 1 });
  return Float64Array.from(readFloat32(predictions));
}

/** As the peer reads it: row by row. */
function rawOf(file: string, { x, y }: { readonly x: Matrix; readonly y: Uint8Array }): RawTable {
  const { rows, names, values } = x;
  const columns = names.length;
  const byRow = new Float32Array(rows * columns);
  for (let c = 0; c < columns; c++) for (let r = 0; r < rows; r++) byRow[r * columns + c] = values[c * rows + r];
  writeFileSync(`${file}.rows`, byRow);
  writeFileSync(`${file}.labels`, y);
  return { rows, columns, byColumn: "", byRow: `${file}.rows`, labels: `${file}.labels` };
}

function intervalText({ mean, low, high }: Difference): string {
  return `${mean.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}

function sparkovHour(): FeatureSpec {
  const f = declareColumns({ amt: "number", city_pop: "number", cc_num: "key", category: "key" });
  const amount = f.column("amt");
  const card = { key: "cc_num" } as const;
  const means = (["1d", "7d", "30d"] as const).map((window) =>
    f.window(`mean_${window}`, { ...card, over: "amt", aggregate: "mean", window }),
  );
  const counts = (["1d", "7d", "30d"] as const).map((window) =>
    f.window(`count_${window}`, { ...card, over: "transactions", window }),
  );
  return f.spec({
    name: "sparkov-hour",
    version: 1,
    features: [
      amount,
      f.category("category", SHOP_KINDS),
      f.time("hour", "hour"),
      f.time("weekend", "weekend"),
      f.column("city_pop"),
      ...means,
      ...counts,
      f.ratio("to_mean", amount, means[2]),
    ],
  });
}

function paysimHour(): FeatureSpec {
  const f = declareColumns({
    amount: "number",
    oldbalanceOrg: "number",
    oldbalanceDest: "number",
    type: "key",
    nameDest: "key",
  });
  const payee = { key: "nameDest" } as const;
  return f.spec({
    name: "paysim-hour",
    version: 1,
    features: [
      f.column("amount"),
      f.column("oldbalanceOrg"),
      f.column("oldbalanceDest"),
      f.category("type", ["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER"]),
      f.time("hour", "hour"),
      f.window("payee_1d", { ...payee, over: "transactions", window: "1d" }),
      f.window("payee_amount_1d", { ...payee, over: "amount", aggregate: "sum", window: "1d" }),
    ],
  });
}
