// What serves now: the aliases are polled; a new bundle is loaded, proven and warmed, then swapped in by one assignment.

import { isCandidate } from "../core/alias.ts";
import type { BundleFiles } from "../core/bundle.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { hasModel } from "../pipeline/source.ts";
import type { Ports } from "../ports/ports.ts";
import type { Counters, EngineLog } from "./counters.ts";
import { createGuard, type Guard } from "./guard.ts";
import type { LiveRules, Rules } from "./rules.ts";
import { loadScorer, type Scorer } from "./score.ts";
import { SHADOWS_MAX, type Shadowed, type Shadows } from "./shadow.ts";
import type { OnlineStates, WarmState } from "./states.ts";

/** The champion as it serves. */
export interface Served {
  readonly scorer: Scorer;
  readonly held: WarmState;
  readonly guard: Guard;
  /** When it was swapped in. */
  readonly since: number;
}

/** Immutable; a request takes one and is answered by it alone. */
export interface LiveSet {
  readonly champion: Served | null;
  readonly shadows: readonly Shadowed[];
  /** The rules that serve; absent: there are none. */
  readonly rules?: LiveRules;
  /** True where the pipeline has no model: rules alone decide, and there is never a champion. */
  readonly modelless?: true;
  /** True where a pipeline without a model lets everything through before it has its first rule. */
  readonly unruled?: true;
  /** Somebody paused or stopped the pipeline: nothing is answered. */
  readonly paused?: PausedStatus;
  /** Why there is no champion, where there should be one. */
  readonly fault?: ChampionFault;
}

/** What somebody may set a pipeline to, besides active. */
export type PausedStatus = "paused" | "stopped";

/** The champion cannot be loaded or warmed (its version is named), or nobody can tell which it is (null). */
export interface ChampionFault {
  readonly version: string | null;
  readonly message: string;
}

/** A version that could not be loaded. */
export interface Broken {
  readonly version: string;
  readonly code: string;
  readonly message: string;
  readonly at: number;
}

export interface LiveOptions {
  readonly ports: Ports;
  readonly model: string;
  readonly states: OnlineStates;
  readonly shadows: Shadows;
  readonly pollMs: number;
  readonly logger: EngineLog;
  readonly counters: Pick<Counters, "swapped" | "versionBroken">;
  /** How a bundle becomes a scorer; tests put a failing one here. */
  readonly load?: typeof loadScorer;
  /** Throws when a bundle cannot serve this pipeline, or requests cannot feed it. */
  readonly check?: (scorer: Scorer) => void;
  /** The rules beside the model; absent: there are none. */
  readonly rules?: Rules;
  /** Whether a pipeline without a model answers before it has its first rule. */
  readonly unruled?: boolean;
  /** What else is to be read of a bundle before it is the champion; never throws. */
  readonly prepare?: (scorer: Scorer) => Promise<void>;
}

interface Loaded {
  readonly scorer: Scorer;
  readonly files: BundleFiles;
  readonly guard: Guard;
}

/** A version whose fault may pass, or whose state is cold, is tried again after so long. */
const RETRY_MS = 30_000;
/** A state whose bundle is gone goes on learning for so long: a request may still hold it, and a rollback may want it. */
const STATE_KEPT_MS = 600_000;

/** Follows the aliases of one model. */
export class Live {
  current: LiveSet = { champion: null, shadows: [] };
  /** True once the server is stopping: it answers what is in flight, and is not ready for more. */
  draining = false;
  /** What the aliases said last. */
  aliases: Readonly<Record<string, string>> = {};
  /** When they were last looked up with success. */
  checkedAt: number | null = null;
  /** Why the last look-up failed; null when it did not. */
  registryFault: string | null = null;
  /** What would serve were the pipeline not paused: what is followed goes on meanwhile. */
  private made: LiveSet = { champion: null, shadows: [] };
  private paused: PausedStatus | null = null;
  private readonly options: LiveOptions;
  private readonly loaded = new Map<string, Loaded>();
  private readonly broken = new Map<string, Broken & { readonly retryAt: number }>();
  private readonly unusedSince = new Map<string, number>();
  private coldRetryAt = 0;
  private polling: Promise<void> | null = null;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(options: LiveOptions) {
    this.options = options;
    if (hasModel(options)) return;
    this.show({ champion: null, shadows: [], modelless: true, ...(options.unruled ? { unruled: true } : {}) });
  }

  /** Answers nothing from now on; null: answers again. What is in flight is answered. */
  pause(status: PausedStatus | null): void {
    this.paused = status;
    this.show(this.made);
  }

