// `sentinel gateway`: transactions in front of servers that score, until SIGTERM or SIGINT, then a drain.
import path from "node:path";
import { pino } from "pino";
import { DECISIONS } from "../core/decision.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { isLoopback } from "../core/loopback.ts";
import { Gateway } from "../gateway/gateway.ts";
import { Pool } from "../gateway/pool.ts";
import { LedgerWriter } from "../gateway/writer.ts";
import { brainUrls } from "../lifecycle/gateway.ts";
import { Access, adminRecord } from "../server/access.ts";
import { serveGateway } from "../server/gateway.ts";
import { GatewayMeasures } from "../server/gateway-measures.ts";
import { type BrainsAsked, openGateway } from "../wiring.ts";
import { announceOf, openLogLines, pemIn, tlsOf, untilSignal } from "./long-running.ts";
import { choiceOption, durationOption, integerOption, listOption, textOption } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import type { Verb, VerbContext, VerbOptions } from "./verb.ts";

const PORT_DEFAULT = 8080;
const DEADLINE_MS = 1000;
const HEDGE_MS = 100;
/** After so many failures in a row a brain is left alone, and for so long. */
const FAILURES_MAX = 3;
const BREAK_MS = 30_000;
const RETRY_MS = 1000;
const SETTLE_MS = 1000;
const SPOOL_BYTES_MAX = 1_073_741_824;
/** Of the deadline, how long the ledger may take before the spool is used. */
const LEDGER_SHARE = 0.1;
const DRAIN_MS_MAX = 10_000;
const ANNOUNCE_MS = 1000;

export const verb: Verb = {
  options: [
    [
      "--brain <url...>",
      "where `sentinel serve` answers, http: or grpc:; several for several (default: BRAIN_SERVICE_HOST and _PORT)",
    ],
    ["--brain-ca <file>", "authority of the brains' certificates, PEM (default: the system's)"],
    ["--brain-cert <file>", "certificate that brains are shown, PEM; with --brain-key"],
    ["--brain-key <file>", "its private key, PEM"],
    ["--port <n>", `port (default ${PORT_DEFAULT}; 0 takes a free one)`],
    ["--host <address>", "address to listen on (default 127.0.0.1; 0.0.0.0 for every interface)"],
    ["--deadline <duration>", "from a transaction to its answer (default 1s)"],
    ["--hedge <duration>", "a brain without an answer for so long gets company (default 100ms)"],
    ["--rest <duration>", "how long a brain is left alone after three failures in a row (default 30s)"],
    ["--policy <decision>", "what is answered while no brain does: approve, review or block (default approve)"],
    ["--ledger <how>", "sync: an answer waits until it is written; async: it does not (default sync)"],
    ["--tls-cert <file>", "certificate and its chain, PEM; with --tls-key"],
    ["--tls-key <file>", "its private key, PEM"],
    ["--insecure", "on an address that others reach: ask nobody for a key although none exists"],
    [
      "--announce <duration>",
      "after SIGTERM: how long connections are still taken, while answers say that they close (default 1s)",
    ],
    ["--log-level <level>", "debug, info, warn, error, silent (default info; JSON lines on stderr)"],
  ],
  async run(context, { options }) {
    const urls = brainUrls(listOption(options, "brain"), context.config.brain);
    const settings = settingsOf(options);
    const tls = tlsOf(options);
    const brainTls = brainTlsOf(options, urls);
    const lines = openLogLines();
    try {
      const level = choiceOption(options, "logLevel", ["debug", "info", "warn", "error", "silent"]) ?? "info";
      const run = await begin(context, { urls, tls: brainTls, settings, logger: pino({ level }, lines.destination) });
      try {
        if (!isLoopback(settings.host) && options.insecure !== true) run.access.close(settings.host);
        const at = await serveGateway(run, {
          host: settings.host,
          port: settings.port,
          ...(tls === undefined ? {} : { tls }),
        });
        const scheme = tls === undefined ? "http" : "https";
        const brains = urls
          .map(({ protocol, host }) => (protocol === "http:" ? host : `${protocol}//${host}`))
          .join(", ");
        context.output.line(
          `sentinel gateway on ${scheme}://${at.host}:${at.port} (brains: ${brains}; stop with Ctrl-C)`,
        );
        const signal = await untilSignal();
        context.output.line(`${signal}: draining`);
        await at.close({ announceMs: settings.announceMs, msMax: DRAIN_MS_MAX });
        return { yes: true, json: { host: at.host, port: at.port, stopped: signal } };
      } finally {
        await run.stop();
      }
    } finally {
      lines.close();
    }
  },
};

