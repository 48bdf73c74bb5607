// Backtest: what rules would have done, with windows, lists and features as of each transaction's time, and a verdict for each.
import type { Rule, RuleSet } from "../../core/rule.ts";
import type { Verdict } from "../../core/verdict.ts";
import { windowPlan } from "../../online/rules.ts";
import type { Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Clock, Ports } from "../../ports/ports.ts";
import { compileRules, type RuleFault, type RuleProgram } from "../../rules/program.ts";
import { tableAsker } from "../../rules/table.ts";
import { checkRules } from "./check.ts";
import { figuresOf, type RuleFigures } from "./figures.ts";
import { hitsOf, type RuleHits } from "./hits.ts";
import { judgeRule } from "./judge.ts";
import { championScorer, listsOf, rulesNow, scopeNow } from "./now.ts";
import { featuresOf, type Past, pastOfLog, pastOfTable } from "./past.ts";

export interface BacktestInput {
  readonly pipeline: Pipeline;
  /** A table; null: the log. */
  readonly path: string | null;
  /** Rules beside those that are stored, which they replace by their ids. */
  readonly drafts?: readonly Rule[];
  /** Areas of the drafts; those that are stored when absent. */
  readonly areas?: RuleSet["areas"];
  /** Only rows of these times are judged; those before fill the windows. */
  readonly from?: number;
  readonly to?: number;
  /** Ask the champion about every row, for "beyond the model"; default true. */
  readonly model?: boolean;
  /** Features of the model that are kept beside those that rules name. */
  readonly keep?: readonly string[];
  /** Newest transactions of the log that are read; default 5 million. */
  readonly logRowsMax?: number;
  /** A past that was read before, for the same pipeline and path. */
  readonly past?: Past;
}

export interface RuleBacktest extends RuleFigures {
  readonly rule: Rule;
  /** Microseconds per transaction, by itself. */
  readonly micros: number;
  readonly verdict: Verdict;
}

export interface Backtest {
  readonly where: string;
  readonly rows: number;
  readonly from: number;
  readonly to: number;
  /** Until then a transaction's truth is known. */
  readonly maturedTo: number;
  readonly frauds: number;
  readonly fraudRate: number;
  /** Version of the champion that "beyond the model" is measured against; null: none. */
  readonly model: string | null;
  /** What the past cannot tell, in sentences. */
  readonly notes: readonly string[];
  readonly rules: readonly RuleBacktest[];
}

/** What a backtest computes on the way; conflicts and suggestions go on from it. */
export interface Replayed {
  readonly past: Past;
  readonly program: RuleProgram;
  readonly rules: readonly Rule[];
  readonly hits: readonly RuleHits[];
  readonly scorer: Scorer | null;
  readonly from: number;
  readonly to: number;
}

/** Every stored rule but those that are off, and the drafts, on a past. Errors: rules.*, dataset.*, log.unreadable. */
export async function backtestRules(ports: Ports, input: BacktestInput): Promise<Backtest> {
  return backtestOf(await replayRules(ports, input), { pipeline: input.pipeline, clock: ports.clock });
}

/** The figures and verdicts of rules that were asked. */
export function backtestOf(
  replayed: Replayed,
  { pipeline, clock }: { readonly pipeline: Pipeline; readonly clock: Clock },
): Backtest {
  const { past, rules, hits, scorer, from, to } = replayed;
  const maturityMs = pipeline.labels.maturityMs;
  const figures = figuresOf(past, { rules, hits, maturityMs, from, to });
  const micros = costs(replayed, clock);
  const truth = truthOf(past, { from, to: Math.min(to, past.to - maturityMs) });
  return {
    where: past.where,
    rows: past.times.length,
    from: Math.max(from, past.from),
    to: Math.min(to, past.to),
    maturedTo: past.to - maturityMs,
    ...truth,
    model: scorer?.version ?? (past.decided === null ? null : "as logged"),
    notes: [...notesOf(past, pipeline), ...replayed.program.faults.map(brokenNote)],
    rules: rules.map((rule, i) => ({
      rule,
      ...figures[i],
      micros: micros[i],
      verdict: judgeRule(rule, figures[i], { pipeline, fraudRate: truth.fraudRate }),
    })),
  };
}

