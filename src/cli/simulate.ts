// `sentinel simulate`: transactions into a file, or as a live NDJSON stream on stdout.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { SentinelError } from "../core/errors.ts";
import { emit, parseDrift, type SimulateOptions, simulate } from "../lifecycle/simulate.ts";
import { integerOption, textOption } from "./options.ts";
import { checkOutTable } from "./out.ts";
import { hasReaderLeft, outputLost } from "./streams.ts";
import type { Verb, VerbOptions } from "./verb.ts";

const BIG = 10_000_000;

export const verb: Verb = {
  options: [
    ["--out <file>", "the file; .csv, .parquet or .ndjson"],
    ["--customers <n>", "customers (default 5000)"],
    ["--terminals <n>", "terminals (default 10000)"],
    ["--days <n>", "days (default 183)"],
    ["--start <date>", "first day (default 2018-04-01)"],
    ["--seed <n>", "seed (default 0)"],
    [
      "--drift <name@day...>",
      "amount-inflation, fraud-pattern, night-shift or broken-field, from that day on; repeatable",
    ],
    ["--rate <n>", "instead of a file: NDJSON on stdout, so many transactions a second"],
    ["--count <n>", "stop the stream after so many"],
  ],
  async run(context, { options }) {
    const settings = simulateOptions(options);
    const rate = textOption(options, "rate");
    const out = textOption(options, "out");
    if (rate !== undefined && context.output.json) {
      throw new SentinelError(
        "cli.usage",
        "--rate streams transactions on stdout, --json promises one document there",
        {
          hint: "leave --json out: every line of the stream is JSON already",
        },
      );
    }
    if (rate !== undefined && out !== undefined) {
      throw new SentinelError("cli.usage", "--out writes a file, --rate a stream on stdout", {
        hint: "give one of the two",
      });
    }
    if (rate !== undefined) return stream(settings, options, Number(rate));
    if (out === undefined) {
      throw new SentinelError("cli.usage", "simulate needs --out FILE, or --rate N for a stream on stdout", {
        hint: "for example: sentinel simulate --out data/transactions.parquet",
      });
    }
    checkOutTable("--out", out);
    const ports = context.ports();
    const started = ports.clock.elapsed();
    const result = await simulate(ports, { ...settings, out });
    const seconds = (ports.clock.elapsed() - started) / 1000;
    const share = ((100 * result.frauds) / result.rows).toFixed(2);
    context.output.line(
      `${result.rows.toLocaleString("en")} transactions over ${result.days} days, ${result.frauds.toLocaleString("en")} frauds (${share} %) → ${out} in ${seconds.toFixed(1)} s`,
    );
    return { yes: true, json: result };
  },
};

/** The options of a simulation, as several verbs take them. */
export function simulateOptions(options: VerbOptions): SimulateOptions {
  const whole = (name: string, low: number): number | undefined =>
    options[name] === undefined ? undefined : integerOption(options, name, { low, high: BIG, fallback: low });
  const drift = options.drift;
  return {
    customers: whole("customers", 1),
    terminals: whole("terminals", 1),
    days: whole("days", 1),
    start: textOption(options, "start"),
    seed:
      options.seed === undefined
        ? undefined
        : integerOption(options, "seed", { low: 0, high: Number.MAX_SAFE_INTEGER, fallback: 0 }),
    drift: Array.isArray(drift) ? drift.map(parseDrift) : [],
  };
}

async function stream(
  settings: SimulateOptions,
  options: VerbOptions,
  rate: number,
): Promise<{ yes: boolean; json: unknown }> {
  const { stdout } = process;
  const stopped = new AbortController();
  process.once("SIGINT", () => stopped.abort());
  let fault: Error | null = null;
  const stop = once(stopped.signal, "abort");
  /** Settles when the lines are written; a reader that left, or a place that takes no more, ends the stream. */
  const written = (lines: string): Promise<void> =>
    new Promise((resolve) => {
      stdout.write(lines, (error) => {
        if (error != null) {
          if (!hasReaderLeft(error)) fault ??= error;
          stopped.abort();
        }
        resolve();
      });
    });
  const result = await emit({
    options: settings,
    rate,
    count:
      options.count === undefined
        ? undefined
        : integerOption(options, "count", { low: 0, high: Number.MAX_SAFE_INTEGER, fallback: 0 }),
    write: async (lines) => {
      await Promise.race([written(lines), stop]);
    },
    sleep: (ms) => sleep(ms),
    clock: { elapsed: () => performance.now() },
    signal: stopped.signal,
  });
  if (fault !== null) throw outputLost(fault);
  return { yes: true, json: result };
}
