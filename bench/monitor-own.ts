// One look of `monitor` in a process of its own, for `bench -- monitor`: seconds, peak memory, and what was judged.
import { loadConfig } from "../src/config.ts";
import { monitor } from "../src/lifecycle/monitor.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { openPorts } from "../src/wiring.ts";
import type { Measured } from "./peers.ts";
import { timedAsync } from "./stopwatch.ts";

export interface MonitorTask {
  readonly dir: string;
}

export interface MonitorMeasured extends Measured {
  /** Whose labels were final; null where they were too few for a figure. */
  readonly frauds: number | null;
}

const { dir } = JSON.parse(process.argv[2]) as MonitorTask;
const pipeline = loadPipeline(dir, "card");
const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
  report: { line: () => {}, progress: () => {} },
  pipeline: "card",
  settings: () => pipeline,
});
const { result, measured } = await timedAsync(() => monitor(ports, { pipeline, path: null, until: null }));
await close();
console.log(JSON.stringify({ ...measured, frauds: result.performance?.frauds ?? null } satisfies MonitorMeasured));
