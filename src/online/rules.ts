// Rules that serve: the store is polled; a new rule set is compiled beside the traffic, its windows warmed, and swapped in by one assignment.
import type { Decision } from "../core/decision.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { RuleOutcome, RuleSet } from "../core/rule.ts";
import type { FeaturePlan } from "../features/plan.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import type { RuleStore, RulesHead } from "../ports/rules.ts";
import { EMPTY_LIST, ListIndex } from "../rules/lists.ts";
import { compileRules, type RuleProgram } from "../rules/program.ts";
import type { RuleScope } from "../rules/scope.ts";
import type { Counters, EngineLog } from "./counters.ts";
import { outcomeOf, type RuleQuestion, RuleRuntime } from "./rules/runtime.ts";
import { ruleScope } from "./rules/scope.ts";
import type { OnlineStates } from "./states.ts";

export { outcomeOf, type RuleQuestion, RuleRuntime, windowPlan } from "./rules/runtime.ts";
export { ruleScope } from "./rules/scope.ts";

/** The rule sets that serve for one model's features; immutable, so that an answer sees one of each. */
export interface LiveRules {
  readonly revision: number;
  readonly live: RuleRuntime | null;
  readonly candidate: RuleRuntime | null;
  /** Hash of the feature plan that the rules were compiled for; null: no model. */
  readonly planHash: string | null;
}

export interface RulesStatus {
  readonly revision: number;
  readonly live: string | null;
  readonly candidate: string | null;
  /** Rules that cannot be asked, with why. */
  readonly faults: readonly { readonly id: string; readonly message: string }[];
  /** Whether the windows of the live set can be read. */
  readonly windowsWarm: boolean;
  /** When the store was last read with success; null before the first. */
  readonly checkedAt: number | null;
  /** Why the last look failed: the last known rules serve. */
  readonly storeFault: string | null;
}

export interface RulesOptions {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly states: OnlineStates;
  readonly log: PredictionLog;
  readonly logger: EngineLog;
  readonly counters: Pick<Counters, "rulesSwapped" | "rulesFailed">;
}

/** Follows the rules of one pipeline. */
export class Rules {
  checkedAt: number | null = null;
  storeFault: string | null = null;
  private readonly options: RulesOptions;
  private schema: object;
  private stale = false;
  private head: RulesHead = { revision: 0, live: null, candidate: null };
  private current: LiveRules | null = null;
  private readonly scopes = new Map<string, RuleScope>();
  private readonly indexes = new Map<string, { readonly count: number; readonly index: ListIndex }>();
  /** Event time of the first transaction that a state which began empty has seen. */
  private since: number | null = null;
  private sinceRead = false;
  /** By layout: when somebody last looked whether training left a state for windows that began empty, by the steady clock. */
  private readonly lookedAt = new Map<string, number>();

  constructor(options: RulesOptions) {
    this.options = options;
    this.schema = options.schema;
  }

  /** What serves; null: there are no rules. */
  get serving(): LiveRules | null {
    return this.current;
  }

  /**
   * Looks at the store, and makes what it names ready for a model's features. Gives what may serve from now on; never throws: with a fault the
   * last known rules go on.
   */
  async follow(plan: FeaturePlan | null): Promise<LiveRules | null> {
    const { ports, logger, counters } = this.options;
    if (ports.rules === undefined) return null;
    try {
      const store = await ports.rules();
      const head = await store.head();
      this.checkedAt = ports.clock.now();
      if (this.storeFault !== null) logger.info({}, "the rules can be read again");
      this.storeFault = null;
      const planHash = plan?.hash ?? null;
      const known = this.current;
      if (head.revision === 0) return null;
      // A store that was put back from a copy may name another set by the same revision.
      const isSameHead = head.live === this.head.live && head.candidate === this.head.candidate;
      const isSame = known !== null && known.revision === head.revision && isSameHead && known.planHash === planHash;
      if (isSame && !this.stale) return known;
      const next = await this.make(store, head, plan);
      this.stale = false;
      this.head = head;
      this.current = next;
      counters.rulesSwapped();
      logger.info({ revision: head.revision, live: head.live, candidate: head.candidate }, "rules serve");
      for (const { id, error } of next.live?.program.faults ?? []) {
        counters.rulesFailed(error.code);
        logger.warn({ rule: id, error: error.message, hint: error.hint }, "a rule cannot be asked; it decides nothing");
      }
      return next;
    } catch (error) {
      if (this.storeFault === null)
        logger.warn({ error: messageOf(error) }, "the rules cannot be read; the last ones serve");
      this.storeFault = messageOf(error);
      counters.rulesFailed(error instanceof SentinelError ? error.code : "bug.unexpected");
      return this.current;
    }
  }

  /** The request's schema gained fields: rules may name them from the next look on. Rules that serve are not touched. */
  grow(schema: object): void {
    this.schema = schema;
    this.scopes.clear();
    // A set that could not be compiled whole before, since another process knew the fields first, is compiled again.
    if ((this.current?.live?.program.faults.length ?? 0) > 0) this.stale = true;
  }

  /** Makes the states ready that windows read; never throws. A champion's own state is used where it covers them. */
  async warm(covers: (runtime: RuleRuntime) => boolean): Promise<void> {
    const { states, logger } = this.options;
    const layouts = this.layouts();
    if (layouts.length > 0) await this.readSince();
    for (const layout of this.lookedAt.keys()) if (!layouts.includes(layout)) this.lookedAt.delete(layout);
    for (const runtime of this.runtimes()) {
      const { plan } = runtime;
      if (plan === null || covers(runtime)) continue;
      // A look at what training left opens a file: a server of a hundred quiet pipelines would do so a hundred times a second.
      const now = this.options.ports.clock.elapsed();
      const isMade = runtime.own !== null && states.get(plan) === runtime.own;
      if (isMade && now - (this.lookedAt.get(plan.layoutHash) ?? Number.NEGATIVE_INFINITY) < COLD_LOOK_MS) continue;
      this.lookedAt.set(plan.layoutHash, now);
      try {
        runtime.own = await states.warm(plan);
      } catch (error) {
        logger.warn(
          { error: messageOf(error) },
          "the windows of the rules cannot be made ready; their rules decide nothing",
        );
      }
    }
  }

