// `sentinel chaos`: so many transactions by so many workers against a gateway or a server, and what became of each.
import { randomUUID } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { type LoadReport, load } from "../lifecycle/chaos.ts";
import { integerOption, SEEDS, textOption } from "./options.ts";
import type { Verb } from "./verb.ts";

const URL_DEFAULT = "http://127.0.0.1:8080/transaction";

export const verb: Verb = {
  options: [
    ["--requests <n>", "transactions (default 100)"],
    ["--workers <n>", "at once (default 20)"],
    ["--url <url>", `where they go (default ${URL_DEFAULT})`],
    ["--seed <n>", "of their amounts and users (default 1)"],
  ],
  async run(context, { options }) {
    const url = urlOf(textOption(options, "url") ?? URL_DEFAULT);
    const report = await load({
      url,
      requests: integerOption(options, "requests", { low: 1, high: 10_000_000, fallback: 100 }),
      workers: integerOption(options, "workers", { low: 1, high: 1000, fallback: 20 }),
      random: new Random(integerOption(options, "seed", { ...SEEDS, fallback: 1 })),
      // No two runs have an id in common.
      prefix: randomUUID().slice(0, 8),
      key: context.config.key,
      now: () => performance.now(),
    });
    for (const line of table(report)) context.output.line(line);
    return { yes: report.failed === 0, json: report };
  },
};

function urlOf(text: string): URL {
  try {
    const url = new URL(text);
    if (url.protocol === "http:" || url.protocol === "https:") return url;
  } catch {
    // Said below.
  }
  throw new SentinelError("cli.usage", `--url ${text} is no http or https address`, { hint: `--url ${URL_DEFAULT}` });
}

function table(report: LoadReport): readonly string[] {
  const share = (count: number): string => `${((100 * count) / report.requests).toFixed(1).padStart(6)} %`;
  const row = (name: string, count: number): string =>
    `  ${name.padEnd(16)}${String(count).padStart(9)}${share(count)}`;
  const { p50, p95, p99, max } = report.ms;
  return [
    `${report.requests} transactions, ${report.workers} at once, ${report.perSecond.toFixed(0)} per second`,
    row("success", report.success),
    row("policy", report.policy),
    row("circuit open", report.circuitOpen),
    row("refused (4xx)", report.refused),
    row("failed", report.failed),
    `  ms: p50 ${p50.toFixed(1)}  p95 ${p95.toFixed(1)}  p99 ${p99.toFixed(1)}  max ${max.toFixed(1)}`,
    ...(report.failures.length === 0 ? [] : [`  failures: ${report.failures.join("; ")}`]),
  ];
}
