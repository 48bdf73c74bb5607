// A rule set compiled: every rule that is asked, in one pass over one transaction, with what each of them needs.
import { parseDuration } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import type { Rule, RuleSet } from "../core/rule.ts";
import type { Transaction } from "../core/transaction.ts";
import { FEATURES_MAX, KEYS_MAX } from "../core/window.ts";
import type { ExpressionType } from "../expression/check.ts";
import { compileProgram, type Program, ProgramBuilder } from "../expression/program.ts";
import type { Node } from "../expression/syntax.ts";
import { type Condition, type ListsOf, readCondition } from "./language.ts";
import { rankOf } from "./rank.ts";
import { type RuleScope, sourceOf } from "./scope.ts";
import type { RuleWindow } from "./window.ts";

/** What the rules of one transaction are asked about. */
export interface RuleInput {
  readonly transaction: Transaction;
  /** Null: the model gave none, and rules that ask it are not ready. */
  readonly vector: Float32Array | null;
  readonly score: number;
  readonly anomalyScore: number;
  /** Values of the program's windows, in their order; null: they were not there to read. */
  readonly windows: Float64Array | null;
  /** How far back the windows' state has seen everything, in milliseconds before the transaction. */
  readonly reachMs: number;
}

/** Results of a rule: it did not fire, it fired, or it could not be asked. */
export const QUIET = 0;
export const FIRED = 1;
export const UNREADY = 2;

/** One rule that is asked. */
export interface ProgramRule {
  readonly rule: Rule;
  readonly condition: Condition;
  /** Where it stands among those that decide; see lanes.ts. */
  readonly rank: number;
  /** The longest of its windows, in milliseconds. */
  readonly reachMs: number;
}

/** A rule that cannot be asked at all: the scope that it was written for has changed. */
export interface RuleFault {
  readonly id: string;
  readonly error: SentinelError;
}

/** Immutable but for the registers of a pass. */
export interface RuleProgram {
  readonly set: RuleSet;
  readonly hash: string;
  readonly scope: RuleScope;
  /** Lists by name, as its conditions ask them. */
  readonly lists: ListsOf;
  readonly rules: readonly ProgramRule[];
  readonly faults: readonly RuleFault[];
  /** The windows of all rules, each once; their values are asked for in this order. */
  readonly windows: readonly RuleWindow[];
  /** The same for one rule alone. */
  alone(index: number): Pick<RuleProgram, "program" | "rules" | "windows" | "scope">;
  /** The pass itself, for those who fill its registers themselves. */
  readonly program: Program;
  /** One result a rule, in the order of `rules`, into `hits`. Gives how many rules failed with an exception, which are unready. */
  ask(input: RuleInput, hits: Uint8Array): number;
  /** Operations of a pass. */
  readonly steps: number;
}

/** Stages that are asked. */
const ASKED = new Set<Rule["stage"]>(["shadow", "rollout", "live"]);

export function isAsked({ stage }: Rule): boolean {
  return ASKED.has(stage);
}

/** Rules read between two breaths: some tenths of a millisecond. */
const RULES_AT_ONCE = 2;

export interface CompileInput {
  readonly set: RuleSet;
  readonly hash: string;
  readonly scope: RuleScope;
  readonly lists: ListsOf;
  /** Called between pieces of the work, so that a server can answer meanwhile. */
  readonly breathe?: () => Promise<void>;
  /** Asks these rules whatever their stage; those that are asked anyhow when absent. */
  readonly only?: (rule: Rule) => boolean;
  /** A program of before, whose conditions are taken over where nothing about them changed. */
  readonly before?: RuleProgram | null;
}

/** Compiles the rules that are asked; one that cannot be is a fault, and the others go on without it. */
export async function compileRules(input: CompileInput): Promise<RuleProgram> {
  const { set, scope, lists, breathe = async () => {} } = input;
  const { only = isAsked } = input;
  const known = knownConditions(input);
  const rules: ProgramRule[] = [];
  const faults: RuleFault[] = [];
  const windows = new WindowSet();
  for (const [index, rule] of set.rules.filter(only).entries()) {
    if (index % RULES_AT_ONCE === RULES_AT_ONCE - 1) await breathe();
    try {
      const condition = known.get(rule.when) ?? readCondition(rule.when, scope, { lists });
      windows.add(condition.windows);
      const reaches = condition.windows.map(({ window }) => parseDuration(window));
      rules.push({ rule, condition, rank: rankOf(rule, condition), reachMs: Math.max(0, ...reaches) });
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
      faults.push({ id: rule.id, error });
    }
  }
  await breathe();
  const used = windows.sorted();
  const columns = new Map<string, ExpressionType>();
  for (const { condition } of rules) for (const [name, type] of condition.columns) columns.set(name, type);
  const trees = rules.map(({ condition }) => condition.tree);
  const builder = new ProgramBuilder(columns);
  for (const [index, tree] of trees.entries()) {
    if (index % RULES_AT_ONCE === RULES_AT_ONCE - 1) await breathe();
    builder.add(tree);
  }
  await breathe();
  const program = builder.done();
  const load = loader(program, { columns, scope, windows: used });
  const alone = new Map<number, { readonly program: Program; readonly load: (input: RuleInput) => void }>();
  const aloneAt = (at: number, tree: Node) => {
    let one = alone.get(at);
    if (one === undefined) {
      const single = compileProgram([tree], columns);
      one = { program: single, load: loader(single, { columns, scope, windows: used }) };
      alone.set(at, one);
    }
    return one;
  };
  return {
    set,
    hash: input.hash,
    scope,
    lists,
    rules,
    faults,
    windows: used,
    program,
    alone: (index) => {
      const { program: own } = aloneAt(index, trees[index]);
      return { program: own, rules: [rules[index]], windows: used, scope };
    },
    steps: program.steps,
    ask(given, hits) {
      load(given);
      const noModel = given.vector === null;
      const { numbers, results } = program;
      let failed = false;
      try {
        program.run();
      } catch {
        failed = true;
      }
      if (failed) return askAlone(given, hits);
      for (let i = 0; i < rules.length; i++) {
        const { condition, reachMs } = rules[i];
        if ((noModel && condition.needsModel) || reachMs > given.reachMs) hits[i] = UNREADY;
        else hits[i] = numbers[results[i]] === 1 ? FIRED : QUIET;
      }
      return 0;
    },
  };

  /** One rule after the other, so that one that fails takes no other with it. */
  function askAlone(given: RuleInput, hits: Uint8Array): number {
    let failures = 0;
    for (let i = 0; i < rules.length; i++) {
      const { condition, reachMs } = rules[i];
      const one = aloneAt(i, condition.tree);
      if ((given.vector === null && condition.needsModel) || reachMs > given.reachMs) {
        hits[i] = UNREADY;
        continue;
      }
      try {
        one.load(given);
        one.program.run();
        hits[i] = one.program.numbers[one.program.results[0]] === 1 ? FIRED : QUIET;
      } catch {
        hits[i] = UNREADY;
        failures++;
      }
    }
    return failures;
  }
}

