// The benchmarks' door: `npm run -s bench -- NAME [--json] [--data F] [--seed N] [--repeats N] [--memory] [--cell NAME] [--scaling] [--oracle] [--ablation] [--minutes N] [--rows N] [--picture FILE] [--keep FILE]`.
import { parseArgs } from "node:util";
import { messageOf, SentinelError } from "../src/core/errors.ts";
import type { Bench } from "./bench.ts";

/** What each measures, and how it is loaded when it is asked for. */
const BENCHES: Readonly<Record<string, { readonly purpose: string; load(): Promise<Bench> }>> = {
  quality: {
    purpose:
      "detection on the Fraud Detection Handbook's protocol, with its features and with ours; --oracle: beside a judge who knows the simulated world; --ablation: what each group of features is worth and costs; --cell second, sparkov or paysim: on tables of our own making; --cell tuning: what a search for parameters gains later; --cell withheld: a kind of fraud that no label has shown; --cell decisions: what thresholds promise and keep; --cell ideas: other ways to learn, before the test folds; --cell sequences: a recurrent state per card beside the windows",
    load: async () => (await import("./quality.ts")).bench,
  },
  validate: {
    purpose:
      "30 expectations on the reference rows against Great Expectations on pandas; --cell rows20m: 20 million simulated rows",
    load: async () => (await import("./validate.ts")).bench,
  },
  features: {
    purpose: "rate of replay, time of one online vector, memory per key",
    load: async () => (await import("./features.ts")).bench,
  },
  train: {
    purpose:
      "training boosted trees against XGBoost and LightGBM, one and two threads; --cell rows300k, rows1m, dense300k or rows20m",
    load: async () => (await import("./train.ts")).bench,
  },
  score: {
    purpose: "scoring and explaining one row or a batch against onnxruntime and XGBoost, one thread",
    load: async () => (await import("./score.ts")).bench,
  },
  iforest: {
    purpose: "isolation forest against scikit-learn's",
    load: async () => (await import("./iforest.ts")).bench,
  },
  serve: {
    purpose:
      "the server under load, a candidate in shadow and the log on, against FastAPI with XGBoost and bare node:http",
    load: async () => (await import("./serve.ts")).bench,
  },
  shadow: {
    purpose: "rate and p99 with a candidate that works, fails or hangs, against none",
    load: async () => (await import("./shadow.ts")).bench,
  },
  batch: {
    purpose: "rows per second of one NDJSON stream through the server, a candidate in shadow and the log on",
    load: async () => (await import("./batch.ts")).bench,
  },
  path: {
    purpose:
      "where the time of one request goes: percentiles to p99.99, by stage, while snapshots are written and the log forgets; --picture FILE",
    load: async () => (await import("./path.ts")).bench,
  },
  overload: {
    purpose: "four times the capacity for 30 seconds: what is accepted, what is refused, memory, recovery",
    load: async () => (await import("./overload.ts")).bench,
  },
  gateway: {
    purpose:
      "transactions per second through a gateway with its ledger on: gRPC against HTTP to the brain, 1, 2 and 4 brains, and a simulated scale-out",
    load: async () => (await import("./gateway.ts")).bench,
  },
  tenants: {
    purpose:
      "memory and p99 of one server with one tenant and with a hundred (or --rows), each with a pipeline, rules and a key",
    load: async () => (await import("./tenants.ts")).bench,
  },
  soak: {
    purpose: "half the capacity for --minutes: memory and latency by minute, records lost",
    load: async () => (await import("./soak.ts")).bench,
  },
  start: {
    purpose: "how long a server takes to start beside a log of --rows predictions, and its memory",
    load: async () => (await import("./start.ts")).bench,
  },
  log: {
    purpose: "records of --rows per second in the prediction log on SQLite and PostgreSQL, and what an answer waits",
    load: async () => (await import("./log.ts")).bench,
  },
  archive: {
    purpose:
      "--rows decided transactions (a million unless told) as Parquet: bytes against NDJSON, rows per second, DuckDB's queries",
    load: async () => (await import("./archive.ts")).bench,
  },
  stream: {
    purpose:
      "records per second from Kafka to Kafka with own state, Redis or rules alone, latency at 10,000/s, restoring, against the client alone and PySpark; --rows N; --cell ownState, redis, rulesOnly, endToEnd, restore, ceiling or spark",
    load: async () => (await import("./stream.ts")).bench,
  },
  spark: {
    purpose:
      "processor time per row of a feature table of --rows made on Spark against one process, and the same features as Spark SQL window functions",
    load: async () => (await import("./spark.ts")).bench,
  },
  evidence: {
    purpose: "how often the promotion gate is wrong when it is asked every day for sixty days",
    load: async () => (await import("./evidence.ts")).bench,
  },
  refit: {
    purpose: "the judged model against the refitted one on the weeks after, at five dates of the reference rows",
    load: async () => (await import("./refit.ts")).bench,
  },
  policy: {
    purpose:
      "eight weeks of review policies (highest score, expected loss, with exploration) and what their models find later; --cell reviewed; --cell twoLabels: investigators' and delayed labels apart or in one pool",
    load: async () => (await import("./policy.ts")).bench,
  },
  rules: {
    purpose: "250 rules per event against json-rules-engine, and latency while rules change",
    load: async () => (await import("./rules.ts")).bench,
  },
  backtest: {
    purpose: "fifty rules over 1.75 million transactions, the stateless ones against DuckDB",
    load: async () => (await import("./backtest.ts")).bench,
  },
  loop: {
    purpose:
      "simulated months with drifts and late labels: false alarms, days to detection, average precision before and after; --repeats: calm lives; --cell NAME; --keep FILE: goes on where it was cut off; --picture FILE",
    load: async () => (await import("./loop.ts")).bench,
  },
  dashboard: {
    purpose:
      "the first page and every list beside --rows alerts (a million) and ten times as many transactions; memory of --minutes of live stream",
    load: async () => (await import("./dashboard.ts")).bench,
  },
  drift: {
    purpose: "counting and comparing one window of 23 features, against Evidently on the same rows",
    load: async () => (await import("./drift.ts")).bench,
  },
  monitor: {
    purpose: "seconds and memory of `monitor` beside a log of --rows predictions (ten million unless told)",
    load: async () => (await import("./monitor.ts")).bench,
  },
  registry: {
    purpose: "registering and loading 20 MB on an MLflow server, against MLflow's own client",
    load: async () => (await import("./registry.ts")).bench,
  },
};

