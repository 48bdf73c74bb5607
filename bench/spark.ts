// Spark: processor time per row of a feature table made on Spark against one process, and the same features as SQL window functions.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import { datasetDuckdb } from "../src/drivers/dataset/duckdb/driver.ts";
import { init } from "../src/lifecycle/init.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { runPython } from "./peers.ts";
import { runTree, type TreeUse } from "./process-tree.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

const COMMAND = path.join(ROOT, "dist", "src", "cli", "main.js");
/** scripts/setup-spark puts PySpark there. */
const VENV = path.join(ROOT, ".cache", "venv-spark");
const ROWS = 1_000_000;
/** What starting costs is measured on so many, and taken away. */
const SMALL_SHARE = 0.02;
const DAYS = 90;
/** Of a simulated customer, about. */
const ROWS_PER_DAY = 1.9;
const CUSTOMERS_PER_TERMINAL = 0.5;
const FILES = 6;
const CORES = 2;
/** Rows of a sheet for a cluster. */
const SHEET: readonly number[] = [1e9, 1e10];

interface PeerResult {
  readonly seconds: number;
  /** Of all cells, those that are another Float32 number, and those further than a millionth apart. */
  readonly differing: number;
  readonly far: number;
  /** The feature with most of them, by name, and its share. */
  readonly worst: readonly [string, number];
}

export const bench: Bench = {
  async run(options): Promise<Figures> {
    if (!existsSync(path.join(VENV, "sentinel-stamp"))) {
      throw new SentinelError("cli.usage", "there is no Spark in .cache/venv-spark", {
        hint: "run scripts/setup-spark",
      });
    }
    const dir = temporaryFolder();
    init({ dir, packageRoot: ROOT });
    const rows = options.rows ?? ROWS;
    const [small, large] = [
      await simulate("small", dir, { options, rows: rows * SMALL_SHARE }),
      await simulate("large", dir, { options, rows }),
    ];
    const marginal = large.rows - small.rows;
    options.print(
      `${large.rows.toLocaleString("en")} simulated transactions, less ${small.rows.toLocaleString("en")} for what starting costs`,
    );

    const local = [await featurise(dir, small, []), await featurise(dir, large, [])];
    const localCpu = (local[1].cpuSeconds - local[0].cpuSeconds) / marginal;
    options.print(`  one process: ${micros(localCpu)} of processor time per row, ${local[1].seconds.toFixed(1)} s`);
    const engine = ["--engine", "spark", "--master", `local[${CORES}]`, "--partitions", String(2 * CORES)];
    const spark = [await featurise(dir, small, engine), await featurise(dir, large, engine)];
    const sparkCpu = (spark[1].cpuSeconds - spark[0].cpuSeconds) / marginal;
    const ownCpu = (spark[1].markedCpuSeconds - spark[0].markedCpuSeconds) / marginal;
    const childRssMiB = spark[1].markedRssBytes / 2 ** 20;
    options.print(
      `  Spark, local[${CORES}]: ${micros(sparkCpu)}, of which the state machine's processes ${micros(ownCpu)}; ${spark[1].seconds.toFixed(1)} s; a process has ${childRssMiB.toFixed(0)} MiB (${(spark[0].markedRssBytes / 2 ** 20).toFixed(0)} with ${small.rows.toLocaleString("en")} rows)`,
    );
    const peer = await runPython<PeerResult>(VENV, "spark-peer", {
      data: large.folder,
      table: large.out(engine),
      threads: CORES,
      rows: large.rows,
    });
    options.print(
      `  as SQL window functions: ${peer.seconds.toFixed(1)} s; ${percent(peer.differing)} of the cells are other numbers, ${percent(peer.far)} by more than a millionth, most of ${peer.worst[0]}: ${percent(peer.worst[1])}`,
    );
    for (const count of SHEET) {
      options.print(
        `  ${(count / 1e9).toFixed(0)} thousand million rows, from what was measured: ${Math.round((count * sparkCpu) / 3600).toLocaleString("en")} hours of one core`,
      );
    }
    return {
      rowsPerCpuSecond: 1 / sparkCpu,
      vsLocal: sparkCpu / localCpu,
      childRssMiB,
      overheadShare: 1 - ownCpu / sparkCpu,
      seconds: { local: local[1].seconds, spark: spark[1].seconds, windows: peer.seconds },
      windows: { differing: peer.differing, far: peer.far },
      coreHours: Object.fromEntries(SHEET.map((count) => [`rows${count / 1e9}e9`, (count * sparkCpu) / 3600])),
    };
  },
};

interface Data {
  readonly name: string;
  readonly folder: string;
  readonly rows: number;
  out(args: readonly string[]): string;
}

async function simulate(
  name: string,
  dir: string,
  { options, rows }: { readonly options: BenchOptions; readonly rows: number },
): Promise<Data> {
  const customers = Math.max(20, Math.round(rows / (DAYS * ROWS_PER_DAY)));
  const terminals = Math.max(20, Math.round(customers / CUSTOMERS_PER_TERMINAL));
  const folder = path.join(dir, "data", name);
  mkdirSync(folder, { recursive: true });
  const days = [...simulateDays({ customers, terminals, days: DAYS, seed: options.seed })];
  const dataset = datasetDuckdb();
  const perFile = Math.ceil(days.length / FILES);
  for (let part = 0; part * perFile < days.length; part++) {
    const own = days.slice(part * perFile, (part + 1) * perFile);
    await dataset.write(path.join(folder, `part-${part}.parquet`), own);
  }
  await dataset.close();
  const out = (args: readonly string[]): string =>
    path.join(dir, "data", args.length === 0 ? `${name}.parquet` : `${name}-spark`);
  return { name, folder, rows: days.reduce((sum, day) => sum + day.rows, 0), out };
}

function featurise(dir: string, data: Data, args: readonly string[]): Promise<TreeUse> {
  const asked = ["featurise", "--quiet", "--data", data.folder, "--out", data.out(args), ...args];
  return runTree([process.execPath, COMMAND, ...asked], {
    cwd: dir,
    env: { ...process.env, SENTINEL_SPARK_PYTHON: path.join(VENV, "bin", "python") },
    marked: "engine-worker",
  });
}

function micros(seconds: number): string {
  return `${(seconds * 1e6).toFixed(1)} µs`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
