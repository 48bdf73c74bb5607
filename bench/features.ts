// Features: how fast a table is replayed, how long one online vector takes, what a key costs in memory.
import { assert } from "../src/core/errors.ts";
import { numberAt, type Table, takeRows, textAt } from "../src/core/table.ts";
import { emptyFields, type Transaction } from "../src/core/transaction.ts";
import { encodeAndLearn } from "../src/features/encode.ts";
import { compileSpec, type FeaturePlan } from "../src/features/plan.ts";
import { type ReplayResult, replay } from "../src/features/replay.ts";
import { type Bench, type BenchOptions, median, quantileOf } from "./bench.ts";
import type { MemoryTask } from "./features-memory.ts";
import { redisMillis } from "./features-redis.ts";
import { type Measured, runOwn } from "./peers.ts";
import { timed } from "./stopwatch.ts";
import { loadFeatures, loadTransactions } from "./workspace.ts";

const LABEL_DELAY_MS = 7 * 86_400_000;
/** The last transactions of the table, encoded one by one on the state that all before them left. */
const ONLINE_ROWS = 200_000;
/** The last ones again, one by one against Redis. */
const REDIS_ROWS = 20_000;
/** Of them, not counted: the machine code is still being made. */
const WARM_UP_ROWS = 20_000;

export const bench: Bench = {
  async run(options) {
    const table = await loadTransactions(options);
    const plan = compileSpec(await loadFeatures("card"));
    options.print(`card: ${plan.width} features, ${table.rows} transactions`);
    const rates: number[] = [];
    const cpuRates: number[] = [];
    let last: ReplayResult | null = null;
    for (let round = 0; round < options.repeats; round++) {
      last = null;
      const { result, measured } = timed(() => replayOf(plan, table));
      last = result;
      rates.push(table.rows / measured.seconds);
      cpuRates.push(table.rows / measured.cpuSeconds);
      options.print(
        `  replay ${round + 1}: ${perSecond(rates[round])}, by processor time ${perSecond(cpuRates[round])}`,
      );
    }
    assert(last !== null, "at least one replay ran");
    const stats = last.state.stats();
    const bytesPerKey = stats.bytes / stats.keys;
    options.print(`  ${stats.keys} keys, ${stats.events} events kept: ${(stats.bytes / 2 ** 20).toFixed(1)} MiB`);
    const micros = onlineMicros(plan, table, options);
    return {
      replayPerSecond: median(rates),
      replayPerCpuSecond: median(cpuRates),
      encodeMicrosP50: quantileOf(micros, 0.5),
      encodeMicrosP99: quantileOf(micros, 0.99),
      bytesPerKey,
      ...(await redisFigures(plan, table, options)),
      ...(options.memory ? { rssMillionCustomersMb: await millionCustomers(plan, options) } : {}),
    };
  },
};

/** Resident MiB of a process that holds thirty days of a million customers and 100,000 terminals, and nothing else. */
async function millionCustomers(plan: FeaturePlan, { print }: BenchOptions): Promise<number> {
  const task: MemoryTask = { spec: plan.spec, customers: 1_000_000, terminals: 100_000, days: 30 };
  const run = await runOwn<Measured & { heldBytes: number; stateBytes: number; events: number }>(
    "features-memory",
    task,
  );
  const mb = (bytes: number): number => Math.round(bytes / 2 ** 20);
  print(
    `  a million customers, ${run.events} entries: ${mb(run.heldBytes)} MiB resident (peak ${mb(run.rssBytes)}), ` +
      `${mb(run.stateBytes)} MiB by the state's own account, ${Math.round(run.cpuSeconds)} s to fill`,
  );
  return mb(run.heldBytes);
}

function replayOf(plan: FeaturePlan, table: Table): ReplayResult {
  const columns = { id: "transaction_id", time: "time", label: "is_fraud" };
  return replay({ spec: plan, table, columns, labelDelayMs: LABEL_DELAY_MS });
}

/** Microseconds of reading and learning one transaction, ascending. */
function onlineMicros(plan: FeaturePlan, table: Table, { print }: BenchOptions): Float64Array {
  const from = Math.max(0, table.rows - ONLINE_ROWS);
  const before = takeRows(
    table,
    Int32Array.from({ length: from }, (_, row) => row),
  );
  const { state } = replayOf(plan, before);
  const micros = new Float64Array(table.rows - from);
  for (let row = from; row < table.rows; row++) {
    const tx = transactionAt(table, row);
    const start = performance.now();
    encodeAndLearn(state, plan, tx);
    micros[row - from] = 1000 * (performance.now() - start);
  }
  const counted = micros.subarray(Math.min(WARM_UP_ROWS, micros.length >> 1)).sort();
  print(
    `  online, read and learn: median ${quantileOf(counted, 0.5).toFixed(1)} µs, p99 ${quantileOf(counted, 0.99).toFixed(1)} µs`,
  );
  return counted;
}

/** The row as a server would have parsed it. */
function transactionAt(table: Table, row: number): Transaction {
  const column = (name: string) => table.columns.get(name)!;
  const fields = emptyFields();
  fields.amount = numberAt(column("amount"), row);
  fields.customer_id = textAt(column("customer_id"), row);
  fields.terminal_id = textAt(column("terminal_id"), row);
  return { id: textAt(column("transaction_id"), row) ?? "", time: numberAt(column("time"), row), fields };
}

/** The last rows again, on a state in Redis; null where there is none. */
async function redisFigures(
  plan: FeaturePlan,
  table: Table,
  { print }: BenchOptions,
): Promise<{ readonly redisEncodeMsP50: number | null; readonly redisEncodeMsP99: number | null }> {
  const from = Math.max(0, table.rows - REDIS_ROWS);
  const before = takeRows(
    table,
    Int32Array.from({ length: from }, (_, row) => row),
  );
  const { state } = replayOf(plan, before);
  const rows = Array.from({ length: table.rows - from }, (_, at) => transactionAt(table, from + at));
  const millis = await redisMillis(plan, state, rows);
  if (millis === null) {
    print("  Redis: not measured, there is no redis-server here (scripts/setup-redis)");
    return { redisEncodeMsP50: null, redisEncodeMsP99: null };
  }
  const [p50, p99] = [quantileOf(millis, 0.5), quantileOf(millis, 0.99)];
  print(`  Redis on this machine, read and apply: median ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
  return { redisEncodeMsP50: p50, redisEncodeMsP99: p99 };
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString("en")} transactions/s`;
}
