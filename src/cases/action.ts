// The state machine of a case: what somebody may do with it now, and what it is afterwards; nothing here knows a store.
import { CASE_TEXT_MAX, type CaseFields, type Closing, type Disposition } from "../core/case.ts";
import { SentinelError } from "../core/errors.ts";
import type { CaseRules } from "../pipeline/cases.ts";
import { dueAt } from "./join.ts";

/** What somebody wants to do. */
export type CaseAction =
  | { readonly action: "claim" }
  | { readonly action: "release" }
  /** null: it is nobody's. */
  | { readonly action: "assign"; readonly to: string | null }
  | { readonly action: "wait"; readonly until: number; readonly reason: string }
  | {
      readonly action: "close";
      readonly disposition: Disposition;
      readonly reason: string;
      readonly comment: string;
      readonly transactions: readonly string[];
    }
  | { readonly action: "confirm" }
  | { readonly action: "reopen"; readonly reason: string };

/** Who does it, when, and what the pipeline says of cases. `lead`: may take a case out of another's hands. */
export interface ActionBy {
  readonly actor: string;
  readonly at: number;
  readonly lead: boolean;
  readonly rules: CaseRules;
}

/** A case afterwards, and what its history says of it. */
export interface Acted<C> {
  readonly after: C;
  readonly text: string;
  /** Whether labels follow from it. */
  readonly closes: boolean;
}

/** How far a case may wait. */
const WAIT_MS_MAX = 365 * 86_400_000;

/** Errors: cases.claimed, cases.state, cases.four-eyes, request.invalid. */
export function act<C extends CaseFields>(before: C, wanted: CaseAction, by: ActionBy): Acted<C> {
  switch (wanted.action) {
    case "claim":
      return claim(before, by);
    case "release":
      return release(before, by);
    case "assign":
      return assign(before, wanted.to, by);
    case "wait":
      return wait(before, wanted, by);
    case "close":
      return close(before, wanted, by);
    case "confirm":
      return confirm(before, by);
    case "reopen":
      return reopen(before, wanted.reason, by);
  }
}

/** Whether somebody may take it from the queue: nobody has it, it waits for nothing, and it is not kept for somebody else. */
export function isFree(one: CaseFields, { actor, at }: Pick<ActionBy, "actor" | "at">): boolean {
  if (one.status === "closed" || one.proposed !== null) return false;
  if (one.status === "waiting" && (one.waitingUntil ?? 0) > at) return false;
  if (one.claimedUntil !== null) return one.claimedUntil <= at;
  return one.assignee === null || one.assignee === actor;
}

function claim<C extends CaseFields>(before: C, by: ActionBy): Acted<C> {
  const { actor, at, rules } = by;
  checkOpen(before, "claimed");
  checkMine(before, by);
  const isKept = before.claimedUntil === null && before.assignee !== null && before.assignee !== actor;
  if (isKept && !by.lead) {
    throw new SentinelError("cases.claimed", `the case is assigned to ${before.assignee}`, {
      hint: "take another one, or assign this one to yourself first",
    });
  }
  const claimedUntil = at + rules.claimMs;
  return {
    after: { ...before, status: "working", assignee: actor, claimedUntil, waitingUntil: null, waitingReason: "" },
    text: "",
    closes: false,
  };
}

function release<C extends CaseFields>(before: C, by: ActionBy): Acted<C> {
  checkOpen(before, "released");
  if (before.assignee === null) {
    throw new SentinelError("cases.state", "nobody has the case", { hint: "there is nothing to release" });
  }
  if (before.assignee !== by.actor && !by.lead) throw claimedBy(before);
  return {
    after: {
      ...before,
      status: before.status === "working" ? "new" : before.status,
      assignee: null,
      claimedUntil: null,
    },
    text: "",
    closes: false,
  };
}

function assign<C extends CaseFields>(before: C, to: string | null, by: ActionBy): Acted<C> {
  checkOpen(before, "assigned");
  checkMine(before, by);
  if (to !== null) checkText("to", to, 1);
  return {
    after: {
      ...before,
      status: before.status === "working" ? "new" : before.status,
      assignee: to,
      claimedUntil: null,
    },
    text: to === null ? "to nobody" : `to ${to}`,
    closes: false,
  };
}

