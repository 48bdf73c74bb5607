// Spark: processor time per row of a feature table made on Spark against one process, and the same features as SQL window functions.
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import type { Table } from "../src/core/table.ts";
import { withDuckDb } from "../src/drivers/dataset/duckdb/connection.ts";
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
/** What starting costs, Java's compilers among it, is measured on so many and taken away: they are done by then. */
const SMALL_SHARE = 0.5;
const DAYS = 90;
/** Of a simulated customer, about. */
const ROWS_PER_DAY = 1.9;
const CUSTOMERS_PER_TERMINAL = 0.5;
const FILES = 6;
const CORES = 2;
/** Rows of a sheet for a cluster. */
const SHEET: readonly number[] = [1e9, 1e10];
const SHEET_CORES: readonly number[] = [64, 256];
/** Of the cell `large`, where --rows says nothing else. */
const LARGE_ROWS = 200_000_000;
const PARTITION_ROWS = 2_000_000;

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
    if (options.cell !== undefined && options.cell !== "large") {
      throw new SentinelError("cli.usage", `spark has no cell ${options.cell}`, { hint: "its cell is called large" });
    }
    if (!existsSync(path.join(VENV, "sentinel-stamp"))) {
      throw new SentinelError("cli.usage", "there is no Spark in .cache/venv-spark", {
        hint: "run scripts/setup-spark",
      });
    }
    const dir = temporaryFolder();
    init({ dir, packageRoot: ROOT });
    if (options.cell === "large") return await runLarge(dir, options);
    const rows = options.rows ?? ROWS;
    const made = (name: string, share: number): Promise<Data> =>
      options.data === undefined
        ? simulate(name, dir, { options, rows: rows * share })
        : partsOf(name, dir, { file: options.data, share });
    const [small, large] = [await made("small", SMALL_SHARE), await made("large", 1)];
    const marginal = large.rows - small.rows;
    options.print(
      `${large.rows.toLocaleString("en")} transactions${options.data === undefined ? ", simulated" : ` of ${options.data}`}, less ${small.rows.toLocaleString("en")} for what starting costs`,
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
    const otherCells = await differingCells(large.out([]), large.out(engine));
    options.print(`  of all cells, ${otherCells} differ from those of the one process`);
    const peer = await runPython<PeerResult>(VENV, "spark-peer", {
      data: large.folder,
      table: large.out(engine),
      threads: CORES,
      rows: large.rows,
    });
    options.print(
      `  as SQL window functions: ${peer.seconds.toFixed(1)} s; ${percent(peer.differing)} of the cells are other numbers, ${percent(peer.far)} by more than a millionth, most of ${peer.worst[0]}: ${percent(peer.worst[1])}`,
    );
    const tableBytes = (sizeOf(large.out(engine)) - sizeOf(small.out(engine))) / marginal;
    const sheet = Object.fromEntries(
      SHEET.map((count): [string, Figures] => {
        const coreHours = (count * sparkCpu) / 3600;
        return [`rows${count / 1e9}e9`, { coreHours, tableGb: (count * tableBytes) / 1e9 }];
      }),
    );
    for (const count of SHEET) {
      const hours = (count * sparkCpu) / 3600;
      options.print(
        `  ${(count / 1e9).toFixed(0)} thousand million rows, from what was measured: ${Math.round(hours).toLocaleString("en")} hours of one core, ${SHEET_CORES.map((cores) => `${(hours / cores).toFixed(1)} h of ${cores}`).join(", ")}; a table of ${((count * tableBytes) / 1e9).toFixed(0)} GB`,
      );
    }
    return {
      rowsPerCpuSecond: 1 / sparkCpu,
      vsLocal: sparkCpu / localCpu,
      otherCells,
      childRssMiB,
      localRssMiB: local[1].rootRssBytes / 2 ** 20,
      overheadShare: 1 - ownCpu / sparkCpu,
      seconds: { local: local[1].seconds, spark: spark[1].seconds, windows: peer.seconds },
      windows: { differing: peer.differing, far: peer.far },
      sheet,
    };
  },
};

