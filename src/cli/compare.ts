// `sentinel compare`: champion against candidate, on the same later rows and on shadow records, with intervals.
import type { PairedInterval } from "../evidence/bootstrap.ts";
import { coverageWords } from "../evidence/coverage.ts";
import type { LabelledMetrics } from "../evidence/labelled.ts";
import type { McNemar } from "../evidence/mcnemar.ts";
import { PROMOTION_POLICY } from "../evidence/promotion.ts";
import type { ShadowReport } from "../evidence/report.ts";
import type { SegmentInterval } from "../evidence/segments.ts";
import { selectionWords } from "../evidence/selection.ts";
import { judgeSegments } from "../evidence/worse-segments.ts";
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
      showMetrics(output, result.data.metrics, null);
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
  showMetrics(output, report.metrics, report.alertRate);
  showSegments(output, report.segments);
}

/** `alertRate` needs no labels, so it is shown without them too. */
function showMetrics(output: Output, metrics: LabelledMetrics | null, alertRate: PairedInterval | null): void {
  if (metrics === null) output.line("  no labelled frauds to compare on yet");
  const level = (metrics?.averagePrecision ?? alertRate)?.level;
  if (level === undefined) return;
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
      `difference, ${100 * level} %, one look`,
      "however often one looks",
      "P(better)",
    ],
    ...(metrics === null ? [] : labelledRows(metrics).map(([name, interval]) => row(name, interval))),
    ...(alertRate === null ? [] : [row("alert rate", alertRate)]),
  ]);
  if (metrics !== null) showDecisions(output, metrics.decisions);
}

function labelledRows(metrics: LabelledMetrics): readonly (readonly [string, PairedInterval])[] {
  return [
    ["average precision", metrics.averagePrecision],
    ["recall at 1 % FPR", metrics.recallAtFpr],
    ["recall at review budget", metrics.recallAtReview],
    ["precision", metrics.precision],
    ["recall", metrics.recall],
    ["savings", metrics.savings],
    ...(metrics.cardPrecision === null ? [] : [[metrics.cardPrecision.metric, metrics.cardPrecision] as const]),
    ["Brier score", metrics.brier],
  ];
}

/** Whether the two alert on other transactions, by McNemar: frauds and genuine ones apart. */
function showDecisions(output: Output, { frauds, genuine }: LabelledMetrics["decisions"]): void {
  const row = (name: string, { onlyA, onlyB, pValue, anytimePValue }: McNemar): string[] => [
    name,
    String(onlyA),
    String(onlyB),
    probability(pValue),
    probability(anytimePValue),
  ];
  output.table([
    ["alerts that differ (McNemar)", "only champion", "only candidate", "p, one look", "p, however often one looks"],
    row("on frauds", frauds),
    row("on genuine ones", genuine),
  ]);
}

/** Average precision by segment, with Holm's p that the candidate does not lose more than the gate's margin there. */
function showSegments(output: Output, segments: readonly SegmentInterval[]): void {
  if (segments.length === 0) return;
  const { segmentMargin: margin, segmentFraudsMin: fraudsMin } = PROMOTION_POLICY;
  const judged = judgeSegments(segments, { margin, fraudsMin });
  output.table([
    ["average precision by segment", "frauds", "champion", "candidate", "however often one looks", "p worse (Holm)"],
    ...judged.map(({ name, frauds, interval, pValue }) => [
      name,
      String(frauds),
      figure(interval?.observedA),
      figure(interval?.observedB),
      interval === null ? "–" : `${signed(interval.anytimeLow)} … ${signed(interval.anytimeHigh)}`,
      pValue === null ? "–" : probability(pValue),
    ]),
  ]);
  output.line(
    `  p worse: that a segment loses no more than ${margin}, adjusted for all of them; not asked below ${fraudsMin} frauds`,
  );
}

function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${figure(value)}`;
}

function probability(p: number): string {
  return p < 0.0001 ? "< 0.0001" : figure(p);
}
