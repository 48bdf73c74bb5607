// Cases over HTTP on every store: from an alert to the label that a closed case writes, two analysts at once, roles, a server that is killed.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addKey } from "../../src/lifecycle/keys.ts";
import { sentinel } from "../cli/sentinel.ts";
import { type OpenStore, STORES } from "../drivers/store/stores.ts";
import { type Answer, Side } from "./side.ts";
import { until } from "./world.ts";

const SCHEMA = {
  transaction_id: "string",
  user_id: "string",
  amount: "float",
  terminal: "string?",
  timestamp: "timestamp?",
};

for (const store of STORES) {
  describe.skipIf(!store.here)(`cases on ${store.name}`, () => {
    let side: Side;
    let opened: OpenStore;
    let made = 0;
    beforeAll(async () => {
      opened = await store.open();
      side = new Side(opened.variables);
      await side.start();
    });
    afterAll(async () => {
      await side?.remove();
      await opened?.dispose();
    });

    /** A pipeline with a rule, and alerts of these users; its number and the rule's. */
    async function alerted(
      users: readonly string[],
      amount = 2000,
    ): Promise<{ readonly id: number; readonly rule: number }> {
      const id = await side.pipeline(`Cases ${++made}`, SCHEMA);
      const rule = await side.rule(id, "amount > 1000");
      for (const [i, user] of users.entries()) await pay(id, `t${i}`, user, amount + i);
      return { id, rule };
    }
    async function pay(pipeline: number, id: string, user: string, amount: number): Promise<void> {
      const { status } = await side.post(`/api/pipelines/${pipeline}/transactions`, {
        transaction_id: id,
        user_id: user,
        amount,
        terminal: "T1",
      });
      expect(status).toBe(200);
    }
    async function casesOf(pipeline: number, count: number, query = ""): Promise<readonly Answer["body"][]> {
      let found: Answer | undefined;
      await until(async () => {
        found = await side.get(`/api/cases?pipeline=${pipeline}${query}`);
        return found.status === 200 && found.body.cases.length >= count;
      });
      return found!.body.cases;
    }
    const matching = (one: Answer["body"]) => ({ "if-match": `"${one.etag}"` });
    const CLOSE = { disposition: "fraud", reason: "card stolen", comment: "the customer called" };

    test("an alert opens a case, another joins it; closed as fraud it writes a label of each transaction, once", async () => {
      const { id } = await alerted(["u1", "u1", "u2"]);
      await until(async () => (await casesOf(id, 2)).reduce((sum, one) => sum + one.alert_count, 0) === 3);
      const [two, one] = await casesOf(id, 2);
      expect(one).toMatchObject({
        entity: "u1",
        entity_column: "user_id",
        alert_count: 2,
        status: "new",
        overdue: false,
      });
      expect(two).toMatchObject({ entity: "u2", severity: "critical", why: "rule", propensity: 1 });
      const claimed = await side.post(`/api/cases/${one.id}/claim`, {});
      expect(claimed).toMatchObject({ status: 200, body: { status: "working", assignee: "anonymous" } });
      await side.post(`/api/cases/${one.id}/note`, { text: "<b>called</b>" });
      // Linked ones get the label too, whether or not they raised an alert.
      await pay(id, "small", "u1", 5);
      const closed = await side.post(
        `/api/cases/${one.id}/close`,
        { ...CLOSE, transactions: ["small"] },
        matching(claimed.body),
      );
      expect(closed, JSON.stringify(closed.body)).toMatchObject({
        status: 200,
        body: { status: "closed", disposition: "fraud", closing: { by: "anonymous" }, closed_count: 1 },
      });
      expect(
        closed.body.labels.map((label: Answer["body"]) => [label.transaction_id, label.fraud, label.why, label.state]),
      ).toEqual([
        ["small", true, "linked", "written"],
        ["t0", true, "rule", "written"],
        ["t1", true, "rule", "written"],
      ]);
      expect(closed.body.notes).toMatchObject([{ text: "<b>called</b>", actor: "anonymous" }]);
      expect(closed.body.history.map(({ action }: Answer["body"]) => action)).toEqual([
        "opened",
        "joined",
        "claim",
        "note",
        "close",
      ]);
      expect(closed.body.alerts).toMatchObject([{ transaction_id: "t1" }, { transaction_id: "t0" }]);
      expect((await side.alerts(`&pipeline=${id}&entity=u1`)).map((alert) => alert.case_id)).toEqual([one.id, one.id]);
      const slug = closed.body.pipeline;
      const { log } = side.server.pipelines.find(slug);
      expect(await log.labelsOf("t0")).toMatchObject([
        { fraud: true, source: "analyst", review: { case: one.id, closing: 1, why: "rule", propensity: 1 } },
      ]);
      expect((await log.counts()).labels).toBe(3);
      expect((await side.get(`/api/cases?pipeline=${id}&status=open`)).body.cases).toHaveLength(1);
      // The next alert of the entity opens another case, which names the earlier one.
      await pay(id, "t9", "u1", 3000);
      const [again] = await casesOf(id, 3);
      const detail = await side.get(`/api/cases/${again.id}`);
      expect(detail.body).toMatchObject({ entity: "u1", earlier: [{ id: one.id, disposition: "fraud" }] });
      side.documents.answer(
        { status: 200, type: detail.headers.get("content-type"), text: JSON.stringify(detail.body) },
        { path: "/api/cases/{case}", method: "GET" },
      );
      const audit = await side.get(`/api/audit?pipeline=${id}&subject=case`);
      expect(audit.body.map(({ action }: Answer["body"]) => action)).toEqual(["case.close", "case.note", "case.claim"]);
    });

    test("a change says which version it means: 428 without, 412 with an old one, and * whatever it is", async () => {
      const { id } = await alerted(["u1"]);
      const [one] = await casesOf(id, 1);
      const at = `/api/cases/${one.id}`;
      expect(await side.post(`${at}/close`, CLOSE)).toMatchObject({
        status: 428,
        body: { code: "request.unconditional" },
      });
      await side.post(`${at}/claim`, {});
      expect(await side.post(`${at}/close`, CLOSE, matching(one))).toMatchObject({
        status: 412,
        body: { code: "request.changed" },
      });
      const read = await side.get(at);
      expect(read.headers.get("etag")).toBe(`"${read.body.etag}"`);
      expect(
        await side.post(`${at}/wait`, { until: Date.now() + 1e6, reason: "bank" }, { "if-match": "*" }),
      ).toMatchObject({
        status: 200,
        body: { status: "waiting", waiting_reason: "bank" },
      });
      for (const [body, code] of [
        [{ ...CLOSE, disposition: "maybe" }, "request.invalid"],
        [{ ...CLOSE, dispositoin: "fraud" }, "request.invalid"],
        [{ disposition: "fraud" }, "request.invalid"],
      ] as const)
        expect((await side.post(`${at}/close`, body, { "if-match": "*" })).body.code).toBe(code);
      expect((await side.post(`${at}/wait`, { until: 1, reason: "x" }, { "if-match": "*" })).body.code).toBe(
        "request.invalid",
      );
      expect((await side.post("/api/cases/999999/claim", {})).status).toBe(404);
      expect((await side.post("/api/cases/x/claim", {})).status).toBe(404);
      expect((await side.get("/api/cases?sttaus=open")).body.code).toBe("request.invalid");
    });

    test("the next of the queue, one thing for many, the summary, and an entity that sleeps in a rule", async () => {
      const { id, rule } = await alerted(["a", "b", "c", "d"]);
      await casesOf(id, 4);
      const next = await side.post("/api/cases/next", { pipeline: id });
      expect(next).toMatchObject({ status: 200, body: { entity: "d", status: "working" } });
      const queue = (await side.get(`/api/cases?pipeline=${id}&order=worth&limit=3`)).body;
      expect(queue.cases.map(({ entity }: Answer["body"]) => entity)).toEqual(["d", "c", "b"]);
      const more = await side.get(`/api/cases?pipeline=${id}&order=worth&limit=3&cursor=${queue.next_cursor}`);
      expect(more.body).toMatchObject({ cases: [{ entity: "a" }], next_cursor: null });
      const ids = queue.cases.map((one: Answer["body"]) => one.id);
      const bulk = await side.post("/api/cases/bulk", {
        ids: [...ids, 999_999],
        action: "close",
        ...CLOSE,
        disposition: "genuine",
      });
      expect(bulk.body.items).toMatchObject([
        { done: true },
        { done: true },
        { done: true },
        { done: false, code: "request.not-found" },
      ]);
      expect((await side.post("/api/cases/bulk", { ids, action: "close" })).body.code).toBe("request.invalid");
      expect((await side.get(`/api/cases/summary?pipeline=${id}`)).body).toMatchObject({
        open: 1,
        overdue: 0,
        open_by_age: [{ severity: "critical", days: 0, count: 1 }],
        closed_by_day: [{ disposition: "genuine", count: 3 }],
      });
      const until_ = new Date(Date.now() + 1e7).toISOString();
      const snooze = await side.post("/api/snoozes", {
        entity: "b",
        rule_id: rule,
        until: until_,
        reason: "a known sale",
      });
      expect(snooze).toMatchObject({
        status: 201,
        body: { entity: "b", rule_id: rule, until: until_, by: "anonymous" },
      });
      await pay(id, "n1", "b", 5000);
      await pay(id, "n2", "c", 5000);
      expect((await casesOf(id, 2, "&status=open")).map(({ entity }) => entity)).toEqual(["c", "a"]);
      expect((await side.get(`/api/snoozes?pipeline=${id}`)).body).toMatchObject([{ id: snooze.body.id }]);
      expect((await side.call("DELETE", `/api/snoozes/${snooze.body.id}`)).status).toBe(200);
      expect((await side.get(`/api/snoozes?pipeline=${id}`)).body).toEqual([]);
      await pay(id, "n3", "b", 5000);
      await casesOf(id, 3, "&status=open");
      // A terminal asks by the same routes, whatever the store.
      if (store.name === "libsql") await closeFromTerminal(side, id);
      else await side.post("/api/cases/next", { pipeline: id });
      for (let left = 2; left > 0; left--)
        expect((await side.post("/api/cases/next", { pipeline: id })).status).toBe(200);
      expect(await side.call("POST", "/api/cases/next", { pipeline: id })).toMatchObject({ status: 204, body: "" });
      // Without a body it is the queue of all pipelines.
      expect([200, 204]).toContain((await side.call("POST", "/api/cases/next")).status);
    });

    test("an entity: its transactions, alerts, cases and labels by time, and whom it shares a terminal with", async () => {
      const { id } = await alerted(["u1", "u1", "u2"]);
      const [one] = await casesOf(id, 2);
      await side.post(`/api/cases/${one.id}/close`, CLOSE, { "if-match": "*" });
      const found = await side.get(`/api/entities/user_id/u1?pipeline=${id}`);
      expect(found.status, JSON.stringify(found.body)).toBe(200);
      const kinds = found.body.timeline.map(({ kind }: Answer["body"]) => kind);
      expect([...kinds].sort()).toEqual(["alert", "alert", "case", "transaction", "transaction"]);
      expect(
        found.body.nodes.map(({ id: node, hop, transactions, frauds }: Answer["body"]) => [
          node,
          hop,
          transactions,
          frauds,
        ]),
      ).toEqual([
        ["user_id:u1", 0, 2, 0],
        ["terminal:T1", 1, 3, 1],
        ["user_id:u2", 2, 1, 1],
      ]);
      expect(found.body.edges).toEqual([
        { from: "user_id:u1", to: "terminal:T1", transactions: 2 },
        { from: "terminal:T1", to: "user_id:u2", transactions: 1 },
      ]);
      const labelled = await side.get(`/api/entities/user_id/u2?pipeline=${id}`);
      expect(labelled.body.timeline.filter(({ kind }: Answer["body"]) => kind === "label")).toMatchObject([
        { fraud: true, source: "analyst", transaction_id: "t2" },
      ]);
      // The same value in another column is somebody else: the alert and the case of a user are none of a terminal's.
      await pay(id, "named", "T1", 5000);
      await casesOf(id, 3);
      const terminal = await side.get(`/api/entities/terminal/T1?pipeline=${id}`);
      expect(new Set(terminal.body.timeline.map(({ kind }: Answer["body"]) => kind))).toEqual(
        new Set(["transaction", "label"]),
      );
      // What came since is there at the next look.
      await pay(id, "later", "u1", 5);
      const again = await side.get(`/api/entities/user_id/u1?pipeline=${id}`);
      expect(again.body.nodes[0].transactions).toBe(3);
      expect((await side.get(`/api/entities/amount/5?pipeline=${id}`)).status).toBe(404);
      expect((await side.get(`/api/entities/user_id/nobody?pipeline=${id}`)).body).toMatchObject({
        timeline: [],
        edges: [],
      });
    });

    test("how cases are worked is said when a pipeline is made, and later: by the section of pipeline files, whose faults are told", async () => {
      const cases = {
        entity: "terminal",
        due: { critical: "2h" },
        four_eyes: true,
        links: ["user_id"],
        explore: { share: 0.5 },
      };
      const id = await side.pipeline("Tills", SCHEMA, { cases });
      const at = `/api/pipelines/${id}`;
      const made = await side.get(at);
      expect(made.body.cases).toEqual(cases);
      await side.rule(id, "amount > 1000");
      await pay(id, "t1", "u1", 2000);
      const [one] = await casesOf(id, 1);
      expect(one).toMatchObject({ entity: "T1", entity_column: "terminal", alert_count: 1 });
      expect(Date.parse(one.due_at) - Date.parse(one.opened_at)).toBe(2 * 3_600_000);
      const closed = await side.post(`/api/cases/${one.id}/close`, CLOSE, { "if-match": "*" });
      expect(closed.body).toMatchObject({ status: "waiting", proposed: { disposition: "fraud" }, labels: [] });
      // About half of what nothing flags is drawn, until the share is another.
      for (let i = 0; i < 20; i++) await pay(id, `small${i}`, "u2", 5);
      const drawn = (alerts: readonly Answer["body"][], prefix: string) =>
        alerts.filter(({ severity, transaction_id: of }) => severity === "info" && of.startsWith(prefix)).length;
      expect(drawn(await side.alertsOf(id, 5), "small")).toBeGreaterThanOrEqual(4);
      const changed = await side.patch(at, { cases: { entity: "user_id" } }, { "if-match": `"${made.body.version}"` });
      expect(changed, JSON.stringify(changed.body)).toMatchObject({
        status: 200,
        body: { cases: { entity: "user_id" } },
      });
      for (let i = 0; i < 20; i++) await pay(id, `later${i}`, "u3", 5);
      await pay(id, "t2", "u3", 2000);
      await until(async () => (await casesOf(id, 1)).some(({ entity }) => entity === "u3"));
      expect(drawn(await side.alerts(`&pipeline=${id}`), "later")).toBe(0);
      const [own] = (await casesOf(id, 1)).filter(({ entity }) => entity === "u3");
      expect(await side.post(`/api/cases/${own.id}/close`, CLOSE, { "if-match": "*" })).toMatchObject({
        body: { status: "closed" },
      });
      const empty = await side.patch(at, { cases: {} }, { "if-match": "*" });
      expect(empty.body.cases).toEqual({});

      const schema = [
        { name: "card_id", type: "string" },
        { name: "amount", type: "float" },
      ];
      for (const [given, words] of [
        [{ entty: "card_id" }, /cases\/entty is not known: did you mean entity\?/],
        [{ due: { critcal: "1h" } }, /cases\/due\/critcal is not known: did you mean critical\?/],
        [{ due: { critical: "1 hour" } }, /cases\/due\/critical/],
        [{ due: { critical: "1s" } }, /cases\.due\.critical: 1s is under 1m/],
        [{ explore: { share: 0.9 } }, /cases\/explore\/share/],
        [{ entity: "card" }, /cases\.entity: the schema has no field "card"/],
        [{ links: ["amount", "device"] }, /cases\.links: the schema has no field "device"/],
        [[], /cases/],
      ] as const) {
        const refused = await side.post("/api/pipelines", { name: "Odd", schema, cases: given });
        expect(refused).toMatchObject({ status: 422, body: { code: "request.invalid" } });
        expect(refused.body.detail, JSON.stringify(given)).toMatch(words);
        const kept = await side.patch(at, { cases: given }, { "if-match": "*" });
        expect(kept.status, JSON.stringify(given)).toBe(422);
      }
      expect((await side.get(at)).body.cases).toEqual({});
    });

    test("two analysts at once: one has the case, roles hold, and four eyes are four", async () => {
      const { id } = await alerted(["u1", "u2"]);
      const found = await casesOf(id, 2);
      const { ports } = side.server.pipelines.find(found[0].pipeline);
      const key = async (role: "viewer" | "analyst" | "admin", name: string) => {
        const wanted = { role, name, actor: "test", validMs: null, rate: null, random: randomBytes };
        return { authorization: `Bearer ${(await addKey(ports, wanted)).key}` };
      };
      const [vic, ana, bob] = [await key("viewer", "vic"), await key("analyst", "ana"), await key("analyst", "bob")];
      const lea = await key("admin", "lea");
      await until(async () => (await side.get("/api/cases")).status === 401);
      const at = `/api/cases/${found[0].id}`;
      expect((await side.get("/api/cases", vic)).status).toBe(200);
      for (const action of ["claim", "release", "confirm"])
        expect((await side.post(`${at}/${action}`, {}, vic)).body.code).toBe("server.key-role");
      const both = await Promise.all([side.post(`${at}/claim`, {}, ana), side.post(`${at}/claim`, {}, bob)]);
      expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
      const [winner, loser] = both[0].status === 200 ? [ana, bob] : [bob, ana];
      expect((await side.post(`${at}/close`, CLOSE, { ...loser, "if-match": "*" })).body.code).toBe("cases.claimed");
      expect((await side.post(`${at}/assign`, { to: "bob" }, { ...lea, "if-match": "*" })).status).toBe(200);
      expect((await side.post(`${at}/release`, {}, lea)).status).toBe(200);
      const closers = await Promise.all(
        [winner, loser].map((who) => side.post(`${at}/close`, CLOSE, { ...who, "if-match": "*" })),
      );
      expect(closers.map(({ status }) => status).sort()).toEqual([200, 409]);
      const slug = found[0].pipeline;
      expect((await side.server.pipelines.find(slug).log.counts()).labels).toBe(1);
    });
  });
}

/** The open cases of a pipeline, and the end of the one of entity `a`, by `sentinel cases`. */
async function closeFromTerminal(side: Side, id: number): Promise<void> {
  const cli = (...args: string[]) => sentinel(["cases", ...args, "--url", side.url, "--json"]);
  const listed = await cli("list", "--limit", "1000");
  expect(listed.code, listed.stderr).toBe(0);
  const entities = (JSON.parse(listed.stdout).cases as Answer["body"][]).filter((one) => one.pipeline_id === id);
  expect(entities.map(({ entity }) => entity).sort()).toEqual(["a", "b", "c"]);
  const [last] = entities.filter(({ entity }) => entity === "a");
  const ended = await cli("close", String(last.id), "--disposition", "unknown", "--reason", "nobody answers");
  expect(ended.code, ended.stderr).toBe(0);
  expect(JSON.parse(ended.stdout)).toMatchObject({ status: "closed", disposition: "unknown", labels: [] });
  expect(await cli("close", String(last.id), "--disposition", "fraud", "--reason", "x")).toMatchObject({ code: 2 });
  expect(await cli("close", "7")).toMatchObject({ code: 2 });
}
