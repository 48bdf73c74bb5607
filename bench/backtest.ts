// Backtest: fifty rules over as many transactions as the reference data has, and the stateless ones of them in DuckDB.
import { DuckDBInstance } from "@duckdb/node-api";
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import type { Rule } from "../src/core/rule.ts";
import type { Column, Table } from "../src/core/table.ts";
import { datasetDuckdb } from "../src/drivers/dataset/duckdb/driver.ts";
import { figuresOf } from "../src/lifecycle/rules/figures.ts";
import { hitsOf } from "../src/lifecycle/rules/hits.ts";
import type { Past } from "../src/lifecycle/rules/past.ts";
import { ruleScope, windowPlan } from "../src/online/rules.ts";
import { parsePipeline } from "../src/pipeline/pipeline.ts";
import { EMPTY_LIST } from "../src/rules/lists.ts";
import { compileRules } from "../src/rules/program.ts";
import { type Bench, type Figures, median } from "./bench.ts";
import { CHANNELS, COUNTRIES, CURRENCIES, makeRules, SCHEMA } from "./rules-cases.ts";
import { temporaryFolder } from "./workspace.ts";

/** As the Handbook's transactions. */
const ROWS = 1_754_155;
const USERS = 5000;
const DAYS = 183;
const DAY_MS = 86_400_000;
const STATELESS = 40;
const WINDOWS = [
  "count_last('1h', user_id) >= 3",
  "count_last('1d', user_id) >= 8",
  "sum_last(amount, '1d', user_id) > 6000",
  "sum_last(amount, '7d', user_id) > 30000",
  "amount > 3 * avg_last(amount, '30d', user_id)",
  "amount > avg_last(amount, '30d', user_id) + 3 * stddev_last(amount, '30d', user_id)",
  "distinct_last(country, '1d', user_id) >= 4",
  "max_last(amount, '7d', user_id) < 500 AND amount > 1500",
  "first_seen('30d', user_id, country) AND amount > 1800",
  "sequence(user_id, '1h', amount < 50, amount > 1500)",
];

const PIPELINE = `
name: bench
model: none
source: data/none.parquet
features: none
schema: bench.schema.json
suite: none
columns: { id: id, time: time, amount: amount, card: user_id, label: label }
`;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const pipeline = parsePipeline(PIPELINE, { file: "/w/bench.yaml", workspace: "/w" });
    const past = pastOf(options.seed);
    const { rules: stateless } = makeRules(STATELESS, options.seed);
    const own = (rules: readonly Rule[]) => backtest(past, { rules, pipeline });
    const windowed = WINDOWS.map((when, i): Rule => ({ ...stateless[0], id: `w${i}`, when }));
    const seconds: number[] = [];
    const alone: number[] = [];
    const duck: number[] = [];
    for (let round = 0; round < options.repeats; round++) {
      seconds.push((await own([...stateless, ...windowed])).seconds);
      const mine = await own(stateless);
      alone.push(mine.seconds);
      const their = await peer(past, stateless);
      duck.push(their.seconds);
      assert(JSON.stringify(mine.fires) === JSON.stringify(their.fires), "both sides count the same hits");
    }
    const [all, ours, theirs] = [median(seconds), median(alone), median(duck)];
    const rules = STATELESS + WINDOWS.length;
    options.print(
      `  ${ROWS.toLocaleString("en")} transactions × ${rules} rules: ${all.toFixed(1)} s of one core, figures and intervals included`,
    );
    options.print(
      `  the ${STATELESS} stateless rules: ${ours.toFixed(1)} s; DuckDB counts their hits in ${theirs.toFixed(1)} s`,
    );
    return {
      seconds: all,
      rowsPerSecond: ROWS / all,
      stateless: { seconds: ours, duckdbSeconds: theirs, ratio: ours / theirs },
    };
  },
};

/** Processor time, on one thread. */
async function backtest(
  past: Past,
  on: { readonly rules: readonly Rule[]; readonly pipeline: ReturnType<typeof parsePipeline> },
): Promise<{ readonly seconds: number; readonly fires: readonly number[] }> {
  const { rules, pipeline } = on;
  const cpu = process.cpuUsage();
  const scope = ruleScope({ pipeline, schema: SCHEMA, plan: null, areas: {}, lists: null });
  const set = { format: "sentinel-rules/1", pipeline: "bench", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  assert(program.faults.length === 0, "every rule can be compiled");
  const report = { line: () => {}, progress: () => {} };
  const span = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  const hits = hitsOf(past, { program, plan: windowPlan(program), pipeline, report, ...span });
  const figures = figuresOf(past, { rules, hits, maturityMs: 7 * DAY_MS, ...span });
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (user + system) / 1e6, fires: figures.map(({ fires }) => fires) };
}

async function peer(
  past: Past,
  rules: readonly Rule[],
): Promise<{ readonly seconds: number; readonly fires: readonly number[] }> {
  const file = `${temporaryFolder()}/rows.parquet`;
  await datasetDuckdb().write(file, [past.table]);
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE rows AS SELECT * FROM read_parquet('${file}')`);
  const cpu = process.cpuUsage();
  const counts = rules.map(({ when }) => `count(*) FILTER (WHERE ${when})`).join(", ");
  const result = await connection.runAndReadAll(`SELECT ${counts} FROM rows`);
  const { user, system } = process.cpuUsage(cpu);
  const fires = result.getRows()[0].map(Number);
  connection.closeSync();
  return { seconds: (user + system) / 1e6, fires };
}

/** Transactions in the order of time, one in two hundred a fraud. */
function pastOf(seed: number): Past {
  const random = new Random(seed + 3);
  const begin = Date.UTC(2026, 0, 1);
  const times = Float64Array.from({ length: ROWS }, (_, i) => begin + Math.floor((i / ROWS) * DAYS * DAY_MS));
  const numbers = (low: number, high: number, digits: number): Column => ({
    kind: "number",
    values: Float64Array.from(times, () => Math.round(random.uniform(low, high) * 10 ** digits) / 10 ** digits),
  });
  const words = (dictionary: readonly string[]): Column & { readonly kind: "text" } => ({
    kind: "text",
    codes: Int32Array.from(times, () => random.integer(dictionary.length)),
    dictionary,
  });
  const users = words(Array.from({ length: USERS }, (_, i) => `u${i}`));
  const amounts = numbers(0, 2000, 2);
  const labels = Uint8Array.from(times, () => (random.next() < 0.005 ? 1 : 0));
  const table: Table = {
    rows: ROWS,
    columns: new Map<string, Column>([
      ["id", { kind: "number", values: Float64Array.from(times, (_, i) => i) }],
      ["time", { kind: "time", values: times }],
      ["amount", amounts],
      ["balance", numbers(-500, 20_000, 0)],
      ["age_days", numbers(0, 4000, 0)],
      ["items", numbers(0, 20, 0)],
      ["country", words(COUNTRIES)],
      ["currency", words(CURRENCIES)],
      ["channel", words(CHANNELS)],
      ["user_id", users],
      ["label", { kind: "number", values: Float64Array.from(labels) }],
    ]),
  };
  return {
    where: "synthetic",
    table,
    times,
    labels,
    amounts: (amounts as { readonly values: Float64Array }).values,
    entities: users.codes,
    model: null,
    decided: null,
    blocked: null,
    from: times[0],
    to: times[ROWS - 1],
    skipped: 0,
  };
}
