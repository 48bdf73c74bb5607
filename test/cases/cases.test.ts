// Cases without a store: whose alerts make one, what may be done with it when, and which is reviewed next.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ActionBy, act, type CaseAction, isFree } from "../../src/cases/action.ts";
import { boundedValue, entityOf } from "../../src/cases/entity.ts";
import { joined, opened, sleeps } from "../../src/cases/join.ts";
import { pick, worthOf } from "../../src/cases/queue.ts";
import { lossOf, reviewOf } from "../../src/cases/worth.ts";
import type { Case } from "../../src/core/case.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { aCase, alert, CASE_RULES, HOUR, NOW, RULES } from "./case.ts";

const by = (actor: string, more: Partial<ActionBy> = {}): ActionBy => ({
  actor,
  at: NOW,
  lead: false,
  rules: CASE_RULES,
  ...more,
});
const CLOSE: CaseAction = {
  action: "close",
  disposition: "fraud",
  reason: "card stolen",
  comment: "",
  transactions: [],
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error.code;
    throw error;
  }
  return "";
}

describe("whose case it is", () => {
  const columns = { id: "transaction_id", entity: "user_id" };

  test("the value of the entity's column, else the transaction, else the alert itself", () => {
    expect(entityOf(alert(1), columns)).toEqual({ column: "user_id", value: "u1" });
    expect(entityOf(alert(1, { transaction: { user_id: 7 } }), columns)).toEqual({ column: "user_id", value: "7" });
    expect(entityOf(alert(1, { transaction: { user_id: null } }), columns)).toEqual({
      column: "transaction_id",
      value: "t1",
    });
    expect(entityOf(alert(1), { ...columns, entity: null })).toEqual({ column: "transaction_id", value: "t1" });
    expect(entityOf(alert(1, { transactionId: null, transaction: {} }), columns)).toEqual({
      column: "alert",
      value: "1",
    });
  });

  test("long values that begin alike stay two", () => {
    const long = "x".repeat(5000);
    expect(boundedValue(`${long}a`)).not.toBe(boundedValue(`${long}b`));
    expect(boundedValue(`${long}a`).length).toBeLessThanOrEqual(200);
  });
});

