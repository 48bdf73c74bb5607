// The gateway: transactions per second with the ledger on, gRPC against HTTP to the brain, 1, 2 and 4 brains, and a simulated scale-out.
import { cpSync, mkdirSync } from "node:fs";
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import { drawOf, type Outcome, simulate } from "./gateway-simulation.ts";
import type { LoadResult } from "./load-own.ts";
import {
  loader,
  preparedWorkspace,
  processorSeconds,
  type SentinelProcess,
  sentinelProcess,
  writeBodies,
} from "./serving.ts";
import { temporaryFolder } from "./workspace.ts";

const CONNECTIONS = 64;
const SECONDS = 5;
const WARM_UP = 4000;
const BRAINS_MAX = 4;
/** What pods are for: so much of a core is at work, the rest is for what comes in bursts. */
const LOAD_MAX = 0.7;
const P95_MS_MAX = 50;
const RATES = [10_000, 100_000];
const SIMULATED = 300_000;
/** Between two pods of one zone, there and back. */
const NETWORK_MS = 0.5;

type Protocol = "grpc" | "http";

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const { withoutShadow } = await preparedWorkspace(options);
    const bodiesFile = await writeBodies(options);
    const brains: SentinelProcess[] = [];
    try {
      // Brains with a state of their own: the feature state in Redis has a bench of its own (`features`).
      for (let i = 0; i < BRAINS_MAX; i++) {
        const dir = `${withoutShadow}-brain-${i}`;
        cpSync(withoutShadow, dir, { recursive: true });
        brains.push(await sentinelProcess(["serve", "--workspace", dir, "--grpc-port", "0"]));
      }
      return await measure(options, { brains, bodiesFile });
    } finally {
      for (const brain of brains) await brain.stop();
    }
  },
};

interface World {
  readonly brains: readonly SentinelProcess[];
  readonly bodiesFile: string;
}

/** What one load saw, and what it took of the processors, in milliseconds per transaction. */
interface Round {
  readonly result: LoadResult;
  /** Entries waited in the spool at its end: the ledger was too slow. */
  readonly spooling: boolean;
  readonly gatewayMs: number;
  readonly brainMs: number;
}

async function measure(options: BenchOptions, world: World): Promise<Figures> {
  const protocols: readonly Protocol[] = ["grpc", "http"];
  const rounds = new Map<Protocol, Round[]>(protocols.map((name) => [name, []]));
  for (let i = 0; i < options.repeats; i++) {
    // Each round starts with the other.
    for (const protocol of i % 2 === 0 ? protocols : [...protocols].reverse()) {
      const round = await oneLoad(world, { protocol, brains: 1 });
      rounds.get(protocol)!.push(round);
      tell(options, `${protocol}, 1 brain`, round);
    }
  }
  const of = (protocol: Protocol, figure: (round: Round) => number): number =>
    median(rounds.get(protocol)!.map(figure));
  const figures = (protocol: Protocol) => ({
    perSecond: of(protocol, ({ result }) => result.perSecond),
    p50Ms: of(protocol, ({ result }) => result.p50Ms),
    p99Ms: of(protocol, ({ result }) => result.p99Ms),
    gatewayCpuMs: of(protocol, ({ gatewayMs }) => gatewayMs),
    brainCpuMs: of(protocol, ({ brainMs }) => brainMs),
  });
  const [grpc, http] = [figures("grpc"), figures("http")];
  const best: Protocol = grpc.perSecond >= http.perSecond ? "grpc" : "http";
  const growth: Record<string, number> = {};
  for (const brains of [1, 2, BRAINS_MAX]) {
    const round = await oneLoad(world, { protocol: best, brains });
    growth[brains] = round.result.perSecond;
    tell(options, `${best}, ${brains} brains`, round);
  }
  const alone = await oneLoad(world, { protocol: best, brains: 1, connections: 1 });
  const scaleOut = scaledOut(options, { ...(best === "grpc" ? grpc : http), alone: alone.result });
  return { connections: CONNECTIONS, grpc, http, grpcVsHttp: grpc.perSecond / http.perSecond, growth, scaleOut };
}

