// `sentinel rollback`: the previous champion answers again; with --if-broken only when the present one breaks a guard rail on live traffic.
import { setTimeout as sleep } from "node:timers/promises";
import { DAY_MS, formatDuration } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { isYes } from "../core/verdict.ts";
import { visible } from "../core/visible.ts";
import { rollback } from "../lifecycle/promote.ts";
import { type GuardResult, rollbackIfBroken } from "../lifecycle/rollback.ts";
import { type WatchRound, watch } from "../lifecycle/watch.ts";
import { durationOption, textOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--to <version>", "a version (default: the champion before)"],
    ["--reason <text>", "why, for the journal"],
    ["--if-broken", "only when the champion breaks a guard rail against the one it replaced; for a cron line"],
    ["--every <duration>", "with --if-broken: look again after so long, until SIGTERM"],
  ],
  async run(context, { options }) {
    if (options.ifBroken === true) return guarded(context, options);
    if (options.every !== undefined) {
      throw new SentinelError("cli.usage", "--every needs --if-broken", {
        hint: "a rollback by hand happens once; `sentinel rollback --if-broken --every 15m` watches",
      });
    }
    const pipeline = context.pipeline();
    const result = await rollback(context.ports(), {
      pipeline,
      to: textOption(options, "to") ?? null,
      actor: context.config.actor,
      reason: textOption(options, "reason") ?? "rolled back by hand",
    });
    context.output.line(
      `version ${result.to} of ${pipeline.model} is champion again, version ${result.from} shadows as \`previous\``,
    );
    context.output.line(`journal entry ${result.journal.hash.slice(0, 12)}`);
    return { yes: true, json: result };
  },
};

/** A timer of Node ends at 2^31 ms. */
const EVERY_MS_MIN = 1000;
const EVERY_MS_MAX = 7 * DAY_MS;

/** Exit 1 when a guard rail is broken, whether or not that was undone: somebody should look. Watching ends with 0. */
async function guarded(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  for (const name of ["to", "reason"]) {
    if (options[name] === undefined) continue;
    throw new SentinelError("cli.usage", `--${name} does not go with --if-broken`, {
      hint: "--if-broken goes back to the champion before, and its reasons are the guard rails'; leave one of them out",
    });
  }
  const pipeline = context.pipeline();
  const input = { pipeline, actor: context.config.actor, seed: pipeline.modelParameters.seed };
  const every = options.every === undefined ? null : durationOption(options, "every", 0);
  if (every !== null && !(every >= EVERY_MS_MIN && every <= EVERY_MS_MAX)) {
    throw new SentinelError("cli.usage", `--every ${options.every} is not from 1s to 7d`, {
      hint: "labels come by the hour at best: --every 15m is soon enough",
    });
  }
  if (every === null) {
    const result = await rollbackIfBroken(context.ports(), input);
    showGuard(context, result);
    return { yes: isYes(result.verdict), json: result };
  }
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  const wait = async (): Promise<boolean> => {
    await sleep(every, undefined, { signal: stop.signal }).catch(() => {});
    return !stop.signal.aborted;
  };
  const onRound = ({ guard, fault }: WatchRound): void => {
    if (guard !== null) showGuard(context, guard);
    else
      context.output.line(`  not looked at: ${visible(fault.message)}; the next look is in ${formatDuration(every)}`);
  };
  return { yes: true, json: await watch(context.ports(), { ...input, wait, onRound }) };
}

function showGuard(context: VerbContext, result: GuardResult): void {
  const { output } = context;
  const pipeline = context.pipeline();
  const { verdict, from, to, moved, journal } = result;
  output.heading(
    `guard rails of ${pipeline.model} version ${from}${to === null ? "" : `, as a candidate against version ${to}, which it replaced`}`,
  );
  output.verdict(verdict);
  if (moved) {
    output.line(`\n  version ${to} is champion again, version ${from} shadows as \`previous\``);
    output.line(`  journal entry ${journal?.hash.slice(0, 12)}`);
  } else if (!isYes(verdict)) {
    output.line(
      "\n  nothing moved: `gates.rollback.automatic` is false; `sentinel rollback --reason …` puts the champion before back",
    );
  }
}