describe("alerts", () => {
  test("the first opens, later ones join; severity rises, the due time comes forward and never goes back", () => {
    const first = opened(alert(1), { column: "user_id", value: "u1" }, RULES);
    expect(first).toMatchObject({ status: "new", alerts: 1, amount: 100, dueAt: NOW + 24 * HOUR, minutes: 5 });
    const second = joined(first, alert(2, { severity: "critical", alertedAt: NOW + HOUR, score: 0.9 }), RULES);
    expect(second).toMatchObject({
      alerts: 2,
      amount: 200,
      severity: "critical",
      dueAt: NOW + 5 * HOUR,
      scoreMax: 0.9,
    });
    expect(second.minutes).toBe(6);
    expect(second.loss).toBeCloseTo(0.05 * 100 + 0.9 * 100, 9);
    const third = joined(second, alert(3, { severity: "info", alertedAt: NOW + 2 * HOUR, amount: null }), RULES);
    expect(third).toMatchObject({ severity: "critical", dueAt: NOW + 5 * HOUR, amount: 200, alerts: 3 });
    const late = joined(aCase(1, { dueAt: NOW }), alert(2, { severity: "critical", alertedAt: NOW + HOUR }), RULES);
    expect(late.dueAt).toBe(NOW);
  });

  test("a more urgent one brings back a case that waits, not one that a second person is to confirm", () => {
    const waits = aCase(1, { status: "waiting", waitingUntil: NOW + HOUR, waitingReason: "bank calls back" });
    expect(joined(waits, alert(2), RULES)).toMatchObject({ status: "waiting", waitingUntil: NOW + HOUR });
    const critical = alert(2, { severity: "critical" });
    expect(joined(waits, critical, RULES)).toMatchObject({ status: "new", waitingUntil: null, waitingReason: "" });
    const proposed = act(aCase(1), CLOSE, by("ana", { rules: { ...CASE_RULES, fourEyes: true } })).after;
    expect(joined(proposed, critical, RULES).status).toBe("waiting");
  });

  test("why it is reviewed: a rule, the score, or a draw with its chance", () => {
    expect(reviewOf(alert(1))).toEqual({ why: "rule", propensity: 1 });
    expect(reviewOf(alert(1, { rules: [], reasons: [{ by: "model" }] }))).toEqual({ why: "score", propensity: 1 });
    const drawn = alert(1, { rules: [], reasons: [{ by: "exploration", propensity: 0.01 }], severity: "info" });
    expect(reviewOf(drawn)).toEqual({ why: "exploration", propensity: 0.01 });
    const one = opened(drawn, { column: "user_id", value: "u1" }, RULES);
    expect(one).toMatchObject({ why: "exploration", propensity: 0.01 });
    // What a rule flags afterwards is there whatever the draw had been.
    expect(joined(one, alert(2), RULES)).toMatchObject({ why: "rule", propensity: 1 });
  });

  test("one sleeps where all its rules do, and the model wanted no look", () => {
    const asleep = new Set(["large"]);
    expect(sleeps(alert(1), asleep)).toBe(true);
    expect(sleeps(alert(1), new Set(["other"]))).toBe(false);
    expect(sleeps(alert(1, { rules: [] }), asleep)).toBe(false);
    expect(sleeps(alert(1, { reasons: [{ by: "rule" }, { by: "model" }] }), asleep)).toBe(false);
    const two = [...alert(1).rules, { id: "fast", description: "", severity: "critical" as const }];
    expect(sleeps(alert(1, { rules: two }), asleep)).toBe(false);
  });

  test("what a review is worth: probability × amount, less where the money is safe already", () => {
    expect(lossOf(alert(1, { score: 0.5 }), RULES)).toBe(50);
    expect(lossOf(alert(1, { score: 0.5 }), { ...RULES, missedShare: 0.4 })).toBeCloseTo(20, 9);
    expect(lossOf(alert(1, { score: 0.5, decision: "block" }), RULES)).toBeCloseTo(10, 9);
    // The share of frauds among alerts of this severity, where the model knows of less.
    expect(lossOf(alert(1, { score: 0.001, severity: "critical" }), RULES)).toBeCloseTo(30, 9);
    expect(lossOf(alert(1, { amount: null, severity: "critical" }), RULES)).toBeCloseTo(0.3, 9);
    expect(lossOf(alert(1, { amount: -100, score: 1 }), RULES)).toBe(100);
  });
});