/** One gateway, new with its ledger, in front of so many brains. */
async function oneLoad(
  { brains, bodiesFile }: World,
  asked: { readonly protocol: Protocol; readonly brains: number; readonly connections?: number },
): Promise<Round> {
  const { protocol, connections = CONNECTIONS } = asked;
  const dir = path.join(temporaryFolder(), "gateway");
  mkdirSync(dir, { recursive: true });
  const used = brains.slice(0, asked.brains);
  const urls = used.map(({ port, grpcPort }) => `${protocol}://127.0.0.1:${protocol === "grpc" ? grpcPort : port}`);
  const gateway = await sentinelProcess(["gateway", "--workspace", dir, "--brain", ...urls, "--deadline", "5s"]);
  try {
    const load = loader(
      { port: gateway.port, connections, seconds: SECONDS, bodiesFile, warmUp: WARM_UP },
      `g${Date.now()}`,
    );
    const cpu = (): { readonly gateway: number; readonly brains: number } => ({
      gateway: processorSeconds(gateway.pid),
      brains: used.reduce((sum, { pid }) => sum + processorSeconds(pid), 0),
    });
    const before = cpu();
    const result = await load({ path: "/transaction" });
    const after = cpu();
    const answered = result.answered + WARM_UP;
    assert(
      result.answered > 0 && result.statuses[200] === result.answered,
      `the gateway answers everything with 200: ${JSON.stringify(result.statuses)}`,
    );
    const page = await (await fetch(`http://127.0.0.1:${gateway.port}/metrics`)).text();
    assert(!page.includes("sentinel_gateway_policy_total{"), "a brain answers every transaction");
    return {
      result,
      // On a machine that others slow entries may go by the spool, which is durable too.
      spooling: Number(/^sentinel_gateway_spool_bytes (\d+)/m.exec(page)?.[1] ?? 0) > 0,
      gatewayMs: (1000 * (after.gateway - before.gateway)) / answered,
      brainMs: (1000 * (after.brains - before.brains)) / answered,
    };
  } finally {
    await gateway.stop();
  }
}

function tell({ print }: BenchOptions, name: string, { result, spooling, gatewayMs, brainMs }: Round): void {
  print(
    `  ${name.padEnd(16)} ${Math.round(result.perSecond).toString().padStart(6)}/s  p50 ${result.p50Ms.toFixed(1)}  p99 ${result.p99Ms.toFixed(1)} ms  ` +
      `processor per transaction: gateway ${(1000 * gatewayMs).toFixed(0)} µs, brains ${(1000 * brainMs).toFixed(0)} µs, load ${result.loadCpu.toFixed(2)} cores${spooling ? ", by the SPOOL: the ledger was too slow" : ""}`,
  );
}

/** The fewest pods of each kind, each one core, that stay below LOAD_MAX and answer within P95_MS_MAX. */
function scaledOut(
  { seed, print }: BenchOptions,
  measured: { readonly gatewayCpuMs: number; readonly brainCpuMs: number; readonly alone: LoadResult },
): Figures {
  const { gatewayCpuMs, brainCpuMs, alone } = measured;
  // The shape of a service time is that of single transactions, one after the other; its mean is what a loaded process takes of its core.
  const shape = [
    [0, alone.p50Ms / 2],
    [0.5, alone.p50Ms],
    [0.9, alone.p90Ms],
    [0.99, alone.p99Ms],
    [0.999, alone.p999Ms],
    [1, alone.maxMs],
  ] as const;
  const outcomes: Record<string, Figures> = {};
  for (const perSecond of RATES) {
    let gateways = Math.ceil((perSecond * gatewayCpuMs) / 1000 / LOAD_MAX);
    let brains = Math.ceil((perSecond * brainCpuMs) / 1000 / LOAD_MAX);
    let outcome: Outcome;
    for (;;) {
      const random = new Random(seed);
      const draw = (meanMs: number) => drawOf(shape, { meanMs, random });
      outcome = simulate({
        perSecond,
        gateways,
        brains,
        before: draw(gatewayCpuMs / 2),
        brain: draw(brainCpuMs),
        after: draw(gatewayCpuMs / 2),
        networkMs: NETWORK_MS,
        transactions: SIMULATED,
        random,
      });
      if (outcome.p95Ms <= P95_MS_MAX) break;
      if (outcome.gatewayLoad >= outcome.brainLoad) gateways++;
      else brains++;
    }
    print(
      `  simulated, ${perSecond}/s: ${gateways} gateways, ${brains} brains: p50 ${outcome.p50Ms.toFixed(2)}, p95 ${outcome.p95Ms.toFixed(2)}, p99 ${outcome.p99Ms.toFixed(2)} ms`,
    );
    outcomes[perSecond] = { gateways, brains, ...outcome };
  }
  return outcomes;
}
