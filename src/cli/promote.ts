// `sentinel promote`: the evidence for a candidate, the verdict, and the alias that moves on PROMOTE.
import { SentinelError } from "../core/errors.ts";
import { isYes } from "../core/verdict.ts";
import { promote } from "../lifecycle/promote.ts";
import { forceReason, textOption } from "./options.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--to <version>", "a version or candidate-NAME (default: the alias candidate)"],
    ["--dry-run", "say what the gate says, and move nothing: for pull requests"],
    ["--force", "promote although the gate said HOLD or REJECT"],
    ["--reason <text>", "why, for the journal (with --force)"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const pipeline = context.pipeline();
    const forced = forceReason(options);
    const dryRun = options.dryRun === true;
    if (dryRun && forced !== null) {
      throw new SentinelError("cli.usage", "--dry-run moves nothing, so --force has nothing to override", {
        hint: "drop one of the two",
      });
    }
    const result = await promote(context.ports(), {
      pipeline,
      to: textOption(options, "to") ?? null,
      actor: context.config.actor,
      forced,
      dryRun,
      seed: pipeline.modelParameters.seed,
    });
    const { output } = context;
    output.heading(
      `promote ${pipeline.model} ${result.from === null ? "" : `version ${result.from} → `}version ${result.to}`,
    );
    output.verdict(result.verdict);
    if (dryRun && result.from !== result.to) {
      const would = isYes(result.verdict) ? `version ${result.to} would become champion` : "the champion would stay";
      output.line(`\n  dry run: nothing was moved; ${would}`);
    } else if (result.moved) {
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
    return {
      yes: result.moved || result.from === result.to || (dryRun && isYes(result.verdict)),
      json: dryRun ? { ...result, dry_run: true } : result,
    };
  },
};