describe("what may be done", () => {
  test("a claim keeps others out until it ends; claiming again begins anew; an admin may take over", () => {
    const mine = act(aCase(1), { action: "claim" }, by("ana")).after;
    expect(mine).toMatchObject({ status: "working", assignee: "ana", claimedUntil: NOW + HOUR / 2 });
    for (const action of [{ action: "claim" }, { action: "release" }, CLOSE] as const)
      expect(codeOf(() => act(mine, action, by("bob")))).toBe("cases.claimed");
    const later = NOW + HOUR / 2;
    expect(act(mine, { action: "claim" }, by("bob", { at: later })).after.assignee).toBe("bob");
    expect(act(mine, { action: "claim" }, by("ana", { at: later - 1 })).after.claimedUntil).toBe(later - 1 + HOUR / 2);
    expect(act(mine, { action: "assign", to: "bob" }, by("lea", { lead: true })).after).toMatchObject({
      assignee: "bob",
      claimedUntil: null,
      status: "new",
    });
    expect(act(mine, { action: "release" }, by("ana")).after).toMatchObject({ assignee: null, status: "new" });
  });

  test("what is assigned waits for its person", () => {
    const kept = act(aCase(1), { action: "assign", to: "bob" }, by("ana")).after;
    expect(codeOf(() => act(kept, { action: "claim" }, by("ana")))).toBe("cases.claimed");
    expect(isFree(kept, { actor: "ana", at: NOW })).toBe(false);
    expect(isFree(kept, { actor: "bob", at: NOW })).toBe(true);
    expect(act(kept, { action: "claim" }, by("bob")).after.status).toBe("working");
    expect(act(kept, { action: "assign", to: null }, by("ana")).after.assignee).toBeNull();
  });

  test("a closed case takes nothing but a note until it is reopened, which renews its due time", () => {
    const closed = act(aCase(1), CLOSE, by("ana"));
    expect(closed).toMatchObject({ closes: true, after: { status: "closed", closings: 1, closing: { by: "ana" } } });
    for (const action of [{ action: "claim" }, { action: "release" }, CLOSE, { action: "assign", to: "x" }] as const)
      expect(codeOf(() => act(closed.after, action, by("ana")))).toBe("cases.state");
    const again = act(
      closed.after,
      { action: "reopen", reason: "the customer called" },
      by("bob", { at: NOW + 50 * HOUR }),
    );
    expect(again.after).toMatchObject({ status: "new", dueAt: NOW + 74 * HOUR, closings: 1, assignee: null });
    expect(act(again.after, CLOSE, by("bob")).after.closings).toBe(2);
    expect(codeOf(() => act(aCase(1), { action: "reopen", reason: "x" }, by("ana")))).toBe("cases.state");
  });

  test("four eyes: who proposed may not confirm, whatever their role; labels follow from the second person alone", () => {
    const rules = { ...CASE_RULES, fourEyes: true };
    const proposed = act(aCase(1), CLOSE, by("ana", { rules }));
    expect(proposed).toMatchObject({
      closes: false,
      after: { status: "waiting", closings: 0, proposed: { by: "ana" } },
    });
    expect(codeOf(() => act(proposed.after, { action: "confirm" }, by("ana", { rules, lead: true })))).toBe(
      "cases.four-eyes",
    );
    expect(codeOf(() => act(proposed.after, CLOSE, by("bob", { rules })))).toBe("cases.state");
    expect(isFree(proposed.after, { actor: "bob", at: NOW + 1e12 })).toBe(false);
    expect(act(proposed.after, { action: "confirm" }, by("bob", { rules }))).toMatchObject({
      closes: true,
      after: { status: "closed", proposed: null, closing: { by: "ana", confirmedBy: "bob" } },
    });
    expect(act(proposed.after, { action: "reopen", reason: "not sure" }, by("bob", { rules })).after).toMatchObject({
      status: "new",
      proposed: null,
      closing: null,
    });
    expect(codeOf(() => act(aCase(1), { action: "confirm" }, by("bob")))).toBe("cases.state");
  });

  test("a time that is past, or beyond a year, and texts that say nothing are refused", () => {
    for (const until of [NOW, NOW - 1, NOW + 400 * 24 * HOUR, Number.NaN])
      expect(codeOf(() => act(aCase(1), { action: "wait", until, reason: "x" }, by("ana")))).toBe("request.invalid");
    expect(codeOf(() => act(aCase(1), { action: "wait", until: NOW + 1, reason: "  " }, by("ana")))).toBe(
      "request.invalid",
    );
    expect(codeOf(() => act(aCase(1), { ...CLOSE, comment: "x".repeat(2001) }, by("ana")))).toBe("request.invalid");
  });

  test("whatever is done in whatever order: one analyst at a time, labels once per closing, nothing out of a closed case", () => {
    const actors = fc.constantFrom("ana", "bob", "lea");
    const actions: fc.Arbitrary<CaseAction> = fc.oneof(
      fc.constant<CaseAction>({ action: "claim" }),
      fc.constant<CaseAction>({ action: "release" }),
      fc.constant<CaseAction>({ action: "confirm" }),
      fc.constant<CaseAction>({ action: "reopen", reason: "again" }),
      fc.constant<CaseAction>(CLOSE),
      fc.record({ action: fc.constant("assign" as const), to: fc.option(actors) }),
      fc.record({
        action: fc.constant("wait" as const),
        until: fc.integer({ min: NOW, max: NOW + 1e8 }),
        reason: fc.constant("x"),
      }),
    );
    const steps = fc.array(fc.tuple(actors, actions, fc.integer({ min: 0, max: 3_000_000 })), { maxLength: 40 });
    fc.assert(
      fc.property(steps, fc.boolean(), (all, fourEyes) => {
        const rules = { ...CASE_RULES, fourEyes };
        let now: Case = aCase(1);
        let at = NOW;
        let closings = 0;
        for (const [actor, action, ms] of all) {
          at += ms;
          const before = now;
          try {
            const { after, closes } = act(before, action, by(actor, { at, rules }));
            if (closes) closings++;
            now = after;
          } catch (error) {
            if (!(error instanceof SentinelError)) throw error;
            continue;
          }
          const wasTheirs = (before.claimedUntil ?? 0) > at && before.assignee !== actor;
          // Only a second person's word, or taking a proposal back, reaches a case that another works.
          if (wasTheirs) expect(["confirm", "reopen"]).toContain(action.action);
          if (before.status === "closed") expect(action.action).toBe("reopen");
          if (fourEyes && now.status === "closed") expect(now.closing?.confirmedBy).not.toBe(now.closing?.by);
          expect(now.status === "working").toBe(now.claimedUntil !== null);
          expect(now.closings).toBe(closings);
        }
      }),
    );
  });
});