/** Reads the past and asks every rule of every row. */
export async function replayRules(ports: Ports, input: BacktestInput): Promise<Replayed> {
  const { pipeline, drafts = [], from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = input;
  const now = await rulesNow(ports, pipeline);
  const areas = input.areas ?? now.live.areas;
  const replaced = new Set(drafts.map(({ id }) => id));
  const rules = [...now.live.rules.filter(({ id, stage }) => stage !== "off" && !replaced.has(id)), ...drafts];
  const set: RuleSet = { ...now.live, rules, areas, lists: now.counts };
  const { scope, key } = await scopeNow(ports, pipeline, { areas, lists: null });
  // A stored rule that lost its features is no reason to judge no other.
  await checkRules(set, { scope, key, before: now.live });
  const lists = await listsOf(now.store, now.counts);
  const program = await compileRules({ set, hash: "", scope, lists, only: () => true });
  const windows = windowPlan(program);
  const scorer = input.model === false || input.path === null ? null : await championScorer(ports, pipeline);
  const past =
    input.past ??
    (input.path === null
      ? await pastOfLog(ports, {
          pipeline,
          scope,
          features: featuresOf([program], input.keep ?? []),
          rowsMax: input.logRowsMax,
        })
      : await pastOfTable(ports, {
          pipeline,
          path: input.path,
          programs: [program],
          windows,
          scope,
          scorer,
          keep: input.keep,
        }));
  const hits = hitsOf(past, { program, plan: windows, pipeline, report: ports.report, from, to });
  return { past, program, rules: program.rules.map(({ rule }) => rule), hits, scorer, from, to };
}

function truthOf(
  past: Past,
  span: { readonly from: number; readonly to: number },
): { readonly frauds: number; readonly fraudRate: number } {
  let frauds = 0;
  let known = 0;
  for (let row = 0; row < past.labels.length; row++) {
    if (past.labels[row] > 1 || past.times[row] < span.from || past.times[row] > span.to) continue;
    known++;
    frauds += past.labels[row];
  }
  return { frauds, fraudRate: known === 0 ? 0 : frauds / known };
}

function brokenNote({ id, error }: RuleFault): string {
  return `rule ${id} cannot be asked any more: ${error.message}`;
}

function notesOf(past: Past, pipeline: Pipeline): string[] {
  const notes: string[] = [];
  if (past.blocked === null) {
    notes.push("the table does not say what was blocked: truths of blocked transactions may be missing from it");
  } else {
    const blocked = past.blocked.reduce((sum, one) => sum + one, 0);
    if (blocked > 0)
      notes.push(
        `${blocked} transactions were blocked: what they would have been is known of those with a label alone`,
      );
  }
  if (past.skipped > 0) notes.push(`${past.skipped} older transactions of the log were left out: the newest are read`);
  const silent = past.model?.answered?.reduce((sum, one) => sum + 1 - one, 0) ?? 0;
  if (silent > 0)
    notes.push(`the model gave no answer to ${silent} transactions: rules that ask it could not be asked`);
  const dim = past.model?.described?.reduce((sum, one) => sum + 1 - one, 0) ?? 0;
  if (dim > silent)
    notes.push(`${dim - silent} transactions were answered by versions whose features are not known any more`);
  if (pipeline.columns.card === null)
    notes.push("no column says whose a transaction is: each row counts as an entity of its own");
  return notes;
}

/** Rows that a rule's cost is measured on, and how often. */
const COST_ROWS = 5000;

/** Microseconds that each rule takes by itself; its windows are kept by the feature state, whose cost is not the rule's. */
function costs({ program, past, rules }: Replayed, clock: Clock): number[] {
  const windows = program.windows.length === 0 ? null : new Float64Array(program.windows.length);
  const rows = Math.min(COST_ROWS, past.times.length);
  const hits = new Uint8Array(1);
  return rules.map((_, index) => {
    const ask = tableAsker(program.alone(index), { table: past.table, times: past.times, model: past.model });
    const pass = (): void => {
      for (let row = 0; row < rows; row++) ask(row, windows, Number.POSITIVE_INFINITY, hits);
    };
    // The first pass warms the machine up.
    pass();
    const begun = clock.elapsed();
    pass();
    return rows === 0 ? 0 : ((clock.elapsed() - begun) * 1000) / rows;
  });
}
