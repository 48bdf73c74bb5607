// `sentinel explain`: why a transaction was judged as it was, feature by feature, and what another version says of it.
import pc from "picocolors";
import type { Decision } from "../core/decision.ts";
import { readHistory } from "../lifecycle/data/history.ts";
import { type Explained, explain } from "../lifecycle/explain.ts";
import { textOption } from "./options.ts";
import type { Output } from "./output.ts";
import type { Verb } from "./verb.ts";

/** Rows of the table; the rest is summed up. */
const SHOWN_MAX = 12;
const BAR_WIDTH = 12;

export const verb: Verb = {
  args: "<transaction_id>",
  options: [
    ["--version <version>", "explain by another version than the one that answered (number or alias)"],
    ["--against <version>", "and set another version against it, for example candidate"],
  ],
  async run(context, { args: [transactionId], options }) {
    const pipeline = context.pipeline();
    const ports = context.ports();
    const explained = await explain(ports, {
      pipeline,
      transactionId,
      version: textOption(options, "version") ?? null,
      against: textOption(options, "against") ?? null,
      history: (origin, plan) => readHistory(ports, pipeline, { origin, plan }),
    });
    show(context.output, explained);
    return { yes: true, json: explained };
  },
};

const COLOR: Readonly<Record<Decision, (text: string) => string>> = {
  approve: pc.green,
  review: pc.yellow,
  block: pc.red,
};

function show(output: Output, explained: Explained): void {
  const { explanation, answered, transactionId, time, reasons, sentences } = explained;
  const { score, decision, version, expected, margin, contributions } = explanation;
  output.heading(`transaction ${transactionId}, ${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`);
  output.line(`  ${COLOR[decision](decision)}, score ${score.toFixed(4)}, by version ${version}`);
  if (version !== answered.version) {
    output.line(`  version ${answered.version} answered: ${answered.decision}, score ${answered.score.toFixed(4)}`);
  }
  output.heading("what raised the score");
  if (reasons.length === 0) output.line("  nothing did");
  for (const { code, text } of reasons) output.line(`  ${text}  ${pc.dim(code)}`);
  output.heading("from the baseline to the score, in log-odds");
  const largest = Math.abs(contributions[0]?.contribution ?? 0);
  const shown = contributions.slice(0, SHOWN_MAX);
  const rest = contributions.slice(SHOWN_MAX);
  output.table([
    ["feature", "value", "adds", "", "in words"],
    ["(baseline)", "", signed(expected), "", "a transaction nothing is known of"],
    ...shown.map(({ feature, value, contribution }) => [
      feature,
      valueText(value),
      signed(contribution),
      bar(contribution, largest),
      sentences[feature],
    ]),
    ...(rest.length === 0
      ? []
      : [[`(${rest.length} others)`, "", signed(rest.reduce((sum, one) => sum + one.contribution, 0)), "", ""]]),
    [
      "(margin)",
      "",
      signed(margin),
      "",
      `probability ${explanation.uncalibrated.toFixed(4)}, calibrated ${score.toFixed(4)}`,
    ],
  ]);
  if (explained.difference !== null) showDifference(output, explained.difference);
}

function showDifference(output: Output, between: NonNullable<Explained["difference"]>): void {
  const { candidate, champion, difference, contributions } = between;
  output.heading(`version ${candidate.version} against version ${champion.version}`);
  output.line(
    `  ${COLOR[candidate.decision](candidate.decision)}, score ${candidate.score.toFixed(4)}: ${signed(difference.margin)} log-odds`,
  );
  const largest = Math.abs(contributions[0]?.difference ?? 0);
  output.table([
    ["feature", `version ${champion.version}`, `version ${candidate.version}`, "differs by", ""],
    ["(baseline)", signed(champion.expected), signed(candidate.expected), signed(difference.expected), ""],
    ...contributions
      .slice(0, SHOWN_MAX)
      .map((one) => [
        one.feature,
        one.champion === null ? "–" : signed(one.champion),
        one.candidate === null ? "–" : signed(one.candidate),
        signed(one.difference),
        bar(one.difference, largest),
      ]),
  ]);
}

function valueText(value: number | null): string {
  if (value === null) return "missing";
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

/** Raising to the right in full blocks, lowering in light ones. */
function bar(value: number, largest: number): string {
  return (value < 0 ? "░" : "█").repeat(largest === 0 ? 0 : Math.round((BAR_WIDTH * Math.abs(value)) / largest));
}