  /** What was set by {@link pause}. */
  get status(): PausedStatus | "active" {
    return this.paused ?? "active";
  }

  /** Looks the aliases up now; concurrent calls share one look-up. Never throws: what is wrong is kept and told. */
  poll(): Promise<void> {
    this.polling ??= this.follow()
      .catch((error) => {
        this.options.logger.error({ error: messageOf(error) }, "a look-up of the aliases failed; the next one follows");
      })
      .finally(() => {
        this.polling = null;
      });
    return this.polling;
  }

  /** Polls, and tries broken versions again. */
  async reload(): Promise<void> {
    await this.polling;
    this.broken.clear();
    await this.poll();
  }

  /** Polls from now on, one poll after the other. */
  start(): void {
    const again = (): void => {
      if (this.stopped) return;
      this.timer = setTimeout(() => void this.poll().finally(again), this.options.pollMs).unref();
    };
    again();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.polling;
  }

  ageMs(now: number): number | null {
    return this.checkedAt === null ? null : Math.max(0, now - this.checkedAt);
  }

  faults(): readonly Broken[] {
    return [...this.broken.values()].map(({ retryAt: _, ...broken }) => broken);
  }

  private async follow(): Promise<void> {
    const { ports, model, logger } = this.options;
    if (this.made.modelless) {
      await this.followRules();
      this.checkedAt = ports.clock.now();
      return;
    }
    try {
      const registry = await ports.registry();
      const aliases = await registry.aliases(model);
      if (aliases.champion === undefined && this.made.champion !== null) {
        throw new Error(`the registry ${registry.where} names no champion of ${model} any more`);
      }
      this.aliases = aliases;
      this.checkedAt = ports.clock.now();
      if (this.registryFault !== null) logger.info({}, "the registry is back");
      this.registryFault = null;
    } catch (error) {
      // The last known good goes on serving.
      if (this.registryFault === null) logger.warn({ error: messageOf(error) }, "the registry cannot be read");
      this.registryFault = messageOf(error);
      this.tellFault({ version: null, message: this.registryFault });
      return;
    }
    const { champion } = this.aliases;
    if (champion !== undefined) {
      await this.followChampion(champion);
      const fault = this.broken.get(champion);
      if (fault !== undefined) this.tellFault({ version: champion, message: fault.message });
    }
    await this.followRules();
    await this.followShadows();
    this.forget();
  }

  /** Rules are compiled for the champion's features and swapped in as a whole; their windows are warmed afterwards. */
  private async followRules(): Promise<void> {
    const { rules } = this.options;
    if (rules === undefined) return;
    const plan = this.made.champion?.scorer.plan ?? null;
    const serving = await rules.follow(plan);
    if (serving === null) return;
    if (serving !== this.made.rules) this.show({ ...this.made, rules: serving });
    const held = this.made.champion?.held ?? null;
    await rules.warm((runtime) => held !== null && runtime.coveredBy(held));
  }

  /** While the last good champion serves there is nothing to tell. */
  private tellFault(fault: ChampionFault): void {
    if (this.made.champion === null) this.show({ ...this.made, fault });
  }

  private async followChampion(version: string): Promise<void> {
    const next = await this.load(version);
    if (next === null) return;
    const { states, logger } = this.options;
    const now = this.made.champion;
    if (now?.scorer === next.scorer && now.held === states.get(next.scorer.plan)) return;
    const held = await this.warm(next.scorer);
    if (held === null) return;
    const { scorer, guard } = next;
    if (now?.scorer !== scorer) await this.options.prepare?.(scorer);
    const rules = (await this.options.rules?.follow(scorer.plan)) ?? this.made.rules;
    const since = this.options.ports.clock.now();
    const shadows = this.made.shadows.filter((shadow) => shadow.scorer !== scorer);
    this.show({ champion: { scorer, guard, held, since }, shadows, ...(rules === undefined ? {} : { rules }) });
    this.options.counters.swapped();
    logger.info({ version, bundle: scorer.bundle, warm: held.warm, caughtUp: held.caughtUp }, "champion serves");
  }

  private async followShadows(): Promise<void> {
    const bundles: Loaded[] = [];
    for (const version of this.shadowVersions()) {
      const loaded = await this.load(version);
      if (loaded !== null) bundles.push(loaded);
    }
    const shown = new Set(this.made.shadows.map(({ scorer }) => scorer));
    const same = bundles.length === shown.size && bundles.every(({ scorer }) => shown.has(scorer));
    const cold = this.made.shadows.some(({ held }) => held === null);
    const now = this.options.ports.clock.now();
    if (same && !(cold && now >= this.coldRetryAt)) return;
    this.coldRetryAt = now + RETRY_MS;
    // First what is there, so that transactions of a state that is being warmed are counted as missed.
    await this.showShadows(bundles);
    for (const { scorer } of bundles) await this.warm(scorer);
    await this.showShadows(bundles);
  }

