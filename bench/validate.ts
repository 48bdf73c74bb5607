// The data gate against Great Expectations on pandas: 30 expectations on the reference rows; alone on 20 million simulated rows.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import { datasetDuckdb } from "../src/drivers/dataset/duckdb/driver.ts";
import { INTEGER_COLUMNS, simulateDays } from "../src/lifecycle/simulate.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import { pythonEnvironment, runOwn, runPython } from "./peers.ts";
import { ROOT, referenceFile, temporaryFolder } from "./workspace.ts";

const SUITE = path.join(ROOT, "bench", "validate-suite.json");
/** The simulator makes about 1.92 transactions per customer and day. */
const LARGE = { customers: 57_000, terminals: 100_000, days: 183 } as const;

interface Own {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  readonly rows: number;
  readonly successes: readonly boolean[];
}

interface Peer extends Omit<Own, "rows" | "successes"> {
  readonly readSeconds: number;
  readonly successes: readonly (boolean | null)[];
}

export const bench: Bench = {
  async run(options) {
    if (options.cell === "rows20m") return await large(options);
    if (options.cell !== undefined)
      throw new SentinelError("cli.usage", `--cell: there is no cell ${options.cell}`, {
        hint: "give rows20m, or none",
      });
    const folder = temporaryFolder();
    const file = options.data ?? (existsSync(referenceFile) ? referenceFile : await simulated(folder, options, {}));
    options.print(`data: ${path.basename(file)}`);
    return await compared(file, options);
  },
};

/** Both on the same file, one after the other, as often as asked; reading counts on our side and not on theirs. */
async function compared(file: string, options: BenchOptions): Promise<Figures> {
  const task = { file, suite: SUITE, threads: 2, sketches: false };
  const peer = pythonEnvironment("venv-gx", options.print);
  const own: Own[] = [];
  const peers: Peer[] = [];
  for (let round = 0; round < options.repeats; round++) {
    own.push(await runOwn<Own>("validate-own", task));
    if (peer !== null) peers.push(await runPython<Peer>(peer, "validate-peer", task));
  }
  const seconds = median(own.map((one) => one.seconds));
  const { rows, successes } = own[0];
  options.print(`Sentinel            ${sideText(seconds, own)}, reading included`);
  const rowsPerSecond = rows / seconds;
  const peakMiB = Math.max(...own.map((one) => one.peakMiB));
  if (peers.length === 0) return { gx: null, rowsPerSecond, peakMiB };
  const theirs = median(peers.map((one) => one.seconds));
  const read = median(peers.map((one) => one.readSeconds));
  options.print(`Great Expectations  ${sideText(theirs, peers)}, after reading for ${read.toFixed(2)} s`);
  const differing = successes.filter((success, i) => success !== peers[0].successes[i]).length;
  options.print(
    `${successes.length} expectations, ${differing} answered otherwise; ratio ${(seconds / theirs).toFixed(3)}`,
  );
  return {
    gx: seconds / theirs,
    gxCpu: median(own.map((one) => one.cpuSeconds)) / median(peers.map((one) => one.cpuSeconds)),
    rowsPerSecond,
    peakMiB,
    gxPeakMiB: Math.max(...peers.map((one) => one.peakMiB)),
    differing,
  };
}

/** Twenty million rows, which Great Expectations on pandas is not asked to hold. */
async function large(options: BenchOptions): Promise<Figures> {
  const file = options.data ?? (await simulated(temporaryFolder(), options, LARGE));
  const own = await runOwn<Own>("validate-own", { file, suite: SUITE, threads: 2, sketches: true });
  options.print(`${own.rows.toLocaleString("en")} rows: ${sideText(own.seconds, [own])}`);
  return { rows: own.rows, rowsPerSecond: own.rows / own.seconds, seconds: own.seconds, peakMiB: own.peakMiB };
}

async function simulated(folder: string, options: BenchOptions, size: Partial<typeof LARGE>): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "transactions.parquet");
  options.print(`simulating transactions, seed ${options.seed}`);
  const days = simulateDays({ seed: options.seed, ...size });
  await datasetDuckdb().write(file, days, { integers: INTEGER_COLUMNS });
  return file;
}

function sideText(seconds: number, runs: readonly { readonly cpuSeconds: number; readonly peakMiB: number }[]): string {
  const cpu = median(runs.map((one) => one.cpuSeconds));
  const peak = Math.max(...runs.map((one) => one.peakMiB));
  return `${seconds.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU, ${peak.toFixed(0)} MiB at the peak`;
}
