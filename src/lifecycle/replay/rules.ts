// The rules' side of a replay: every logged rule set asked again, with lists, features and windows as they were.
import { canonicalJson } from "../../core/hash.ts";
import type { RuleOutcome, RuleSet } from "../../core/rule.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { FeatureState } from "../../features/state.ts";
import { firstTime, outcomeOf, type RuleQuestion, RuleRuntime, ruleScope, windowPlan } from "../../online/rules.ts";
import type { Scorer } from "../../online/score.ts";
import type { WarmState } from "../../online/states.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { PredictionLog, PredictionRecord } from "../../ports/log.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RuleStore } from "../../ports/rules.ts";
import { compileRules } from "../../rules/program.ts";
import { loadSchema } from "../data/schema-file.ts";
import { listsOf } from "../rules.ts";

/** Rule sets of one log that a replay keeps compiled. */
const KEPT_MAX = 200;

/** What a state was like when the server read it. */
export interface ReplayedState {
  readonly state: FeatureState;
  readonly warm: boolean;
}

export class ReplayedRules {
  /** Plans of windows that some rule set had; their states must be followed from the log's first entry on. */
  readonly plans: readonly FeaturePlan[];
  private readonly store: RuleStore;
  private readonly pipeline: Pipeline;
  private readonly schema: object;
  private readonly since: number | null;
  private readonly kept = new Map<string, RuleRuntime | null>();

  private constructor(on: {
    readonly plans: readonly FeaturePlan[];
    readonly store: RuleStore;
    readonly pipeline: Pipeline;
    readonly schema: object;
    readonly since: number | null;
  }) {
    this.plans = on.plans;
    this.store = on.store;
    this.pipeline = on.pipeline;
    this.schema = on.schema;
    this.since = on.since;
  }

  /** Null where no rule was ever there. `models`: the features of every bundle in the log. */
  static async open(
    ports: Ports,
    of: { readonly pipeline: Pipeline; readonly log: PredictionLog; readonly models: readonly FeaturePlan[] },
  ): Promise<ReplayedRules | null> {
    if (ports.rules === undefined) return null;
    const store = await ports.rules();
    const journal = await store.journal();
    if (journal.length === 0) return null;
    const { pipeline, log, models } = of;
    const schema = loadSchema(pipeline);
    const hashes = new Set(journal.flatMap(({ live, candidate }) => [live.to, candidate.to]));
    const plans = new Map<string, FeaturePlan>();
    const read = new Set<string>();
    const features = [...new Set(models.flatMap(({ names }) => names))];
    for (const hash of hashes) {
      if (hash === null) continue;
      const set = await store.set(hash);
      const key = canonicalJson([set.rules, set.areas]);
      if (read.has(key)) continue;
      read.add(key);
      const scope = {
        ...ruleScope({ pipeline, schema, plan: null, areas: set.areas, lists: null }),
        features,
        hasModel: true,
      };
      const plan = windowPlan(await compileRules({ set, hash, scope, lists: await listsOf(store, {}) }));
      if (plan !== null) plans.set(plan.layoutHash, plan);
    }
    return new ReplayedRules({ plans: [...plans.values()], store, pipeline, schema, since: await firstTime(log) });
  }

  /**
   * What the rules say now of a logged transaction; null where that cannot be recomputed: the set is gone, or the state of its windows is. `stateOf`
   * gives the state that the server had for a plan.
   */
  async ask(
    record: PredictionRecord & { readonly rules: RuleOutcome },
    on: {
      readonly transaction: Transaction;
      readonly scorer: Scorer | null;
      readonly answer: RuleQuestion["answer"];
      readonly stateOf: (plan: FeaturePlan) => ReplayedState | null;
    },
  ): Promise<{ readonly decision: string; readonly outcome: RuleOutcome } | null> {
    const { rules } = record;
    const { scorer, transaction, stateOf } = on;
    const live = await this.runtime(rules.set, scorer);
    if (live === null) return null;
    const candidate = rules.candidate === undefined ? null : await this.runtime(rules.candidate.set, scorer);
    if (rules.candidate !== undefined && candidate === null) return null;
    const model = scorer === null ? null : stateOf(scorer.plan);
    for (const runtime of [live, candidate]) {
      const plan = runtime?.plan ?? null;
      if (runtime === null || plan === null || rules.cold) continue;
      if (model?.state.covers(plan)) continue;
      const own = stateOf(plan);
      if (own === null) return null;
      runtime.own = asHeld(own, plan);
    }
    const { card } = this.pipeline.columns;
    const question: RuleQuestion = {
      transaction,
      answer: rules.stale ? null : on.answer,
      without: { decision: rules.without, by: record.degraded || scorer === null ? "policy" : "model" },
      state: model === null || scorer === null ? null : asHeld(model, scorer.plan),
      readable: !rules.cold,
      entity: String((card === null ? null : transaction.fields[card]) ?? transaction.id),
    };
    const judged = live.judge(question, this.since);
    const other = candidate?.judge(question, this.since) ?? null;
    const outcome = outcomeOf(judged, rules.without, other?.lanes ?? null);
    return { decision: judged.lanes.decision, outcome: rules.stale ? { ...outcome, stale: true } : outcome };
  }

  private async runtime(hash: string, scorer: Scorer | null): Promise<RuleRuntime | null> {
    const key = `${hash} ${scorer?.plan.hash ?? ""}`;
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    if (this.kept.size >= KEPT_MAX) this.kept.clear();
    const set = await this.store.set(hash).catch(() => null);
    const runtime = set === null ? null : await this.compile(set, hash, scorer);
    this.kept.set(key, runtime);
    return runtime;
  }

  private async compile(set: RuleSet, hash: string, scorer: Scorer | null): Promise<RuleRuntime> {
    const { pipeline, schema, store } = this;
    const scope = ruleScope({ pipeline, schema, plan: scorer?.plan ?? null, areas: set.areas, lists: null });
    return new RuleRuntime(await compileRules({ set, hash, scope, lists: await listsOf(store, set.lists) }));
  }
}

/** A followed state in the shape that a server holds; of it the rules read state and warmth alone. */
function asHeld({ state, warm }: ReplayedState, plan: FeaturePlan): WarmState {
  const origin = {
    dataHash: null,
    dataPath: null,
    trainedUpTo: null,
    catchUpSequence: 0,
  } as unknown as WarmState["origin"];
  return { layout: plan.layoutHash, state, warm, origin, caughtUp: 0 };
}

/** What differs between two outcomes, in words; null where nothing does. Records from before `overruled` was kept have none. */
export function outcomeFault(
  logged: { readonly decision: string; readonly outcome: RuleOutcome },
  replayed: { readonly decision: string; readonly outcome: RuleOutcome },
): string | null {
  const { overruled, ...rest } = replayed.outcome;
  const outcome = logged.outcome.overruled === undefined || overruled === undefined ? rest : { ...rest, overruled };
  const [was, is] = [logged, { ...replayed, outcome }].map((one) =>
    canonicalJson({ decision: one.decision, ...one.outcome }),
  );
  return was === is ? null : `${was} logged, ${is} replayed`;
}
