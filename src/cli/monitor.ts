// `sentinel monitor`: has the world moved, and does the champion still find frauds? Exit 1 on alarm.

import { appendFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { messageOf, SentinelError } from "../core/errors.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../core/private.ts";
import { visible } from "../core/visible.ts";
import type { Shift } from "../drift/monitor.ts";
import { messagesOf } from "../lifecycle/desk.ts";
import {
  type AlarmWays,
  alarmEvent,
  deliver,
  type MonitorResult,
  monitor,
  monitorReport,
  prometheusText,
} from "../lifecycle/monitor.ts";
import { openNotices, postEvent } from "../wiring.ts";
import { percent, showInputs } from "./inputs.ts";
import { durationOption, integerOption, textOption, timeOption } from "./options.ts";
import { figure, type Output } from "./output.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

const FEATURES_SHOWN = 8;
const HOUR_MS = 3_600_000;
/** Looks of one --watch, at most: ten years of hours. */
const ROUNDS_MAX = 87_600;

export const verb: Verb = {
  options: [
    ["--data <file>", "a table to look at (default: the prediction log)"],
    ["--until <time>", "end of the window (default: the newest transaction)"],
    ["--watch", "look again every --interval instead of once"],
    ["--interval <duration>", "with --watch (default 1h)"],
    ["--rounds <n>", "with --watch: stop after so many looks"],
    ["--report <file>", "write an HTML report with pictures"],
    ["--prometheus <file>", "write the figures in Prometheus' text format, for a textfile collector"],
    ["--webhook <url>", "post an alarm there as a CloudEvent"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    checkWebhook(textOption(options, "webhook"));
    if (options.watch !== true) return once(context, options, null);
    const interval = durationOption(options, "interval", HOUR_MS);
    const rounds = integerOption(options, "rounds", { low: 1, high: ROUNDS_MAX, fallback: ROUNDS_MAX });
    let last: VerbResult = { yes: true, json: null };
    let alarmed: string | null = null;
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await sleep(interval);
      try {
        last = await once(context, options, alarmed);
        alarmed = alarmOf(last.json as MonitorResult);
      } catch (error) {
        // A watch outlives what a retry may help, and a log that is still empty.
        if (!(error instanceof SentinelError)) throw error;
        if (!error.kind.retryable && error.code !== "lifecycle.not-enough-data") throw error;
        context.output.line(`  not this time: ${visible(error.message)}`);
      }
    }
    return last;
  },
};

/** `alarmed`: what the last look raised an alarm for, which is not sent again. */
async function once(context: VerbContext, options: VerbOptions, alarmed: string | null): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const ports = context.ports();
  const result = await monitor(ports, {
    pipeline,
    path: textOption(options, "data") ?? null,
    until: timeOption(options, "until") ?? null,
  });
  showMonitor(context.output, result);
  const report = textOption(options, "report");
  if (report !== undefined) await writeWhole(report, monitorReport(result));
  const prometheus = textOption(options, "prometheus");
  if (prometheus !== undefined) await writeWhole(prometheus, prometheusText(result, pipeline.name));
  if (!result.alarm || alarmOf(result) === alarmed) return { yes: !result.alarm, json: result };
  const event = alarmEvent(result, { pipeline: pipeline.name, now: ports.clock.now() });
  const notices = await openNotices(context.config);
  if (notices !== null && ports.store !== undefined) {
    // A server sends it; the same alarm goes out once.
    const messages = messagesOf(notices, event, { notice: "drift", pipeline: pipeline.name });
    const count = await (await ports.store()).outbox.put(messages, ports.clock.now());
    if (count > 0)
      context.output.line(`  alarm waits for ${count} ${count === 1 ? "receiver" : "receivers"} (notifications.yaml)`);
  }
  const webhook = textOption(options, "webhook");
  if (webhook !== undefined) {
    const file = path.join(context.config.stateDir, `${pipeline.name}-alarms.dead.ndjson`);
    const { delivered, tries, reason } = await deliver(event, waysTo(webhook, file));
    if (delivered) context.output.line(`  alarm sent (${tries} ${tries === 1 ? "try" : "tries"})`);
    else context.output.warn(`the alarm could not be sent (${visible(reason ?? "")}); it is in ${file}`);
  }
  return { yes: !result.alarm, json: result };
}

function alarmOf({ alarm, drift, version }: MonitorResult): string | null {
  if (!alarm) return null;
  const moved = drift.features.filter(({ drifted }) => drifted).map(({ name }) => name);
  return JSON.stringify([
    version,
    drift.verdict,
    moved.sort(),
    drift.dataQuality.map(({ feature, fault }) => [feature, fault]),
  ]);
}

