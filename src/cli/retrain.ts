// `sentinel retrain`: on alarm train a candidate, under a lock and a cooldown; --watch looks again and again.

import { setTimeout as sleep } from "node:timers/promises";
import { CANDIDATE } from "../core/alias.ts";
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { retrain } from "../lifecycle/retrain.ts";
import { showMonitor } from "./monitor.ts";
import { durationOption, forceReason, integerOption, textOption } from "./options.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import { showTraining } from "./train.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

const HOUR_MS = 3_600_000;
/** Looks of one --watch, at most: ten years of hours. */
const ROUNDS_MAX = 87_600;

export const verb: Verb = {
  options: [
    ["--data <file>", "the table that the log's transactions are added to (default: the pipeline's source)"],
    ["--monitor-data <file>", "look for the alarm in this table instead of the log"],
    ["--continue", "add trees to the champion on the days it has not learned, instead of training in full"],
    ["--auto-promote", "ask the promotion gate about the candidate first, and promote it on PROMOTE"],
    ["--force", "train without an alarm and without waiting for anything"],
    ["--reason <text>", "why, for the run (with --force)"],
    ["--watch", "look again every --interval instead of once"],
    ["--interval <duration>", "with --watch (default 1h)"],
    ["--rounds <n>", "with --watch: stop after so many looks"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    if (options.watch !== true) return once(context, options);
    const interval = durationOption(options, "interval", HOUR_MS);
    const rounds = integerOption(options, "rounds", { low: 1, high: ROUNDS_MAX, fallback: ROUNDS_MAX });
    let last: VerbResult = { yes: true, json: null };
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await sleep(interval);
      last = await patiently(context, options);
    }
    return last;
  },
};

/** A watch outlives what a retry may help, and stops at everything else. */
async function patiently(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  try {
    return await once(context, options);
  } catch (error) {
    if (!(error instanceof SentinelError) || !(error.kind.retryable || error.code === "lifecycle.locked")) throw error;
    context.output.line(`  not this time: ${error.message}`);
    return { yes: true, json: { outcome: "failed", reason: error.message } };
  }
}

async function once(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const { output, config } = context;
  const result = await retrain(context.ports(), {
    pipeline,
    path: textOption(options, "data") ?? pipeline.source,
    monitorPath: textOption(options, "monitorData") ?? null,
    workspace: config.workspace,
    actor: config.actor,
    packageVersion: context.packageVersion,
    threads: config.threads,
    forced: forceReason(options),
    continued: options.continue === true,
    autoPromote: options.autoPromote === true,
    onMonitor: (seen) => showMonitor(output, seen),
  });
  if (result.promotion !== null) output.verdict(result.promotion.verdict);
  output.heading(`retrain: ${result.outcome}`);
  output.line(`  ${visible(result.reason)}`);
  if (result.outcome === "promoted") output.line(`  version ${result.promotion?.to} is champion`);
  if (result.trained !== null) {
    for (const verdict of result.trained.verdicts) output.verdict(verdict);
    showTraining(output, result.trained);
    if (result.trained.version !== null)
      output.line(
        `\n  version ${result.trained.version.version} is registered as ${result.as}; \`sentinel promote${result.as === CANDIDATE ? "" : ` --to ${result.as}`}\` weighs it`,
      );
  }
  return { yes: result.outcome !== "refused" && result.outcome !== "broken-feed", json: result };
}
