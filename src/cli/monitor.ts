// `sentinel monitor`: has the world moved, and does the champion still find frauds? Exit 1 on alarm.

import pc from "picocolors";
import { visible } from "../core/visible.ts";
import type { Shift } from "../drift/monitor.ts";
import { type MonitorResult, monitor } from "../lifecycle/monitor.ts";
import { percent, showInputs } from "./inputs.ts";
import { textOption, timeOption } from "./options.ts";
import { figure, type Output } from "./output.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb } from "./verb.ts";

const FEATURES_SHOWN = 8;

export const verb: Verb = {
  options: [
    ["--data <file>", "a table to look at (default: the prediction log)"],
    ["--until <time>", "end of the window (default: the newest transaction)"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const result = await monitor(context.ports(), {
      pipeline: context.pipeline(),
      path: textOption(options, "data") ?? null,
      until: timeOption(options, "until") ?? null,
    });
    showMonitor(context.output, result);
    return { yes: !result.alarm, json: result };
  },
};

/** The alarm or the all-clear, its reasons, and what moved most. */
export function showMonitor(output: Output, result: MonitorResult): void {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace("T", " ");
  output.heading(
    `${result.drift.rows.toLocaleString("en")} transactions of ${result.source}, ${day(result.from)} … ${day(result.to)}, champion version ${result.version}`,
  );
  const cause = result.drift.alarm ? result.drift.verdict : "performance fell";
  output.line(`  ${result.alarm ? pc.red(`✘ ALARM: ${cause}`) : pc.green(`✔ ${result.drift.verdict}`)}`);
  for (const reason of result.reasons.slice(0, 10)) output.line(`    ${visible(reason)}`);
  if (result.reasons.length > 10) output.line(`    … ${result.reasons.length - 10} more`);
  const effects = new Map(result.effects.map(({ feature, logOdds }) => [feature, logOdds]));
  const moved = [result.drift.score, ...result.drift.features].slice(0, FEATURES_SHOWN + 1);
  output.table([
    ["what", "PSI", "KS", "Wasserstein", "Jensen-Shannon", "on the score", ""],
    ...moved.map((feature) => [
      feature.name,
      figure(feature.psi, 3),
      figure(feature.ks?.statistic, 3),
      figure(feature.wasserstein?.distance, 3),
      figure(feature.jensenShannon, 3),
      effectText(effects.get(feature.name)),
      feature.drifted ? `moved${sinceText(feature.since)}` : feature.moved ? "moved, not for long enough" : "",
    ]),
  ]);
  for (const shift of result.drift.shifts.slice(0, FEATURES_SHOWN)) output.line(`  ${visible(shiftText(shift))}`);
  showInputs(output, result.served);
  for (const { name, share, atTraining } of result.unlisted.slice(0, FEATURES_SHOWN)) {
    const before = atTraining === null ? "" : ` (${percent(atTraining)} when trained)`;
    output.line(`  ${name}: ${percent(share)} of values are none of its list${before}`);
  }
  const { performance } = result;
  if (performance === null) output.line("  performance: too few matured frauds to say");
  else {
    output.line(
      `  performance on ${performance.frauds} matured frauds: average precision ${figure(performance.averagePrecision, 3)} (${figure(performance.averagePrecisionAtTraining, 3)} when trained), recall ${figure(performance.recallAtReview, 3)}, precision ${figure(performance.precisionAtReview, 3)}`,
    );
  }
}

function effectText(logOdds: number | undefined): string {
  return logOdds === undefined ? "" : `${logOdds < 0 ? "−" : "+"}${figure(Math.abs(logOdds), 2)} log-odds`;
}

function sinceText(since: number | null): string {
  return since === null ? "" : ` since ${new Date(since).toISOString().slice(0, 10)}`;
}

/** `amount from 12 to 40: 31 % of rows, 10 % when trained; such as 23.5 (transaction t17)` */
function shiftText({ feature, bin, reference, window, example }: Shift): string {
  const shares = `${percent(window)} of rows, ${percent(reference)} when trained`;
  const such = example === null ? "" : `; such as ${example.value ?? "nothing"} (transaction ${example.id})`;
  return `${feature} ${binText(bin)}: ${shares}${such}`;
}

function binText(bin: Shift["bin"]): string {
  if (bin.kind === "missing") return "missing";
  if (bin.kind === "category") return bin.code === null ? "any other category" : `category ${bin.code}`;
  if (bin.above === null) return bin.upTo === null ? "present" : `up to ${figure(bin.upTo, 4)}`;
  return bin.upTo === null
    ? `above ${figure(bin.above, 4)}`
    : `above ${figure(bin.above, 4)}, up to ${figure(bin.upTo, 4)}`;
}
