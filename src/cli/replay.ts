// `sentinel replay`: every logged vector and score recomputed from raw history; exit 1 when one bit differs.
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { readHistory } from "../lifecycle/data/history.ts";
import { forgottenIn } from "../lifecycle/forget.ts";
import { replay } from "../lifecycle/replay.ts";
import { showInputs } from "./inputs.ts";
import type { Verb, VerbOptions } from "./verb.ts";

const SHOWN_MAX = 20;
const OF_TOPIC = ["bundle", "rules", "in", "out", "fromOffsets", "untilOffsets"];

/** What says how a recorded stream is judged means nothing for the log. */
function refuseAlone(options: VerbOptions): void {
  const found = OF_TOPIC.find((name) => options[name] !== undefined);
  if (found === undefined) return;
  const flag = found.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new SentinelError("cli.usage", `--${flag} is about a recorded stream, and --topic is missing`, {
    hint: "add --topic; without it the log is recomputed as it was",
  });
}

export const verb: Verb = {
  options: [
    [
      "--topic [name]",
      "judge a recorded stream again and show what would be decided otherwise (default: the pipeline's topic)",
    ],
    ["--bundle <version>", "with --topic: by this version or alias instead of the champion"],
    ["--rules <file>", "with --topic: by the rules of this file instead of the live ones"],
    ["--in <path>", "with --topic: an NDJSON file or folder instead of the topic itself"],
    ["--out <folder>", "with --topic: where files of topics are (default: data/stream in the workspace)"],
    ["--from-offsets <offsets>", "with --topic: begin there: 1200 in every partition, or 0:1200,1:900"],
    ["--until-offsets <offsets>", "with --topic: end before them"],
  ],
  async run(context, { options }) {
    if (options.topic !== undefined) return (await import("./replay-topic.ts")).replayRecorded(context, options);
    refuseAlone(options);
    const pipeline = context.pipeline();
    const ports = context.ports();
    const report = await replay(ports, {
      pipeline,
      history: (origin, plan) => readHistory(ports, pipeline, { origin, plan }),
      forgotten: forgottenIn(context.config),
    });
    const { output } = context;
    output.line(
      `${report.predictions.toLocaleString("en")} predictions: ${report.compared.toLocaleString("en")} vectors and ${report.scoresCompared.toLocaleString("en")} scores recomputed`,
    );
    for (const [reason, count] of Object.entries(report.skipped))
      if (count > 0) output.line(`  ${count} not compared: ${reason}`);
    const { draws, thresholds } = report;
    if (draws.compared > 0) output.line(`  ${draws.compared} draws of what is let through by chance made again`);
    if (draws.byOtherRules > 0) {
      output.line(
        `  ${draws.byOtherRules} draws not made again: the pipeline had other rules then (decisions.explore)`,
      );
    }
    if (thresholds.compared > 0) output.line(`  ${thresholds.compared} review thresholds computed again`);
    if (thresholds.byOtherRules > 0) {
      output.line(
        `  ${thresholds.byOtherRules} review thresholds not computed again: the pipeline had other settings then (decisions.adapt)`,
      );
    }
    if (thresholds.unknown > 0) {
      output.line(
        `  ${thresholds.unknown} review thresholds not computed again: the log forgot the scores they follow (log.retention)`,
      );
    }
    for (const reason of report.reasons) output.line(`  ${report.verdict === "pass" ? "✔" : "✘"} ${visible(reason)}`);
    for (const served of report.served) showInputs(output, served);
    if (report.mismatches.length > 0) {
      output.table([
        ["transaction", "feature", "logged", "replayed"],
        ...report.mismatches
          .slice(0, SHOWN_MAX)
          .map(({ transactionId, feature, logged, replayed }) => [
            transactionId,
            feature,
            String(logged),
            String(replayed),
          ]),
      ]);
    }
    return { yes: report.verdict === "pass", json: report };
  },
};
