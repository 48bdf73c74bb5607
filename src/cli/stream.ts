// `sentinel stream`: judges what comes from Kafka or from files, exactly once, until SIGTERM or the end of the input.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { pino } from "pino";
import { messageOf, SentinelError } from "../core/errors.ts";
import { loadSchema } from "../lifecycle/data/schema-file.ts";
import { checkEvolution } from "../lifecycle/evolution.ts";
import { fileSource, type Makers, madeSource, servedNames } from "../lifecycle/serve.ts";
import { type StreamProcess, startStreaming } from "../stream/stream.ts";
import { openNotices, openSchemas, openStreams, openWorkspacePorts } from "../wiring.ts";
import { startArchiver } from "./archiver.ts";
import { openLogLines, untilSignal } from "./long-running.ts";
import { choiceOption, integerOption, listOption, textOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

const PORT_DEFAULT = 9464;
const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export const verb: Verb = {
  options: [
    ["--in <path>", "NDJSON instead of Kafka: a file, a folder of .ndjson files, or - for standard input"],
    ["--out <folder>", "where files of decisions, alerts and dead letters go (default: data/stream in the workspace)"],
    ["--until-end", "stop at the end that the input has now"],
    ["--from-dead-letters", "judge the dead letters again, up to their end; what fails again is written there again"],
    [
      "--check",
      "say whether the topic's schema fits the pipeline, and the one of --schema may follow it; exit 1 when not",
    ],
    [
      "--schema <file>",
      "with --check: the schema to come, Avro where the stream is, else the pipeline's next JSON Schema",
    ],
    ["--create", "make the topics that are written, where they are not there"],
    ["--port <n>", `probes and metrics: /livez, /readyz, /metrics (default ${PORT_DEFAULT}; 0 takes a free one)`],
    ["--host <address>", "address for them (default 127.0.0.1; 0.0.0.0 for every interface)"],
    ["--no-port", "no probes and no metrics"],
    ["--log-level <level>", `${LEVELS.join(", ")} (default info; JSON lines on stderr)`],
  ],
  async run(context, { options }) {
    const { workspace } = context.config;
    const named = listOption(options, "pipelines");
    const { names } = servedNames(workspace, { named, main: null, needed: true });
    const input = inputOf(options, names);
    if (options.check === true) return check(context, options);
    if (options.schema !== undefined) {
      throw new SentinelError("cli.usage", "--schema is what --check looks at", {
        hint: "add --check, or leave --schema out",
      });
    }
    const folder = path.resolve(textOption(options, "out") ?? path.join(workspace, "data", "stream"));
    const level = choiceOption(options, "logLevel", LEVELS) ?? "info";
    const port =
      options.port === false ? null : integerOption(options, "port", { low: 0, high: 65_535, fallback: PORT_DEFAULT });
    const { common, portsOf, close } = openWorkspacePorts(context.config, { report: context.output });
    const lines = openLogLines();
    const logger = pino({ level }, lines.destination);
    const makersOf = (name: string): Makers => ({
      portsOf: (pipeline) => portsOf({ pipeline: name, settings: () => pipeline, flushes: true }),
      archiverOf: () =>
        startArchiver({ workspace: context.config.root, tenant: context.config.tenant, pipeline: name }, logger),
    });
    const deadLetters = options.fromDeadLetters === true;
    const untilEnd = options.untilEnd === true || deadLetters;
    try {
      const notices = await openNotices(context.config);
      const stopped = untilSignal();
      const streaming = await startStreaming({
        sources: names.map((name) => fileSource(workspace, name, makersOf(name))),
        streamsOf: () =>
          openStreams(context.config, {
            folder,
            ...(input === undefined ? {} : { input }),
            onLine: (text) => logger.debug({ kafka: text }, "the Kafka client"),
          }),
        clock: common.clock,
        // What runs to an end runs as it was started.
        ...(common.store === undefined || untilEnd || input !== undefined
          ? {}
          : {
              platform: {
                store: common.store,
                workspace,
                sourceOf: (name) => madeSource(workspace, name, makersOf(name)),
                ...(named.length > 0 ? { only: new Set(named) } : {}),
              },
            }),
        notices: notices === null || common.store === undefined ? null : { ...notices, store: common.store },
        options: {
          logger,
          schemas: await openSchemas(context.config),
          redactKey: context.config.redactKey,
          untilEnd,
          deadLetters,
          create: options.create === true,
        },
        at: port === null ? null : { host: textOption(options, "host") ?? "127.0.0.1", port },
      });
      say(context, streaming);
      const ended = await Promise.race([stopped, streaming.done.then(() => "end of input")]).finally(() =>
        streaming.stop(),
      );
      context.output.line(ended === "end of input" ? "the input has ended" : `${ended}: what was judged is committed`);
      return { yes: true, json: { ended, pipelines: totals(streaming) } };
    } finally {
      lines.close();
      await close();
    }
  },
};

/** Before a deploy: nothing is read or written. */
async function check(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const file = textOption(options, "schema");
  const next = file === undefined ? undefined : await readJson(path.resolve(file));
  const found = await checkEvolution({
    pipeline,
    schema: loadSchema(pipeline),
    schemas: await openSchemas(context.config),
    ...(next === undefined ? {} : { next }),
  });
  const { output } = context;
  for (const note of found.notes) output.line(`note: ${note}`);
  for (const reason of found.reasons) output.line(`incompatible: ${reason}`);
  if (found.compatible)
    output.line(`compatible${found.subject === null ? "" : ` (${found.subject}, ${found.versions} versions)`}`);
  return { yes: found.compatible, json: found };
}

async function readJson(file: string): Promise<object> {
  let found: unknown;
  try {
    found = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new SentinelError("cli.usage", `--schema ${file} cannot be read: ${messageOf(error)}`, {
      hint: "name a file that holds the schema as JSON, such as transaction.avsc",
    });
  }
  if (found !== null && typeof found === "object" && !Array.isArray(found)) return found;
  throw new SentinelError("cli.usage", `--schema ${file} holds no schema`, {
    hint: "name a file with a JSON object in it",
  });
}

function inputOf(options: VerbOptions, names: readonly string[]): string | NodeJS.ReadStream | undefined {
  const input = textOption(options, "in");
  if (input === undefined) return undefined;
  if (names.length > 1) {
    throw new SentinelError("cli.usage", `--in is one input, and there are ${names.length} pipelines`, {
      hint: `name the one that judges it: --pipeline ${names[0]}`,
    });
  }
  if (options.fromDeadLetters === true) {
    throw new SentinelError("cli.usage", "--in and --from-dead-letters are two inputs", { hint: "leave --in out" });
  }
  return input === "-" ? process.stdin : path.resolve(input);
}

function say({ output }: VerbContext, { pipelines, probes }: StreamProcess): void {
  for (const { name, engine, fault } of pipelines.all()) {
    if (engine !== null)
      output.line(`sentinel streams ${engine.runner.topic} at ${engine.runner.where} through ${name}`);
    if (fault !== null) output.warn(`pipeline ${name} is not up: ${fault.message}; ${fault.hint}`);
  }
  if (probes !== null) output.line(`probes and metrics on http://${probes.host}:${probes.port}`);
}

/** By pipeline: what became of its records. */
function totals({ pipelines }: StreamProcess): object {
  return Object.fromEntries(
    pipelines.all().flatMap(({ name, engine }) => (engine === null ? [] : [[name, engine.runner.totals]])),
  );
}
