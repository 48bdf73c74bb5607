// What a shadow costs the caller: rate and latency with a candidate that works, fails or hangs, against none, side by side.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import type { LoadResult, LoadTask } from "./load-own.ts";
import { runOwn, SERVER_ARGS, type Side, startChild } from "./peers.ts";
import type { ServeTask } from "./serve-own.ts";
import { preparedWorkspace, writeBodies } from "./serving.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

const CONNECTIONS = 16;
const SECONDS = 4;
const WARM_UP = 3000;
/** Candidates' threads that misbehave, as modules. */
export const WORKERS = {
  failing: `import { parentPort } from "node:worker_threads";
parentPort.on("message", () => { throw new Error("this candidate fails"); });
parentPort.postMessage("ready");
`,
  hanging: `import { parentPort } from "node:worker_threads";
parentPort.on("message", () => { for (;;); });
parentPort.postMessage("ready");
`,
};
const SIDES = ["off", "on", "failing", "hanging"] as const;
type Name = (typeof SIDES)[number];

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const workspace = await preparedWorkspace(options);
    const bodiesFile = await writeBodies(options);
    const folder = temporaryFolder();
    const workerOf = (side: Name): string | undefined => {
      if (side !== "failing" && side !== "hanging") return undefined;
      const file = path.join(folder, `${side}.mjs`);
      writeFileSync(file, WORKERS[side]);
      return file;
    };
    const servers = new Map<Name, Side>();
    try {
      for (const side of SIDES) {
        const dir = side === "off" ? workspace.withoutShadow : workspace.copy(side);
        servers.set(side, await startServer({ workspace: dir, worker: workerOf(side) }));
      }
      return await measure(options, { servers, bodiesFile });
    } finally {
      for (const server of servers.values()) await server.stop();
    }
  },
};

async function measure(
  options: BenchOptions,
  { servers, bodiesFile }: { readonly servers: ReadonlyMap<Name, Side>; readonly bodiesFile: string },
): Promise<Figures> {
  let loads = 0;
  const load = async (side: Name, more: Partial<LoadTask>): Promise<LoadResult> => {
    const result = await runOwn<LoadResult>("load-own", {
      port: servers.get(side)!.port,
      path: "/predict",
      connections: CONNECTIONS,
      seconds: SECONDS,
      bodiesFile,
      prefix: `s${options.seed}-${loads++}-`,
      warmUp: WARM_UP,
      ...more,
    });
    assert(result.statuses[200] === result.answered, `${side} answers everything with 200`);
    return result;
  };
  /** One figure by side, the sides taking turns. */
  const rounds = async (more: Partial<LoadTask>): Promise<Map<Name, LoadResult[]>> => {
    const results = new Map<Name, LoadResult[]>(SIDES.map((side) => [side, []]));
    for (let round = 0; round < options.repeats; round++) {
      for (let i = 0; i < SIDES.length; i++) {
        const side = SIDES[(round + i) % SIDES.length];
        results.get(side)!.push(await load(side, more));
      }
    }
    return results;
  };
  const closed = await rounds({});
  const rateOf = (side: Name): number => median(closed.get(side)!.map((result) => result.perSecond));
  const rate = Math.round(rateOf("off") / 2);
  const open = await rounds({ rate });
  const p99Of = (side: Name): number => median(open.get(side)!.map((result) => result.p99Ms));
  for (const side of SIDES) {
    options.print(
      `  ${side.padEnd(8)} ${Math.round(rateOf(side)).toString().padStart(7)}/s   open loop at ${rate}/s: p99 ${p99Of(side).toFixed(2)} ms`,
    );
  }
  const ratios = (of: (side: Name) => number): Figures => ({
    on: of("on") / of("off"),
    failing: of("failing") / of("off"),
    hanging: of("hanging") / of("off"),
  });
  return { p99Ratio: ratios(p99Of), rateRatio: ratios(rateOf), offPerSecond: rateOf("off"), offP99Ms: p99Of("off") };
}

function startServer(task: ServeTask): Promise<Side> {
  return startChild(process.execPath, [...SERVER_ARGS, path.join(ROOT, "dist", "bench", "serve-own.js")], task);
}
