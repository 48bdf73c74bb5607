// Overload: four times what the server can answer, in an open loop: what is accepted, what is refused, memory, and how soon it is over.
import { assert } from "../src/core/errors.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { loader, residentMb, type ServerSide, withServer } from "./serving.ts";

const TIMES = 4;
const SECONDS = 30;
const CAPACITY_SECONDS = 5;
const RECOVERY_SECONDS = 6;
const WARM_UP = 3000;
/** As many clients as a load balancer lets through, each with one request under way. */
const CONNECTIONS = 1000;
const CAPACITY_CONNECTIONS = 16;
const MEMORY_EVERY_MS = 1000;

export const bench: Bench = { run: (options) => withServer(options, (on) => measure(options, on)) };

async function measure(options: BenchOptions, { server, bodiesFile }: ServerSide): Promise<Figures> {
  const load = loader(
    {
      port: server.port,
      connections: CAPACITY_CONNECTIONS,
      seconds: CAPACITY_SECONDS,
      bodiesFile,
      warmUp: 0,
      windowSeconds: 1,
    },
    `o${options.seed}`,
  );
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
