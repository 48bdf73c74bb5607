// `sentinel serve`: the HTTP server, and the gRPC door where one is asked for, until SIGTERM or SIGINT, then a drain.
import path from "node:path";
import { pino } from "pino";
import { SentinelError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";
import { servedNames } from "../lifecycle/serve.ts";
import { Chaos } from "../online/chaos.ts";
import { hasModel } from "../pipeline/source.ts";
import type { Tls } from "../server/listen.ts";
import { createSeveral, type SentinelServer } from "../server/server.ts";
import { openLogin, openNotices, openTenants, openWorkspacePorts } from "../wiring.ts";
import { announceOf, openLogLines, pemIn, tlsOf, untilSignal } from "./long-running.ts";
import { durationOption, integerOption, listOption, numberOption, textOption } from "./options.ts";
import { packageRoot } from "./package-root.ts";
import { readPages } from "./serve/pages.ts";
import { reporterIn } from "./serve/report.ts";
import { partOf, roomOf } from "./serve/rooms.ts";
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
    ["--grpc-port <n>", "port for gRPC (default: none; 0 takes a free one)"],
    ["--grpc-client-ca <file>", "gRPC clients must show a certificate of this authority, PEM; with --tls-cert"],
    ["--tls-cert <file>", "certificate and its chain, PEM; with --tls-key"],
    ["--tls-key <file>", "its private key, PEM"],
    ["--insecure", "on an address that others reach: ask nobody for a key although none exists"],
    [
      "--announce <duration>",
      "after SIGTERM: how long connections are still taken, while answers say that they close (default 1s)",
    ],
    ["--chaos-slow <share>", "for trials only: this share of the answers (0 to 1) comes late on purpose"],
    ["--chaos-delay <duration>", "how late (default 2s)"],
    ["--chaos-fail <share>", "for trials only: this share of the transactions fails on purpose"],
    ["--log-level <level>", `${LEVELS.join(", ")} (default info; JSON lines on stderr)`],
  ],
  async run(context, { options }) {
    const { workspace, tenant } = context.config;
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
    const chaos = chaosOf(options);
    const grpc = grpcOf(options, { tls, fallback: context.config.grpcPort });
    // What is wrong with it is said before anything is opened.
    const notices = await openNotices(context.config);
    const provider = await openLogin(context.config);
    const ports = openWorkspacePorts(context.config, { report: context.output });
    const { common, stores, close } = ports;
    const lines = openLogLines();
    const logger = pino({ level }, lines.destination);
    const others = openTenants(context.config, { report: context.output, stores });
    try {
      const server = await createSeveral({
        ...(await partOf(context.config, { ports, logger, named, main: served.main, notices })),
        clock: common.clock,
        keys: common.keys,
        // Who names pipelines wants these and nobody else's; a tenant that is named is alone.
        ...(named.length > 0 || tenant !== DEFAULT_TENANT
          ? {}
          : {
              tenants: {
                ports: others.ports,
                open: (one: Tenant) => roomOf(context.config, one, { report: context.output, stores, logger }),
              },
            }),
        options: {
          logger,
          adminKey: context.config.adminKey,
          redactKey: context.config.redactKey,
          keys: context.config.keys,
          insecure: options.insecure === true,
          ...(chaos === undefined ? {} : { chaos }),
          announceMs: announceOf(options),
          reporter: reporterIn(context.config),
          provider,
          pages: readPages(packageRoot()),
          packageVersion: context.packageVersion,
        },
      });
      const stopped = untilSignal();
      const open = async () => {
        const grpcPort = grpc === null ? null : await attachGrpc(server, { host, ...grpc });
        return { at: await server.start({ host, port, tls }), grpcPort };
      };
      const { at, grpcPort } = await open().catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
      const url = `${tls === undefined ? "http" : "https"}://${at.host}:${at.port}`;
      const also = grpcPort === null ? "" : ` and gRPC on ${at.host}:${grpcPort}`;
      context.output.line(`sentinel serves ${wordsOf(server)} on ${url}${also} (docs at /docs; stop with Ctrl-C)`);
      for (const { name, fault } of server.pipelines.all()) {
        if (fault !== null) context.output.warn(`pipeline ${name} is not up: ${fault.message}; ${fault.hint}`);
      }
      if (chaos !== undefined) context.output.warn(chaos.words);
      const signal = await stopped;
      context.output.line(`${signal}: draining`);
      await server.stop();
      const more = grpcPort === null ? {} : { grpc_port: grpcPort };
      return { yes: true, json: { host: at.host, port: at.port, ...more, stopped: signal } };
    } finally {
      lines.close();
      await others.close();
      await close();
    }
  },
};

