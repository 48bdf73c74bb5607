// The stopwatch inside a measured process: wall time, processor time and peak memory of one piece of work.
import type { Measured } from "./peers.ts";

/** Runs the work once, in this process. */
export function timed<T>(work: () => T): { readonly result: T; readonly measured: Measured } {
  const stop = startWatch();
  const result = work();
  return { result, measured: stop() };
}

/** The same for work that goes on elsewhere, on threads of this process. */
export async function timedAsync<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly measured: Measured }> {
  const stop = startWatch();
  const result = await work();
  return { result, measured: stop() };
}

function startWatch(): () => Measured {
  const cpu = process.cpuUsage();
  const start = performance.now();
  return () => {
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const rssBytes = process.resourceUsage().maxRSS * 1024;
    return { seconds, cpuSeconds: (user + system) / 1e6, rssBytes };
  };
}
