// What verbs that run until they are stopped share: the signal, the log's lines, the certificate.
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Tls } from "../server/listen.ts";
import { durationOption, textOption } from "./options.ts";
import type { VerbOptions } from "./verb.ts";

/** Certificate and key that --tls-cert and --tls-key name. Errors: cli.usage, config.invalid. */
export function tlsOf(options: VerbOptions): Tls | undefined {
  const [cert, key] = [textOption(options, "tlsCert"), textOption(options, "tlsKey")];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new SentinelError("cli.usage", "--tls-cert and --tls-key go together, and one is missing", {
      hint: "--tls-cert server.crt --tls-key server.key",
    });
  }
  return { cert: pemIn(cert), key: pemIn(key) };
}

/** A PEM file. Errors: config.invalid. */
export function pemIn(file: string): string {
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
export function openLogLines(): { readonly destination: ReturnType<typeof pino.destination>; close(): void } {
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

/** Longer than an orchestrator waits before it kills. */
const ANNOUNCE_MS_MAX = 60_000;

/** After SIGTERM: how long connections are still taken; absent: as long as the door thinks right. Errors: cli.usage. */
export function announceOf(options: VerbOptions): number | undefined {
  if (options.announce === undefined) return undefined;
  const ms = durationOption(options, "announce", 0);
  if (ms <= ANNOUNCE_MS_MAX) return ms;
  throw new SentinelError("cli.usage", "--announce is longer than a minute", { hint: "--announce 5s" });
}

/** Settles at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}
