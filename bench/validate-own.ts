// One measured validation by Sentinel, in a process of its own: reads the file, judges the suite, prints one line of JSON.
import { readFileSync } from "node:fs";
import { datasetDuckdb } from "../src/drivers/dataset/duckdb/driver.ts";
import { withScratch } from "../src/lifecycle/data/scratch.ts";
import { evaluateBatches } from "../src/quality/evaluate.ts";
import { shapesOf } from "../src/quality/shape.ts";
import { Sketcher } from "../src/quality/sketch.ts";
import { parseSuite } from "../src/quality/suite.ts";
import { TallyPool } from "../src/quality/tally-pool.ts";

const {
  file,
  suite: suiteFile,
  sketches,
} = JSON.parse(process.argv[2]) as { readonly file: string; readonly suite: string; readonly sketches: boolean };
const suite = parseSuite(readFileSync(suiteFile, "utf8"), { where: suiteFile });
// Libraries are loaded before the clock starts, on both sides.
await import("@duckdb/node-api");
const start = performance.now();
const cpuStart = process.cpuUsage();
const scan = await datasetDuckdb().scan(file);
const columns = shapesOf(scan.empty);
const { result } = await withScratch((scratch) =>
  evaluateBatches({ columns, read: (names) => scan.batches(names) }, suite, {
    now: null,
    pool: new TallyPool({ scratch }),
    // What the report's pictures are drawn from.
    ...(sketches ? { onlooker: new Sketcher(columns) } : {}),
  }),
);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpuStart);
const { maxRSS } = process.resourceUsage();
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakMiB: maxRSS / 1024,
    rows: result.meta.rows,
    successes: result.results.map(({ success }) => success),
  }),
);
