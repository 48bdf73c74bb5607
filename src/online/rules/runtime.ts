// A rule set at work: one program with its registers, and the feature state that its windows are read from.
import type { Decision } from "../../core/decision.ts";
import type { DecidedBy, RuleOutcome } from "../../core/rule.ts";
import { outcomeText } from "../../core/rule-text.ts";
import type { Transaction } from "../../core/transaction.ts";
import { encodeUnrounded } from "../../features/encode.ts";
import { compileSpec, type FeaturePlan } from "../../features/plan.ts";
import { decideLanes, type Lanes } from "../../rules/lanes.ts";
import type { RuleProgram } from "../../rules/program.ts";
import type { WarmState } from "../states.ts";

/** What the rules are asked about, once the model has answered. */
export interface RuleQuestion {
  readonly transaction: Transaction;
  /** The champion's vector and scores; null: it gave none. */
  readonly answer: { readonly vector: Float32Array; readonly score: number; readonly anomalyScore: number } | null;
  readonly without: { readonly decision: Decision; readonly by: DecidedBy };
  /** The champion's state; null where the states cannot be read, or there is no champion. */
  readonly state: WarmState | null;
  /** False where no state may be read now. */
  readonly readable: boolean;
  /** Whom the transaction belongs to: who is in a rollout stays in. */
  readonly entity: string;
}

export class RuleRuntime {
  readonly program: RuleProgram;
  /** The windows of all rules as features; null: no rule has any. */
  readonly plan: FeaturePlan | null;
  /** The state of the windows' own layout, once it is warm. */
  own: WarmState | null = null;
  private readonly hits: Uint8Array;
  private readonly vector: Float32Array;
  private lastHeld: WarmState | null = null;
  private lastCovers = false;

  constructor(program: RuleProgram) {
    this.program = program;
    this.plan = windowPlan(program);
    this.hits = new Uint8Array(program.rules.length);
    this.vector = new Float32Array(this.plan?.width ?? 0);
  }

  /** Asks every rule, and decides. A state that began empty has seen everything from the event time `since` on; null: it has seen nothing. */
  judge(
    question: RuleQuestion,
    since: number | null,
  ): { readonly lanes: Lanes; readonly failed: number; readonly cold: boolean } {
    const { program, plan, hits } = this;
    const { transaction, answer, without, entity } = question;
    const source = plan === null || !question.readable ? null : this.source(question.state);
    let windows: Float64Array | null = null;
    let reachMs = Number.POSITIVE_INFINITY;
    if (plan !== null) {
      reachMs = source === null ? 0 : reachOf(source, { since, time: transaction.time });
      if (source !== null) {
        // Unrounded: an amount of money beyond 2^24 cents has no Float32.
        windows = encodeUnrounded(source.state, plan, transaction, this.vector);
      }
    }
    const failed = program.ask(
      {
        transaction,
        vector: answer?.vector ?? null,
        score: answer?.score ?? Number.NaN,
        anomalyScore: answer?.anomalyScore ?? Number.NaN,
        windows,
        reachMs,
      },
      hits,
    );
    const lanes = decideLanes(program, hits, { without, entity: () => entity });
    return { lanes, failed, cold: plan !== null && windows === null };
  }

  /** The champion's own state where it holds all that the windows read: then nothing is learned twice. */
  private source(state: WarmState | null): WarmState | null {
    return state !== null && this.coveredBy(state) ? state : this.own;
  }

  coveredBy(state: WarmState): boolean {
    if (state !== this.lastHeld) {
      this.lastHeld = state;
      this.lastCovers = this.plan !== null && state.state.covers(this.plan);
    }
    return this.lastCovers;
  }
}

/** The windows of a program as a plan of the feature state machine; null: it has none. */
export function windowPlan({ windows }: Pick<RuleProgram, "windows">): FeaturePlan | null {
  return windows.length === 0 ? null : compileSpec({ name: "rules", version: 1, features: windows }, { fine: true });
}

/** How far back a state has seen everything. */
export function reachOf(
  state: Pick<WarmState, "warm">,
  { since, time }: { readonly since: number | null; readonly time: number },
): number {
  if (state.warm) return Number.POSITIVE_INFINITY;
  return since === null ? 0 : Math.max(0, time - since);
}

/** Of most transactions the rules say that none fired: one object stands for all of them, whose text is known. */
let lastQuiet: RuleOutcome = {
  set: "",
  by: "model",
  rule: null,
  fired: [],
  without: "approve",
  shadow: [],
  unready: 0,
};

/** What stands in the log and in the answer. */
export function outcomeOf(
  live: { readonly lanes: Lanes; readonly cold: boolean },
  without: Decision,
  candidate: Lanes | null,
): RuleOutcome {
  const { set, by, rule, fired, shadow, unready, overruled } = live.lanes;
  if (candidate === null && !live.cold && overruled === undefined) {
    const isQuiet = fired.length === 0 && shadow.length === 0 && rule === null;
    const { set: lastSet, by: lastBy, without: lastWithout, unready: lastUnready } = lastQuiet;
    const isLast = isQuiet && set === lastSet && by === lastBy && without === lastWithout && unready === lastUnready;
    if (isLast) return lastQuiet;
    const plain = { set, by, rule, fired, without, shadow, unready };
    if (isQuiet) {
      lastQuiet = plain;
      outcomeText(plain);
    }
    return plain;
  }
  const beside = overruled === undefined ? {} : { overruled };
  const outcome = { set, by, rule, fired, without, shadow, unready, ...beside };
  const cold = live.cold ? { cold: true as const } : {};
  if (candidate === null) return { ...outcome, ...cold };
  const { decision, set: other, by: otherBy, rule: otherRule, fired: otherFired } = candidate;
  return { ...outcome, ...cold, candidate: { set: other, by: otherBy, rule: otherRule, fired: otherFired, decision } };
}