/** Conditions of the program before that mean the same now: the scope is the very same, and so are the lists that they ask. */
function knownConditions({ before, scope, lists }: CompileInput): ReadonlyMap<string, Condition> {
  const known = new Map<string, Condition>();
  if (before === null || before === undefined || before.scope !== scope) return known;
  // A list's look-up is compiled into the condition: those that ask a list that changed are read again.
  for (const { rule, condition } of before.rules) {
    if (condition.lists.every((name) => before.lists(name) === lists(name))) known.set(rule.when, condition);
  }
  return known;
}

/** The windows of all rules, each once, within the limits of a spec. */
export class WindowSet {
  private readonly byName = new Map<string, RuleWindow>();
  private readonly keys = new Set<string>();

  /** Throws `features.limit` when these would be too many; then none of them counts. */
  add(windows: readonly RuleWindow[]): void {
    const names = new Set([...this.byName.keys(), ...windows.map(({ name }) => name)]);
    const keys = new Set([...this.keys, ...windows.map(({ key }) => JSON.stringify(key))]);
    if (names.size > FEATURES_MAX || keys.size > KEYS_MAX) {
      const what = names.size > FEATURES_MAX ? `${names.size} windows` : `windows over ${keys.size} different keys`;
      throw new SentinelError("features.limit", `the rules have ${what}`, {
        hint: `at most ${FEATURES_MAX} windows and ${KEYS_MAX} keys, since each key costs a table of state; turn rules off that nobody needs`,
      });
    }
    for (const window of windows) this.byName.set(window.name, window);
    for (const key of keys) this.keys.add(key);
  }

  sorted(): readonly RuleWindow[] {
    return [...this.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Fills a program's registers from a transaction. */
function loader(
  program: Program,
  on: {
    readonly columns: ReadonlyMap<string, ExpressionType>;
    readonly scope: RuleScope;
    readonly windows: readonly RuleWindow[];
  },
): (input: RuleInput) => void {
  const { numbers, texts } = program;
  const numberOf: Place<string>[] = [];
  const textOf: Place<string>[] = [];
  const featureOf: Place<number>[] = [];
  const windowOf: Place<number>[] = [];
  const timeAt: number[] = [];
  const scoreAt: number[] = [];
  const anomalyAt: number[] = [];
  for (const [to, resolved] of program.columns.entries()) {
    const { kind, name } = sourceOf(resolved);
    const type = on.columns.get(resolved)!;
    if (kind === "feature") featureOf.push({ to, from: on.scope.features.indexOf(name) });
    else if (kind === "window") windowOf.push({ to, from: on.windows.findIndex((one) => one.name === name) });
    else if (kind === "score") scoreAt.push(to);
    else if (kind === "anomaly") anomalyAt.push(to);
    else if (name === on.scope.time) timeAt.push(to);
    else (type === "text" ? textOf : numberOf).push({ to, from: name });
  }
  return ({ transaction, vector, windows, score, anomalyScore }) => {
    const { fields } = transaction;
    for (let i = 0; i < numberOf.length; i++) {
      const value = fields[numberOf[i].from];
      numbers[numberOf[i].to] =
        typeof value === "number" && Number.isFinite(value)
          ? value
          : value === true
            ? 1
            : value === false
              ? 0
              : Number.NaN;
    }
    for (let i = 0; i < textOf.length; i++) {
      const value = fields[textOf[i].from];
      texts[textOf[i].to] =
        typeof value === "string" ? value : value === null || value === undefined ? null : String(value);
    }
    for (let i = 0; i < timeAt.length; i++) numbers[timeAt[i]] = transaction.time;
    for (let i = 0; i < scoreAt.length; i++) numbers[scoreAt[i]] = score;
    for (let i = 0; i < anomalyAt.length; i++) numbers[anomalyAt[i]] = anomalyScore;
    for (let i = 0; i < featureOf.length; i++) {
      numbers[featureOf[i].to] = vector === null ? Number.NaN : vector[featureOf[i].from];
    }
    for (let i = 0; i < windowOf.length; i++) {
      numbers[windowOf[i].to] = windows === null ? Number.NaN : windows[windowOf[i].from];
    }
  };
}

interface Place<From> {
  readonly to: number;
  readonly from: From;
}
