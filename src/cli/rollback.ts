// `sentinel rollback`: the previous champion answers again; with --if-broken only when the present one breaks a guard rail on live traffic.
import { SentinelError } from "../core/errors.ts";
import { isYes } from "../core/verdict.ts";
import { rollback } from "../lifecycle/promote.ts";
import { rollbackIfBroken } from "../lifecycle/rollback.ts";
import { textOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--to <version>", "a version (default: the champion before)"],
    ["--reason <text>", "why, for the journal"],
    ["--if-broken", "only when the champion breaks a guard rail against the one it replaced; for a cron line"],
  ],
  async run(context, { options }) {
    if (options.ifBroken === true) return watch(context, options);
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

/** Exit 1 when a guard rail is broken, whether or not that was undone: somebody should look. */
async function watch(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  for (const name of ["to", "reason"]) {
    if (options[name] === undefined) continue;
    throw new SentinelError("cli.usage", `--${name} does not go with --if-broken`, {
      hint: "--if-broken goes back to the champion before, and its reasons are the guard rails'; leave one of them out",
    });
  }
  const pipeline = context.pipeline();
  const result = await rollbackIfBroken(context.ports(), {
    pipeline,
    actor: context.config.actor,
    seed: pipeline.modelParameters.seed,
  });
  const { output } = context;
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
  return { yes: isYes(verdict), json: result };
}