/** The model, where there is one; else each model with its pipeline. */
function wordsOf({ pipelines }: SentinelServer): string {
  if (pipelines.all().length === 0)
    return "no pipeline yet (POST /api/pipelines makes one, `sentinel init` writes one)";
  const up = pipelines.all().flatMap(({ engine }) => (engine === null ? [] : [engine.pipeline]));
  if (up.length === 1) return up[0].model;
  return up
    .map(
      ({ name, ...of }) =>
        `${hasModel(of) ? of.model : "rules"} (${name}${name === pipelines.mainName ? ", default" : ""})`,
    )
    .join(", ");
}

const CHAOS_DELAY_MS = 2000;
const CHAOS_DELAY_MS_MAX = 60_000;
/** Which answers it is, is drawn anew by the same seed at each start. */
const CHAOS_SEED = 1;

/** Absent: no answer is late or fails on purpose. */
function chaosOf(options: VerbOptions): Chaos | undefined {
  const [slow, fail] = [numberOption(options, "chaosSlow") ?? 0, numberOption(options, "chaosFail") ?? 0];
  const delayMs = durationOption(options, "chaosDelay", CHAOS_DELAY_MS);
  if (options.chaosDelay !== undefined && slow === 0) {
    throw new SentinelError("cli.usage", "--chaos-delay says how late answers come, and --chaos-slow is missing", {
      hint: "--chaos-slow 0.1 --chaos-delay 2s",
    });
  }
  if (slow === 0 && fail === 0) return undefined;
  if (delayMs <= CHAOS_DELAY_MS_MAX) return new Chaos({ slow, fail, delayMs }, new Random(CHAOS_SEED));
  throw new SentinelError("cli.usage", "--chaos-delay is longer than a minute", { hint: "--chaos-delay 2s" });
}

interface GrpcChoice {
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | null } | null;
}

/** null: no gRPC. */
function grpcOf(
  options: VerbOptions,
  { tls, fallback }: { readonly tls: Tls | undefined; readonly fallback: number | null },
): GrpcChoice | null {
  const asked = options.grpcPort !== undefined;
  const port = asked ? integerOption(options, "grpcPort", { low: 0, high: 65_535, fallback: 0 }) : fallback;
  const ca = textOption(options, "grpcClientCa");
  if (ca !== undefined && (port === null || tls === undefined)) {
    const missing = port === null ? "--grpc-port" : "--tls-cert and --tls-key";
    throw new SentinelError("cli.usage", `--grpc-client-ca says whom gRPC lets in, and ${missing} is missing`, {
      hint: "--grpc-port 50051 --tls-cert server.crt --tls-key server.key --grpc-client-ca clients.crt",
    });
  }
  if (port === null) return null;
  return { port, tls: tls === undefined ? null : { ...tls, clientCa: ca === undefined ? null : pemIn(ca) } };
}

/** Its code is loaded only here: a server without gRPC has none of it. */
async function attachGrpc(server: SentinelServer, at: GrpcChoice & { readonly host: string }): Promise<number> {
  const { openGrpc } = await import("../grpc/door.ts");
  const protoFolder = path.join(packageRoot(), "proto");
  const { port } = await server.attach(at.host, (parts) => openGrpc(parts, { ...at, protoFolder }));
  return port;
}
