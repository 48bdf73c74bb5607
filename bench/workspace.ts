// Where the benchmarks find the checkout, its pipeline, its feature files and the reference data.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Column, Table } from "../src/core/table.ts";
import type { FeatureSpec } from "../src/features/spec.ts";
import { loadSpec } from "../src/lifecycle/data/spec-file.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import type { Dataset } from "../src/ports/dataset.ts";
import type { BenchOptions } from "./bench.ts";

/** The checkout, from bench/ as well as from dist/bench/. */
export const ROOT = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? ".." : "../..", import.meta.url));

/** The Handbook's transactions lie beside a checkout that shares them; nothing of them is in it. */
export const referenceFile = path.join(ROOT, "..", "shared", "data", "fdh", "transactions.parquet");

/** features/NAME.ts, loaded as every verb loads it. */
export async function loadFeatures(name: string): Promise<FeatureSpec> {
  const pipeline = loadPipeline(ROOT, "card");
  return loadSpec({ ...pipeline, featuresFile: path.join(ROOT, "features", `${name}.ts`), featuresName: name });
}

/** features/examples/NAME.ts, of the pipeline beside it. */
export async function loadExampleFeatures(name: string): Promise<FeatureSpec> {
  const schemaFile = path.join(ROOT, "pipelines", "examples", `${name}.schema.json`);
  const featuresFile = path.join(ROOT, "features", "examples", `${name}.ts`);
  return loadSpec({ ...loadPipeline(ROOT, "card"), schemaFile, featuresFile, featuresName: name });
}

/** Transactions under canonical names: `data`, else the reference file, else simulated ones of the Handbook's size. */
export async function loadTransactions(options: BenchOptions): Promise<Table> {
  const file = options.data ?? (existsSync(referenceFile) ? referenceFile : undefined);
  if (file === undefined) {
    options.print(
      `NOT the reference data (no ${path.relative(ROOT, referenceFile)} here): simulated transactions, seed ${options.seed}`,
    );
    return canonical(simulated(options.seed));
  }
  options.print(`data: ${path.basename(file)}`);
  const dataset = await openDataset();
  return canonical(await dataset.read(file));
}

/** A folder of its own for one run, removed with the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "sentinel-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function openDataset(): Promise<Dataset> {
  const { datasetDuckdb } = await import("../src/drivers/dataset/duckdb/driver.ts");
  return datasetDuckdb();
}

/** Columns renamed by the pipeline's aliases. */
export function canonical(table: Table): Table {
  const names = loadPipeline(ROOT, "card").canonical;
  return {
    rows: table.rows,
    columns: new Map([...table.columns].map(([name, one]) => [names.get(name) ?? name, one])),
  };
}

/** Simulated transactions of the Handbook's size, under the simulator's names. */
export function simulated(seed: number): Table {
  return joinTables([...simulateDays({ seed })]);
}

/** One table below the other; all have the same number and time columns. */
export function joinTables(tables: readonly Table[]): Table {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const columns = new Map<string, Column>();
  for (const [name, first] of tables[0].columns) {
    const values = new Float64Array(rows);
    let at = 0;
    for (const table of tables) {
      const column = table.columns.get(name)!;
      if (column.kind !== "text") values.set(column.values, at);
      at += table.rows;
    }
    columns.set(name, { kind: first.kind === "time" ? "time" : "number", values });
  }
  return { rows, columns };
}
