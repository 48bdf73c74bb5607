// What PostgreSQL said about a log, as the log's own error.
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { faultOf } from "../../store/postgres/errors.ts";
import type { EndFault } from "../sql/log-end.ts";

/** In words that pass between threads; the code is the kind of the fault. */
export function endFaultOf(error: unknown): EndFault {
  const fault = faultOf(error);
  return { busy: fault === "busy", code: fault ?? "", message: messageOf(error) };
}

export function writeFailed(where: string, { code, message }: Pick<EndFault, "code" | "message">): SentinelError {
  return new SentinelError("log.unwritable", `cannot write the prediction log ${where}: ${message}`, {
    hint: hintOf(code),
  });
}

export function readFailed(where: string, error: unknown): SentinelError {
  if (error instanceof SentinelError) return error;
  const { code, message } = endFaultOf(error);
  return new SentinelError("log.unreadable", `cannot read the prediction log ${where}: ${message}`, {
    hint: hintOf(code),
    cause: error,
  });
}

function hintOf(fault: string): string {
  if (Object.hasOwn(HINTS, fault)) return HINTS[fault as keyof typeof HINTS];
  return "see what the server's own log says; `sentinel doctor` says which database this is";
}

const HINTS = {
  away: "is it running, and reachable from here? What was answered waits in memory and is written once it is back (log.lag_max names the limit)",
  denied: "check user, password and database in SENTINEL_DATABASE_URL, and what the server lets in",
  busy: "another process has held the log for long: see which in pg_stat_activity, then try again",
  full: "make room on its disk, and the log goes on by itself",
  shape: "its tables are not those of this version: `sentinel db status` shows which it has",
  corrupt: "restore the database from a backup",
} as const;
