// `sentinel validate`: the data gate on a table; exit 1 when it says no.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { messageOf, SentinelError } from "../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../core/private.ts";
import { profile, validate } from "../lifecycle/validate.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { showInputs } from "./inputs.ts";
import { textOption } from "./options.ts";
import { checkOutFile } from "./out.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb, VerbContext, VerbResult } from "./verb.ts";

export const verb: Verb = {
  options: [
    [
      "--data <file>",
      "CSV, Parquet or NDJSON: a file, a folder of them, or a pattern (default: the pipeline's source)",
    ],
    ["--report <file>", "HTML report (default: models/reports/<pipeline>-validation.html)"],
    ["--result <file>", "Great Expectations result JSON"],
    ["--failures <file>", "rows at fault as CSV: the first of each check and a sample of all"],
    ["--profile <file>", "instead of judging: propose a suite from the table, as JSON or YAML by the file's ending"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const pipeline = context.pipeline();
    const file = textOption(options, "data") ?? pipeline.source;
    const proposal = textOption(options, "profile");
    if (proposal !== undefined) return await propose(context, { pipeline, file, proposal });
    const { output, config } = context;
    const report = textOption(options, "report") ?? path.join(config.reportsDir, `${pipeline.name}-validation.html`);
    const json = textOption(options, "result");
    const failures = textOption(options, "failures");
    checkOutFile("--report", report);
    if (json !== undefined) checkOutFile("--result", json);
    if (failures !== undefined) checkOutFile("--failures", failures);
    const result = await validate(context.ports(), { pipeline, path: file });
    write(report, result.html);
    if (json !== undefined) write(json, `${JSON.stringify(result.result, null, 2)}\n`);
    // An empty file says that no row was at fault, where an old one would say otherwise.
    if (failures !== undefined) write(failures, result.failures?.csv ?? "");
    output.heading(`${result.source.rows.toLocaleString("en")} transactions of ${file} against ${pipeline.suiteFile}`);
    output.verdict(result.verdict);
    showInputs(output, result.served);
    output.line(`\n  report: ${report}`);
    if (failures !== undefined) output.line(`  rows at fault: ${failures} (${result.failures?.rows ?? 0} rows)`);
    return {
      yes: result.verdict.verdict === "pass",
      json: { verdict: result.verdict, source: result.source, served: result.served, result: result.result },
    };
  },
};

/** Writes a suite that an analyst edits; nothing is judged. */
async function propose(
  { output, ports }: VerbContext,
  given: { readonly pipeline: Pipeline; readonly file: string; readonly proposal: string },
): Promise<VerbResult> {
  const { pipeline, file, proposal } = given;
  checkOutFile("--profile", proposal);
  if (path.resolve(proposal) === path.resolve(pipeline.suiteFile) && existsSync(proposal)) {
    throw new SentinelError("cli.usage", `--profile ${proposal} is the suite that ${pipeline.file} uses`, {
      hint: "name another file, compare the two, and take over what you want",
    });
  }
  const { suite, notes, rows } = await profile(ports(), { pipeline, path: file });
  const isYaml = /\.ya?ml$/i.test(proposal);
  write(proposal, isYaml ? stringify(suite, { lineWidth: 120 }) : `${JSON.stringify(suite, null, 2)}\n`);
  output.heading(
    `${suite.expectations.length} expectations proposed from ${rows.toLocaleString("en")} rows of ${file}`,
  );
  for (const { type, kwargs, notes: why } of suite.expectations)
    output.line(`  ${String(kwargs.column ?? "table")}: ${type.replace(/^expect_/, "").replaceAll("_", " ")}. ${why}`);
  for (const note of notes) output.line(`  ? ${note}`);
  output.line(`\n  suite: ${proposal}; edit it, name it under suite: in ${pipeline.file}, then \`sentinel validate\``);
  return { yes: true, json: { suite, notes, rows } };
}

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
