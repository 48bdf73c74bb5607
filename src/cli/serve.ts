// `sentinel serve`: the HTTP server until SIGTERM or SIGINT, then a drain.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { messageOf, SentinelError } from "../core/errors.ts";
import { loadSchema } from "../lifecycle/data/schema-file.ts";
import { applyFirst } from "../lifecycle/rules.ts";
import type { Ports } from "../ports/ports.ts";
import type { Tls } from "../server/listen.ts";
import { createServer } from "../server/server.ts";
import { durationOption, integerOption, textOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions } from "./verb.ts";

const PORT_DEFAULT = 8000;
const LEVELS = ["debug", "info", "warn", "error", "silent"];

export const verb: Verb = {
  options: [
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
    const pipeline = context.pipeline();
    const port = integerOption(options, "port", { low: 0, high: 65_535, fallback: PORT_DEFAULT });
    const host = textOption(options, "host") ?? "127.0.0.1";
    const level = textOption(options, "logLevel") ?? "info";
    if (!LEVELS.includes(level)) {
      throw new SentinelError("cli.usage", `--log-level ${level} is none of ${LEVELS.join(", ")}`, {
        hint: "use info",
      });
    }
    const tls = tlsOf(options);
    const ports = context.ports();
    const held = await lockServing(ports, `serve-${pipeline.name}`);
    const lines = openLogLines();
    try {
      await firstRules(context);
      const server = await createServer({
        ports,
        pipeline,
        schema: loadSchema(pipeline),
        options: {
          logger: pino({ level }, lines.destination),
          adminKey: context.config.adminKey,
          redactKey: context.config.redactKey,
          keys: context.config.keys,
          insecure: options.insecure === true,
          announceMs: announceOf(options),
          packageVersion: context.packageVersion,
        },
      });
      const stopped = untilSignal();
      const at = await server.start({ host, port, tls }).catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
      context.output.line(
        `sentinel serves ${pipeline.model} on ${tls === undefined ? "http" : "https"}://${at.host}:${at.port} (docs at /docs; stop with Ctrl-C)`,
      );
      const signal = await stopped;
      context.output.line(`${signal}: draining`);
      await server.stop();
      return { yes: true, json: { host: at.host, port: at.port, stopped: signal } };
    } finally {
      lines.close();
      await held.release();
    }
  },
};

/** Rules of a workspace in which none were ever applied begin with their file; later a changed file waits for its command. */
async function firstRules(context: VerbContext): Promise<void> {
  const applied = await applyFirst(context.ports(), { pipeline: context.pipeline(), actor: context.config.actor });
  if (applied === null || applied.changes.length === 0) return;
  const { changes, done } = applied;
  if (done) context.output.line(`rules: ${changes.length} of the rules file applied`);
  else
    context.output.warn(`the rules file has ${changes.length} changes that are not applied: \`sentinel rules apply\``);
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

const LOCK_TRIES_MAX = 20;
const LOCK_RETRY_MS = 100;

/**
 * Without Redis only one server may run per workspace, because two would each keep a feature state that the other's traffic never
 * reaches: the lock is held while serving. With Redis the lock is only tried, so that no server without Redis runs, and released.
 */
async function lockServing(ports: Ports, name: string): Promise<{ release(): Promise<void> }> {
  const lock = await ports.lock();
  if (ports.shared === undefined) return lock.acquire(name);
  for (let tries = 1; ; tries++) {
    try {
      await (await lock.acquire(name)).release();
      return { release: async () => {} };
    } catch (error) {
      // Another server that looks at the same moment.
      if (tries === LOCK_TRIES_MAX) throw error;
      await sleep(LOCK_RETRY_MS);
    }
  }
}

/** Settles at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}
