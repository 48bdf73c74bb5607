// The contract of cases in a store: one suite for every driver.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { act, type CaseAction } from "../../src/cases/action.ts";
import type { Case } from "../../src/core/case.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { actOn, type DeskRules, joiningOf, nextCase } from "../../src/lifecycle/desk/act.ts";
import { CASES_SEEN_MAX, JOINED_MAX, LABELS_TAKEN_MAX } from "../../src/ports/cases.ts";
import type { NewAlert, Store } from "../../src/ports/store.ts";
import { CASE_RULES, HOUR } from "../cases/case.ts";
import type { OpenStore } from "../drivers/store/of-default.ts";
import { BY, fields, NOW, newAlert, type StorePlace } from "./store.ts";

const RULES: DeskRules = { cases: CASE_RULES, missedShare: 1, columns: { id: "transaction_id", entity: "user_id" } };
const JOINING = joiningOf(RULES);
const CLOSE: Extract<CaseAction, { readonly action: "close" }> = {
  action: "close",
  disposition: "fraud",
  reason: "stolen",
  comment: "\u0000 é",
  transactions: [],
};

export function casesContract(driver: string, makePlace: () => Promise<StorePlace>): void {
  describe(`cases on ${driver}`, () => {
    let place: StorePlace;
    let store: OpenStore;
    let other: OpenStore;
    let made = 0;
    beforeAll(async () => {
      place = await makePlace();
      store = await place.open();
      other = await place.open();
    });
    afterAll(async () => {
      await store?.close();
      await other?.close();
      await place?.dispose();
    });
    const aPipeline = async (): Promise<number> => (await store.pipelines.create(fields(`c${++made}`), BY)).id;
    const alertOf = (pipeline: number, id: string, user: string, more: Partial<NewAlert> = {}): NewAlert =>
      newAlert(pipeline, id, { score: 0.5, transaction: { transaction_id: id, user_id: user }, amount: 100, ...more });
    const take = (pipeline: number, at = NOW) => store.cases.take(pipeline, JOINING, at);
    const openOf = async (pipeline: number): Promise<readonly Case[]> =>
      (await store.cases.page({ pipelines: [pipeline], status: "open" }, { limit: 100 })).items;
    const did = (id: number, wanted: CaseAction, more: Partial<Parameters<typeof actOn>[1]> = {}) =>
      actOn(store, { id, wanted, actor: "ana", at: NOW, lead: false, rules: RULES, ...more });
    const codeOf = (promise: Promise<unknown>): Promise<string> =>
      promise.then(
        () => "",
        (error: unknown) => (error instanceof SentinelError ? error.code : Promise.reject(error)),
      );

    test("one open case per entity and pipeline, each alert once, whoever takes them at the same time", async () => {
      const [one, two] = [await aPipeline(), await aPipeline()];
      const users = ["u1", "u2", "u1", "\ud800", "u1"];
      await store.alerts.append(users.map((user, i) => alertOf(one, `a${i}`, user)));
      await store.alerts.append([alertOf(two, "a0", "u1")]);
      const counts = await Promise.all([take(one), other.cases.take(one, JOINING, NOW), take(one), take(two)]);
      expect([counts[0] + counts[1] + counts[2], counts[3]]).toEqual([5, 1]);
      const cases = await openOf(one);
      expect(cases.map(({ entity, alerts }) => [entity.value, alerts])).toEqual([
        // As the transaction of an alert shows what no database keeps.
        ["\\ud800", 1],
        ["u2", 1],
        ["u1", 3],
      ]);
      expect(cases[2]).toMatchObject({
        amount: 300,
        loss: 3 * (0.5 * 100 * 0.2),
        minutes: 7,
        version: 1,
        openedAt: NOW,
      });
      expect((await store.cases.alertsOf(cases[2].id, 10)).map(({ transactionId }) => transactionId)).toEqual([
        "a4",
        "a2",
        "a0",
      ]);
      await store.alerts.append([alertOf(one, "a9", "u1")]);
      expect(await take(one)).toBe(1);
      expect(await store.cases.find(cases[2].id)).toMatchObject({ alerts: 4, version: 2 });
      expect(await openOf(two)).toHaveLength(1);
      const [first] = await store.cases.alertsOf(cases[2].id, 1);
      expect(await store.cases.casesOf([first.alert, 999_999])).toEqual(new Map([[first.alert, cases[2].id]]));
    });

    test("a closed case takes no alert: the next one opens another, and the closed one cannot be reopened meanwhile", async () => {
      const pipeline = await aPipeline();
      await store.alerts.append([alertOf(pipeline, "a", "u")]);
      await take(pipeline);
      const [{ id }] = await openOf(pipeline);
      await did(id, CLOSE);
      await store.alerts.append([alertOf(pipeline, "b", "u")]);
      await take(pipeline);
      const [next] = await openOf(pipeline);
      expect(next.id).not.toBe(id);
      expect(await codeOf(did(id, { action: "reopen", reason: "x" }))).toBe("store.conflict");
      await did(next.id, CLOSE);
      expect(await did(id, { action: "reopen", reason: "x" })).toMatchObject({ status: "new", closings: 1 });
    });

    test("of two that change the same version one is told; who acts on what is there now finds it taken", async () => {
      const pipeline = await aPipeline();
      await store.alerts.append([alertOf(pipeline, "a", "u")]);
      await take(pipeline);
      const [before] = await openOf(pipeline);
      const by = (actor: string) => ({ actor, at: NOW, lead: false, rules: CASE_RULES });
      const claim = (on: Store, actor: string) => {
        const { after } = act(before, { action: "claim" }, by(actor));
        const event = { at: NOW, by: actor, action: "claim", text: "" };
        return on.cases.change({ before, after, event, labels: false }, { actor, at: NOW });
      };
      const both = await Promise.allSettled([claim(store, "ana"), claim(other, "bob")]);
      expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "store.stale" } });
      const { assignee } = (await store.cases.find(before.id))!;
      const loser = assignee === "ana" ? "bob" : "ana";
      expect(
        await codeOf(actOn(other, { ...by(loser), id: before.id, wanted: { action: "claim" }, rules: RULES })),
      ).toBe("cases.claimed");
      expect((await store.cases.historyOf(before.id, 10)).map(({ action, by: who }) => [action, who])).toEqual([
        ["opened", "sentinel"],
        ["claim", assignee],
      ]);
      const { items } = await store.audit.page({ subject: "case", subjectId: String(before.id) }, { limit: 5 });
      expect(items).toMatchObject([{ action: "case.claim", actor: assignee, after: { assignee, status: "working" } }]);
    });

    test("many ask for the next at the same time: each gets another, in the order of what a minute is worth", async () => {
      const pipeline = await aPipeline();
      const amounts = [10, 60, 30, 50, 20, 40];
      await store.alerts.append(
        amounts.map((amount, i) => alertOf(pipeline, `a${i}`, `u${i}`, { amount, severity: "warning" })),
      );
      await take(pipeline);
      const ask = (on: Store, actor: string) =>
        nextCase(on, { actor, at: NOW, chance: 0.9, rules: new Map([[pipeline, RULES]]) });
      expect((await ask(store, "ana"))?.amount).toBe(60);
      const rest = await Promise.all(
        ["b", "c", "d", "e", "f"].map((actor, i) => ask(i % 2 === 0 ? store : other, actor)),
      );
      expect(rest.map((one) => one?.amount).sort()).toEqual([10, 20, 30, 40, 50]);
      expect(new Set(rest.map((one) => one?.id)).size).toBe(5);
      expect(await ask(store, "g")).toBeNull();
      // A claim that ended gives its case back.
      const later = await nextCase(store, {
        actor: "g",
        at: NOW + HOUR,
        chance: 0.9,
        rules: new Map([[pipeline, RULES]]),
      });
      expect(later).toMatchObject({ amount: 60, assignee: "g" });
      expect(await nextCase(store, { actor: "g", at: NOW, chance: 0, rules: new Map() })).toBeNull();
    });

    test("a closing owes the labels of its alerts and of what was linked, to one asker at a time, until they are settled", async () => {
      const pipeline = await aPipeline();
      const drawn = { rules: [], reasons: [{ by: "exploration", propensity: 0.02 }], severity: "info" as const };
      await store.alerts.append([
        alertOf(pipeline, "a", "u"),
        alertOf(pipeline, "b\u0000", "u", drawn),
        newAlert(pipeline, null, { transaction: { user_id: "u" } }),
      ]);
      await take(pipeline);
      const [{ id }] = await openOf(pipeline);
      await did(id, { ...CLOSE, transactions: ["linked", "a", "linked"] });
      const both = await Promise.all([
        store.cases.owed({ pipeline, at: NOW, leaseUntil: NOW + 10 }),
        other.cases.owed({ pipeline, at: NOW, leaseUntil: NOW + 10 }),
      ]);
      const owed = both.flat().sort((x, y) => (x.transactionId < y.transactionId ? -1 : 1));
      expect(owed).toEqual([
        {
          pipeline,
          transactionId: "a",
          fraud: true,
          tries: 0,
          review: { case: id, closing: 1, why: "rule", propensity: 1 },
        },
        {
          pipeline,
          transactionId: "b\u0000",
          fraud: true,
          tries: 0,
          review: { case: id, closing: 1, why: "exploration", propensity: 0.02 },
        },
        {
          pipeline,
          transactionId: "linked",
          fraud: true,
          tries: 0,
          review: { case: id, closing: 1, why: "linked", propensity: null },
        },
      ]);
      // Whoever took them was killed: they are another's once the lease has ended.
      expect(await store.cases.owed({ pipeline, at: NOW + 9, leaseUntil: NOW + 20 })).toEqual([]);
      expect(await other.cases.owed({ pipeline, at: NOW + 10, leaseUntil: NOW + 20 })).toHaveLength(3);
      await store.cases.settle([
        { ...owed[0], tries: 1, state: "written", cause: "", again: NOW },
        { ...owed[1], tries: 1, state: "refused", cause: "why not", again: NOW },
        { ...owed[2], tries: 1, state: "waiting", cause: "nobody knows it", again: NOW + 100 },
      ]);
      expect(await store.cases.owed({ pipeline, at: NOW + 99, leaseUntil: NOW + 200 })).toEqual([]);
      expect(await store.cases.owed({ pipeline, at: NOW + 100, leaseUntil: NOW + 200 })).toMatchObject([
        { transactionId: "linked", tries: 1 },
      ]);
      expect((await store.cases.labelsOf(id, 10)).map(({ state, cause }) => [state, cause])).toEqual([
        ["written", ""],
        ["refused", "why not"],
        ["waiting", "nobody knows it"],
      ]);
      // Closed again with another word: labels anew, which the log will hold after the first ones.
      await did(id, { action: "reopen", reason: "the customer called" });
      await did(id, { ...CLOSE, disposition: "genuine" });
      const again = await store.cases.owed({ pipeline, at: NOW, leaseUntil: NOW + 10 });
      expect(again.map(({ fraud, review }) => [fraud, review.closing])).toEqual([
        [false, 2],
        [false, 2],
      ]);
      // What the first closing still owed would undo them, were it written now.
      const later = await store.cases.owed({ pipeline, at: NOW + 1000, leaseUntil: NOW + 1001 });
      expect(later.map(({ review }) => review.closing)).toEqual([2, 2]);
      await store.cases.settle([{ ...owed[2], tries: 2, state: "written", cause: "", again: NOW }]);
      await did(id, { action: "reopen", reason: "who knows" });
      await did(id, { ...CLOSE, disposition: "unknown" });
      expect(await store.cases.owed({ pipeline, at: NOW + 5000, leaseUntil: NOW + 5001 })).toEqual([]);
      expect((await store.cases.labelsOf(id, 10)).every(({ review }) => review.closing === 2)).toBe(true);
    });

    test("more alerts than one look takes, of one entity: all are in the case, and all are labelled", async () => {
      const pipeline = await aPipeline();
      const count = JOINED_MAX + 50;
      await store.alerts.append(Array.from({ length: count }, (_, i) => alertOf(pipeline, `a${i}`, "u")));
      expect([await take(pipeline), await take(pipeline), await take(pipeline)]).toEqual([JOINED_MAX, 50, 0]);
      const [one] = await openOf(pipeline);
      expect(one).toMatchObject({ alerts: count, version: 2 });
      await did(one.id, CLOSE);
      const labels = new Set<string>();
      for (let more = LABELS_TAKEN_MAX; more === LABELS_TAKEN_MAX; ) {
        const owed = await store.cases.owed({ pipeline, at: NOW, leaseUntil: NOW + 10 });
        for (const { transactionId } of owed) labels.add(transactionId);
        more = owed.length;
      }
      expect(labels.size).toBe(count);
    });

    test("an entity sleeps in one rule until a date, or until it is woken", async () => {
      const pipeline = await aPipeline();
      const wanted = { pipeline, entity: "u", rule: "large", until: NOW + 100, reason: "a sale" };
      const { id } = await store.cases.snooze(wanted, { actor: "ana", at: NOW });
      await store.cases.snooze({ ...wanted, entity: "w" }, { actor: "ana", at: NOW });
      const quiet = { reasons: [{ by: "rule", rule: "large" }] };
      await store.alerts.append([
        alertOf(pipeline, "a", "u", quiet),
        alertOf(pipeline, "b", "v", quiet),
        alertOf(pipeline, "w", "w", quiet),
      ]);
      expect(await take(pipeline, NOW + 99)).toBe(3);
      expect((await openOf(pipeline)).map(({ entity }) => entity.value)).toEqual(["v"]);
      expect(
        (await store.cases.snoozes({ pipelines: [pipeline], at: NOW + 99, limit: 5 })).map(({ entity }) => entity),
      ).toEqual(["w", "u"]);
      await store.cases.wake(id, { actor: "bob", at: NOW + 50 });
      expect(await store.cases.findSnooze(id)).toMatchObject({ until: NOW + 50, by: "ana" });
      await store.alerts.append([alertOf(pipeline, "c", "u", quiet)]);
      await take(pipeline, NOW + 99);
      await store.alerts.append([alertOf(pipeline, "d", "w", quiet)]);
      await take(pipeline, NOW + 100);
      expect((await openOf(pipeline)).map(({ entity }) => entity.value)).toEqual(["w", "u", "v"]);
      expect(await codeOf(store.cases.wake(999_999, BY))).toBe("store.unknown");
      const { items } = await store.audit.page({ subject: "snooze", subjectId: String(id) }, { limit: 5 });
      expect(items.map(({ action }) => action)).toEqual(["snooze.end", "snooze.create"]);
    });

    test("what a filter asks for, page after page, in both orders; a text is looked for as it is written", async () => {
      const [pipeline, another] = [await aPipeline(), await aPipeline()];
      const severities = ["critical", "warning"] as const;
      await store.alerts.append(
        Array.from({ length: 25 }, (_, i) =>
          alertOf(pipeline, `a${i}`, `50%_${i}`, { severity: severities[i % 2], amount: ((i * 7) % 25) + 1 }),
        ),
      );
      await store.alerts.append([alertOf(another, "x", "50%_1")]);
      await take(pipeline);
      await take(another);
      const all = (await store.cases.page({ pipelines: [pipeline] }, { limit: 100 })).items;
      expect(all).toHaveLength(25);
      for (const order of ["newest", "worth"] as const) {
        const paged: number[] = [];
        let cursor: string | null = null;
        do {
          const page: Awaited<ReturnType<typeof store.cases.page>> = await store.cases.page(
            { pipelines: [pipeline] },
            { limit: 7, cursor, order },
          );
          paged.push(...page.items.map(({ id }) => id));
          cursor = page.next;
        } while (cursor !== null);
        const worth = (one: Case): number => one.loss / one.minutes;
        const wanted = [...all].sort((a, b) => (order === "newest" ? b.id - a.id : worth(b) - worth(a) || b.id - a.id));
        expect(paged).toEqual(wanted.map(({ id }) => id));
      }
      const find = async (filter: object): Promise<readonly string[]> =>
        (await store.cases.page({ pipelines: [pipeline], ...filter }, { limit: 100 })).items.map(
          ({ entity }) => entity.value,
        );
      await did(all[3].id, { ...CLOSE, reason: "Stolen Card" });
      await did(all[5].id, { action: "claim" });
      expect(await find({ status: "closed" })).toEqual([all[3].entity.value]);
      expect(await find({ status: "working", assignee: "ana" })).toEqual([all[5].entity.value]);
      expect(await find({ assignee: "ana" })).toEqual([all[5].entity.value]);
      expect(await find({ status: "open" })).toHaveLength(24);
      expect(await find({ severity: "critical" })).toHaveLength(13);
      expect(await find({ disposition: "fraud" })).toHaveLength(1);
      expect(await find({ disposition: "genuine" })).toEqual([]);
      expect(await find({ entity: "50%_1" })).toEqual(["50%_1"]);
      expect(await find({ text: "%_2" })).toHaveLength(6);
      expect(await find({ text: "STOLEN card" })).toHaveLength(1);
      expect(await find({ text: "!" })).toEqual([]);
      const both = { pipelines: [pipeline, another] };
      const entities = async (filter: object, order: "newest" | "worth" = "worth"): Promise<readonly string[]> => {
        const named: string[] = [];
        for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
          const page: Awaited<ReturnType<typeof store.cases.page>> = await store.cases.page(
            { ...both, ...filter },
            { limit: 6, cursor, order },
          );
          named.push(...page.items.map(({ entity, pipeline: own }) => `${own} ${entity.value}`));
          cursor = page.next;
        }
        return named;
      };
      const open = await entities({});
      expect([open.length, new Set(open).size]).toEqual([25, 25]);
      expect([...(await entities({ status: "open" }, "newest"))].sort()).toEqual([...open].sort());
      expect(await entities({ status: "closed" })).toEqual([`${pipeline} ${all[3].entity.value}`]);
      expect(await entities({ assignee: "ana" })).toEqual([`${pipeline} ${all[5].entity.value}`]);
      expect([...(await entities({ entity: "50%_1" }))].sort()).toEqual(
        [`${another} 50%_1`, `${pipeline} 50%_1`].sort(),
      );
      expect(await entities({ disposition: "fraud" })).toEqual([]);
      expect(await entities({ disposition: "fraud" }, "newest")).toHaveLength(1);
      expect(await entities({ severity: "warning", status: "new" })).toHaveLength(10);
      expect((await store.cases.page({ pipelines: [] }, { limit: 5 })).items).toEqual([]);
      expect(await codeOf(store.cases.page({}, { limit: 5, cursor: "a.b" }))).toBe("store.invalid");
      expect(CASES_SEEN_MAX).toBeGreaterThan(25);
    });

    test("open by age and severity with what is overdue, closed by day and disposition", async () => {
      const pipeline = await aPipeline();
      const at = NOW + 40 * DAY_MS;
      const ages = [0, 0.5, 1.5, 3, 39];
      await store.alerts.append(
        ages.map((days, i) =>
          alertOf(pipeline, `a${i}`, `u${i}`, { severity: "warning", alertedAt: at - days * DAY_MS }),
        ),
      );
      await take(pipeline);
      const all = (await store.cases.page({ pipelines: [pipeline] }, { limit: 10 })).items;
      const asked = { pipelines: [pipeline], at, since: at - 30 * DAY_MS, daysMax: 31 };
      const byDays = (summary: Awaited<ReturnType<typeof store.cases.summary>>) =>
        [...summary.open].sort((a, b) => a.days - b.days).map(({ days, count, overdue }) => [days, count, overdue]);
      expect(byDays(await store.cases.summary(asked))).toEqual([
        [0, 2, 0],
        [1, 1, 1],
        [3, 1, 1],
        [31, 1, 1],
      ]);
      await did(all[0].id, CLOSE, { at });
      await did(all[1].id, { ...CLOSE, disposition: "genuine" }, { at: at - DAY_MS });
      await did(all[2].id, CLOSE, { at: at - 35 * DAY_MS });
      const { closed } = await store.cases.summary(asked);
      const day = Math.floor(at / DAY_MS) * DAY_MS;
      expect(closed).toEqual([
        { pipeline, day: day - DAY_MS, disposition: "genuine", count: 1 },
        { pipeline, day, disposition: "fraud", count: 1 },
      ]);
    });

    test("an alert that becomes part of a case is told in the same transaction, one that sleeps is not", async () => {
      const pipeline = await aPipeline();
      const telling = joiningOf(RULES, ({ id }) => [
        { target: `room${pipeline}`, key: `alert ${id}`, notice: "alert", pipeline: null, body: "{}" },
      ]);
      await store.cases.snooze(
        { pipeline, entity: "s", rule: "large", until: NOW + 100, reason: "x" },
        { actor: "a", at: NOW },
      );
      const quiet = { reasons: [{ by: "rule", rule: "large" }] };
      await store.alerts.append(["u", "s", "v", "u"].map((user, i) => alertOf(pipeline, `a${i}`, user, quiet)));
      const target = `room${pipeline}`;
      await Promise.all([store.cases.take(pipeline, telling, NOW), other.cases.take(pipeline, telling, NOW)]);
      const ids = (await store.alerts.page({ pipeline }, { limit: 10 })).items
        .filter(({ entity, transaction }) => entity !== null && transaction.user_id !== "s")
        .map(({ id }) => id)
        .sort((a, b) => a - b);
      const told: string[] = [];
      for (let at = NOW; ; at++) {
        const [message] = await store.outbox.due({ targets: [target], at, leaseUntil: at + 1000 });
        if (message === undefined) break;
        told.push(message.key);
        await store.outbox.settle(message, { outcome: "sent" }, { at });
      }
      expect(told).toEqual(ids.map((id) => `alert ${id}`));
    });

    test("messages: once for each target and happening, in order, one asker at a time; what nobody takes makes room", async () => {
      const [a, b] = [`a${++made}`, `b${made}`];
      const message = (target: string, key: string) => ({
        target,
        key,
        notice: "alert",
        pipeline: "p",
        body: `{"é":"\u0000"}`,
      });
      const put = [message(a, "1"), message(a, "2"), message(b, "1"), message(a, "1")];
      expect((await Promise.all([store.outbox.put(put, NOW), other.outbox.put(put, NOW)])).sort()).toEqual([0, 3]);
      const due = (on: Store, at: number) => on.outbox.due({ targets: [a, b], at, leaseUntil: at + 10 });
      const both = (await Promise.all([due(store, NOW), due(other, NOW)])).flat();
      expect(both.map(({ target, key }) => [target, key]).sort()).toEqual([
        [a, "1"],
        [b, "1"],
      ]);
      expect(await due(store, NOW + 9)).toEqual([]);
      // Whoever had them was killed: the same again, and nothing overtakes.
      const again = await due(other, NOW + 10);
      expect(again.map(({ key }) => key)).toEqual(["1", "1"]);
      const [first] = again.filter(({ target }) => target === a);
      await store.outbox.settle(first, { outcome: "again", cause: "busy", nextAt: NOW + 50 }, { at: NOW });
      expect(await store.outbox.due({ targets: [a], at: NOW + 49, leaseUntil: NOW + 99 })).toEqual([]);
      const [retried] = await store.outbox.due({ targets: [a], at: NOW + 50, leaseUntil: NOW + 99 });
      expect(retried).toMatchObject({ key: "1", tries: 1, cause: "busy" });
      await store.outbox.settle(
        retried,
        { outcome: "dead", cause: "gone" },
        { at: NOW + 60, more: [message(b, "dead 1")] },
      );
      const [next] = await store.outbox.due({ targets: [a], at: NOW + 60, leaseUntil: NOW + 99 });
      expect(next).toMatchObject({ key: "2", body: `{"é":"\u0000"}` });
      await store.outbox.settle(next, { outcome: "sent" }, { at: NOW + 61 });
      const states = async () => (await store.outbox.states()).filter(({ target }) => target === a || target === b);
      expect(await states()).toEqual([
        { target: a, waiting: 0, oldestAt: null, dead: 1, sent: 1 },
        { target: b, waiting: 2, oldestAt: NOW, dead: 0, sent: 0 },
      ]);
      // Of two that sent the same one failed after the other was heard: what was told is no dead letter.
      await store.outbox.settle(
        next,
        { outcome: "dead", cause: "late" },
        { at: NOW + 62, more: [message(b, "dead 2")] },
      );
      expect((await states()).map(({ dead, waiting }) => [dead, waiting])).toEqual([
        [1, 0],
        [0, 2],
      ]);
      // What was sent is not told again; what died may be, behind the others.
      expect(await store.outbox.put([message(a, "2")], NOW)).toBe(0);
      const [letter] = (await store.outbox.deadLetters({ limit: 100 })).items.filter(({ target }) => target === a);
      expect(letter).toMatchObject({ key: "1", cause: "gone", tries: 2, diedAt: NOW + 60 });
      expect(await store.outbox.find(letter.id)).toMatchObject({ key: "1" });
      const resent = await store.outbox.retry(letter.id, NOW + 70);
      expect(resent).toMatchObject({ key: "1", tries: 0 });
      expect(resent!.id).toBeGreaterThan(letter.id);
      expect(await store.outbox.retry(letter.id, NOW)).toBeNull();
      expect(await store.outbox.due({ targets: [a], at: NOW + 70, leaseUntil: NOW + 99 })).toMatchObject([
        { key: "1" },
      ]);
      const waiting = await store.outbox.waiting({ limit: 2 });
      expect(waiting.items.map(({ id }) => id)).toEqual([...waiting.items.map(({ id }) => id)].sort((x, y) => y - x));
      expect(await codeOf(store.outbox.put([{ ...message(a, "x"), body: "x".repeat(100_001) }], NOW))).toBe(
        "store.invalid",
      );
    });

    test("a note is in nobody's way, and everything that people did is sealed in the audit", async () => {
      const pipeline = await aPipeline();
      await store.alerts.append([alertOf(pipeline, "a", "u")]);
      await take(pipeline);
      const [before] = await openOf(pipeline);
      await store.cases.note(before.id, { at: NOW, by: "bob", action: "note", text: "\u0000 called" });
      expect(
        await did(before.id, { action: "claim" }, { expect: ({ version }) => expect(version).toBe(1) }),
      ).toMatchObject({ version: 2 });
      expect((await store.cases.historyOf(before.id, 2)).map(({ text }) => text)).toEqual(["\u0000 called", ""]);
      const { items } = await store.audit.page({ subject: "case", subjectId: String(before.id) }, { limit: 5 });
      expect(items.map(({ action, actor, reason }) => [action, actor, reason])).toEqual([
        ["case.claim", "ana", ""],
        ["case.note", "bob", "\u0000 called"],
      ]);
      expect(await codeOf(store.cases.note(999_999, { at: NOW, by: "b", action: "note", text: "x" }))).toBe(
        "store.unknown",
      );
      expect(verifyJournal(await store.audit.scan(0, 1000))).toMatchObject({ ok: true });
    });
  });
}
