// `sentinel produce`: transactions as records of a topic, simulated at a rate or from a table.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SentinelError } from "../core/errors.ts";
import { loadSchema } from "../lifecycle/data/schema-file.ts";
import { produce } from "../lifecycle/produce.ts";
import { openSchemas, openStreams } from "../wiring.ts";
import { choiceOption, numberOption, optionalInteger, textOption } from "./options.ts";
import { simulateOptions } from "./simulate.ts";
import type { Verb } from "./verb.ts";

const RATE_DEFAULT = 100;
const RATE_MAX = 1_000_000;
const BIG = 1_000_000_000;
const FORMATS = ["json", "avro"] as const;

export const verb: Verb = {
  options: [
    ["--topic <name>", "the topic (default: the pipeline's `stream.topic`)"],
    ["--file <table>", "rows of a table, in their order, instead of a simulation"],
    ["--rate <n>", `records a second (default ${RATE_DEFAULT} simulated; a table as fast as it goes)`],
    ["--count <n>", "stop after so many"],
    ["--transactional", "what is written together is one transaction"],
    [
      "--format <format>",
      `${FORMATS.join(" or ")} (default: the pipeline's \`stream.format\`); avro registers the schema`,
    ],
    ["--create <partitions>", "make the topic where it is not there"],
    ["--out <folder>", "without Kafka: where the topic's file is (default: data/stream in the workspace)"],
    ["--customers <n>", "customers (default 5000)"],
    ["--terminals <n>", "terminals (default 10000)"],
    ["--days <n>", "days (default 183)"],
    ["--start <date>", "first day (default 2018-04-01)"],
    ["--seed <n>", "seed (default 0)"],
    ["--drift <name@day...>", "as of simulate; repeatable"],
  ],
  async run(context, { options }) {
    const rate = numberOption(options, "rate");
    if (rate !== undefined && !(rate > 0 && rate <= RATE_MAX)) {
      throw new SentinelError("cli.usage", `--rate ${rate} is not above 0 and at most ${RATE_MAX}`, {
        hint: "give records a second, such as --rate 1000",
      });
    }
    const pipeline = context.pipeline();
    const ports = context.ports();
    const folder = path.resolve(textOption(options, "out") ?? path.join(context.config.workspace, "data", "stream"));
    const file = textOption(options, "file");
    const stopped = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopped.abort());
    const format = choiceOption(options, "format", FORMATS) ?? pipeline.stream.format;
    const schemas = format === "avro" ? await openSchemas(context.config) : null;
    if (format === "avro" && schemas === null) {
      throw new SentinelError("config.invalid", "Avro needs a schema registry, and none is named", {
        hint: "set SENTINEL_SCHEMA_REGISTRY_URL, such as http://host:8081; or --format json",
      });
    }
    const streams = await openStreams(context.config, { folder, onLine: () => {} });
    try {
      const result = await produce(ports, {
        pipeline,
        streams,
        from:
          file === undefined
            ? { kind: "simulation", options: simulateOptions(options), rate: rate ?? RATE_DEFAULT }
            : { kind: "file", file, rate: rate ?? null },
        ...(schemas === null ? {} : { avro: { schemas, schema: loadSchema(pipeline) } }),
        count: optionalInteger(options, "count", { low: 0, high: BIG }),
        topic: textOption(options, "topic"),
        transactional: options.transactional === true,
        partitions: optionalInteger(options, "create", { low: 1, high: 10_000 }),
        sleep: (ms) => sleep(ms),
        signal: stopped.signal,
      });
      const perSecond = Math.round(result.records / Math.max(result.seconds, 1e-3));
      context.output.line(
        `${result.records.toLocaleString("en")} records → ${result.topic} at ${streams.where} in ${result.seconds.toFixed(1)} s (${perSecond.toLocaleString("en")} a second)`,
      );
      return { yes: true, json: { ...result, where: streams.where } };
    } finally {
      await streams.close();
    }
  },
};
