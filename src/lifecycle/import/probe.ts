// An imported model asked about rows of the pipeline's data before anything is registered: is what it answers a score at all?
import { SentinelError } from "../../core/errors.ts";
import { rocAuc } from "../../metrics/metrics.ts";
import type { GbdtModel } from "../../ml/gbdt/model.ts";
import { copyRow, type Matrix } from "../../ml/matrix.ts";
import { asksForSet } from "../../ml/trees.ts";
import type { Engine } from "./engine.ts";

/** Rows that are asked, spread evenly over the data. */
export const PROBE_ROWS = 2000;
/** Float32 sums of a forest's leaves may end a little beyond 0 and 1. */
const ROUNDING = 1e-5;
/** Two probabilities add up to 1; half precision within a graph costs about this much. */
const SUM_ROUNDING = 5e-3;
/** Standard errors below one half that no order by chance has. */
const SIGMAS = 5;
/** A model that ranks this badly tells frauds from genuine transactions, the wrong way round. */
const TURNED_AUC = 0.25;

/**
 * Refuses answers that are no scores: no numbers, the same one to every row, no probabilities where such are expected. Answers
 * sentences of what was seen. Errors: `ml.model-invalid`, `ml.model-unsupported`.
 */
export function probeModel(engine: Engine, x: Matrix): readonly string[] {
  const rows = Math.min(PROBE_ROWS, x.rows);
  const vector = new Float32Array(x.names.length);
  const asked = <T>(ask: (vector: Float32Array) => T): T[] =>
    Array.from({ length: rows }, (_, i) => {
      copyRow(x, Math.floor((i * x.rows) / rows), vector);
      return ask(vector);
    });
  const { answers, blindTo, model } = engine;
  const notes: string[] = [];
  for (const column of model.kind === "trees" ? categoryColumns(model.trees) : []) {
    const part = asked((row) => row[column]).find((value) => !Number.isNaN(value) && !Number.isInteger(value));
    if (part !== undefined) throw noCategory(x.names[column], part);
  }
  const lacking = asked((row) => blindTo.some((column) => Number.isNaN(row[column]))).filter(Boolean).length;
  if (lacking > 0) {
    throw new SentinelError(
      "ml.model-unsupported",
      `${lacking} of ${rows} rows of the pipeline's data have missing values in the model's columns, and its trees say nothing about them: skl2onnx leaves out what a forest has learned`,
      {
        hint: "name the number that was filled in for them before training with --missing; where the forest was trained on missing values themselves, fill them and train again, or train a HistGradientBoostingClassifier, whose sides are kept",
      },
    );
  }
  if (answers !== null)
    notes.push(
      ...checkAnswers(
        asked((row) => [...answers.of(row)]),
        answers,
      ),
    );
  const scores = asked(engine.margin);
  if (rows > 1 && scores.every((score) => score === scores[0])) {
    const probability = 1 / (1 + Math.exp(-scores[0]));
    throw new SentinelError(
      "ml.model-unsupported",
      `the model answers the same to each of ${rows} rows of the pipeline's data: ${probability.toPrecision(3)}`,
      {
        hint: "check which features its columns take (--columns, --features), --missing, and that it is the trained model: a constant tells nothing",
      },
    );
  }
  return notes;
}

/** Columns of which nodes ask whether they are in a set of categories. */
function categoryColumns(trees: GbdtModel): readonly number[] {
  const columns = new Set<number>();
  trees.feature.forEach((column, node) => {
    if (asksForSet(trees, node)) columns.add(column);
  });
  return [...columns].sort((a, b) => a - b);
}

/** XGBoost and LightGBM cut the fraction off before they look a category up; our trees know whole numbers only. */
function noCategory(name: string, value: number): SentinelError {
  return new SentinelError(
    "ml.model-unsupported",
    `the model takes ${name} for a category, a whole number, and the pipeline's data hold ${value}`,
    {
      hint: `make ${name} a category feature, or an expression that cuts the fraction off as the library does (FLOOR(column)); or train with the column as a number`,
    },
  );
}

/**
 * Whether the scores run against the labels, as they do where the wrong class counts as fraud: null where they do not, else a
 * sentence. Errors: `ml.model-unsupported` where it is beyond doubt and `isAsked` (the class was named) is false.
 */
export function turnedNote(
  margins: Float64Array,
  labels: Uint8Array,
  options: { readonly isAsked: boolean },
): string | null {
  const frauds = labels.reduce((sum, label) => sum + label, 0);
  const genuine = labels.length - frauds;
  if (frauds === 0 || genuine === 0) return null;
  const auc = rocAuc(margins, labels);
  // The Mann-Whitney statistic under no difference at all.
  const sd = Math.sqrt((labels.length + 1) / (12 * frauds * genuine));
  if (!(auc < 0.5 - SIGMAS * sd)) return null;
  const what = `frauds score lower than genuine transactions (area under the ROC curve ${auc.toFixed(3)} over ${labels.length} rows)`;
  if (auc < TURNED_AUC && !options.isAsked) {
    throw new SentinelError("ml.model-unsupported", `the model's ${what}: it seems to tell of the other class`, {
      hint: "name its class of fraud with --fraud-class (0 or 1, or a label); the class that counts now is named in the notes above",
    });
  }
  return `The model's ${what}.`;
}

function checkAnswers(answers: readonly (readonly number[])[], { isMargin, output }: NonNullable<Engine["answers"]>) {
  const all = answers.flat();
  const bad = answers.findIndex((row) => row.some((value) => !Number.isFinite(value)));
  if (bad >= 0) {
    throw new SentinelError(
      "ml.model-invalid",
      `the output ${output} is ${answers[bad].find((value) => !Number.isFinite(value))} for row ${bad} of ${answers.length} of the pipeline's data`,
      {
        hint: "where the row has missing values, name what stood for them in training (--missing 0), or export the model with its imputer",
      },
    );
  }
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of all) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const inside = low >= -ROUNDING && high <= 1 + ROUNDING;
  const isPair = answers[0]?.length === 2;
  const sumToOne = isPair && answers.every(([a, b]) => Math.abs(a + b - 1) <= SUM_ROUNDING);
  const span = `numbers from ${low.toPrecision(4)} to ${high.toPrecision(4)} on ${answers.length} rows of the pipeline's data`;
  if (isMargin) {
    if (inside && sumToOne) {
      throw new SentinelError(
        "ml.model-unsupported",
        `--margin is given, and the output ${output} is two probabilities`,
        {
          hint: "leave --margin out",
        },
      );
    }
    return inside
      ? [`Taken for log-odds as --margin says, though the output ${output} answers ${span}, as probabilities are.`]
      : [];
  }
  if (!inside) {
    throw new SentinelError(
      "ml.model-unsupported",
      `the output ${output} answers ${span}, which are no probabilities`,
      {
        hint: "where they are log-odds (raw scores, logits), give --margin; else export the model with the probability of fraud, or name another output with --output",
      },
    );
  }
  if (isPair && !sumToOne) {
    throw new SentinelError(
      "ml.model-unsupported",
      `the two columns of the output ${output} do not add up to 1, so they are no probabilities of two classes`,
      { hint: "export the model with predict_proba's output, or with log-odds and --margin" },
    );
  }
  return [];
}