  private show(set: LiveSet): void {
    this.made = set;
    this.current = this.paused === null ? set : { champion: null, shadows: [], paused: this.paused };
  }

  /** Isolations and live set change in one tick. */
  private async showShadows(bundles: readonly Loaded[]): Promise<void> {
    const ended = this.options.shadows.set(bundles);
    this.show({ ...this.made, shadows: bundles.map(({ scorer }) => ({ scorer, held: this.heldFor(scorer) })) });
    await ended;
  }

  /** A cold state serves a candidate only where it is the champion's own: then both see the same vector. */
  private heldFor(scorer: Scorer): WarmState | null {
    const held = this.options.states.get(scorer.plan);
    return held !== null && (held.warm || held === this.made.champion?.held) ? held : null;
  }

  /** Every alias that starts with "candidate", and the champion before this one, so that a rollback has evidence. */
  private shadowVersions(): string[] {
    const versions = Object.keys(this.aliases)
      .filter((alias) => isCandidate(alias) || alias === "previous")
      .sort()
      .map((alias) => this.aliases[alias]);
    const champion = this.made.champion?.scorer.version;
    return [...new Set(versions)].filter((version) => version !== champion).slice(0, SHADOWS_MAX);
  }

  private async load(version: string): Promise<Loaded | null> {
    const known = this.loaded.get(version);
    if (known !== undefined) return known;
    const { ports, model, logger, load = loadScorer } = this.options;
    if ((this.broken.get(version)?.retryAt ?? 0) > ports.clock.now()) return null;
    try {
      const files = await (await ports.registry()).load(model, version);
      const scorer = load(files, { model, version });
      this.options.check?.(scorer);
      const guard = createGuard((error) => logger.error({ version, error: messageOf(error) }, "scoring failed"));
      const loaded = { scorer, files, guard };
      this.loaded.set(version, loaded);
      this.broken.delete(version);
      return loaded;
    } catch (error) {
      this.fail(version, error);
      return null;
    }
  }

  private async warm(scorer: Scorer): Promise<WarmState | null> {
    const { states, ports } = this.options;
    const { version } = scorer;
    if ((this.broken.get(version)?.retryAt ?? 0) > ports.clock.now()) return null;
    try {
      return await states.warm(scorer.plan);
    } catch (error) {
      this.fail(version, error);
      return null;
    }
  }

  private fail(version: string, error: unknown): void {
    const { ports, logger, counters } = this.options;
    const code = error instanceof SentinelError ? error.code : "bug.unexpected";
    const retryable = error instanceof SentinelError && error.kind.retryable;
    const at = ports.clock.now();
    // A version that somebody else registered is servable from the moment that `sentinel import` gives it its bundle.
    const awaitsBundle = code === "registry.no-bundle";
    const isKnown = this.broken.get(version)?.code === code;
    const retryAt = awaitsBundle ? at : retryable ? at + RETRY_MS : Number.POSITIVE_INFINITY;
    this.broken.set(version, { version, code, message: messageOf(error), at, retryAt });
    if (awaitsBundle && isKnown) return;
    counters.versionBroken(code);
    logger.error({ version, code, error: messageOf(error) }, "a version cannot be served; the last good one stays");
  }

  /** Releases bundles that no alias names, and after a while of their states. */
  private forget(): void {
    const { states, ports } = this.options;
    const { champion, shadows } = this.made;
    const used = [...(champion === null ? [] : [champion.scorer]), ...shadows.map(({ scorer }) => scorer)];
    const named = new Set(Object.values(this.aliases));
    for (const [version, { scorer }] of this.loaded) {
      if (!used.includes(scorer) && !named.has(version)) this.loaded.delete(version);
    }
    for (const version of this.broken.keys()) if (!named.has(version)) this.broken.delete(version);
    const layouts = new Set(used.map(({ plan }) => plan.layoutHash));
    for (const layout of this.options.rules?.layouts() ?? []) layouts.add(layout);
    const now = ports.clock.now();
    for (const { layout } of states.all()) {
      if (layouts.has(layout)) this.unusedSince.delete(layout);
      else if (!this.unusedSince.has(layout)) this.unusedSince.set(layout, now);
      if (now - (this.unusedSince.get(layout) ?? now) < STATE_KEPT_MS) layouts.add(layout);
    }
    states.retain(layouts);
  }
}
