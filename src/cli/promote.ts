// `sentinel promote`: the evidence for a candidate, the verdict, and the alias that moves on PROMOTE.
import { isYes } from "../core/verdict.ts";
import { promote } from "../lifecycle/promote.ts";
import { forceReason, textOption } from "./options.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--to <version>", "a version or candidate-NAME (default: the alias candidate)"],
    ["--force", "promote although the gate said HOLD or REJECT"],
    ["--reason <text>", "why, for the journal (with --force)"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const pipeline = context.pipeline();
    const forced = forceReason(options);
    const result = await promote(context.ports(), {
      pipeline,
      to: textOption(options, "to") ?? null,
      actor: context.config.actor,
      forced,
      seed: pipeline.modelParameters.seed,
    });
    const { output } = context;
    output.heading(
      `promote ${pipeline.model} ${result.from === null ? "" : `version ${result.from} → `}version ${result.to}`,
    );
    output.verdict(result.verdict);
    if (result.moved) {
      output.line(
        `\n  version ${result.to} is champion${forced === null || isYes(result.verdict) ? "" : ` (forced: ${forced})`}; journal entry ${result.journal?.hash.slice(0, 12)}`,
      );
    } else if (result.from !== result.to) {
      output.line(
        result.overridable
          ? '\n  the champion stays; --force --reason "…" overrides and is written into the journal'
          : "\n  the champion stays; --force does not help, because no server could answer with this version",
      );
    }
    return { yes: result.moved || result.from === result.to, json: result };
  },
};