function waysTo(url: string, deadLetters: string): AlarmWays {
  return {
    post: (body) => postEvent(url, body),
    sleep: (ms) => sleep(ms),
    deadLetter: async (line) => {
      await mkdir(path.dirname(deadLetters), { recursive: true, mode: PRIVATE_FOLDER_MODE });
      await appendFile(deadLetters, `${line}\n`, { mode: PRIVATE_FILE_MODE });
    },
  };
}

function checkWebhook(url: string | undefined): void {
  if (url === undefined) return;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  throw new SentinelError("cli.usage", `--webhook: ${JSON.stringify(url)} is no address`, {
    hint: "give an address that begins with https:// or http://",
  });
}

/** There whole or not at all: a collector may read at any moment. */
async function writeWhole(file: string, text: string): Promise<void> {
  const partial = `${file}.${process.pid}.tmp`;
  try {
    await mkdir(path.dirname(path.resolve(file)), { recursive: true });
    await writeFile(partial, text);
    await rename(partial, file);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {});
    throw new SentinelError("workspace.unwritable", `${file} cannot be written: ${messageOf(cause)}`, {
      hint: "name a file in a folder that is there and that you may write to",
      cause,
    });
  }
}

/** The alarm or the all-clear, its reasons, and what moved most. */
export function showMonitor(output: Output, result: MonitorResult): void {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace("T", " ");
  output.heading(
    `${result.drift.rows.toLocaleString("en")} transactions of ${result.source}, ${day(result.from)} … ${day(result.to)}, champion version ${result.version}`,
  );
  const cause = result.drift.alarm ? result.drift.verdict : "performance fell";
  output.line(`  ${result.alarm ? pc.red(`✘ ALARM: ${cause}`) : pc.green(`✔ ${result.drift.verdict}`)}`);
  for (const reason of result.reasons.slice(0, 10)) output.line(`    ${visible(reason)}`);
  if (result.reasons.length > 10) output.line(`    … ${result.reasons.length - 10} more`);
  const effects = new Map(result.effects.map(({ feature, logOdds }) => [feature, logOdds]));
  const moved = [result.drift.score, ...result.drift.features].slice(0, FEATURES_SHOWN + 1);
  output.table([
    ["what", "PSI", "KS", "Wasserstein", "Jensen-Shannon", "on the score", ""],
    ...moved.map((feature) => [
      feature.name,
      figure(feature.psi, 3),
      figure(feature.ks?.statistic, 3),
      figure(feature.wasserstein?.distance, 3),
      figure(feature.jensenShannon, 3),
      effectText(effects.get(feature.name)),
      feature.drifted ? `moved${sinceText(feature.since)}` : feature.moved ? "moved, not for long enough" : "",
    ]),
  ]);
  for (const shift of result.drift.shifts.slice(0, FEATURES_SHOWN)) output.line(`  ${visible(shiftText(shift))}`);
  showInputs(output, result.served);
  for (const { name, share, atTraining } of result.unlisted.slice(0, FEATURES_SHOWN)) {
    const before = atTraining === null ? "" : ` (${percent(atTraining)} when trained)`;
    output.line(`  ${name}: ${percent(share)} of values are none of its list${before}`);
  }
  const { performance } = result;
  if (performance === null) output.line("  performance: too few matured frauds to say");
  else {
    output.line(
      `  performance on ${performance.frauds} matured frauds: average precision ${figure(performance.averagePrecision, 3)} (${figure(performance.averagePrecisionAtTraining, 3)} when trained), recall ${figure(performance.recallAtReview, 3)}, precision ${figure(performance.precisionAtReview, 3)}`,
    );
  }
}

function effectText(logOdds: number | undefined): string {
  return logOdds === undefined ? "" : `${logOdds < 0 ? "−" : "+"}${figure(Math.abs(logOdds), 2)} log-odds`;
}

function sinceText(since: number | null): string {
  return since === null ? "" : ` since ${new Date(since).toISOString().slice(0, 10)}`;
}

/** `amount from 12 to 40: 31 % of rows, 10 % when trained; such as 23.5 (transaction t17)` */
function shiftText({ feature, bin, reference, window, example }: Shift): string {
  const shares = `${percent(window)} of rows, ${percent(reference)} when trained`;
  const such = example === null ? "" : `; such as ${example.value ?? "nothing"} (transaction ${example.id})`;
  return `${feature} ${binText(bin)}: ${shares}${such}`;
}

function binText(bin: Shift["bin"]): string {
  if (bin.kind === "missing") return "missing";
  if (bin.kind === "category") return bin.code === null ? "any other category" : `category ${bin.code}`;
  if (bin.above === null) return bin.upTo === null ? "present" : `up to ${figure(bin.upTo, 4)}`;
  return bin.upTo === null
    ? `above ${figure(bin.above, 4)}`
    : `above ${figure(bin.above, 4)}, up to ${figure(bin.upTo, 4)}`;
}
