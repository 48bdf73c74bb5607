// `sentinel evaluate`: how good one version is on later rows of a table; figures and curves, as files with --out.
import { SentinelError } from "../core/errors.ts";
import { writeResults } from "../lifecycle/data/result-files.ts";
import { evaluateResults, evaluateVersion } from "../lifecycle/evaluate.ts";
import { textOption } from "./options.ts";
import { checkOutFolder } from "./out.ts";
import { figure } from "./output.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--data <file>", "CSV, Parquet or NDJSON with labels (default: the pipeline's source)"],
    ["--to <version>", "a version (default: the candidate, else the champion)"],
    ["--trained <file>", "instead: the version whose bundle this train.json of `train --out` names"],
    ["--out <dir>", "write metrics.json and the curves as CSV into this folder"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const to = textOption(options, "to") ?? null;
    const trained = textOption(options, "trained") ?? null;
    if (to !== null && trained !== null) {
      throw new SentinelError("cli.usage", "--to names a version, --trained another way to find one", {
        hint: "give one of the two",
      });
    }
    const pipeline = context.pipeline();
    const path = textOption(options, "data") ?? pipeline.source;
    const out = textOption(options, "out");
    if (out !== undefined) checkOutFolder("--out", out);
    const result = await evaluateVersion(context.ports(), { pipeline, path, to, trained });
    if (out !== undefined) writeResults(out, evaluateResults(result));
    const { output } = context;
    const from = new Date(result.from).toISOString().slice(0, 10);
    output.heading(
      `${pipeline.model} version ${result.version}${result.model === "twin" ? ", the judged twin," : ""} on ${result.rows.toLocaleString("en")} rows from ${from} on`,
    );
    if (result.model === "twin") {
      output.line(
        "  the table has too few rows later than what the refitted model learned from: these figures are its judged twin's",
      );
    }
    output.table([["metric", "value"], ...Object.entries(result.metrics).map(([key, value]) => [key, figure(value)])]);
    if (out !== undefined) output.line(`\n  metrics and curves: ${out}`);
    return { yes: true, json: result };
  },
};
