// `sentinel train`: arguments in, narration and verdicts out.
import { writeResults } from "../lifecycle/result-files.ts";
import { trainResults } from "../lifecycle/train/results.ts";
import { train } from "../lifecycle/train.ts";
import { forceReason, integerOption, textOption } from "./options.ts";
import type { Output } from "./output.ts";
import type { Verb } from "./verb.ts";

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

export const verb: Verb = {
  options: [
    ["--data <file>", "CSV, Parquet or NDJSON with labels (default: the pipeline's source)"],
    ["--seed <n>", "seed of every random draw (default: the pipeline's)"],
    ["--force", "register although a gate said no"],
    ["--reason <text>", "why, for the journal (with --force)"],
    ["--out <dir>", "write train.json, metrics.json and learning.csv into this folder"],
  ],
  async run(context, { options }) {
    const { output, config } = context;
    const pipeline = context.pipeline();
    const forced = forceReason(options);
    const path = textOption(options, "data") ?? pipeline.source;
    const seed =
      options.seed === undefined
        ? undefined
        : integerOption(options, "seed", { low: 0, high: 4294967295, fallback: 1 });
    output.heading(`train ${pipeline.model} on ${path}`);
    const result = await train(context.ports(), {
      pipeline,
      path,
      actor: config.actor,
      packageVersion: context.packageVersion,
      threads: config.threads,
      seed,
      forced,
      verb: "train",
    });
    const out = textOption(options, "out");
    if (out !== undefined) writeResults(out, trainResults(result, pipeline.model));
    for (const verdict of result.verdicts) output.verdict(verdict);
    showTraining(output, result);
    if (result.version !== null) {
      output.line(
        `\n  version ${result.version.version} of ${result.version.model} is registered as candidate (bundle ${result.version.bundle.slice(0, 12)})`,
      );
      output.line("  next: `sentinel serve` shadows it, `sentinel promote` weighs it");
    } else {
      output.line("\n  nothing was registered");
    }
    return { yes: result.version !== null, json: result };
  },
};

/** Metrics beside the champion's, ablation and the features that matter. */
export function showTraining(output: Output, result: Awaited<ReturnType<typeof train>>): void {
  const { metrics, champion, fitted } = result;
  if (metrics === null || fitted === null) return;
  output.heading("on the evaluation slice, which nothing else saw");
  output.table([
    ["metric", "candidate", ...(champion === null ? [] : [`champion v${champion.version}`])],
    ...SHOWN.map((key) => [
      key,
      metrics[key].toFixed(4),
      ...(champion === null ? [] : [champion.metrics[key].toFixed(4)]),
    ]),
  ]);
  const { ablation } = fitted;
  output.line(
    `  anomaly score among the inputs: average precision ${ablation.without.toFixed(4)} without, ${ablation.with.toFixed(4)} with → ${ablation.kept ? "kept" : "left out"}`,
  );
  const top = result.importance
    .slice(0, FEATURES_SHOWN)
    .map(({ name, gain }) => `${name} ${(100 * gain).toFixed(0)} %`);
  output.line(`  what the trees look at: ${top.join(", ")}`);
  const seconds = Object.entries(result.seconds).map(([name, value]) => `${name} ${value.toFixed(1)} s`);
  output.line(`  ${fitted.rounds} trees; ${seconds.join(", ")}`);
}