describe("the queue", () => {
  const picksOf = (): number => 0.25;

  test("most loss per minute first; what would be overdue if it waited any longer before it, while it still can be in time", () => {
    const cheap = aCase(1, { loss: 1 });
    const dear = aCase(2, { loss: 100, minutes: 10 });
    const slow = aCase(3, { loss: 150, minutes: 30 });
    expect(worthOf(dear)).toBeGreaterThan(worthOf(slow));
    expect(pick([cheap, dear, slow], { at: NOW, chance: 0.9, picksOf })?.id).toBe(2);
    const pressing = aCase(4, { loss: 1, dueAt: NOW + 15 * 60_000 });
    expect(pick([cheap, dear, pressing], { at: NOW, chance: 0.9, picksOf })?.id).toBe(4);
    const overdue = aCase(5, { loss: 1, dueAt: NOW });
    expect(pick([cheap, dear, overdue], { at: NOW, chance: 0.9, picksOf })?.id).toBe(2);
    expect(pick([], { at: NOW, chance: 0, picksOf })).toBeNull();
  });

  test("the share of the reviews goes to what was drawn, the oldest first", () => {
    const all = [
      aCase(1, { loss: 100 }),
      aCase(2, { why: "exploration", loss: 0, openedAt: NOW - 1 }),
      aCase(3, { why: "exploration", loss: 0, openedAt: NOW - 2 }),
    ];
    expect(pick(all, { at: NOW, chance: 0.24, picksOf })?.id).toBe(3);
    expect(pick(all, { at: NOW, chance: 0.25, picksOf })?.id).toBe(1);
    expect(pick(all.slice(0, 1), { at: NOW, chance: 0, picksOf })?.id).toBe(1);
  });

  test("the order of what is free does not matter", () => {
    const cases = fc.array(
      fc.record({
        loss: fc.integer({ min: 0, max: 5 }),
        due: fc.integer({ min: -3, max: 6 }),
        drawn: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(cases, fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer(), (all, chance, seed) => {
        const free = all.map(({ loss, due, drawn }, i) =>
          aCase(i + 1, { loss, dueAt: NOW + due * 600_000, why: drawn ? "exploration" : "rule" }),
        );
        const mixed = [...free].sort((a, b) => ((a.id * 7919 + seed) % 13) - ((b.id * 7919 + seed) % 13));
        expect(pick(mixed, { at: NOW, chance, picksOf })?.id).toBe(pick(free, { at: NOW, chance, picksOf })?.id);
      }),
    );
  });
});
