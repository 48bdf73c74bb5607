// `sentinel train`: arguments in, narration and verdicts out.

import { totalmem } from "node:os";
import path from "node:path";
import { CANDIDATE } from "../core/alias.ts";
import { SentinelError } from "../core/errors.ts";
import { mean } from "../core/stats.ts";
import { writeResults } from "../lifecycle/data/result-files.ts";
import { type EngineRun, type EngineTrainResult, trainByEngine } from "../lifecycle/engine-train.ts";
import type { EngineChoice } from "../lifecycle/featurise.ts";
import { type TrainResult, TUNE_MAX, type Tuning, train, trainResults } from "../lifecycle/train.ts";
import type { RefitFacts } from "../online/bundle.ts";
import type { ModelVersion } from "../ports/registry.ts";
import { ENGINE_OPTIONS, engineOption } from "./engine.ts";
import { candidateOption, forceReason, optionalInteger, SEEDS, textOption } from "./options.ts";
import { checkOutFolder } from "./out.ts";
import { figure, type Output } from "./output.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb, VerbOptions } from "./verb.ts";

/** Metrics shown on the terminal; the rest is in the run and the card. */
const SHOWN = [
  "average_precision",
  "roc_auc",
  "card_precision_100",
  "recall_at_review_budget",
  "precision_at_review",
  "f1_at_review",
  "fraud_amount_caught_share",
  "brier",
] as const;
const FEATURES_SHOWN = 8;
const TRIALS_SHOWN = 6;

