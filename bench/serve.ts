// Serving: requests per second and latencies of the real server, beside a bare node:http server and FastAPI with XGBoost.
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import type { LoadResult, LoadTask } from "./load-own.ts";
import { PEERS_MISSING, peerPython, peersInstalled, runOwn, SERVER_ARGS, type Side, startChild } from "./peers.ts";
import { preparedWorkspace, sentinelServer, writeBodies } from "./serving.ts";
import { ROOT } from "./workspace.ts";

const CONNECTIONS = 16;
const CLOSED_SECONDS = 4;
const OPEN_SECONDS = 10;
const WARM_UP = 3000;
/** Bytes of one decision as /predict answers it. */
const ANSWER_BYTES = 225;
/** Bundles of the reference data have about so many trees of this depth. */
const PEER = { trees: 300, depth: 5, features: 55 };

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const workspace = await preparedWorkspace(options);
    const bodiesFile = await writeBodies(options);
    const peers = peersInstalled();
    if (!peers) options.print(PEERS_MISSING);
    const sides = {
      on: await sentinelServer(workspace.dir),
      off: await sentinelServer(workspace.withoutShadow),
      http: await startChild(process.execPath, [...SERVER_ARGS, path.join(ROOT, "dist", "bench", "http-own.js")], {
        bytes: ANSWER_BYTES,
      }),
      ...(peers
        ? {
            fastapi: await startChild(peerPython, [path.join(ROOT, "bench", "serve-peer.py")], {
              ...PEER,
              seed: options.seed,
            }),
          }
        : {}),
    };
    try {
      return await measure(options, { sides, bodiesFile });
    } finally {
      for (const side of Object.values(sides)) await side.stop();
    }
  },
};

type Sides = Readonly<Record<"on" | "off" | "http", Side>> & { readonly fastapi?: Side };

async function measure(
  options: BenchOptions,
  { sides, bodiesFile }: { readonly sides: Sides; readonly bodiesFile: string },
): Promise<Figures> {
  const names = Object.keys(sides) as (keyof Sides)[];
  const rounds = new Map<keyof Sides, LoadResult[]>(names.map((name) => [name, []]));
  let loads = 0;
  const load = (name: keyof Sides, task: Partial<LoadTask>): Promise<LoadResult> =>
    runOwn<LoadResult>("load-own", {
      port: sides[name]!.port,
      path: "/predict",
      connections: CONNECTIONS,
      seconds: CLOSED_SECONDS,
      bodiesFile,
      prefix: `b${options.seed}-${loads++}-`,
      warmUp: WARM_UP,
      ...task,
    });
  for (let round = 0; round < options.repeats; round++) {
    // Each round starts with another side.
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length];
      const result = await load(name, {});
      checkAnswers(name, result);
      rounds.get(name)!.push(result);
      options.print(
        `  ${String(name).padEnd(8)} ${Math.round(result.perSecond).toString().padStart(7)}/s  p50 ${result.p50Ms.toFixed(2)}  p99 ${result.p99Ms.toFixed(2)} ms  (load's processor ${result.loadCpu.toFixed(2)})`,
      );
    }
  }
  const of = (name: keyof Sides, figure: (result: LoadResult) => number): number =>
    median(rounds.get(name)!.map(figure));
  const perSecond = of("on", (result) => result.perSecond);
  const rate = Math.round(perSecond / 2);
  const openResults: LoadResult[] = [];
  for (let round = 0; round < options.repeats; round++) {
    const result = await load("on", { rate, seconds: OPEN_SECONDS });
    checkAnswers("on", result);
    openResults.push(result);
  }
  const open = (figure: (result: LoadResult) => number): number => median(openResults.map(figure));
  const openLoop = { rate, p50Ms: open((r) => r.p50Ms), p99Ms: open((r) => r.p99Ms), p999Ms: open((r) => r.p999Ms) };
  options.print(
    `  open loop at ${rate}/s: p50 ${openLoop.p50Ms.toFixed(2)}, p99 ${openLoop.p99Ms.toFixed(2)}, p99.9 ${openLoop.p999Ms.toFixed(2)} ms`,
  );
  return {
    requestsPerSecond: perSecond,
    vsNodeHttp: perSecond / of("http", (result) => result.perSecond),
    vsFastapi: sides.fastapi === undefined ? null : perSecond / of("fastapi", (result) => result.perSecond),
    p50Ms: of("on", (result) => result.p50Ms),
    p99Ms: of("on", (result) => result.p99Ms),
    shadowOff: {
      requestsPerSecond: of("off", (result) => result.perSecond),
      p50Ms: of("off", (result) => result.p50Ms),
      p99Ms: of("off", (result) => result.p99Ms),
    },
    nodeHttpPerSecond: of("http", (result) => result.perSecond),
    fastapiPerSecond: sides.fastapi === undefined ? null : of("fastapi", (result) => result.perSecond),
    openLoop,
  };
}

function checkAnswers(name: string, { statuses, answered }: LoadResult): void {
  assert(
    answered > 0 && statuses[200] === answered,
    `${name} answers everything with 200: ${JSON.stringify(statuses)}`,
  );
}
