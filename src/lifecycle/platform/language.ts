// The rules' language for an editor: whether a condition can be read, where it cannot and what to write instead, and which words there are.
import { SentinelError } from "../../core/errors.ts";
import type { RuleSet } from "../../core/rule.ts";
import { FUNCTIONS } from "../../expression/functions.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { ruleScope } from "../../online/rules.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { hasModel } from "../../pipeline/source.ts";
import { readCondition, windowExamples } from "../../rules/language.ts";
import type { RuleScope } from "../../rules/scope.ts";
import { readsOf } from "./rules.ts";

export interface LanguageOf {
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction. */
  readonly schema: object;
  /** The champion's features; null where there is none. */
  readonly plan: FeaturePlan | null;
  readonly areas: RuleSet["areas"];
}

export interface CheckedRule {
  readonly ok: boolean;
  /** Null where nothing is wrong. */
  readonly fault: {
    readonly message: string;
    readonly hint: string;
    readonly line: number | null;
    readonly column: number | null;
  } | null;
  /** Names that it reads. */
  readonly reads: readonly string[];
  readonly lists: readonly string[];
  readonly windows: number;
  readonly needsModel: boolean;
}

/** What an editor shows while somebody writes; never throws for what was written. */
export function checkCondition(when: string, of: LanguageOf): CheckedRule {
  try {
    const { lists, windows, needsModel } = readCondition(when, scopeOf(of));
    return { ok: true, fault: null, reads: readsOf(when), lists, windows: windows.length, needsModel };
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const place = /^line (\d+), column (\d+): /.exec(error.message);
    const fault = {
      message: place === null ? error.message : error.message.slice(place[0].length),
      hint: error.hint,
      line: place === null ? null : Number(place[1]),
      column: place === null ? null : Number(place[2]),
    };
    return { ok: false, fault, reads: [], lists: [], windows: 0, needsModel: false };
  }
}

export interface Vocabulary {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly features: readonly string[];
  /** Each with how it is written. */
  readonly windows: readonly { readonly name: string; readonly example: string }[];
  readonly functions: readonly string[];
  readonly areas: readonly string[];
}

export function vocabularyOf(of: LanguageOf): Vocabulary {
  const { columns, redacted, features } = scopeOf(of);
  return {
    columns: [...columns].filter(([name]) => !redacted.has(name)).map(([name, type]) => ({ name, type })),
    features: hasModel(of.pipeline) ? ["score", "anomaly_score", ...features] : features,
    windows: Object.entries(windowExamples).map(([name, example]) => ({ name, example })),
    functions: [...FUNCTIONS.keys()].sort(),
    areas: Object.keys(of.areas).sort(),
  };
}

function scopeOf({ pipeline, schema, plan, areas }: LanguageOf): RuleScope {
  const scope = ruleScope({ pipeline, schema, plan, areas, lists: null });
  // Before the first champion a rule may name the scores already; no feature is known yet.
  return { ...scope, hasModel: hasModel(pipeline) };
}