  /** Layouts that the rules read, for the states to keep. */
  layouts(): string[] {
    return this.runtimes().flatMap(({ plan }) => (plan === null ? [] : [plan.layoutHash]));
  }

  /** Judges a transaction by the rules that `serving` names; null where no live set is there. */
  judge(
    serving: LiveRules,
    question: RuleQuestion,
  ): { readonly decision: Decision; readonly outcome: RuleOutcome } | null {
    if (serving.live === null) return null;
    const { transaction } = question;
    this.since ??= transaction.time;
    const live = serving.live.judge(question, this.since);
    if (live.failed > 0) this.options.counters.rulesFailed("bug.unexpected");
    const candidate = serving.candidate?.judge(question, this.since) ?? null;
    return {
      decision: live.lanes.decision,
      outcome: outcomeOf(live, question.without.decision, candidate?.lanes ?? null),
    };
  }

  /** Since the store was last read with success; null before the first time. */
  ageMs(now: number): number | null {
    return this.checkedAt === null ? null : Math.max(0, now - this.checkedAt);
  }

  status(): RulesStatus {
    const { live } = this.current ?? { live: null };
    const faults = live?.program.faults ?? [];
    return {
      revision: this.head.revision,
      live: this.head.live,
      candidate: this.head.candidate,
      faults: faults.map(({ id, error }) => ({ id, message: error.message })),
      windowsWarm: live === null || live.plan === null || live.own !== null,
      checkedAt: this.checkedAt,
      storeFault: this.storeFault,
    };
  }

  private runtimes(): readonly RuleRuntime[] {
    return [this.current?.live ?? null, this.current?.candidate ?? null].filter((one) => one !== null);
  }

  private async make(store: RuleStore, head: RulesHead, plan: FeaturePlan | null): Promise<LiveRules> {
    const before = this.current;
    const one = async (hash: string | null, known: RuleRuntime | null): Promise<RuleRuntime | null> => {
      if (hash === null) return null;
      const planHash = plan?.hash ?? null;
      if (known?.program.hash === hash && before?.planHash === planHash && !this.stale) return known;
      const runtime = new RuleRuntime(await this.compile(store, hash, { plan, before: known?.program ?? null }));
      // The same windows are read from the same state, so that a changed threshold waits for nothing.
      const layout = runtime.plan?.layoutHash;
      const old = this.runtimes().find((one) => one.plan?.layoutHash === layout);
      if (layout !== undefined && old !== undefined) runtime.own = old.own;
      return runtime;
    };
    return {
      revision: head.revision,
      live: await one(head.live, before?.live ?? null),
      candidate: await one(head.candidate, before?.candidate ?? null),
      planHash: plan?.hash ?? null,
    };
  }

  private async compile(
    store: RuleStore,
    hash: string,
    on: { readonly plan: FeaturePlan | null; readonly before: RuleProgram | null },
  ): Promise<RuleProgram> {
    const set = await store.set(hash);
    const lists = await this.lists(store, set);
    const scope = this.scopeOf(set, on.plan);
    return compileRules({
      set,
      hash,
      scope,
      lists: (name) => lists.get(name) ?? EMPTY_LIST,
      breathe,
      before: on.before,
    });
  }

  /** One object per model and areas, so that conditions can be taken over from set to set. */
  private scopeOf(set: RuleSet, plan: FeaturePlan | null): RuleScope {
    const { schema } = this;
    const { pipeline } = this.options;
    const key = `${plan?.hash ?? ""} ${JSON.stringify(set.areas)}`;
    let scope = this.scopes.get(key);
    if (scope === undefined) {
      scope = ruleScope({ pipeline, schema, plan, areas: set.areas, lists: null });
      if (this.scopes.size > SCOPES_MAX) this.scopes.clear();
      this.scopes.set(key, scope);
    }
    return scope;
  }

  private async lists(store: RuleStore, set: RuleSet): Promise<ReadonlyMap<string, ListIndex>> {
    const lists = new Map<string, ListIndex>();
    for (const [name, count] of Object.entries(set.lists)) {
      let known = this.indexes.get(name);
      if (known?.count !== count) {
        known = { count, index: new ListIndex((await store.list(name)).slice(0, count)) };
        this.indexes.set(name, known);
        await breathe();
      }
      lists.set(name, known.index);
    }
    return lists;
  }

  private async readSince(): Promise<void> {
    if (this.sinceRead) return;
    this.sinceRead = true;
    try {
      this.since = (await firstTime(this.options.log)) ?? this.since;
    } catch (error) {
      this.options.logger.warn(
        { error: messageOf(error) },
        "the log's beginning cannot be read: windows count from now on",
      );
    }
  }
}

const SCOPES_MAX = 20;
/** Windows that began empty are filled from what training left within this time. */
const COLD_LOOK_MS = 5000;

/** Event time of the log's first transaction; null: it has none. */
export async function firstTime(log: PredictionLog): Promise<number | null> {
  for await (const { kind, record } of log.arrivals(0)) if (kind === "prediction") return record.time;
  return null;
}

/** Lets requests in between. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
