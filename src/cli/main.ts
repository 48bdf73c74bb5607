#!/usr/bin/env node
// The command line: a table of verbs, each loaded only when it is called; exit codes and errors in one place.
import { readFileSync } from "node:fs";
import path from "node:path";
import { Command, CommanderError } from "commander";
import { ERROR_KINDS, SentinelError } from "../core/errors.ts";
import { visibleLines } from "../core/visible.ts";
import { createOutput, type Output } from "./output.ts";
import { packageRoot } from "./package-root.ts";
import { watchStreams, writeDocument } from "./streams.ts";
import type { Verb, VerbOptions, VerbResult } from "./verb.ts";

/** Verb → what it does, and its file. */
const VERBS: Readonly<Record<string, readonly [summary: string, load: () => Promise<{ readonly verb: Verb }>]>> = {
  init: ["make a workspace", () => import("./init.ts")],
  inspect: ["look at a table and write a first pipeline from it", () => import("./inspect.ts")],
  demo: ["the whole life of a model on simulated data, then a live server", () => import("./demo.ts")],
  simulate: ["make transactions with frauds, and drift when asked", () => import("./simulate.ts")],
  validate: ["data gate: is this data fit to train on?", () => import("./validate.ts")],
  featurise: ["the feature vectors of a table as Parquet, to train elsewhere", () => import("./featurise.ts")],
  train: ["data gate, features, models, gates, candidate", () => import("./train.ts")],
  evaluate: ["how good a version is on later rows: figures and curves", () => import("./evaluate.ts")],
  import: ["a model that XGBoost, LightGBM or an ONNX exporter wrote becomes a candidate", () => import("./import.ts")],
  compare: ["champion against candidate, on data and in shadow", () => import("./compare.ts")],
  promote: ["promotion gate, then the candidate becomes champion", () => import("./promote.ts")],
  rollback: ["put the previous champion back", () => import("./rollback.ts")],
  registry: [
    "list, show, history, verify or push: versions, aliases, who was champion when and why, what is damaged",
    () => import("./registry.ts"),
  ],
  serve: ["HTTP server: scores with the champion, shadows the candidate", () => import("./serve.ts")],
  stream: ["judge what comes from Kafka or from files, exactly once", () => import("./stream.ts")],
  produce: ["transactions into a topic: simulated at a rate, or a table", () => import("./produce.ts")],
  gateway: [
    "in front of servers that score: an answer in time whatever they do, and a ledger",
    () => import("./gateway.ts"),
  ],
  chaos: ["load on a gateway or server, and what became of each request", () => import("./chaos.ts")],
  rules: [
    "list, apply, add, stage, backtest, conflicts, suggest, compare, promote, rollback, history: SQL rules beside the model",
    () => import("./rules.ts"),
  ],
  lists: ["list, show, add or end: named values that rules ask", () => import("./lists.ts")],
  cases: ["list, next or close: alerts of one entity that wait for an analyst", () => import("./cases.ts")],
  db: ["migrate or status: the tables of the store of rules, pipelines, alerts and audit", () => import("./db.ts")],
  keys: ["add, list or revoke the keys that the HTTP server asks for", () => import("./keys.ts")],
  label: ["late labels from a file", () => import("./label.ts")],
  monitor: ["drift, data quality, performance; exit 1 on alarm", () => import("./monitor.ts")],
  retrain: ["on alarm, train a candidate (never a champion)", () => import("./retrain.ts")],
  replay: ["recompute logged vectors and scores, bit for bit", () => import("./replay.ts")],
  archive: [
    "write, list, compact, verify or expire: every decided transaction as Parquet by day",
    () => import("./archive.ts"),
  ],
  compact: ["old predictions leave the log, once the archive or a Parquet file has them", () => import("./compact.ts")],
  explain: ["why a transaction was judged as it was, feature by feature", () => import("./explain.ts")],
  forget: ["a person leaves every store of the workspace, under a receipt", () => import("./forget.ts")],
  retention: ["what is older than its kind may become leaves every store", () => import("./retention.ts")],
  backup: ["everything in models/ into one folder, while servers run", () => import("./backup.ts")],
  restore: ["a backup into a workspace that lost its models/", () => import("./restore.ts")],
  doctor: ["what is configured, reachable, and what to do about the rest", () => import("./doctor.ts")],
};

