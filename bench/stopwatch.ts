// The stopwatch inside a measured process: wall time, processor time and peak memory of one piece of work.
import type { Measured } from "./peers.ts";

/** Runs the work once, in this process. */
export function timed<T>(work: () => T): { readonly result: T; readonly measured: Measured } {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rssBytes = process.resourceUsage().maxRSS * 1024;
  return { result, measured: { seconds, cpuSeconds: (user + system) / 1e6, rssBytes } };
}
