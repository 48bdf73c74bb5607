// Lines of a log with the personal columns of all pipelines hidden, whatever a message repeats of a transaction.
import type { Mask } from "../core/mask.ts";
import type { EngineLog } from "./counters.ts";

/** `maskNow` is asked for each line: lines are few, and pipelines come and go. */
export function maskedLog(logger: EngineLog, maskNow: () => Mask): EngineLog {
  return {
    info: (facts, text) => logger.info(maskNow().line(facts), text),
    warn: (facts, text) => logger.warn(maskNow().line(facts), text),
    error: (facts, text) => logger.error(maskNow().line(facts), text),
  };
}