/** Errors are printed without any. */
const NO_COLOURS = /(?!)/g;
const EXIT_VERDICT_NO = 1;
const EXIT_INPUT = 2;
const WITHOUT_VERB = ["--help", "-h", "--version", "-V"];

/** Runs one command line; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const wantsJson = argv.includes("--json");
  const output = createOutput({
    json: wantsJson,
    quiet: argv.includes("--quiet"),
    stdout: process.stdout,
    stderr: process.stderr,
    elapsed: () => performance.now(),
  });
  try {
    const name = verbIn(argv);
    const program = describeProgram();
    let result: VerbResult | undefined;
    if (name !== undefined && Object.hasOwn(VERBS, name)) {
      const [, load] = VERBS[name];
      const { verb } = await load();
      const command = program.commands.find((candidate) => candidate.name() === name)!;
      for (const argument of verb.args?.split(" ") ?? []) command.argument(argument);
      for (const [flags, meaning] of verb.options) command.option(flags, meaning);
      command.action(async (...given: unknown[]) => {
        const options = withPipelines(name, { ...program.opts(), ...command.opts() }, [program, command]);
        const args = given
          .slice(0, -2)
          .flat()
          .filter((arg): arg is string => typeof arg === "string");
        result = await runVerb(name, verb, { options, args, output });
      });
    } else if (name !== undefined && name !== "help") {
      throw new SentinelError("cli.usage", `there is no verb ${JSON.stringify(name)}`, {
        hint: knownVerbs(),
      });
    }
    if (name === undefined && !argv.some((word) => WITHOUT_VERB.includes(word))) return withoutVerb(program, wantsJson);
    await program.parseAsync([...argv], { from: "user" });
    if (result === undefined) return 0;
    if (wantsJson) await writeDocument(process.stdout, `${JSON.stringify(result.json, null, 2)}\n`);
    return result.yes ? 0 : EXIT_VERDICT_NO;
  } catch (error) {
    return presentError(error, wantsJson);
  }
}

/** `pipeline` is the one that a verb works on; `pipelines` are all that are named. Throws `cli.usage` where a verb takes one alone. */
function withPipelines(verb: string, options: VerbOptions, commands: readonly Command[]): VerbOptions {
  const pipelines = commands.flatMap((command) => (command.opts() as { readonly pipeline?: string[] }).pipeline ?? []);
  if (pipelines.length > 1 && verb !== "serve") {
    throw new SentinelError("cli.usage", `--pipeline names ${pipelines.join(" and ")}`, {
      hint: `${verb} works on one pipeline: run it once for each`,
    });
  }
  return { ...options, pipeline: pipelines[0], pipelines };
}

/** Gathers the values of an option that may stand several times. */
function gather(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** The first word that is neither an option nor an option's value. */
function verbIn(argv: readonly string[]): string | undefined {
  return argv.find(
    (word, i) => !word.startsWith("-") && !["--workspace", "--pipeline", "--tenant"].includes(argv[i - 1] ?? ""),
  );
}

function withoutVerb(program: Command, json: boolean): number {
  if (json) return presentError(new SentinelError("cli.usage", "no verb is given", { hint: knownVerbs() }), json);
  process.stdout.write(program.helpInformation());
  return EXIT_INPUT;
}

function knownVerbs(): string {
  return `known verbs: ${Object.keys(VERBS).join(", ")}`;
}

function describeProgram(): Command {
  const program = new Command("sentinel")
    .description(
      "The whole life of a fraud model in one tool: check the data, train, register, shadow, promote, serve, watch, retrain.",
    )
    .version(packageVersion())
    .option("--workspace <dir>", "folder with features/ pipelines/ data/ models/ (default: this folder)")
    .option(
      "--pipeline <name>",
      "pipelines/<name>.yaml (default: the only one, or card); serve and stream take several",
      gather,
    )
    .option("--tenant <name>", "whose pipelines, rules and keys (default: default)")
    .option("--json", "print one JSON document and nothing else on stdout")
    .option("--quiet", "print nothing but errors")
    // After a verb stand the verb's own options; every verb has those of the program too.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addHelpText(
      "after",
      "\nExit codes: 0 yes · 1 a verdict said no · 2 your input · 3 the outside world, a retry may help · 70 our bug",
    );
  for (const [name, [summary]] of Object.entries(VERBS)) {
    // Options that every verb takes may stand after the verb too.
    program
      .command(name)
      .description(summary)
      .option("--workspace <dir>", "the workspace")
      .option("--pipeline <name>", "the pipeline", gather)
      .option("--tenant <name>", "the tenant")
      .option("--json", "one JSON document on stdout")
      .option("--quiet", "nothing but errors")
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
  }
  return program;
}

