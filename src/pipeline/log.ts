// Section `log`: how the prediction log is written, what it keeps and what it must not hold.
import type { PipelineColumns } from "./columns.ts";
import { duration, list, number, oneOf, type Place, text, whole } from "./kind.ts";
import { nameFolder } from "./names.ts";
import { key, section, type ValueOf } from "./section.ts";

export const LOG = section(
  {
    durability: key(oneOf("sync", "interval"), {
      default: "interval",
      means:
        "`sync`: an answer leaves once its record is on the disk. `interval`: it does not wait, and a killed process loses the last milliseconds. See [the prediction log](prediction-log.md).",
    }),
    flush: key(duration({ from: "1ms", to: "1s" }), {
      default: "5ms",
      means: "With `interval`: how long a record waits for others.",
    }),
    lag_max: key(duration({ from: "50ms", to: "1m" }), {
      default: "5s",
      as: "lagMsMax",
      means:
        "Age of the oldest unwritten record beyond which requests are refused: no more than this is lost, whatever happens. Twice `flush` at least.",
    }),
    retention: section({
      days: key(number({ from: 1, to: 36_500 }), {
        default: 36_500,
        means: "How long predictions are kept after they came.",
      }),
      rows: key(whole({ from: 1000, to: 1_000_000_000 }), {
        default: 10_000_000,
        means:
          "Predictions kept; the oldest go, with their labels and shadows. Ten million take about 6 GB and are ten days at 11.6 per second.",
      }),
    }),
    redact: section({
      fields: key(list(text, { to: 200 }), {
        default: [],
        means: "Fields that are never written as they came, by any of their names. Features may not read them.",
      }),
      how: key(oneOf("drop", "hash"), {
        default: "drop",
        means: "`drop` leaves them out; `hash` writes an HMAC under `SENTINEL_REDACT_KEY`.",
      }),
    }),
  },
  {
    settle(log, { refuse }) {
      if (log.lagMsMax >= 2 * log.flushMs) return log;
      return refuse(
        "lag_max",
        "lag_max is below twice flush, so every busy moment would refuse requests",
        "raise it: 5s rides out a slow disk",
      );
    },
  },
);

export type LogPolicy = ValueOf<typeof LOG.fields>;

/** The policy with canonical names. Id, time, amount, card and label are what the log is for, so they are refused. */
export function canonicalRedaction(
  log: LogPolicy,
  on: {
    readonly columns: PipelineColumns;
    readonly canonical: ReadonlyMap<string, string>;
    readonly refuse: Place["refuse"];
  },
): LogPolicy {
  const fields = log.redact.fields.map(nameFolder(on.canonical));
  for (const [role, column] of Object.entries(on.columns)) {
    const place = column === null ? -1 : fields.indexOf(column);
    if (place < 0) continue;
    on.refuse(["log", "redact", "fields", place], {
      what: `log.redact: ${column} is the ${role} of a transaction, which evidence, labels and replay read`,
      hint: "take it out of log.redact.fields; send a pseudonym instead where the value must not be stored",
    });
  }
  return { ...log, redact: { ...log.redact, fields: [...new Set(fields)] } };
}
