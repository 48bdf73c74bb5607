// The machine's own clocks: the one place that reads them.
import { performance } from "node:perf_hooks";
import type { Clock } from "../../ports/ports.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
};