async function runVerb(
  name: string,
  verb: Verb,
  given: { readonly options: VerbOptions; readonly args: readonly string[]; readonly output: Output },
): Promise<VerbResult> {
  const file = given.options.summary;
  if (typeof file !== "string") return await runIn(verb, given);
  const { recorded } = await import("./summary.ts");
  const { checkOutFile } = await import("./out.ts");
  checkOutFile("--summary", file);
  const record = recorded(given.output, { verb: name, file });
  let ended: { readonly error?: unknown } = {};
  try {
    return await runIn(verb, { ...given, output: record.output });
  } catch (error) {
    ended = { error };
    throw error;
  } finally {
    record.write(ended.error);
  }
}

async function runIn(
  verb: Verb,
  given: { readonly options: VerbOptions; readonly args: readonly string[]; readonly output: Output },
): Promise<VerbResult> {
  const { openContext } = await import("./context.ts");
  const { context, close } = openContext(given.options, { output: given.output, packageVersion: packageVersion() });
  try {
    return await verb.run(context, given);
  } finally {
    await close();
  }
}

/** Expected errors show a message and a hint; bugs show a stack and ask for a report. */
function presentError(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    return presentError(
      new SentinelError("cli.usage", error.message.replace(/^error: /, ""), {
        hint: "see `sentinel --help` and `sentinel <verb> --help`",
      }),
      json,
    );
  }
  if (error instanceof SentinelError) {
    const { code, message, hint } = error;
    // What could not be written to standard output is no place to say so.
    if (json && code !== "cli.output-lost")
      process.stdout.write(`${JSON.stringify({ error: { code, message, hint } }, null, 2)}\n`);
    else process.stderr.write(visibleLines(`✘ ${message}\n  what to do: ${hint}\n  (${code})\n`, NO_COLOURS));
    return error.kind.exit;
  }
  const stack = error instanceof Error ? error.stack : String(error);
  if (json)
    process.stdout.write(`${JSON.stringify({ error: { code: "bug.unexpected", message: String(error) } }, null, 2)}\n`);
  process.stderr.write(`✘ this is a bug in Sentinel; please report it with these lines\n${stack}\n`);
  return ERROR_KINDS["bug.unexpected"].exit;
}

function packageVersion(): string {
  const parsed = JSON.parse(readFileSync(path.join(packageRoot(), "package.json"), "utf8")) as {
    readonly version: string;
  };
  return parsed.version;
}

if (process.argv[1] !== undefined && /(main\.[jt]s|sentinel)$/.test(process.argv[1])) {
  const watch = watchStreams(process.stdout, process.stderr);
  process.exitCode = await main(process.argv.slice(2));
  const lost = watch.fault();
  // With --json the document is the answer and its loss an error; words for people are not, so the verb's own code stands.
  if (lost !== null && process.exitCode < ERROR_KINDS["cli.output-lost"].exit)
    process.stderr.write(`! not all that was said could be written to standard output: ${lost.message}\n`);
}
