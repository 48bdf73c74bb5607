// The path of one request: percentiles of the whole in an open loop, by stage, while snapshots are written and the log forgets.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import type { Percentiles } from "./latencies.ts";
import type { LoadResult, LoadTask } from "./load-own.ts";
import { pathPicture } from "./path-picture.ts";
import { runOwn, SERVER_ARGS, type Side, startChild } from "./peers.ts";
import type { ServeTask } from "./serve-own.ts";
import { applyRules, preparedWorkspace, RULES, writeBodies } from "./serving.ts";
import { WORKERS } from "./shadow.ts";
import { STAGES, type Stage } from "./stages.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

const CONNECTIONS = 16;
const CAPACITY_SECONDS = 4;
/** At 5,000 per second the slowest of ten thousand is one of ten. */
const SECONDS = 20;
const WARM_UP = 3000;
/** Far more often than in earnest, so that every run has several of both. */
const PERSIST_MS = 2000;
const LOG_ROWS = 20_000;
const SIDES = ["off", "on", "hanging"] as const;
type Name = (typeof SIDES)[number];
const SHARES = ["p50Ms", "p90Ms", "p99Ms", "p999Ms", "p9999Ms", "maxMs"] as const;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const workspace = await preparedWorkspace(options);
    for (const dir of [workspace.dir, workspace.withoutShadow]) applyRules(dir);
    const bodiesFile = await writeBodies(options);
    const folder = temporaryFolder();
    const worker = path.join(folder, "hanging.mjs");
    writeFileSync(worker, WORKERS.hanging);
    const taskOf = (side: Name, copy: string): ServeTask => ({
      workspace: side === "off" ? workspace.withoutShadow : workspace.copy(`${side}-${copy}`),
      ...(side === "hanging" ? { worker } : {}),
      persistMs: PERSIST_MS,
      rows: LOG_ROWS,
    });
    const loads = loader(options, bodiesFile);
    const off = await startServer(taskOf("off", "capacity"));
    const { perSecond } = await loads(off, { seconds: CAPACITY_SECONDS });
    await off.stop();
    const rate = Math.round(perSecond / 2);
    options.print(
      `  open loop at ${rate}/s, state saved every ${PERSIST_MS / 1000} s, log of ${LOG_ROWS} predictions, ${RULES.length} rules`,
    );
    const whole: Partial<Record<Name, LoadResult>> = {};
    const stages: Partial<Record<Name, Readonly<Record<Stage, Percentiles>>>> = {};
    for (const side of SIDES) {
      const plain = await startServer(taskOf(side, "whole"));
      whole[side] = await loads(plain, { rate, seconds: SECONDS });
      await plain.stop();
      // Timing the stages costs some microseconds, so that the whole is measured without it.
      const file = path.join(folder, `${side}.json`);
      const timed = await startServer({ ...taskOf(side, "stages"), stages: file });
      await loads(timed, { rate, seconds: SECONDS / 2 });
      await timed.stop();
      stages[side] = JSON.parse(readFileSync(file, "utf8")) as Record<Stage, Percentiles>;
    }
    const results = whole as Readonly<Record<Name, LoadResult>>;
    print(options, { whole: results, stages: stages as Readonly<Record<Name, Readonly<Record<Stage, Percentiles>>>> });
    if (options.picture !== undefined) {
      const lines = SIDES.map((side) => ({ name: `shadow ${side}`, percentiles: results[side] }));
      writeFileSync(options.picture, pathPicture(lines, `One request in an open loop at ${rate} per second`));
    }
    return {
      rate,
      ...Object.fromEntries(SIDES.map((side) => [side, figuresOf(results[side])])),
      stages: Object.fromEntries(
        SIDES.map((side) => [
          side,
          Object.fromEntries(STAGES.map((stage) => [stage, figuresOf(stages[side]![stage])])),
        ]),
      ),
    };
  },
};

function loader(
  options: BenchOptions,
  bodiesFile: string,
): (side: Side, task: Partial<LoadTask>) => Promise<LoadResult> {
  let loads = 0;
  return async (side, task) => {
    const result = await runOwn<LoadResult>("load-own", {
      port: side.port,
      path: "/predict",
      connections: CONNECTIONS,
      bodiesFile,
      prefix: `p${options.seed}-${loads++}-`,
      warmUp: WARM_UP,
      ...task,
    });
    const others = Object.keys(result.statuses).filter((status) => status !== "200" && status !== "503");
    assert(others.length === 0, `answers are 200, or 503 when refused, not ${others.join(", ")}`);
    return result;
  };
}

function figuresOf(percentiles: Percentiles): Figures {
  return Object.fromEntries(SHARES.map((share) => [share, percentiles[share]]));
}

function print(
  options: BenchOptions,
  seen: {
    readonly whole: Readonly<Record<Name, LoadResult>>;
    readonly stages: Readonly<Record<Name, Readonly<Record<Stage, Percentiles>>>>;
  },
): void {
  const row = (name: string, cells: readonly string[]): void => options.print(`| ${[name, ...cells].join(" | ")} |`);
  const ms = (one: Percentiles): readonly string[] => SHARES.map((share) => one[share].toFixed(3));
  row("ms", ["p50", "p90", "p99", "p99.9", "p99.99", "most"]);
  row(
    "---",
    SHARES.map(() => "---"),
  );
  for (const side of SIDES) row(`whole, shadow ${side}`, ms(seen.whole[side]));
  for (const side of SIDES) for (const stage of STAGES) row(`${stage}, shadow ${side}`, ms(seen.stages[side][stage]));
}

function startServer(task: ServeTask): Promise<Side> {
  return startChild(process.execPath, [...SERVER_ARGS, path.join(ROOT, "dist", "bench", "serve-own.js")], task);
}