export const verb: Verb = {
  options: [
    ["--data <file>", "CSV, Parquet or NDJSON with labels (default: the pipeline's source)"],
    ["--seed <n>", "seed of every random draw (default: the pipeline's)"],
    ["--tune <n>", "first try n sets of parameters on earlier days, and use the best"],
    ["--refit", "serve the model once more trained on all days with matured labels; the judged one stays beside it"],
    ["--as <alias>", "candidate-NAME: shadow beside the candidate, instead of taking its place (default: candidate)"],
    ["--force", "register although a gate said no"],
    ["--reason <text>", "why, for the journal (with --force)"],
    ...ENGINE_OPTIONS,
    [
      "--table <dir>",
      "with --engine: the folder of the feature table, used where it is there and else made (default: made, and removed afterwards)",
    ],
    ["--out <dir>", "write train.json, metrics.json and learning.csv into this folder, with --engine xgboost.json too"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const { output, config } = context;
    const pipeline = context.pipeline();
    const forced = forceReason(options);
    const data = textOption(options, "data") ?? pipeline.source;
    const seed = optionalInteger(options, "seed", SEEDS);
    const out = textOption(options, "out");
    if (out !== undefined) checkOutFolder("--out", out);
    const as = candidateOption(options);
    const tune = optionalInteger(options, "tune", { low: 1, high: TUNE_MAX });
    const by = await engineOption(context, options);
    const table = tableOption(options, by);
    output.heading(`train ${pipeline.model} on ${data}`);
    const { actor, threads, workspace } = config;
    const { packageVersion } = context;
    const task = { pipeline, path: data, actor, packageVersion, threads, seed, as, forced };
    const { model = null, ...result } =
      by === undefined
        ? await trainHere(context.ports(), {
            ...task,
            tune,
            ...(options.refit === true ? { refit: true } : {}),
            verb: "train",
          })
        : await trainByEngine(context.ports(), { ...task, by, table, workspace, memoryBytes: totalmem() }).finally(() =>
            by.engine.close(),
          );
    const written: Readonly<Record<string, string>> =
      model === null ? {} : { "xgboost.json": new TextDecoder().decode(model) };
    if (out !== undefined) writeResults(out, { ...trainResults(result, pipeline.model), ...written });
    for (const verdict of result.verdicts) output.verdict(verdict);
    showTraining(output, result);
    if (result.run !== undefined && result.run !== null) showRun(output, result.run, result.seconds);
    showRegistered(output, result.version, as);
    return { yes: result.version !== null, json: result };
  },
};

/** With what an engine would say left out. */
async function trainHere(...given: Parameters<typeof train>): Promise<TrainResult & Partial<EngineTrainResult>> {
  return await train(...given);
}

/** What an engine does not do, and where its feature table stands. Errors: cli.usage. */
function tableOption(options: VerbOptions, by: EngineChoice | undefined): string | null {
  const table = textOption(options, "table");
  if (by === undefined) {
    if (table === undefined) return null;
    throw new SentinelError("cli.usage", "--table is about an engine, and --engine is missing", {
      hint: "add --engine spark, or leave it out",
    });
  }
  const odd = (["tune", "refit"] as const).find((name) => options[name] !== undefined);
  if (odd !== undefined) {
    throw new SentinelError("cli.usage", `--${odd} trains on one machine, and --engine on many`, {
      hint:
        odd === "tune"
          ? "search on a part of the data without --engine, and write what it finds below model_parameters"
          : "leave one of them out",
    });
  }
  if (table !== undefined) checkOutFolder("--table", path.dirname(path.resolve(table)));
  return table ?? null;
}

/** What the engine did, and what one machine would do. */
function showRun(output: Output, run: EngineRun, seconds: TrainResult["seconds"]): void {
  const { engine, library, workers, rows, frauds, differenceMax, table, reused, oneMachine } = run;
  output.line(
    `  ${library} on ${engine}: ${workers} ${workers === 1 ? "process" : "processes"}, ${rows.toLocaleString("en")} transactions (${frauds.toLocaleString("en")} frauds); the bundle's trees answer as it does, within ${differenceMax.toPrecision(2)}`,
  );
  if (oneMachine !== null) {
    const own = (reused ? 0 : seconds.features) + seconds.boost;
    output.line(
      `  this table fits one machine (about ${figure(oneMachine.bytes / 2 ** 30)} GB): \`sentinel train\` would take about ${figure(oneMachine.seconds)} s here for features and trees, ${reused ? "for trees alone " : ""}this took ${figure(own)} s`,
    );
  }
  if (table !== null) output.line(`  feature table ${table}: ${reused ? "was there" : "kept"}`);
}

/** What became of the version, and what to do next. */
export function showRegistered(output: Output, version: ModelVersion | null, as = CANDIDATE): void {
  if (version === null) {
    output.line("\n  nothing was registered");
    return;
  }
  const { model, bundle } = version;
  output.line(`\n  version ${version.version} of ${model} is registered as ${as} (bundle ${bundle.slice(0, 12)})`);
  output.line(
    `  next: \`sentinel serve\` shadows it, \`sentinel promote${as === CANDIDATE ? "" : ` --to ${as}`}\` weighs it`,
  );
}

/** Metrics beside the champion's, ablation and the features that matter. */
export function showTraining(output: Output, result: Awaited<ReturnType<typeof train>>): void {
  const { metrics, champion, fitted, tuning, untuned } = result;
  if (tuning !== null) showTuning(output, tuning);
  if (metrics === null || fitted === null) return;
  output.heading(
    result.refit === null
      ? "on the evaluation slice, which nothing else saw"
      : "the judged model on the evaluation slice, which nothing else of it saw",
  );
  output.table([
    [
      "metric",
      "candidate",
      ...(untuned === null ? [] : ["untuned"]),
      ...(champion === null ? [] : [`champion v${champion.version}${champion.model === "twin" ? " (judged)" : ""}`]),
    ],
    ...SHOWN.filter((key) => key in metrics).map((key) => [
      key,
      figure(metrics[key]),
      ...(untuned === null ? [] : [figure(untuned.metrics[key])]),
      ...(champion === null ? [] : [figure(champion.metrics[key])]),
    ]),
  ]);
  if (untuned !== null) {
    output.line(
      "  untuned: the pipeline's own parameters, trained and judged on the same rows; nothing is chosen by these figures",
    );
  }
  const { ablation } = fitted;
  if (ablation !== null) {
    output.line(
      `  anomaly score among the inputs: average precision ${figure(ablation.without)} without, ${figure(ablation.with)} with, a gain of at least ${figure(ablation.gainLow)} (95 %) → ${ablation.kept ? "kept" : "left out"}`,
    );
  }
  const top = result.importance
    .slice(0, FEATURES_SHOWN)
    .map(({ name, gain }) => `${name} ${(100 * gain).toFixed(0)} %`);
  if (top.length > 0) output.line(`  what the trees look at: ${top.join(", ")}`);
  if (result.refit !== null) output.line(`  ${refitText(result.refit)}`);
  const seconds = Object.entries(result.seconds).map(([name, value]) => `${name} ${value.toFixed(1)} s`);
  output.line(`  ${fitted.rounds > 0 ? `${fitted.rounds} trees; ` : ""}${seconds.join(", ")}`);
}

/** Which model serves, and what is known of it. */
function refitText({ from, to, rows, frauds, unseenRows, scoreShift, alertAgreement }: RefitFacts): string {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `refitted: what serves has learned from ${rows.toLocaleString("en")} transactions (${frauds.toLocaleString("en")} frauds), ${day(from)} … ${day(to)}; no figure above is its own. On ${unseenRows.toLocaleString("en")} newer rows that neither has seen, its scores are shifted by a PSI of ${figure(scoreShift)} before calibration, and ${(100 * alertAgreement).toFixed(0)} % of the highest rows are the same`;
}

/** The best trials, and the pipeline's own parameters wherever they came. */
function showTuning(output: Output, { trials, chosen }: Tuning): void {
  output.heading("search on earlier days: average precision by fold, oldest first");
  const names = Object.keys(trials[0].parameters);
  // As the pipeline file spells them.
  const inYaml = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const shown = trials.filter(({ trial }, place) => place < TRIALS_SHOWN || trial === 0 || trial === chosen);
  output.table([
    ["trial", "folds", "mean", ...names.map(inYaml)],
    ...shown.map(({ trial, parameters, averagePrecision }) => [
      `${trial === 0 ? "pipeline" : trial}${trial === chosen ? " ←" : ""}`,
      averagePrecision.map((value) => value.toFixed(3)).join(" "),
      mean(averagePrecision).toFixed(4),
      ...names.map((name) => String(parameters[name])),
    ]),
  ]);
  const left = trials.length - shown.length;
  if (left > 0) output.line(`  and ${left} more, in the registry as runs below this one`);
  output.line(
    chosen === 0
      ? "  no trial is better by mean and in most folds: the pipeline's parameters stay"
      : `  trial ${chosen} is used; write its parameters below model_parameters to keep them`,
  );
}
