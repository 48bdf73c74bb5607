// The options of verbs that an engine beside this machine may compute: which engine, where, in how many parts.
import { fileURLToPath } from "node:url";
import { asBuilt } from "../core/built.ts";
import { SentinelError } from "../core/errors.ts";
import type { EngineChoice } from "../lifecycle/featurise.ts";
import { PARTITIONS_MAX, STATE_BYTES_MAX } from "../lifecycle/partitioned.ts";
import { openEngine } from "../wiring.ts";
import { integerOption, listOption, optionalInteger, textOption } from "./options.ts";
import type { VerbContext, VerbOptions } from "./verb.ts";

export const ENGINE_OPTIONS: readonly (readonly [flags: string, meaning: string])[] = [
  ["--engine <name>", "spark: on a cluster, to the same bits (default: this process)"],
  ["--master <url>", "with --engine: Spark's master, such as spark://HOST:7077, yarn or local[2]"],
  ["--partitions <n>", "with --engine: parts of the rows (default: one per two million rows)"],
  ["--state-memory <mb>", "with --engine: what the feature state of one partition may take (default: 1024)"],
  ["--spark-conf <settings...>", "with --engine: settings of Spark, each as spark.executor.memory=8g"],
];

const MIB = 2 ** 20;
const STATE_MEMORY = { low: 1, high: 1_048_576, fallback: STATE_BYTES_MAX / MIB };
const SETTING = /^(spark\.[\w.-]+)=(.*)$/s;

/** Who computes; undefined: this process. Errors: cli.usage. */
export async function engineOption(context: VerbContext, options: VerbOptions): Promise<EngineChoice | undefined> {
  const name = textOption(options, "engine");
  if (name === undefined) {
    const alone = ["master", "partitions", "stateMemory", "sparkConf"].find((one) => options[one] !== undefined);
    if (alone === undefined) return undefined;
    const flag = alone.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw usage(`--${flag} is about an engine, and --engine is missing`, "add --engine spark, or leave it out");
  }
  if (name !== "spark") throw usage(`there is no engine ${JSON.stringify(name)}`, "the engine is called spark");
  const master = textOption(options, "master");
  if (master === undefined) {
    throw usage("--engine spark needs --master", "for example: --master spark://HOST:7077, or local[2] to try it here");
  }
  const conf = listOption(options, "sparkConf").map((setting): [string, string] => {
    const found = SETTING.exec(setting);
    if (found === null) throw usage(`--spark-conf ${setting} is no setting`, "write spark.executor.memory=8g");
    return [found[1], found[2]];
  });
  const worker = [process.execPath, fileURLToPath(asBuilt(new URL("./engine-worker.js", import.meta.url)))];
  return {
    engine: await openEngine(context.config, { master, conf: Object.fromEntries(conf), worker }),
    partitions: optionalInteger(options, "partitions", { low: 1, high: PARTITIONS_MAX }),
    stateBytesMax: integerOption(options, "stateMemory", STATE_MEMORY) * MIB,
  };
}

function usage(message: string, hint: string): SentinelError {
  return new SentinelError("cli.usage", message, { hint });
}
