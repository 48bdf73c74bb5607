// `sentinel rollback`: the previous champion answers again.
import { rollback } from "../lifecycle/promote.ts";
import { textOption } from "./options.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--to <version>", "a version (default: the champion before)"],
    ["--reason <text>", "why, for the journal"],
  ],
  async run(context, { options }) {
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
