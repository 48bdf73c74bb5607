// `sentinel validate`: the data gate on a table; exit 1 when it says no.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../core/private.ts";
import { validate } from "../lifecycle/validate.ts";
import { showInputs } from "./inputs.ts";
import { textOption } from "./options.ts";
import { checkOutFile } from "./out.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--data <file>", "CSV, Parquet or NDJSON (default: the pipeline's source)"],
    ["--report <file>", "HTML report (default: models/reports/<pipeline>-validation.html)"],
    ["--result <file>", "Great Expectations result JSON"],
  ],
  async run(context, { options }) {
    const pipeline = context.pipeline();
    const file = textOption(options, "data") ?? pipeline.source;
    const { output, config } = context;
    const report = textOption(options, "report") ?? path.join(config.reportsDir, `${pipeline.name}-validation.html`);
    const json = textOption(options, "result");
    checkOutFile("--report", report);
    if (json !== undefined) checkOutFile("--result", json);
    const result = await validate(context.ports(), { pipeline, path: file });
    write(report, result.html);
    if (json !== undefined) write(json, `${JSON.stringify(result.result, null, 2)}\n`);
    output.heading(`${result.source.rows.toLocaleString("en")} transactions of ${file} against ${pipeline.suiteFile}`);
    output.verdict(result.verdict);
    showInputs(output, result.served);
    output.line(`\n  report: ${report}`);
    return {
      yes: result.verdict.verdict === "pass",
      json: { verdict: result.verdict, source: result.source, served: result.served, result: result.result },
    };
  },
};

function write(file: string, text: string): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    // Values that the suite did not expect are customers' values.
    writeFileSync(file, text, { mode: PRIVATE_FILE_MODE });
  } catch (error) {
    throw new SentinelError("workspace.unwritable", `cannot write ${file}: ${messageOf(error)}`, {
      hint: "name a file in a folder you may write to",
      cause: error,
    });
  }
}
