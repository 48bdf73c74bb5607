// `sentinel compact`: old predictions leave the log for a Parquet file that any DuckDB reads.
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { compact } from "../lifecycle/compact.ts";
import { schemaIfThere } from "../lifecycle/data/schema-file.ts";
import { durationOption, textOption } from "./options.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--older-than <duration>", "predictions received longer ago than this, such as 30d"],
    ["--out <folder>", "write a file there (default: the pipeline's archive; data/archive where it has none)"],
  ],
  async run(context, { options }) {
    if (textOption(options, "olderThan") === undefined) {
      throw new SentinelError("cli.usage", "compact needs --older-than DURATION", {
        hint: "for example: sentinel compact --older-than 30d; labels of what leaves the log can no longer be learned",
      });
    }
    const age = durationOption(options, "olderThan", Number.NaN);
    const ports = context.ports();
    const pipeline = context.pipeline();
    const before = ports.clock.now() - age;
    const result = await compact(ports, {
      pipeline,
      schema: schemaIfThere(pipeline),
      before,
      folder: textOption(options, "out") ?? null,
      otherwise: path.join(context.config.workspace, "data", "archive"),
    });
    context.output.line(
      result.file === null
        ? `no prediction was received before ${new Date(before).toISOString()}`
        : `${result.predictions.toLocaleString("en")} predictions (${result.labelled.toLocaleString("en")} with a label) → ${result.file}`,
    );
    return { yes: true, json: result };
  },
};
