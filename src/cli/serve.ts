// `sentinel serve`: the HTTP server until SIGTERM or SIGINT, then a drain.
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { messageOf, SentinelError } from "../core/errors.ts";
import { fileSource, madeSource, servedNames } from "../lifecycle/serve.ts";
import type { PipelineSource } from "../online/pipelines.ts";
import { madeNames, type Pipeline, pipelineNames } from "../pipeline/pipeline.ts";
import { hasModel } from "../pipeline/source.ts";
import type { Tls } from "../server/listen.ts";
import { createSeveral, type SentinelServer } from "../server/server.ts";
import { openWorkspacePorts } from "../wiring.ts";
import { durationOption, integerOption, listOption, textOption } from "./options.ts";
import { backtesterIn } from "./serve/backtest.ts";
import { reporterIn } from "./serve/report.ts";
import type { Verb, VerbOptions } from "./verb.ts";

const PORT_DEFAULT = 8000;
const LEVELS = ["debug", "info", "warn", "error", "silent"];

export const verb: Verb = {
  options: [
    [
      "--default <name>",
      "the pipeline that answers requests which name none (default: the first --pipeline, the only one, card)",
    ],
    ["--port <n>", `port (default ${PORT_DEFAULT}; 0 takes a free one)`],
    ["--host <address>", "address to listen on (default 127.0.0.1; 0.0.0.0 for every interface)"],
    ["--tls-cert <file>", "certificate and its chain, PEM; with --tls-key"],
    ["--tls-key <file>", "its private key, PEM"],
    ["--insecure", "on an address that others reach: ask nobody for a key although none exists"],
    [
      "--announce <duration>",
      "after SIGTERM: how long connections are still taken, while answers say that they close (default 1s)",
    ],
    ["--log-level <level>", `${LEVELS.join(", ")} (default info; JSON lines on stderr)`],
  ],
  async run(context, { options }) {
    const { workspace } = context.config;
    const named = listOption(options, "pipelines");
    const served = servedNames(workspace, { named, main: textOption(options, "default") ?? null });
    const port = integerOption(options, "port", { low: 0, high: 65_535, fallback: PORT_DEFAULT });
    const host = textOption(options, "host") ?? "127.0.0.1";
    const level = textOption(options, "logLevel") ?? "info";
    if (!LEVELS.includes(level)) {
      throw new SentinelError("cli.usage", `--log-level ${level} is none of ${LEVELS.join(", ")}`, {
        hint: "use info",
      });
    }
    const tls = tlsOf(options);
    const { common, portsOf, close } = openWorkspacePorts(context.config, { report: context.output });
    const portsFor = (name: string) => (pipeline: Pipeline) => portsOf({ pipeline: name, settings: () => pipeline });
    const sourceOf = (name: string): PipelineSource =>
      pipelineNames(workspace).includes(name) || !madeNames(workspace).includes(name)
        ? fileSource(workspace, name, portsFor(name))
        : madeSource(workspace, name, portsFor(name));
    const lines = openLogLines();
    try {
      const server = await createSeveral({
        sources: served.names.map(sourceOf),
        main: served.main,
        clock: common.clock,
        keys: common.keys,
        // Pipelines that are named are all that is wanted.
        ...(named.length > 0 ? {} : { discover: () => pipelineNames(workspace).map(sourceOf) }),
        ...(common.store === undefined
          ? {}
          : {
              platform: {
                store: common.store,
                workspace,
                sourceOf: (name) => madeSource(workspace, name, portsFor(name)),
                backtester: backtesterIn(workspace),
                ...(named.length > 0 ? { only: new Set(named) } : {}),
              },
            }),
        options: {
          logger: pino({ level }, lines.destination),
          adminKey: context.config.adminKey,
          redactKey: context.config.redactKey,
          keys: context.config.keys,
          insecure: options.insecure === true,
          announceMs: announceOf(options),
          reporter: reporterIn(workspace),
          packageVersion: context.packageVersion,
        },
      });
      const stopped = untilSignal();
      const at = await server.start({ host, port, tls }).catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
      const url = `${tls === undefined ? "http" : "https"}://${at.host}:${at.port}`;
      context.output.line(`sentinel serves ${wordsOf(server)} on ${url} (docs at /docs; stop with Ctrl-C)`);
      for (const { name, fault } of server.pipelines.all()) {
        if (fault !== null) context.output.warn(`pipeline ${name} is not up: ${fault.message}; ${fault.hint}`);
      }
      const signal = await stopped;
      context.output.line(`${signal}: draining`);
      await server.stop();
      return { yes: true, json: { host: at.host, port: at.port, stopped: signal } };
    } finally {
      lines.close();
      await close();
    }
  },
};

/** The model, where there is one; else each model with its pipeline. */
function wordsOf({ pipelines }: SentinelServer): string {
  const up = pipelines.all().flatMap(({ engine }) => (engine === null ? [] : [engine.pipeline]));
  if (up.length === 1) return up[0].model;
  return up
    .map(
      ({ name, ...of }) =>
        `${hasModel(of) ? of.model : "rules"} (${name}${name === pipelines.mainName ? ", default" : ""})`,
    )
    .join(", ");
}

/** Longer than an orchestrator waits before it kills. */
const ANNOUNCE_MS_MAX = 60_000;

function announceOf(options: VerbOptions): number | undefined {
  if (options.announce === undefined) return undefined;
  const ms = durationOption(options, "announce", 0);
  if (ms <= ANNOUNCE_MS_MAX) return ms;
  throw new SentinelError("cli.usage", "--announce is longer than a minute", { hint: "--announce 5s" });
}

function tlsOf(options: VerbOptions): Tls | undefined {
  const [cert, key] = [textOption(options, "tlsCert"), textOption(options, "tlsKey")];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new SentinelError("cli.usage", "--tls-cert and --tls-key go together, and one is missing", {
      hint: "--tls-cert server.crt --tls-key server.key",
    });
  }
  return { cert: pemIn(cert), key: pemIn(key) };
}

function pemIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new SentinelError("config.invalid", `${file} cannot be read: ${messageOf(error)}`, {
      hint: "name a PEM file that this user may read",
      cause: error,
    });
  }
}

/** Lines of the log that wait for a standard error that is slow or full; beyond this many bytes new ones are dropped. */
const LOG_BYTES_MAX = 8_388_608;

/**
 * The log's lines on standard error. Where it takes no more (its reader left, its disk is full) they are lost, and the server goes on; `close`
 * gives up on those that wait there still, or the process would try to write them for ever.
 */
function openLogLines(): { readonly destination: ReturnType<typeof pino.destination>; close(): void } {
  const destination = pino.destination({ fd: 2, sync: false, maxLength: LOG_BYTES_MAX });
  let failing = false;
  destination.on("error", () => {
    failing = true;
  });
  destination.on("write", () => {
    failing = false;
  });
  return {
    destination,
    close: () => {
      if (failing) destination.destroy();
    },
  };
}

/** Settles at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}