type Settings = ReturnType<typeof settingsOf>;

function settingsOf(options: VerbOptions) {
  const deadlineMs = durationOption(options, "deadline", DEADLINE_MS);
  const hedgeMs = durationOption(options, "hedge", HEDGE_MS);
  if (deadlineMs <= 0 || hedgeMs <= 0) {
    throw new SentinelError("cli.usage", "--deadline and --hedge must be longer than nothing", {
      hint: "--deadline 500ms",
    });
  }
  return {
    port: integerOption(options, "port", { low: 0, high: 65_535, fallback: PORT_DEFAULT }),
    host: textOption(options, "host") ?? "127.0.0.1",
    deadlineMs,
    hedgeMs,
    breakMs: durationOption(options, "rest", BREAK_MS),
    announceMs: announceOf(options) ?? ANNOUNCE_MS,
    policy: choiceOption(options, "policy", DECISIONS) ?? "approve",
    durability: choiceOption(options, "ledger", ["sync", "async"] as const) ?? "sync",
  };
}

/** Files for brains over TLS; null where none is named. Errors: cli.usage, config.invalid. */
function brainTlsOf(options: VerbOptions, urls: readonly URL[]): BrainsAsked["tls"] {
  const [ca, cert, key] = ["brainCa", "brainCert", "brainKey"].map((name) => textOption(options, name));
  if (ca === undefined && cert === undefined && key === undefined) return null;
  if ((cert === undefined) !== (key === undefined)) {
    throw new SentinelError("cli.usage", "--brain-cert and --brain-key go together, and one is missing", {
      hint: "--brain-cert gateway.crt --brain-key gateway.key",
    });
  }
  if (!urls.some(({ protocol }) => protocol === "https:" || protocol === "grpcs:")) {
    throw new SentinelError("cli.usage", "certificates for brains are named, and no brain is asked with TLS", {
      hint: "--brain https://HOST:PORT or --brain grpcs://HOST:PORT",
    });
  }
  const pem = (file: string | undefined): string | null => (file === undefined ? null : pemIn(file));
  return { ca: pem(ca), cert: pem(cert), key: pem(key) };
}

async function begin(
  { config }: VerbContext,
  given: {
    readonly urls: readonly URL[];
    readonly tls: BrainsAsked["tls"];
    readonly settings: Settings;
    readonly logger: pino.Logger;
  },
) {
  const { urls, tls, settings, logger } = given;
  const parts = await openGateway(config, {
    urls,
    tls,
    protoFolder: path.join(packageRoot(), "proto"),
    onFault: (fault) => logger.warn({ fault }, "the name of a brain"),
  });
  const { brains, clock, ledger, spool } = parts;
  const measures = new GatewayMeasures();
  const access = new Access({
    clock,
    logger,
    store: await parts.keys(),
    fixed: config.keys,
    admin: config.adminKey === null ? null : adminRecord(config.adminKey),
  });
  await access.open();
  await brains.open();
  const pool = new Pool({
    brains,
    clock,
    failuresMax: FAILURES_MAX,
    breakMs: settings.breakMs,
    hedgeMs: settings.hedgeMs,
    onFailure: (brain, fault) => {
      measures.failed(brain);
      logger.warn({ brain, fault }, "a brain did not answer");
    },
    onHedge: () => measures.hedged(),
  });
  const writer = new LedgerWriter({
    ledger,
    spool,
    clock,
    appendMsMax: settings.deadlineMs * LEDGER_SHARE,
    retryMs: RETRY_MS,
    spoolBytesMax: SPOOL_BYTES_MAX,
    onFault: (fault) => logger.error({ fault }, "the ledger does not take entries: they wait in the spool"),
    onConflict: (count) => {
      measures.conflicted(count);
      logger.error({ count }, "ids in the spool had another answer in the ledger, which stays");
    },
  });
  writer.open();
  const gateway = new Gateway({ ...settings, pool, writer, ledger, clock, counters: measures.counters });
  const settling = setInterval(() => {
    gateway
      .settle()
      .catch((error: unknown) => logger.warn({ fault: messageOf(error) }, "answers of the policy wait to be scored"));
  }, SETTLE_MS);
  return {
    gateway,
    pool,
    writer,
    measures,
    clock,
    access,
    logger,
    async stop() {
      clearInterval(settling);
      access.stop();
      await gateway.settle().catch(() => 0);
      await writer.close();
      brains.close();
      await parts.close();
    },
  };
}
