// What people do with cases, as operations: each is one change under the case's version, made again where another was faster.
import { type ActionBy, act, type CaseAction, isFree } from "../../cases/action.ts";
import { type EntityColumns, entityOf } from "../../cases/entity.ts";
import { type JoinRules, joined, opened, sleeps } from "../../cases/join.ts";
import { pick } from "../../cases/queue.ts";
import { reviewOf } from "../../cases/worth.ts";
import type { Case } from "../../core/case.ts";
import { SentinelError } from "../../core/errors.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Joining } from "../../ports/cases.ts";
import type { Store } from "../../ports/store.ts";

/** What a pipeline says of cases. */
export interface DeskRules extends JoinRules {
  readonly columns: EntityColumns;
}

/** Whether the case is still what the caller looked at; throws when it is not. */
type CaseExpect = (one: Case) => void;

/** Changes that are tried where others change the same case, or take the same from the queue. */
const TRIES_MAX = 20;

export function deskRules({ cases, columns, decisions }: Pick<Pipeline, "cases" | "columns" | "decisions">): DeskRules {
  const entity = cases.entity ?? columns.card;
  return { cases, missedShare: decisions.missedShare, columns: { id: columns.id, entity } };
}

/** How alerts of a pipeline become cases; `messagesOf`: what receivers hear of one. */
export function joiningOf(rules: DeskRules, messagesOf: Joining["messagesOf"] = () => []): Joining {
  return {
    messagesOf,
    entityOf: (alert) => entityOf(alert, rules.columns),
    reviewOf,
    join(alert, open, asleep) {
      if (sleeps(alert, asleep)) return null;
      return open === null ? opened(alert, entityOf(alert, rules.columns), rules) : joined(open, alert, rules);
    },
  };
}

/**
 * Does one thing to one case. Errors: store.unknown, cases.claimed, cases.state, cases.four-eyes, request.invalid, what `expect` throws,
 * store.*.
 */
export function actOn(
  store: Store,
  given: Omit<ActionBy, "rules"> & {
    readonly id: number;
    readonly wanted: CaseAction;
    readonly rules: DeskRules;
    readonly expect?: CaseExpect;
  },
): Promise<Case> {
  const { id, wanted, rules, expect, actor, at, lead } = given;
  return retried(async () => {
    const before = await store.cases.find(id);
    if (before === null)
      throw new SentinelError("store.unknown", `there is no case ${id}`, { hint: "GET /api/cases lists them" });
    expect?.(before);
    const { after, text, closes } = act(before, wanted, { actor, at, lead, rules: rules.cases });
    const event = { at, by: actor, action: wanted.action, text };
    return store.cases.change({ before, after, event, labels: closes }, { actor, at });
  });
}

/** Claims the next case of the queue; null where none is free. `chance`: uniform in [0, 1). Errors: store.*. */
export function nextCase(
  store: Store,
  given: Pick<ActionBy, "actor" | "at"> & {
    /** By the pipeline's id. */
    readonly rules: ReadonlyMap<number, DeskRules>;
    readonly chance: number;
  },
): Promise<Case | null> {
  const { rules, actor, at, chance } = given;
  return retried(async () => {
    const free = (await store.cases.free({ pipelines: [...rules.keys()], actor, at })).filter((one) =>
      isFree(one, { actor, at }),
    );
    const picksOf = (one: Case): number => rules.get(one.pipeline)!.cases.explore.picks;
    const before = pick(free, { at, chance, picksOf });
    if (before === null) return null;
    const by = { actor, at, lead: false, rules: rules.get(before.pipeline)!.cases };
    const { after } = act(before, { action: "claim" }, by);
    const event = { at, by: actor, action: "claim", text: "next of the queue" };
    return store.cases.change({ before, after, event, labels: false }, { actor, at });
  });
}

/** Where somebody else was faster, what is wanted is judged again by what is there now. */
async function retried<T>(make: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await make();
    } catch (error) {
      const isRace = error instanceof SentinelError && error.code === "store.stale";
      if (!isRace || tries === TRIES_MAX) throw error;
    }
  }
}
