// Overload: four times what the server can answer, in an open loop: what is accepted, what is refused, memory, and how soon it is over.
import { assert } from "../src/core/errors.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import type { LoadResult, LoadTask } from "./load-own.ts";
import { runOwn } from "./peers.ts";
import { preparedWorkspace, residentMb, sentinelServer, writeBodies } from "./serving.ts";

const TIMES = 4;
const SECONDS = 30;
const CAPACITY_SECONDS = 5;
const RECOVERY_SECONDS = 6;
const WARM_UP = 3000;
/** As many clients as a load balancer lets through, each with one request under way. */
const CONNECTIONS = 1000;
const CAPACITY_CONNECTIONS = 16;
const MEMORY_EVERY_MS = 1000;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const workspace = await preparedWorkspace(options);
    const bodiesFile = await writeBodies(options);
    const server = await sentinelServer(workspace.dir);
    try {
      return await measure(options, { server, bodiesFile });
    } finally {
      await server.stop();
    }
  },
};

async function measure(
  options: BenchOptions,
  {
    server,
    bodiesFile,
  }: { readonly server: { readonly port: number; readonly pid: number }; readonly bodiesFile: string },
): Promise<Figures> {
  let loads = 0;
  const load = (task: Partial<LoadTask>): Promise<LoadResult> =>
    runOwn<LoadResult>("load-own", {
      port: server.port,
      path: "/predict",
      connections: CAPACITY_CONNECTIONS,
      seconds: CAPACITY_SECONDS,
      bodiesFile,
      prefix: `o${options.seed}-${loads++}-`,
      warmUp: 0,
      windowSeconds: 1,
      ...task,
    });
  const { perSecond } = await load({ warmUp: WARM_UP });
  const memory = [residentMb(server.pid)];
  const timer = setInterval(() => memory.push(residentMb(server.pid)), MEMORY_EVERY_MS);
  const over = await load({
    rate: Math.round(TIMES * perSecond),
    seconds: SECONDS,
    connections: CONNECTIONS,
    single: true,
  });
  const after = await load({ rate: Math.round(perSecond / 2), seconds: RECOVERY_SECONDS });
  clearInterval(timer);
  assert(over.refusedWithoutRetryAfter === 0, "every refusal has a Retry-After");
  for (const [second, { accepted, refused }] of over.windows.entries()) {
    options.print(
      `  second ${second + 1}: ${accepted.count} accepted, p99 ${accepted.p99Ms.toFixed(1)} ms, ${refused} refused`,
    );
  }
  // The first whole second without a refusal.
  const recoveredAfterSeconds = after.windows.findIndex(({ refused }) => refused === 0);
  const figures = {
    capacityPerSecond: perSecond,
    offeredPerSecond: TIMES * perSecond,
    acceptedPerSecond: over.count / SECONDS,
    refusedPerSecond: over.refused.count / SECONDS,
    unsentPerSecond: over.unsent / SECONDS,
    acceptedP50Ms: over.p50Ms,
    acceptedP99Ms: over.p99Ms,
    acceptedP999Ms: over.p999Ms,
    refusedP50Ms: over.refused.p50Ms,
    refusedP99Ms: over.refused.p99Ms,
    memoryMbBefore: memory[0],
    memoryMbMost: Math.max(...memory),
    memoryMbAfter: memory.at(-1)!,
    recoveredAfterSeconds: recoveredAfterSeconds < 0 ? null : recoveredAfterSeconds,
    recoveryP99Ms: after.p99Ms,
  };
  options.print(
    `  capacity ${Math.round(perSecond)}/s; accepted ${Math.round(figures.acceptedPerSecond)}/s with p99 ${over.p99Ms.toFixed(1)} ms, refused ${Math.round(figures.refusedPerSecond)}/s; memory ${memory[0].toFixed(0)} to ${figures.memoryMbMost.toFixed(0)} MB; nothing refused after ${recoveredAfterSeconds} s`,
  );
  return figures;
}