/** Spark alone, over rows that are simulated day by day into files of their own: what this machine can do in bounded memory. */
async function runLarge(dir: string, options: BenchOptions): Promise<Figures> {
  const data = await simulate("large", dir, { options, rows: options.rows ?? LARGE_ROWS, isStreamed: true });
  options.print(`${data.rows.toLocaleString("en")} simulated transactions, ${gigabytes(sizeOf(data.folder))}`);
  const partitions = String(Math.max(2 * CORES, Math.ceil(data.rows / PARTITION_ROWS)));
  const engine = ["--engine", "spark", "--master", `local[${CORES}]`, "--partitions", partitions];
  // Each process of Spark's writes its shuffles beside the table, where there is room, and not in memory.
  const local = path.join(dir, "shuffle");
  const use = await featurise(dir, data, [...engine, "--spark-conf", `spark.local.dir=${local}`]);
  const tableBytes = sizeOf(data.out(engine));
  options.print(
    `  ${(use.seconds / 3600).toFixed(2)} h, ${micros(use.cpuSeconds / data.rows)} of processor time per row, ${partitions} partitions; a process has ${(use.markedRssBytes / 2 ** 20).toFixed(0)} MiB at most; a table of ${gigabytes(tableBytes)}`,
  );
  return {
    rows: data.rows,
    hours: use.seconds / 3600,
    rowsPerCpuSecond: data.rows / use.cpuSeconds,
    childRssMiB: use.markedRssBytes / 2 ** 20,
    tableGb: tableBytes / 1e9,
  };
}

interface Data {
  readonly name: string;
  readonly folder: string;
  readonly rows: number;
  out(args: readonly string[]): string;
}

async function simulate(
  name: string,
  dir: string,
  {
    options,
    rows,
    isStreamed = false,
  }: { readonly options: BenchOptions; readonly rows: number; readonly isStreamed?: boolean },
): Promise<Data> {
  const customers = Math.max(20, Math.round(rows / (DAYS * ROWS_PER_DAY)));
  const terminals = Math.max(20, Math.round(customers / CUSTOMERS_PER_TERMINAL));
  const folder = path.join(dir, "data", name);
  mkdirSync(folder, { recursive: true });
  const dataset = datasetDuckdb();
  const perFile = isStreamed ? 1 : Math.ceil(DAYS / FILES);
  let written = 0;
  let part: Table[] = [];
  const flush = async (): Promise<void> => {
    if (part.length > 0)
      await dataset.write(path.join(folder, `part-${String(written++).padStart(5, "0")}.parquet`), part);
    part = [];
  };
  let count = 0;
  for (const day of simulateDays({ customers, terminals, days: DAYS, seed: options.seed })) {
    count += day.rows;
    part.push(day);
    if (part.length === perFile) await flush();
  }
  await flush();
  await dataset.close();
  return { name, folder, rows: count, out: outOf(name, dir) };
}

function outOf(name: string, dir: string): Data["out"] {
  return (args) => path.join(dir, "data", args.length === 0 ? `${name}.parquet` : `${name}-spark`);
}

/** The first rows of a file, in several. */
async function partsOf(
  name: string,
  dir: string,
  { file, share }: { readonly file: string; readonly share: number },
): Promise<Data> {
  const folder = path.join(dir, "data", name);
  mkdirSync(folder, { recursive: true });
  const [{ n }] = await query(`SELECT count(*)::INTEGER AS n FROM read_parquet('${file}')`);
  const rows = Math.floor(Number(n) * share);
  for (let part = 0; part < FILES; part++) {
    const [from, to] = [part, part + 1].map((at) => Math.floor((at * rows) / FILES));
    await query(
      `COPY (SELECT * EXCLUDE (file_row_number) FROM read_parquet('${file}', file_row_number = true) WHERE file_row_number >= ${from} AND file_row_number < ${to} ORDER BY file_row_number) TO '${path.join(folder, `part-${part}.parquet`)}' (FORMAT parquet)`,
    );
  }
  return { name, folder, rows, out: outOf(name, dir) };
}

/** Cells of the table in a folder that are not those of the file, and rows that one of them lacks. */
async function differingCells(file: string, folder: string): Promise<number> {
  const parts = `read_parquet('${folder}/*/*.parquet', hive_partitioning = false)`;
  const columns = await query(`SELECT column_name AS name FROM (DESCRIBE SELECT * FROM '${file}')`);
  const differs = columns.map(({ name }) => `count_if(a."${String(name)}" IS DISTINCT FROM b."${String(name)}")`);
  const [found] = await query(
    `SELECT (${differs.join(" + ")})::DOUBLE AS cells FROM '${file}' a FULL JOIN ${parts} b USING (transaction_id)`,
  );
  return Number(found.cells);
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  return await withDuckDb({ memoryLimit: "2GB", threads: CORES }, async (connection) => {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[];
  });
}

function featurise(dir: string, data: Data, args: readonly string[]): Promise<TreeUse> {
  const asked = ["featurise", "--quiet", "--data", data.folder, "--out", data.out(args), ...args];
  return runTree([process.execPath, COMMAND, ...asked], {
    cwd: dir,
    env: { ...process.env, SENTINEL_SPARK_PYTHON: path.join(VENV, "bin", "python") },
    marked: "engine-worker",
  });
}

/** Bytes of a folder's files. */
function sizeOf(folder: string): number {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

function micros(seconds: number): string {
  return `${(seconds * 1e6).toFixed(1)} µs`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
