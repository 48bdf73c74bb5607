// Ideas for the learner, each against the choice of `bench -- quality` on folds before the test folds, with an interval by fold.
import type { Table } from "../src/core/table.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import type { ColumnKind } from "../src/ml/gbdt/train/kinds.ts";
import { defaultGbdtParams, type GbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { takeMatrixRows } from "../src/ml/matrix.ts";
import { type Difference, pairedDifference } from "./ablation.ts";
import { CHOSEN_TREES, labelledOf, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { cutFold, foldStarts, meanQuality, type Quality, qualityOf } from "./protocol.ts";
import { loadFeatures } from "./workspace.ts";

/** Wholly before the four test folds, which choose nothing. */
const FOLDS = { validation: 8, test: 4 } as const;
const MODELS = 2;

interface Idea {
  readonly params?: Partial<GbdtParams>;
  /** Trees' answers only rise with known frauds and their share. */
  readonly monotone?: boolean;
  /** A row so many days older counts half. */
  readonly halfLifeDays?: number;
  readonly models?: number;
}

const IDEAS: Readonly<Record<string, Idea>> = {
  chosen: {},
  monotoneFrauds: { monotone: true },
  halfLifeOf3Days: { halfLifeDays: 3 },
  halfLifeOf7Days: { halfLifeDays: 7 },
  slower: { params: { trees: 400, learningRate: 0.03 } },
  slowerAndMonotone: { params: { trees: 400, learningRate: 0.03 }, monotone: true },
  leavesBestFirst: { params: { depthMax: 8, leavesMax: 10 } },
  heavierLeaves: { params: { minChildWeight: 20 } },
  stumpsAndMore: { params: { depthMax: 2, trees: 300 } },
  fewColumns: { params: { columnSample: 0.3, trees: 150 } },
  fraudsCountHalf: { params: { scalePositive: 0.5 } },
  fraudsCountFive: { params: { scalePositive: 5 } },
  tenModelsOfHalfTheRows: { params: { rowSample: 0.5, depthMax: 4 }, models: 10 },
};

/** Average precision, AUC and CP@100 of each idea over the choice as it is. */
export async function measureIdeas(table: Table, { seed, print }: BenchOptions): Promise<Figures> {
  const vectors = vectorsOf(table, await loadFeatures("card"));
  const data = labelledOf(table);
  const folds = foldStarts(data.day, FOLDS).validation.map((start) => {
    const { train, test } = cutFold(data, start);
    const y = Uint8Array.from(train, (row) => data.y[row]);
    return { y, train, test, trainX: takeMatrixRows(vectors, train), testX: takeMatrixRows(vectors, test) };
  });
  const monotone = vectors.names.map((name): ColumnKind => (/frauds|fraud_rate/.test(name) ? "increasing" : "number"));
  const assessed = (idea: Idea): readonly Quality[] =>
    folds.map(({ y, train, test, trainX, testX }) => {
      const newest = train.reduce((day, row) => Math.max(day, data.day[row]), 0);
      const { halfLifeDays } = idea;
      const weights =
        halfLifeDays === undefined
          ? undefined
          : Float32Array.from(train, (row) => 0.5 ** ((newest - data.day[row]) / halfLifeDays));
      const margins = new Float64Array(test.length);
      for (let m = 0; m < (idea.models ?? MODELS); m++) {
        const { model } = trainGbdt({
          x: trainX,
          y,
          params: { ...defaultGbdtParams, ...CHOSEN_TREES, ...idea.params },
          seed: seed + m,
          ...(weights === undefined ? {} : { weights }),
          ...(idea.monotone === true ? { kinds: monotone } : {}),
        });
        scoreMatrix(model, testX).forEach((margin, row) => {
          margins[row] += margin;
        });
      }
      return qualityOf(data, test, margins);
    });
  const chosen = assessed(IDEAS.chosen);
  const figures: Record<string, Figures> = { chosen: { ...meanQuality(chosen) } };
  print(`${table.rows} transactions; ${folds.length} folds before the test folds; gains over what is chosen, 95 %`);
  for (const [name, idea] of Object.entries(IDEAS)) {
    if (name === "chosen") continue;
    const quality = assessed(idea);
    const over = (of: keyof Quality): Difference =>
      pairedDifference(quality.map((one, at) => one[of] - chosen[at][of]));
    const [ap, auc, cp100] = [over("ap"), over("auc"), over("cp100")];
    figures[name] = { ...meanQuality(quality), apOver: { ...ap }, aucOver: { ...auc }, cp100Over: { ...cp100 } };
    const text = ({ mean, low, high }: Difference): string =>
      `${mean.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
    print(`  ${name.padEnd(24)} AP ${text(ap)}  AUC ${text(auc)}  CP@100 ${text(cp100)}`);
  }
  return figures;
}
