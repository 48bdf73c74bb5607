// Soak: half of what the server can answer, for minutes: memory and latency by minute, and whether every answer is in the log.
import { assert } from "../src/core/errors.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { loader, residentMb, type ServerSide, withServer } from "./serving.ts";

const CONNECTIONS = 16;
/** Each with one request under way: enough for a pause of a tenth of a second at 2,500 per second. */
const CLIENTS = 256;
const CAPACITY_SECONDS = 5;
const WARM_UP = 3000;
const MINUTE_S = 60;

export const bench: Bench = { run: (options) => withServer(options, (on) => measure(options, on)) };

async function measure(options: BenchOptions, { server, bodiesFile }: ServerSide): Promise<Figures> {
  const load = loader(
    {
      port: server.port,
      connections: CONNECTIONS,
      seconds: CAPACITY_SECONDS,
      bodiesFile,
      warmUp: 0,
      windowSeconds: MINUTE_S,
    },
    `k${options.seed}`,
  );
  const { perSecond } = await load({ warmUp: WARM_UP });
  const rate = Math.round(perSecond / 2);
  const before = await logged(server.port);
  const memory: number[] = [residentMb(server.pid)];
  const timer = setInterval(() => memory.push(residentMb(server.pid)), MINUTE_S * 1000);
  const result = await load({ rate, seconds: options.minutes * MINUTE_S, connections: CLIENTS, single: true });
  clearInterval(timer);
  assert(
    result.statuses[200] + (result.statuses[503] ?? 0) === result.answered,
    "answers are 200, or 503 when refused",
  );
  const records = (await logged(server.port)) - before;
  const minutes: Record<string, Figures> = {};
  for (let minute = 0; minute < options.minutes; minute++) {
    const { accepted, refused } = result.windows[minute];
    const memoryMb = memory[Math.min(memory.length - 1, minute + 1)];
    minutes[`minute${minute + 1}`] = {
      answered: accepted.count,
      refused,
      p50Ms: accepted.p50Ms,
      p99Ms: accepted.p99Ms,
      p999Ms: accepted.p999Ms,
      memoryMb,
    };
    options.print(
      `  minute ${minute + 1}: ${accepted.count} answered, p50 ${accepted.p50Ms.toFixed(2)}, p99 ${accepted.p99Ms.toFixed(1)}, p99.9 ${accepted.p999Ms.toFixed(1)} ms, ${refused} refused, ${memoryMb.toFixed(0)} MB`,
    );
  }
  const lost = result.count - records;
  options.print(
    `  ${result.count} answered, ${records} in the log: ${lost} lost; ${result.unanswered + result.cut} without an answer, ${result.unsent} for which no client was free`,
  );
  return {
    rate,
    answered: result.count,
    logged: records,
    lost,
    unanswered: result.unanswered + result.cut,
    unsent: result.unsent,
    p99Ms: result.p99Ms,
    minutes,
  };
}

/** Predictions in the log, everything written. */
async function logged(port: number): Promise<number> {
  const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
    readonly log: { readonly predictions: number };
  };
  return health.log.predictions;
}
