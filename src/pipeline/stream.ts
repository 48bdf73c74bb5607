// Section `stream`: topics, group and batches of `sentinel stream`.
import { duration, oneOf, textLike, whole } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const TOPIC_PATTERN = "^[A-Za-z0-9._-]{1,200}$";
/** What Kafka takes as the name of a topic. */
export const TOPIC: RegExp = new RegExp(TOPIC_PATTERN);
const topic = textLike(TOPIC_PATTERN, "letters, digits, `.`, `_`, `-`");

export const STREAM = section({
  topic: key(topic, { means: "Transactions come from it. Default: the pipeline's name." }),
  decisions: key(topic, { means: "Every decision goes to it. Default: the topic's name and `-decisions`." }),
  alerts: key(topic, {
    means: "What is to be reviewed or was blocked goes to it too. Default: the topic's name and `-alerts`.",
  }),
  dead_letters: key(topic, {
    means: "Records that cannot be judged go to it, with the cause. Default: the topic's name and `-dead-letters`.",
  }),
  labels: key(topic, {
    means: "Labels come from it, each as `POST /feedback` takes one. Default: no topic.",
  }),
  group: key(topic, {
    means: "The consumer group, whose positions are committed. Default: `sentinel-` and the pipeline's name.",
  }),
  key: key(textLike("^[^\\s]{1,200}$", "a column's name"), {
    means:
      "Column by which producers key the records, so that all of one value are in one partition. Default: `columns.card`.",
  }),
  from: key(oneOf("earliest", "latest"), {
    default: "earliest",
    means: "Where a group that has committed nothing begins.",
  }),
  format: key(oneOf("json", "avro"), {
    default: "json",
    means:
      "How transactions are written. `avro`: with the number of a schema in the registry that `SENTINEL_SCHEMA_REGISTRY_URL` names. What the stream writes is JSON.",
  }),
  consumers: key(oneOf("one", "several"), {
    default: "one",
    means: "`several` processes may share the partitions where they share the feature state in Redis.",
  }),
  batch: section({
    records: key(whole({ from: 1, to: 100_000 }), { default: 5000, means: "Most records of one transaction." }),
    every: key(duration({ from: "1ms", to: "10s" }), {
      default: "100ms",
      means: "A transaction waits for more records no longer than this.",
    }),
  }),
  snapshot: key(duration({ from: "1s", to: "1d" }), {
    default: "1m",
    means: "How often the feature state is saved: a restart learns what came since from the log.",
  }),
  session: key(duration({ from: "1s", to: "30m" }), {
    default: "30s",
    means: "How long a killed process keeps its partitions from the next one.",
  }),
  record_max_bytes: key(whole({ from: 1024, to: 104_857_600, unit: "bytes" }), {
    default: 1_048_576,
    means: "Longest record; longer ones go to the dead letters.",
  }),
  retry: key(duration({ from: "1s", to: "1d" }), {
    default: "10m",
    means: "How long a broker, the log or the state may be away before the process ends with exit code 3.",
  }),
});

type StreamKeys = ValueOf<typeof STREAM.fields>;

/** The section with its names filled in. */
export interface StreamSettings
  extends Omit<StreamKeys, "topic" | "decisions" | "alerts" | "deadLetters" | "labels" | "group" | "key"> {
  readonly topic: string;
  readonly decisions: string;
  readonly alerts: string;
  readonly deadLetters: string;
  /** Null: labels come by other ways. */
  readonly labels: string | null;
  readonly group: string;
  /** Null: the pipeline has no card, and says no key. */
  readonly key: string | null;
}

/** What is not written follows from the pipeline's name and columns. */
export function streamSettings(pipeline: {
  readonly name: string;
  readonly stream: StreamKeys;
  readonly columns: { readonly card: string | null };
}): StreamSettings {
  const { stream, name, columns } = pipeline;
  const topic = stream.topic ?? name;
  return {
    ...stream,
    topic,
    decisions: stream.decisions ?? `${topic}-decisions`,
    alerts: stream.alerts ?? `${topic}-alerts`,
    deadLetters: stream.deadLetters ?? `${topic}-dead-letters`,
    labels: stream.labels ?? null,
    group: stream.group ?? `sentinel-${name}`,
    key: stream.key ?? columns.card,
  };
}