const USAGE = `usage: npm run -s bench -- <name> [--json] [--data FILE] [--seed N] [--repeats N] [--memory] [--cell NAME] [--scaling]
                               [--oracle] [--ablation] [--minutes N] [--rows N] [--picture FILE] [--keep FILE]

${Object.entries(BENCHES)
  .map(([name, { purpose }]) => `  ${name.padEnd(10)}${purpose}`)
  .join("\n")}
`;

process.exitCode = await main(process.argv.slice(2));

/** Exit code: 0 measured, 2 wrong arguments or data. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        data: { type: "string" },
        seed: { type: "string", default: "1" },
        repeats: { type: "string", default: "5" },
        memory: { type: "boolean", default: false },
        cell: { type: "string" },
        scaling: { type: "boolean", default: false },
        oracle: { type: "boolean", default: false },
        ablation: { type: "boolean", default: false },
        minutes: { type: "string", default: "20" },
        rows: { type: "string" },
        picture: { type: "string" },
        keep: { type: "string" },
      },
    });
    const name = positionals[0] ?? "";
    if (positionals.length !== 1 || !Object.hasOwn(BENCHES, name)) return refuse(`there is no bench "${name}"`);
    const bench = await BENCHES[name].load();
    const figures = await bench.run({
      data: values.data,
      seed: wholeNumber("seed", values.seed),
      repeats: Math.max(1, wholeNumber("repeats", values.repeats)),
      memory: values.memory,
      cell: values.cell,
      scaling: values.scaling,
      oracle: values.oracle,
      ablation: values.ablation,
      minutes: Math.max(1, wholeNumber("minutes", values.minutes)),
      rows: values.rows === undefined ? undefined : Math.max(1, wholeNumber("rows", values.rows)),
      picture: values.picture,
      keep: values.keep,
      print: (line) => console.log(line),
    });
    if (values.json) console.log(JSON.stringify({ name, figures }));
    return 0;
  } catch (error) {
    if (error instanceof SentinelError) {
      console.error(`${error.message}\n  hint: ${error.hint}`);
      return error.kind.exit;
    }
    if (isArgumentFault(error)) return refuse(messageOf(error));
    throw error;
  }
}

function refuse(message: string): number {
  console.error(`${message}\n\n${USAGE}`);
  return 2;
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SentinelError("cli.usage", `--${name}: ${text} is no whole number`, {
    hint: `give --${name} 1, for example`,
  });
}

function isArgumentFault(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
