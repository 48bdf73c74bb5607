// The model card: what a bundle is, for people; plain Markdown that travels inside it.
import { formatDuration } from "../../core/duration.ts";
import type { CostPolicy, SegmentPolicy } from "../../core/policy.ts";
import type { BundleManifest, Imported, LatelyFacts, LearnedBy, RefitFacts } from "../../online/bundle.ts";
import { unkeptText } from "./decisions.ts";
import type { Ablation } from "./fit.ts";
import type { Slice } from "./split.ts";
import type { Trained } from "./trained.ts";

const FEATURES_SHOWN = 15;
const CALIBRATION_WORDS = {
  none: "scores as the model gives them",
  isotonic: "isotonic calibration",
  beta: "beta calibration",
} as const;

export function cardText(trained: Trained, manifest: BundleManifest): string {
  const { fitted, metrics, split, importance } = trained;
  const { provenance } = manifest;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const slice = (name: string, made: Slice): string =>
    `| ${name} | ${day(made.from)} … ${day(made.to)} | ${made.count} | ${made.frauds} |`;
  const gains = importance
    .slice(0, FEATURES_SHOWN)
    .map(({ name, gain }) => `| ${name} | ${(100 * gain).toFixed(1)} % |`);
  return `# ${manifest.model}

Scores the probability that a transaction of the pipeline \`${manifest.pipeline}\` is fraud, from ${manifest.features.features.length} features:
${modelWords(fitted)}, an Isolation Forest for the anomaly score, ${CALIBRATION_WORDS[manifest.calibration.kind]}.
${provenance.imported === undefined ? "" : importedText(provenance.imported)}${provenance.recipe === undefined ? "" : recipeText(provenance.recipe)}
## Decisions
${decisionsText(trained, manifest)}

## Data
File hash \`${provenance.dataHash.slice(0, 12)}\`, ${provenance.dataRows} transactions; labels are known ${formatDuration(manifest.labelDelayMs)} late.

| slice | days | transactions | frauds |
| --- | --- | --- | --- |
${slice("train", split.train)}
${slice("calibrate", split.calibrate)}
${slice("evaluate", split.evaluate)}
${manifest.refit === undefined ? "" : refitSection(manifest.refit, day)}
## ${manifest.refit === undefined ? "On the evaluation slice, which nothing else saw" : "The judged twin on the evaluation slice, which it never saw"}
| metric | value |
| --- | --- |
${Object.entries(metrics)
  .map(([key, value]) => `| ${key} | ${format(value)} |`)
  .join("\n")}

${fitted.ablation === null ? "" : ablationText(fitted.ablation)}
${gains.length === 0 ? "" : gainText(gains)}## Limits
${provenance.imported === undefined || provenance.imported.learned !== undefined ? "Trained on one pipeline's past" : "Imported: what it was trained on is not known here, and rows it has seen flatter it"}; frauds of a new kind are not in it. Scores assume labels of the same meaning and delay.
Blocked transactions get no natural label: keep a small share let through at random if block rates are high.
`;
}

/** How it learned, in sentences. */
function recipeText({ windowMs, halfLifeMs, continues }: LearnedBy): string {
  const lines = [
    ...(continues === undefined
      ? []
      : [
          `Continues bundle \`${continues.bundle.slice(0, 12)}\`: ${continues.treesAdded} trees were added to its own.`,
        ]),
    ...(windowMs === undefined ? [] : [`Learns from the newest ${formatDuration(windowMs)} only.`]),
    ...(halfLifeMs === undefined
      ? []
      : [`A transaction counts half as much for every ${formatDuration(halfLifeMs)} that it is older.`]),
  ];
  return lines.length === 0 ? "" : `\n## How it learned\n${lines.map((line) => `${line}\n`).join("")}`;
}

function refitSection(facts: RefitFacts, day: (time: number) => string): string {
  return `
## Two models
What serves was fitted once more, with the parameters of the judged model${facts.lately === undefined ? " and as many trees" : ""}, on ${facts.rows} transactions (${facts.frauds} frauds) of ${day(facts.from)} … ${day(facts.to)}.
It has seen the evaluation slice, so **no figure of this card is its own**: metrics, importance and pictures are those of the judged twin, which lies in \`twin/\`.
${facts.lately === undefined ? `Calibration and thresholds are the twin's, carried over by equal ranks on ${facts.unseenRows} newer rows that neither model has seen: there, both flag the same share.` : latelyText(facts.lately, day)}
Before that, the scores of the two differed by a PSI of ${format(facts.scoreShift)}; ${(100 * facts.alertAgreement).toFixed(1)} % of the highest rows are the same.
`;
}

function latelyText(lately: LatelyFacts, day: (time: number) => string): string {
  const { since, stretches, averagePrecision, learned, trees } = lately;
  const ways = Object.entries(averagePrecision).map(([way, value]) => `${format(value)} by ${way}`);
  return `The world has been another one since about ${day(since)}. Models that had learned what came before the newest of ${stretches} stretches of these days were asked about it: average precision ${ways.join(", ")}. So it has learned ${learned}; ${trees} trees, the calibration and the block threshold are what served best on the new days.`;
}

function importedText({ title, file, sha256, columns, notes }: Imported): string {
  const renamed = columns.filter(({ name, feature }) => name !== feature);
  const names = renamed.map(({ name, feature }) => `\`${name}\` takes \`${feature}\``).join(", ");
  return `
## Imported
Imported from ${title}, file \`${file}\`, sha256 \`${sha256}\`; it reads ${columns.length} of the features${names === "" ? "" : ` (${names})`}.
${notes.map((note) => `${note}\n`).join("")}`;
}

