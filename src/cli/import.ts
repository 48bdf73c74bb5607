// `sentinel import`: a foreign model's file in, narration and verdicts out.
import { readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../core/errors.ts";
import { CATEGORY_MEANINGS, FOREIGN_FORMATS, importModel } from "../lifecycle/import.ts";
import {
  candidateOption,
  choiceOption,
  forceReason,
  numberOption,
  optionalInteger,
  SEEDS,
  textOption,
} from "./options.ts";
import { showRegistered, showTraining } from "./train.ts";
import type { Verb } from "./verb.ts";

const CALIBRATIONS = ["choose", "isotonic", "beta", "none"] as const;
const ROUNDS_MAX = 1_000_000;

export const verb: Verb = {
  args: "<file-or-uri>",
  options: [
    ["--format <name>", "onnx, xgboost, lightgbm or catboost (default: told from the file)"],
    ["--data <file>", "CSV, Parquet or NDJSON with labels, to calibrate and judge on (default: the pipeline's source)"],
    ["--features <names>", "the features that the model's columns take, in its order: a,b,c"],
    ["--columns <file>", 'JSON of renamed columns: {"column of the model": "feature"}'],
    ["--calibrate <how>", "choose, isotonic, beta or none: the model's own probability (default: the pipeline's)"],
    ["--rounds <n>", "only the first n rounds of boosting, or all (default: the best, where training stopped early)"],
    [
      "--missing <number>",
      "a number that its training table held, as a value like any other, where a value was missing; not XGBClassifier(missing=…), whose file knows (default: NaN)",
    ],
    [
      "--fraud-class <label>",
      "the class that is fraud: a label, or 0 or 1 where the file has none (default: by the labels)",
    ],
    [
      "--categories <what>",
      "codes or values: what numbers in the file's own lists of categories are, where both would do",
    ],
    ["--output <name>", "of an ONNX graph: the output that tells of fraud, where it has several"],
    ["--margin", "of an ONNX graph: that output is log-odds, not a probability"],
    ["--seed <n>", "seed of every random draw (default: the pipeline's)"],
    ["--as <alias>", "candidate-NAME: shadow beside the candidate, instead of taking its place (default: candidate)"],
    ["--force", "register although a gate said no"],
    ["--reason <text>", "why, for the journal (with --force)"],
  ],
  async run(context, { args, options }) {
    const { output, config } = context;
    const pipeline = context.pipeline();
    const forced = forceReason(options);
    const features = textOption(options, "features");
    const renamed = textOption(options, "columns");
    if (features !== undefined && renamed !== undefined) {
      throw new SentinelError("cli.usage", "--features names every column's feature, --columns renames some of them", {
        hint: "give one of the two",
      });
    }
    const as = candidateOption(options);
    const path = textOption(options, "data") ?? pipeline.source;
    output.heading(`import ${args[0]} as ${pipeline.model}, judged on ${path}`);
    const result = await importModel(context.ports(), {
      file: args[0],
      format: choiceOption(options, "format", FOREIGN_FORMATS),
      columns: { features: listOf(features), map: mapOf(renamed) },
      calibration: choiceOption(options, "calibrate", CALIBRATIONS),
      output: textOption(options, "output"),
      isMargin: options.margin === true,
      missing: numberOption(options, "missing"),
      rounds:
        textOption(options, "rounds") === "all"
          ? "all"
          : optionalInteger(options, "rounds", { low: 1, high: ROUNDS_MAX }),
      fraudClass: textOption(options, "fraudClass"),
      categories: choiceOption(options, "categories", CATEGORY_MEANINGS),
      pipeline,
      path,
      actor: config.actor,
      packageVersion: context.packageVersion,
      seed: optionalInteger(options, "seed", SEEDS),
      as,
      forced,
    });
    for (const verdict of result.verdicts) output.verdict(verdict);
    showTraining(output, result);
    showRegistered(output, result.version, as);
    return { yes: result.version !== null, json: result };
  },
};

function listOf(text: string | undefined): readonly string[] | null {
  return text === undefined ? null : text.split(",").map((name) => name.trim());
}

/** The map file: one object of texts. */
function mapOf(file: string | undefined): ReadonlyMap<string, string> | null {
  if (file === undefined) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw badMap(file, messageOf(error));
  }
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) throw badMap(file, "it is no object");
  const pairs: [string, string][] = [];
  for (const [column, feature] of Object.entries(parsed)) {
    if (typeof feature !== "string") throw badMap(file, `${column} has no feature's name`);
    pairs.push([column, feature]);
  }
  return new Map(pairs);
}

function badMap(file: string, what: string): SentinelError {
  return new SentinelError("cli.usage", `--columns ${file}: ${what}`, {
    hint: 'write one JSON object: {"column of the model": "feature"}',
  });
}
