// Streams on a real Kafka: records per second with own state, Redis or rules alone, latency at 10,000/s, restoring, the client's own ceiling, PySpark.
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { SentinelError } from "../src/core/errors.ts";
import { type Broker, kafkaInstalled, startKafka } from "../test/drivers/kafka-broker.ts";
import { redisInstalled, startRedis } from "../test/drivers/redis-server.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import type { Percentiles } from "./latencies.ts";
import { runOwn, runPython, SERVER_ARGS } from "./peers.ts";
import { applyRules, preparedWorkspace, processorSeconds, RULES, residentMb, writeBodies } from "./serving.ts";
import type { CeilingResult, StreamTask } from "./stream-own.ts";
import { ROOT } from "./workspace.ts";

const COMMAND = path.join(ROOT, "dist", "src", "cli", "main.js");
/** scripts/bench-spark puts Spark and its Kafka source there. */
const SPARK = path.join(ROOT, ".cache", "bench-spark");
const ROWS = 600_000;
/** Redis answers each transaction over a socket: fewer are enough. */
const REDIS_SHARE = 0.1;
const PARTITIONS = 6;
const RATE = 10_000;
const SECONDS = 20;
const WARM_UP_SECONDS = 5;
const LOOK_MS = 250;
const READY_TRIES_MAX = 2400;
const STALL_LOOKS_MAX = 480;

interface Rate {
  readonly perSecond: number;
  /** Processor time of the whole process, its archive's thread and the shadow's included. */
  readonly microsPerRecord: number;
  readonly residentMb: number;
}

export const bench: Bench = {
  async run(options): Promise<Figures> {
    if (!kafkaInstalled) {
      throw new SentinelError("cli.usage", "there is no Kafka broker in .cache/kafka", {
        hint: "run scripts/setup-kafka (Java 17 and Maven)",
      });
    }
    const broker = await startKafka();
    try {
      return await measure(options, broker);
    } finally {
      await broker.dispose();
    }
  },
};