function modelWords({ model, anomalyAsFeature }: Trained["fitted"]): string {
  if (model.kind === "graph") return "an ONNX graph that ONNX Runtime computes";
  return `${model.trees.roots.length} boosted trees${anomalyAsFeature ? " that also see the anomaly score" : ""}`;
}

function gainText(gains: readonly string[]): string {
  return `## What the trees look at (share of gain)
| feature | gain |
| --- | --- |
${gains.join("\n")}

`;
}

function ablationText(ablation: Ablation): string {
  return `## Does the anomaly score help the trees?
Average precision on the calibration slice: ${format(ablation.without)} without, ${format(ablation.with)} with, a gain of at least ${format(ablation.gainLow)} (95 %, cards resampled): ${ablation.kept ? "kept" : "left out"}.

`;
}

function decisionsText({ fitted, pipeline }: Trained, { thresholds }: BundleManifest): string {
  const { block } = fitted.decided;
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
  const { blockPrecision, certainty } = pipeline.decisions;
  const { policy } = fitted;
  const blocking =
    policy?.cost === undefined && block.reached
      ? `Block from ${format(thresholds.block)}: on the calibration days ${percent(block.share)} of ${block.rows} were frauds, with ${percent(certainty)} certainty at least ${percent(block.bound)} (asked: ${percent(blockPrecision)}).`
      : "";
  const unkept = unkeptText(fitted.decided, pipeline.decisions).map(
    (text) => `${text[0].toUpperCase()}${text.slice(1)}.`,
  );
  const lines = [
    policy?.cost === undefined
      ? `Review from ${format(thresholds.review)}; the threshold ${reviewWords(pipeline)}.`
      : costText(policy.cost, thresholds),
    blocking,
    ...unkept,
    ...(policy?.segments === undefined ? [] : [segmentsText(policy.segments)]),
  ];
  return lines.filter((line) => line !== "").join("\n");
}

function costText(cost: CostPolicy, { review, block }: BundleManifest["thresholds"]): string {
  return `Each transaction gets the answer of the lowest expected cost: a missed fraud costs ${100 * cost.missedShare} % of its amount and ${cost.missedCost}, a review ${cost.reviewCost}, a genuine transaction that is blocked ${cost.falseBlockCost} and ${cost.customerFactor} times its amount. A review must save ${format(cost.price)} beyond that, which keeps the budget. At the median amount of ${format(cost.typical)}: review from ${format(review)}, block from ${format(block)}.`;
}

function segmentsText({ by, segments }: SegmentPolicy): string {
  const threshold = (value: number): string => (value > 1 ? "never" : format(value));
  const rows = segments.map(({ name, rows, frauds, weight, thresholds: { review, block }, odds }) => {
    const means = odds === undefined ? "" : ` ${format(odds)} |`;
    return `| ${name} | ${rows} | ${frauds} | ${(100 * weight).toFixed(0)} % |${means} ${threshold(review)} | ${threshold(block)} |`;
  });
  const byCost = segments.some(({ odds }) => odds !== undefined);
  const head = `| segment | rows | frauds | own weight |${byCost ? " odds of a score, times |" : ""} review from | block from |`;
  const line = `${"| --- ".repeat(byCost ? 7 : 6)}|`;
  const at = byCost ? ", thresholds at the median amount" : "";
  return `\nBy segments of ${by}; own weight is how much a segment's own frauds count beside all others${at}:\n\n${head}\n${line}\n${rows.join("\n")}`;
}

function reviewWords({ decisions }: Trained["pipeline"]): string {
  if (decisions.reviewPolicy === "max-f1") return "is where F1 is highest";
  if (decisions.reviewPolicy === "budget")
    return `spends, beside what is blocked, the budget of ${(100 * decisions.reviewShare).toFixed(2)} % of the traffic`;
  if (decisions.reviewPolicy === "fraud-rate")
    return `lets frauds be at most ${(100 * decisions.fraudRateMax).toFixed(3)} % of the approved amount, within the budget of ${(100 * decisions.reviewShare).toFixed(2)} % of the traffic`;
  return `costs least when a review costs ${decisions.reviewCost} and a missed fraud ${(100 * decisions.missedShare).toFixed(0)} % of its amount`;
}

export function format(value: number): string {
  if (Number.isNaN(value)) return "–";
  return Number.isInteger(value) ? String(value) : value.toFixed(4);
}