function wait<C extends CaseFields>(
  before: C,
  { until, reason }: { readonly until: number; readonly reason: string },
  by: ActionBy,
): Acted<C> {
  checkOpen(before, "put off");
  checkMine(before, by);
  checkText("reason", reason, 1);
  if (!(until > by.at) || until > by.at + WAIT_MS_MAX) {
    throw new SentinelError("request.invalid", `a case cannot wait until ${isoOf(until)}`, {
      hint: "name a time from now on, a year ahead at most",
    });
  }
  return {
    after: {
      ...before,
      status: "waiting",
      assignee: before.assignee ?? by.actor,
      claimedUntil: null,
      waitingUntil: until,
      waitingReason: reason,
    },
    text: `until ${isoOf(until)}: ${reason}`,
    closes: false,
  };
}

function close<C extends CaseFields>(
  before: C,
  wanted: Extract<CaseAction, { readonly action: "close" }>,
  by: ActionBy,
): Acted<C> {
  const { disposition, reason, comment, transactions } = wanted;
  checkOpen(before, "closed");
  checkMine(before, by);
  checkText("reason", reason, 1);
  checkText("comment", comment, 0);
  const closing: Closing = {
    disposition,
    reason,
    comment,
    transactions: [...new Set(transactions)],
    by: by.actor,
    at: by.at,
    confirmedBy: null,
  };
  const text = `${disposition}: ${reason}${comment === "" ? "" : ` (${comment})`}`;
  if (!by.rules.fourEyes) return { after: ended(before, closing), text, closes: true };
  return {
    after: {
      ...before,
      status: "waiting",
      proposed: closing,
      claimedUntil: null,
      waitingUntil: null,
      waitingReason: "a second person confirms",
    },
    text: `proposed ${text}`,
    closes: false,
  };
}

function confirm<C extends CaseFields>(before: C, by: ActionBy): Acted<C> {
  const { proposed } = before;
  if (proposed === null) {
    throw new SentinelError("cases.state", "nothing awaits a second person here", {
      hint: before.status === "closed" ? "the case is closed already" : "close the case first; another person confirms",
    });
  }
  // Whoever proposed it may not confirm it, whatever their role.
  if (proposed.by === by.actor) {
    throw new SentinelError("cases.four-eyes", `${by.actor} proposed how this case ends`, {
      hint: "another person confirms it; each needs a key of their own",
    });
  }
  return {
    after: ended(before, { ...proposed, confirmedBy: by.actor }),
    text: `${proposed.disposition}, proposed by ${proposed.by}`,
    closes: true,
  };
}

function reopen<C extends CaseFields>(before: C, reason: string, by: ActionBy): Acted<C> {
  checkText("reason", reason, 1);
  if (before.status !== "closed" && before.proposed === null) {
    throw new SentinelError("cases.state", "the case is open", { hint: "there is nothing to reopen" });
  }
  const again =
    before.status === "closed" ? { dueAt: dueAt(by.at, before.severity, { cases: by.rules }), assignee: null } : {};
  return {
    after: {
      ...before,
      ...again,
      status: "new",
      proposed: null,
      claimedUntil: null,
      waitingUntil: null,
      waitingReason: "",
    },
    text: reason,
    closes: false,
  };
}

function ended<C extends CaseFields>(before: C, closing: Closing): C {
  return {
    ...before,
    status: "closed",
    proposed: null,
    closing,
    closings: before.closings + 1,
    claimedUntil: null,
    waitingUntil: null,
    waitingReason: "",
  };
}

/** A closed case, or one that awaits a second person, takes nothing else. */
function checkOpen({ status, proposed }: CaseFields, what: string): void {
  if (status === "closed") {
    throw new SentinelError("cases.state", `a closed case cannot be ${what}`, {
      hint: "reopen it first, with a reason",
    });
  }
  if (proposed === null) return;
  throw new SentinelError("cases.state", `the case awaits a second person and cannot be ${what}`, {
    hint: "another person confirms it; reopening it takes the proposal back",
  });
}

/** Somebody else's claim keeps all others out until it ends. */
function checkMine(before: CaseFields, { actor, at, lead }: ActionBy): void {
  const isTheirs = before.claimedUntil !== null && before.claimedUntil > at && before.assignee !== actor;
  if (isTheirs && !lead) throw claimedBy(before);
}

function claimedBy({ assignee, claimedUntil }: CaseFields): SentinelError {
  const until = claimedUntil === null ? "" : ` until ${isoOf(claimedUntil)}`;
  return new SentinelError("cases.claimed", `${assignee} has the case${until}`, {
    hint: "take another one, or wait until it is released",
  });
}

function checkText(name: string, text: string, min: number): void {
  if (text.trim().length >= min && text.length <= CASE_TEXT_MAX) return;
  throw new SentinelError("request.invalid", `${name} has ${text.length} characters`, {
    hint: `write ${min} to ${CASE_TEXT_MAX} characters`,
  });
}

const isoOf = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
