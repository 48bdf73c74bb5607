// Suggest: rules mined from what the model missed on earlier days, judged on later ones; what they add at the same review budget is measured.
import { bundleFile } from "../../core/bundle.ts";
import { SentinelError } from "../../core/errors.ts";
import { Random } from "../../core/random.ts";
import type { Rule } from "../../core/rule.ts";
import { type PairedInterval, pairedBootstrap } from "../../evidence/bootstrap.ts";
import { RECALL } from "../../metrics/summed.ts";
import { decodeGbdt } from "../../ml/gbdt/model.ts";
import type { Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { type MinedColumn, mineRules } from "../../rules/mining.ts";
import { backtestOf, type Replayed, type RuleBacktest, replayRules } from "./backtest.ts";
import type { RuleHits } from "./hits.ts";
import { championScorer } from "./now.ts";
import type { Past } from "./past.ts";

export interface Suggestions {
  /** Rules were mined from transactions before this time, and are judged on those after it. */
  readonly minedTo: number;
  readonly judgedFrom: number;
  /** Drafts, those that add most first. */
  readonly drafts: readonly RuleBacktest[];
  /** Recall of the model alone (a) and with the drafts first (b), both reviewing as many transactions; null: no draft or no model. */
  readonly atBudget: PairedInterval | null;
  readonly budget: number;
}

export interface SuggestInput {
  readonly pipeline: Pipeline;
  readonly path: string;
  readonly seed: number;
  readonly rulesMax?: number;
}

/** Genuine rows that are looked at; all frauds are. */
const GENUINE_MAX = 150_000;
const RULES_MAX = 10;
/** Of the days, those that rules are mined from; and of them the first part, in which windows and labels are still thin. */
const MINED_SHARE = 0.6;
const SETTLED_SHARE = 0.2;
/** A draft that hits what another one hits, or a rule that is live, is no news. */
const OVERLAP_MAX = 0.7;

/** Errors: rules.*, dataset.*, lifecycle.not-enough-data. */
export async function suggestRules(ports: Ports, input: SuggestInput): Promise<Suggestions> {
  const { pipeline, path, seed, rulesMax = RULES_MAX } = input;
  const scorer = await championScorer(ports, pipeline);
  const features = scorer === null ? [] : [...scorer.plan.names];
  const first = await replayRules(ports, { pipeline, path, keep: features });
  const { past } = first;
  const span = past.to - past.from;
  const cut = past.from + MINED_SHARE * span;
  const settled = past.from + SETTLED_SHARE * span;
  const gapMs = pipeline.labels.maturityMs;
  const mined = mine(past, { pipeline, scorer, seed, from: settled, to: cut, rulesMax: rulesMax * 2 });
  const drafts = mined.map(
    ({ when }, at): Rule => ({
      id: `suggested-${at + 1}`,
      when,
      action: "review",
      severity: "warning",
      description: `mined from transactions before ${new Date(cut).toISOString().slice(0, 10)}`,
      stage: "draft",
      share: 0.1,
      owner: "suggest",
    }),
  );
  const judgedFrom = cut + gapMs;
  const budgetShare = pipeline.decisions.reviewShare;
  if (drafts.length === 0) return { minedTo: cut, judgedFrom, drafts: [], atBudget: null, budget: 0 };
  const replayed = await replayRules(ports, { pipeline, path, drafts, from: judgedFrom, past });
  const report = backtestOf(replayed, { pipeline, clock: ports.clock });
  const own = new Set(drafts.map(({ id }) => id));
  const ranked = report.rules
    .filter(({ id, fires }) => own.has(id) && fires > 0)
    .sort((a, b) => worthOf(b) - worthOf(a));
  const kept = unlike(ranked, replayed).slice(0, rulesMax);
  const chosen = replayed.rules.flatMap(({ id }, at) => (kept.some((one) => one.id === id) ? [replayed.hits[at]] : []));
  const atBudget =
    kept.length === 0
      ? null
      : budgetGain(past, { hits: chosen, from: judgedFrom, to: past.to - gapMs, share: budgetShare, seed });
  return { minedTo: cut, judgedFrom, drafts: kept, atBudget, budget: budgetShare };
}

/** Frauds that nothing else catches, less a little for each hit that it costs. */
function worthOf({ beyondModel, onlyMe, precision }: RuleBacktest): number {
  return (beyondModel?.frauds ?? onlyMe) * (Number.isNaN(precision.low) ? 0 : precision.low);
}

function mine(
  past: Past,
  on: {
    readonly pipeline: Pipeline;
    readonly scorer: Scorer | null;
    readonly seed: number;
    readonly from: number;
    readonly to: number;
    readonly rulesMax: number;
  },
) {
  const { pipeline, scorer } = on;
  const random = new Random(on.seed);
  const frauds: number[] = [];
  const genuine: number[] = [];
  for (let row = 0; row < past.times.length; row++) {
    const time = past.times[row];
    if (time < on.from || time > on.to || past.labels[row] > 1) continue;
    // What the model stops needs no rule.
    if (past.decided !== null && past.decided[row] !== "approve") continue;
    (past.labels[row] === 1 ? frauds : genuine).push(row);
  }
  if (frauds.length === 0) {
    throw new SentinelError("lifecycle.not-enough-data", "on the days to mine from, the model misses no fraud", {
      hint: "name a longer table with --data; or there is nothing that rules could add",
    });
  }
  const keep = Math.min(1, GENUINE_MAX / Math.max(1, genuine.length));
  const rows = Int32Array.from([...frauds, ...genuine.filter(() => random.next() < keep)]).sort();
  const take = (values: ArrayLike<number>): Float64Array => Float64Array.from(rows, (row) => values[row]);
  const columns: MinedColumn[] = [];
  const splits = scorer === null ? new Map<string, number[]>() : splitsOf(scorer);
  for (const [name, values] of past.model?.features ?? []) {
    columns.push({ sql: quoted(name), values: take(values), splits: splits.get(name) ?? [] });
  }
  const { amount } = pipeline.columns;
  if (amount !== null && !past.model?.features.has(amount))
    columns.push({ sql: quoted(amount), values: take(past.amounts), splits: [] });
  return mineRules({
    columns,
    labels: Uint8Array.from(rows, (row) => past.labels[row]),
    genuineWeight: 1 / keep,
    precisionMin: pipeline.gates.rule.precisionMin,
    rulesMax: on.rulesMax,
  });
}

/** Where the champion's trees part each feature. */
function splitsOf(scorer: Scorer): Map<string, number[]> {
  const splits = new Map<string, number[]>();
  if (scorer.manifest.engine !== undefined) return splits;
  const { names, feature, threshold, left } = decodeGbdt(bundleFile(scorer.files, "trees.bin"));
  for (let node = 0; node < feature.length; node++) {
    // A leaf leads nowhere.
    if (left[node] <= 0 || !Number.isFinite(threshold[node])) continue;
    const name = names[feature[node]];
    const own = splits.get(name) ?? [];
    if (own.length === 0) splits.set(name, own);
    own.push(threshold[node]);
  }
  return splits;
}

function quoted(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Those that hit something else than each draft before them, and than each rule that is there. */
function unlike(ranked: readonly RuleBacktest[], { rules, hits }: Replayed): RuleBacktest[] {
  const rowsOf = (id: string): Int32Array => hits[rules.findIndex((rule) => rule.id === id)].rows;
  const against = rules.flatMap(({ id }, at) => (ranked.some((one) => one.id === id) ? [] : [hits[at].rows]));
  const kept: RuleBacktest[] = [];
  for (const one of ranked) {
    const rows = new Set(rowsOf(one.id));
    const isLike = [...against, ...kept.map(({ id }) => rowsOf(id))].some((other) => {
      let both = 0;
      for (const row of other) if (rows.has(row)) both++;
      const union = rows.size + other.length - both;
      return union > 0 && both / union > OVERLAP_MAX;
    });
    if (!isLike) kept.push(one);
  }
  return kept;
}

/** The model's highest scores against the drafts' hits and then the highest scores, as many of both. */
function budgetGain(
  past: Past,
  on: {
    readonly hits: readonly RuleHits[];
    readonly from: number;
    readonly to: number;
    readonly share: number;
    readonly seed: number;
  },
): PairedInterval | null {
  const { model } = past;
  if (model === null) return null;
  const rows: number[] = [];
  for (let row = 0; row < past.times.length; row++) {
    if (past.times[row] >= on.from && past.times[row] <= on.to && past.labels[row] <= 1) rows.push(row);
  }
  const budget = Math.floor(rows.length * on.share);
  if (budget === 0) return null;
  const hit = new Uint8Array(past.times.length);
  for (const { rows: own } of on.hits) for (const row of own) hit[row] = 1;
  const byScore = [...rows].sort((a, b) => model.score[b] - model.score[a] || a - b);
  const first = [...byScore.filter((row) => hit[row] === 1), ...byScore.filter((row) => hit[row] !== 1)];
  const marks = (order: readonly number[]): Uint8Array => {
    const chosen = new Set(order.slice(0, budget));
    return Uint8Array.from(rows, (row) => (chosen.has(row) ? 1 : 0));
  };
  const scores = Float64Array.from(rows, (row) => model.score[row]);
  const card = Int32Array.from(rows, (row) => past.entities[row]);
  const y = Uint8Array.from(rows, (row) => past.labels[row]);
  const alerts = { a: marks(byScore), b: marks(first) };
  return pairedBootstrap({ y, card, a: scores, b: scores, alerts, metric: RECALL, seed: on.seed });
}

/** The drafts as a rules file. */
export function draftsText(drafts: readonly { readonly rule: Rule }[]): string {
  const lines = drafts.map(({ rule }) => {
    const { id, when, action, description } = rule;
    return `  - id: ${id}\n    when: ${JSON.stringify(when)}\n    action: ${action}\n    stage: draft\n    description: ${JSON.stringify(description)}\n`;
  });
  return `rules:\n${lines.join("")}`;
}
