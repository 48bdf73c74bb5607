// `sentinel compare`: champion against candidate, on the same later rows and on shadow records, with intervals.
import type { PairedInterval } from "../evidence/bootstrap.ts";
import { coverageWords } from "../evidence/coverage.ts";
import type { LabelledMetrics } from "../evidence/labelled.ts";
import type { ShadowReport } from "../evidence/report.ts";
import { selectionWords } from "../evidence/selection.ts";
import { compare } from "../lifecycle/compare.ts";
import { textOption } from "./options.ts";
import { figure, type Output } from "./output.ts";
import { SUMMARY_OPTION } from "./summary.ts";
import type { Verb } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--data <file>", "a labelled table whose later rows both score (default: shadow records alone)"],
    ["--to <version>", "a version, or candidate-NAME, instead of the alias candidate"],
    SUMMARY_OPTION,
  ],
  async run(context, { options }) {
    const pipeline = context.pipeline();
    const result = await compare(context.ports(), {
      pipeline,
      path: textOption(options, "data") ?? null,
      to: textOption(options, "to") ?? null,
      seed: pipeline.modelParameters.seed,
    });
    const { output } = context;
    output.heading(`${pipeline.model}: champion version ${result.champion}, candidate version ${result.candidate}`);
    if (result.data !== null) {
      const from = new Date(result.data.from).toISOString().slice(0, 10);
      output.heading(
        `${result.data.rows.toLocaleString("en")} rows of ${result.data.path} from ${from} on, which neither learned from`,
      );
      const { models } = result.data;
      const twins = (["champion", "candidate"] as const).filter((side) => models[side] === "twin");
      if (twins.length > 0) {
        output.line(
          `  of the ${twins.join(" and the ")}, the judged twin: the refitted model has learned from these days, or no row is later`,
        );
      }
      showMetrics(output, result.data.metrics);
    }
    if (result.shadow === null) output.line("  no shadow records of this pair yet: `sentinel serve` makes them");
    else showShadow(output, result.shadow);
    if (result.coverage !== null) output.line(`  coverage: ${coverageWords(result.coverage)}`);
    return { yes: true, json: result };
  },
};

/** The paired report on a terminal. */
export function showShadow(output: Output, report: ShadowReport): void {
  output.heading(`shadow: ${report.pairs.toLocaleString("en")} transactions that both scored`);
  const words = ["approve", "review", "block"];
  output.table([
    ["champion ↓ candidate →", ...words],
    ...report.agreement.map((row, i) => [words[i], ...row.map(String)]),
  ]);
  output.line(`  same decision on ${(100 * report.agreementShare).toFixed(2)} %`);
  output.line(
    `  labels: ${report.matured.labelled.toLocaleString("en")} matured (${report.matured.frauds} frauds), ${report.provisional.labelled.toLocaleString("en")} too young to count`,
  );
  if (report.selection.blocked > 0) output.line(`  blocked: ${selectionWords(report.selection)}`);
  showMetrics(output, report.metrics);
}

function showMetrics(output: Output, metrics: LabelledMetrics | null): void {
  if (metrics === null) {
    output.line("  no labelled frauds to compare on yet");
    return;
  }
  const signed = (value: number): string => `${value >= 0 ? "+" : ""}${figure(value)}`;
  const row = (name: string, interval: PairedInterval): string[] => [
    name,
    figure(interval.observedA),
    figure(interval.observedB),
    `${signed(interval.low)} … ${signed(interval.high)}`,
    `${signed(interval.anytimeLow)} … ${signed(interval.anytimeHigh)}`,
    figure(interval.probabilityBetter, 2),
  ];
  output.table([
    [
      "metric",
      "champion",
      "candidate",
      `difference, ${100 * metrics.averagePrecision.level} %, one look`,
      "however often one looks",
      "P(better)",
    ],
    row("average precision", metrics.averagePrecision),
    row("recall at 1 % FPR", metrics.recallAtFpr),
    row("recall at review budget", metrics.recallAtReview),
    row("precision", metrics.precision),
    row("recall", metrics.recall),
    row("savings", metrics.savings),
    ...(metrics.cardPrecision === null ? [] : [row(metrics.cardPrecision.metric, metrics.cardPrecision)]),
    row("Brier score", metrics.brier),
  ]);
}
