// Failures: bugs and faults of the outside go to the log, and are counted where there may be thousands.
import { type ErrorCode, messageOf, SentinelError } from "../core/errors.ts";
import type { EngineLog } from "../online/counters.ts";
import { bugOf } from "../online/problem.ts";
import type { ProcessMeasures } from "./measures.ts";

const UNREAD: ReadonlySet<string> = new Set<ErrorCode>(["request.body-too-large", "request.too-slow"]);
/** Counted, and not told one by one: there are thousands of them when there are any. */
const COUNTED: ReadonlySet<string> = new Set<ErrorCode>([
  "server.overloaded",
  "server.rate-limited",
  "pipeline.paused",
]);

/** Bugs and outside faults go to the log; gives what the answer's head needs besides. */
export function noteFailure(
  { logger, measures }: { readonly logger: EngineLog; readonly measures: Pick<ProcessMeasures, "overloaded"> },
  error: unknown,
  id?: string,
): Readonly<Record<string, string>> {
  const bug = bugOf(error);
  const which = id === undefined ? {} : { requestId: id };
  if (bug !== null) logger.error({ ...bug, ...which }, "a request met a bug");
  if (!(error instanceof SentinelError)) return {};
  if (error.code === "server.overloaded") measures.overloaded.inc();
  if (error.kind.exit === 3 && !COUNTED.has(error.code)) {
    logger.warn({ code: error.code, error: messageOf(error), ...which }, "a request failed");
  }
  // What was not read of the body is not worth reading: the connection ends with the answer.
  return UNREAD.has(error.code) ? { connection: "close" } : {};
}