async function measure(options: BenchOptions, broker: Broker): Promise<Figures> {
  const rows = options.rows ?? ROWS;
  const redisRows = Math.round(rows * REDIS_SHARE);
  const address = broker.address.brokers[0];
  const bodiesFile = await writeBodies(options);
  const own = <T>(task: DistributiveOmit<StreamTask, "broker">): Promise<T> =>
    runOwn<T>("stream-own", { broker: address, ...task });
  const fill = (topic: string, count: number, distinct = false): Promise<object> =>
    own({ role: "fill", topic, bodiesFile, count, partitions: PARTITIONS, distinct });
  const wants = (cell: string): boolean => options.cell === undefined || options.cell === cell;

  options.print(`filling a topic of ${PARTITIONS} partitions with ${rows.toLocaleString("en")} transactions`);
  await fill("full", rows);
  await fill("short", redisRows);
  await fill("wide", redisRows, true);
  await broker.create("ceiling-out", PARTITIONS);
  await broker.create("live", PARTITIONS);

  let ceiling: number | null = null;
  if (wants("ceiling")) {
    ({ perSecond: ceiling } = await own<CeilingResult>({
      role: "ceiling",
      topic: "full",
      output: "ceiling-out",
      count: rows,
    }));
    options.print(`  the client alone, consuming and producing in transactions: ${whole(ceiling)} records/s`);
  }
  let spark: number | null = null;
  if (wants("spark")) spark = await sparkRate(options, { address, rows });

  const workspaces = await preparedWorkspace(options);
  const side = (topic: string): string => {
    const dir = workspaces.copy(topic);
    appendFileSync(
      path.join(dir, "pipelines", "card.yaml"),
      `\narchive: { to: data/archive }\nstream: { topic: ${topic}, group: bench-${topic} }\n`,
    );
    applyRules(dir);
    return dir;
  };
  const rateOf = async (what: string, dir: string, of: { rows: number; redis?: string }): Promise<Rate> => {
    const stream = await sentinelStream({ dir, address, redis: of.redis });
    try {
      const rate = await steadyRate(stream, of.rows);
      options.print(
        `  ${what}: ${whole(rate.perSecond)} records/s, ${rate.microsPerRecord.toFixed(1)} µs of processor time each, ${rate.residentMb.toFixed(0)} MB`,
      );
      return rate;
    } finally {
      await stream.stop();
    }
  };

  const rulesOnly = wants("rulesOnly")
    ? await rateOf("rules only", rulesWorkspace(workspaces.copy("rules")), { rows })
    : null;
  const fullDir = side("full");
  const ownState = wants("ownState") ? await rateOf("own state", fullDir, { rows }) : null;
  let redis: Rate | null = null;
  if (wants("redis")) {
    if (redisInstalled) {
      const server = await startRedis();
      try {
        redis = await rateOf("Redis", side("short"), { rows: redisRows, redis: server.url });
      } finally {
        await server.dispose();
      }
    } else options.print("  SKIPPED Redis: no redis-server (scripts/setup-redis)");
  }
  const restore = wants("restore") ? await restoring(options, { dir: side("wide"), address, rows: redisRows }) : null;
  let endToEnd: Percentiles | null = null;
  if (wants("endToEnd")) {
    const stream = await sentinelStream({ dir: side("live"), address });
    try {
      const count = RATE * SECONDS;
      const reading = own<Percentiles>({ role: "read", topic: "live-decisions", count, secondsMax: 4 * SECONDS });
      await own({
        role: "pace",
        topic: "live",
        bodiesFile,
        rate: RATE,
        seconds: SECONDS,
        warmUpSeconds: WARM_UP_SECONDS,
      });
      endToEnd = await reading;
      options.print(
        `  end to end at ${whole(RATE)}/s: p50 ${endToEnd.p50Ms.toFixed(0)} ms, p99 ${endToEnd.p99Ms.toFixed(0)} ms, most ${endToEnd.maxMs.toFixed(0)} ms of ${whole(endToEnd.count)}`,
      );
    } finally {
      await stream.stop();
    }
  }
  return {
    rows,
    perSecond: {
      ownState: ownState?.perSecond ?? null,
      redis: redis?.perSecond ?? null,
      rulesOnly: rulesOnly?.perSecond ?? null,
    },
    processorMicros: {
      ownState: ownState?.microsPerRecord ?? null,
      redis: redis?.microsPerRecord ?? null,
      rulesOnly: rulesOnly?.microsPerRecord ?? null,
    },
    endToEndMs: endToEnd === null ? null : { p50: endToEnd.p50Ms, p99: endToEnd.p99Ms, decisions: endToEnd.count },
    restoreSecondsPerMillionKeys: restore,
    kafkaClientCeiling: ceiling,
    pysparkRulesOnly: spark,
  };
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

interface StreamSide {
  readonly pid: number;
  /** Records whose transaction is committed. */
  committed(): Promise<number>;
  stop(): Promise<void>;
}

/** `sentinel stream` of a workspace in a process of its own, ready. */
async function sentinelStream(of: {
  readonly dir: string;
  readonly address: string;
  readonly redis?: string;
}): Promise<StreamSide> {
  const { dir, address, redis } = of;
  const args = ["stream", "--workspace", dir, "--create", "--port", "0", "--log-level", "error"];
  const child = spawn(process.execPath, [...SERVER_ARGS, ...profile(), COMMAND, ...args], {
    env: {
      ...process.env,
      SENTINEL_KAFKA_BROKERS: address,
      ...(redis === undefined ? {} : { SENTINEL_REDIS_URL: redis }),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise<number>((resolve, reject) => {
    lines.on("line", (line) => {
      const found = /http:\/\/[^:]+:(\d+)/.exec(line);
      if (found !== null) resolve(Number(found[1]));
    });
    child.once("exit", (code) => reject(new Error(`the stream ended with code ${code}`)));
  });
  const ask = (route: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${route}`);
  for (let tries = 0; !(await ask("/readyz")).ok; tries++) {
    if (tries === READY_TRIES_MAX) throw new Error(`the stream is not ready: ${await (await ask("/readyz")).text()}`);
    await sleep(50);
  }
  return {
    pid: child.pid!,
    async committed() {
      const text = await (await ask("/metrics")).text();
      return Number(/^sentinel_stream_records_total\{[^}]*\} (\S+)/m.exec(text)?.[1] ?? 0);
    },
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

/** STREAM_BENCH_PROFILE=FOLDER: where the time of each process goes, for Chrome's tools. */
function profile(): readonly string[] {
  const folder = process.env.STREAM_BENCH_PROFILE;
  return folder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

/** From a tenth of the records, when the machine code is made, to the last. */
async function steadyRate(stream: StreamSide, rows: number): Promise<Rate> {
  let from: { at: number; cpu: number; count: number } | null = null;
  let stalled = 0;
  for (let last = 0; ; ) {
    await sleep(LOOK_MS);
    const count = await stream.committed();
    const now = { at: performance.now(), cpu: processorSeconds(stream.pid), count };
    if (from === null && count >= rows / 10) from = now;
    if (count >= rows && from !== null && from !== now) {
      const done = count - from.count;
      return {
        perSecond: (1000 * done) / (now.at - from.at),
        microsPerRecord: (1e6 * (now.cpu - from.cpu)) / done,
        residentMb: residentMb(stream.pid),
      };
    }
    stalled = count === last ? stalled + 1 : 0;
    last = count;
    if (stalled > STALL_LOOKS_MAX) throw new Error(`the stream stands still at ${count} of ${rows} records`);
  }
}

/** How much longer a start takes with the state of as many customers and terminals as there are rows. */
async function restoring(
  options: BenchOptions,
  of: { readonly dir: string; readonly address: string; readonly rows: number },
): Promise<number> {
  const { dir, address, rows } = of;
  const start = async (): Promise<{ readonly seconds: number; readonly stream: StreamSide }> => {
    const begun = performance.now();
    const stream = await sentinelStream({ dir, address });
    return { seconds: (performance.now() - begun) / 1000, stream };
  };
  const empty = await start();
  while ((await empty.stream.committed()) < rows) await sleep(LOOK_MS);
  await empty.stream.stop();
  const full = await start();
  await full.stream.stop();
  const keys = 2 * rows;
  const perMillion = ((full.seconds - empty.seconds) * 1e6) / keys;
  options.print(
    `  restoring ${whole(keys)} keys: ${full.seconds.toFixed(1)} s to be ready, ${empty.seconds.toFixed(1)} s without; ${perMillion.toFixed(1)} s per million`,
  );
  return perMillion;
}

/** The same columns without a model. */
function rulesWorkspace(dir: string): string {
  const yaml = readFileSync(path.join(dir, "pipelines", "card.yaml"), "utf8").replace(
    "model: card-fraud ",
    "model: none ",
  );
  writeFileSync(
    path.join(dir, "pipelines", "card.yaml"),
    `${yaml}\narchive: { to: data/archive }\nstream: { topic: full, group: bench-rules, decisions: rules-decisions, alerts: rules-alerts, dead_letters: rules-letters }\n`,
  );
  applyRules(dir);
  return dir;
}

/** PySpark's structured streaming with the same conditions over the same topic, in local mode on all cores. */
async function sparkRate(
  options: BenchOptions,
  on: { readonly address: string; readonly rows: number },
): Promise<number | null> {
  if (!existsSync(path.join(SPARK, "sentinel-stamp"))) {
    options.print("  SKIPPED PySpark: it is not installed; scripts/bench-spark installs it (500 MB)");
    return null;
  }
  const { perSecond } = await runPython<{ readonly perSecond: number }>(SPARK, "stream-peer", {
    broker: on.address,
    topic: "full",
    output: "spark-out",
    rows: on.rows,
    rules: RULES,
    jars: path.join(SPARK, "jars"),
  });
  options.print(`  PySpark structured streaming, rules alone: ${whole(perSecond)} records/s`);
  return perSecond;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
