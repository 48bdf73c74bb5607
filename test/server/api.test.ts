// The platform's API against running servers on every store: contracts that people bring along, journeys, hostile rules, two analysts at once.
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { addKey } from "../../src/lifecycle/keys.ts";
import { changeRules } from "../../src/lifecycle/rules.ts";
import type { OpenPipeline } from "../../src/online/pipelines.ts";
import { ALERTS_SEEN_MAX } from "../../src/ports/store.ts";
import { createSeveral } from "../../src/server/server.ts";
import { newAlert } from "../contracts/store.ts";
import { type OpenStore, STORES } from "../drivers/store/stores.ts";
import { type Answer, Side } from "./side.ts";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, SCHEMA, SPEC_A, silent, until } from "./world.ts";

/** Whatever the store, the same holds. */
for (const store of STORES) {
  describe.skipIf(!store.here)(`on ${store.name}`, () => {
    // What no store has a say in is asked on one of them.
    const onOne = (name: string, run: () => Promise<void>): void => {
      if (store.name === "libsql") test(name, run);
    };
    let side: Side;
    let opened: OpenStore;
    beforeAll(async () => {
      opened = await store.open();
      side = new Side(opened.variables);
      await side.start();
    });
    afterAll(async () => {
      await side?.remove();
      await opened?.dispose();
    });

    test("the requests and answers that users of comparable platforms send", async () => {
      const created = await side.post("/api/pipelines", {
        name: "Payment Transactions",
        kafka_topic: "transactions",
        schema: [
          { name: "transaction_id", type: "string", nullable: false },
          { name: "user_id", type: "integer", nullable: false },
          { name: "amount", type: "float", nullable: false },
          { name: "currency", type: "string", nullable: false },
          { name: "timestamp", type: "timestamp", nullable: false },
        ],
      });
      expect(created.status).toBe(201);
      expect(created.body).toMatchObject({
        id: expect.any(Number),
        message: "Pipeline created successfully",
        slug: "payment-transactions",
        columns: { id: "transaction_id", time: "timestamp", amount: "amount", key: "user_id" },
      });
      const { id } = created.body;
      const listed = await side.get("/api/pipelines");
      expect(listed.body).toMatchObject([
        { id, name: "Payment Transactions", kafka_topic: "transactions", status: "active", alert_count: 0 },
      ]);
      expect(new Date(listed.body[0].created_at).getTime()).toBeGreaterThan(Date.now() - 600_000);
      const schema = await side.get(`/api/pipelines/${id}/schema`);
      expect(schema.body[0]).toEqual({ name: "transaction_id", type: "string", nullable: false });
      expect(schema.body).toHaveLength(5);

      const added = await side.post(`/api/pipelines/${id}/rules`, {
        rule_expression: "amount > 1000 AND currency = 'BTC'",
        severity: "critical",
        description: "Human-readable description",
      });
      expect(added.status).toBe(201);
      expect(added.body).toMatchObject({ id: expect.any(Number), status: "Rule added successfully" });
      expect(Number.isInteger(added.body.id)).toBe(true);
      const bare = await side.post(`/api/pipelines/${id}/rules`, {
        rule_expression: "amount > 14000",
        severity: "critical",
      });
      expect(bare).toMatchObject({ status: 201, body: { status: "Rule added successfully" } });

      const paid = (transaction: object) => side.post("/pipelines/payment-transactions/predict", transaction);
      const at = "2024-12-06T10:35:22Z";
      const first = { transaction_id: "txn_abc123", user_id: 7, amount: 15000.0, currency: "USD", timestamp: at };
      expect(await paid(first)).toMatchObject({
        status: 200,
        body: { transaction_id: "txn_abc123", decision: "review", decided_by: "rule", model: null, score: null },
      });
      expect(await paid({ ...first, transaction_id: "t2", currency: "BTC", amount: 2000 })).toMatchObject({
        body: { decision: "review" },
      });
      expect(await paid({ ...first, transaction_id: "t3", amount: 10 })).toMatchObject({
        body: { decision: "approve" },
      });
      // The same again is the same transaction.
      expect((await paid(first)).body.transaction_id).toBe("txn_abc123");

      const alerts = await side.alertsOf(id, 2);
      expect(alerts).toHaveLength(2);
      expect(alerts[1]).toMatchObject({
        id: expect.any(Number),
        pipeline_id: id,
        severity: "critical",
        rule_description: "amount > 14000",
        transaction_data: { transaction_id: "txn_abc123", amount: 15000, currency: "USD", user_id: 7 },
        rule_id: bare.body.id,
        decision: "review",
        entity: "7",
        amount: 15000,
        rule_set: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(alerts[0].rule_description).toBe("Human-readable description");
      expect(Number.isNaN(Date.parse(alerts[0].alert_timestamp))).toBe(false);
      expect((await side.get("/api/alerts?limit=50")).body).toHaveLength(2);
      expect((await side.get("/api/pipelines")).body[0].alert_count).toBe(2);

      expect(await side.patch(`/api/rules/${bare.body.id}/status`, { is_active: false })).toMatchObject({
        status: 200,
        body: { is_active: false },
      });
      expect((await paid({ ...first, transaction_id: "t4" })).body.decision).toBe("approve");
      await side.patch(`/api/rules/${bare.body.id}/status`, { is_active: true });
      expect((await paid({ ...first, transaction_id: "t5" })).body.decision).toBe("review");

      expect(await side.patch(`/api/pipelines/${id}/status`, { status: "paused" })).toMatchObject({
        status: 200,
        body: { id, status: "paused" },
      });
      const paused = await paid({ ...first, transaction_id: "t6" });
      expect(paused).toMatchObject({
        status: 503,
        body: { code: "pipeline.paused", hint: expect.stringContaining("active") },
      });
      expect(paused.headers.get("retry-after")).not.toBeNull();
      expect((await side.get("/api/pipelines")).body[0].status).toBe("paused");
      expect((await side.get("/readyz")).status).toBe(200);
      await side.patch(`/api/pipelines/${id}/status`, { status: "stopped" });
      expect(await paid({ ...first, transaction_id: "t6" })).toMatchObject({
        status: 409,
        body: { code: "pipeline.stopped" },
      });
      await side.patch(`/api/pipelines/${id}/status`, { status: "active" });
      expect(await paid({ ...first, transaction_id: "t6" })).toMatchObject({ status: 200 });
      // By its number, and below /api.
      expect(await side.post(`/pipelines/${id}/predict`, { ...first, transaction_id: "t7" })).toMatchObject({
        status: 200,
      });
      expect(await side.post(`/api/pipelines/${id}/transactions`, { ...first, transaction_id: "t8" })).toMatchObject({
        status: 200,
        body: { transaction_id: "t8", decision: "review" },
      });
    });

    test("expressions as people bring them, and one that is refused with what to write", async () => {
      const id = await side.pipeline("Expressions", {
        transaction_id: "string",
        user_id: "integer",
        amount: "float",
        amount_usd: "float?",
        currency: "string?",
        country: "string?",
        description: "string?",
        customer_email: "string?",
        shipping_address: "string?",
        is_new_wallet: "boolean?",
        temperature: "float?",
        vibration: "float?",
        loyalty_points: "integer?",
        membership_tier: "string?",
        crypto_type: "string?",
        timestamp: "timestamp?",
      });
      const brought: readonly (readonly [string, object, object])[] = [
        ["amount > 1000", { amount: 1001 }, { amount: 1000 }],
        ["amount BETWEEN 100 AND 500", { amount: 100 }, { amount: 99 }],
        ["amount IN (99.99, 199.99)", { amount: 99.99 }, { amount: 99.98 }],
        ["currency != 'EUR'", { currency: "USD" }, { currency: "EUR" }],
        ["description LIKE '%suspicious%'", { description: "a suspicious one" }, { description: "plain" }],
        ["country IN ('XX', 'YY')", { country: "YY" }, { country: "FR" }],
        ["amount > 5000 AND currency = 'USD'", { amount: 5001, currency: "USD" }, { amount: 5001, currency: "EUR" }],
        ["(amount > 10000) OR (currency NOT IN ('USD', 'EUR'))", { currency: "BTC" }, { currency: "USD" }],
        ["customer_email IS NULL", {}, { customer_email: "a@b.c" }],
        ["shipping_address IS NOT NULL", { shipping_address: "x" }, {}],
        ["amount > 1000 AND (currency = 'BTC' OR country = 'XX')", { amount: 2000, country: "XX" }, { amount: 2000 }],
        ["user_id NOT IN (SELECT user_id FROM whitelist_table)", { user_id: 1 }, { user_id: 77 }],
        [
          "is_new_wallet = true AND amount_usd > 10000",
          { is_new_wallet: true, amount_usd: 10001 },
          { amount_usd: 10001 },
        ],
        ["temperature > 150 OR temperature < -20", { temperature: -21 }, { temperature: 20 }],
        ["temperature > 120 AND vibration > 50", { temperature: 121, vibration: 51 }, { temperature: 121 }],
        [
          "loyalty_points > 10000 AND membership_tier = 'BRONZE'",
          { loyalty_points: 10001, membership_tier: "BRONZE" },
          { loyalty_points: 10001 },
        ],
        [
          "crypto_type IN ('XMR', 'ZEC') AND amount_usd > 5000",
          { crypto_type: "ZEC", amount_usd: 5001 },
          { crypto_type: "BTC" },
        ],
      ];
      const plain = { transaction_id: "", user_id: 77, amount: 1, currency: "EUR", customer_email: "a@b.c" };
      let count = 0;
      const fired = async (more: object): Promise<readonly string[]> => {
        const answer = await side.post("/pipelines/expressions/predict", {
          ...plain,
          ...more,
          transaction_id: `e${count++}`,
        });
        expect(answer.status, JSON.stringify(answer.body)).toBe(200);
        return answer.body.rules?.fired ?? [];
      };
      expect(await side.post("/api/lists", { pipeline_id: id, name: "whitelist_table", values: [77] })).toMatchObject({
        status: 201,
      });
      for (const [expression, hit, miss] of brought) {
        const { body, status } = await side.post(`/api/pipelines/${id}/rules`, {
          rule_expression: expression,
          severity: "info",
        });
        expect(status, expression).toBe(201);
        const own = body.rule.name;
        // Only what the condition needs.
        const bare = expression.includes("customer_email") ? { customer_email: null } : {};
        expect(await fired({ ...bare, ...hit }), expression).toContain(own);
        expect(await fired(miss), expression).not.toContain(own);
        await side.call("DELETE", `/api/rules/${body.id}`);
      }
      const refused = await side.post(`/api/pipelines/${id}/rules`, {
        rule_expression: "amount > (SELECT AVG(amount) * 3 FROM user_stats WHERE user_id = transactions.user_id)",
        severity: "warning",
      });
      expect(refused).toMatchObject({ status: 400, body: { code: "rules.invalid" } });
      expect(JSON.stringify(refused.body)).toContain("avg_last(amount, '30d', user_id) * 3");
      const unknown = await side.post(`/api/pipelines/${id}/rules`, {
        rule_expression: "amuont > 5",
        severity: "warning",
      });
      expect(unknown.body.errors[0]).toMatchObject({
        field: "rule_expression",
        message: expect.stringMatching(/amuont.*amount/s),
      });
    });

    test("lists: on and off by the event's time, ended and never deleted, and each pipeline's own", async () => {
      const fields = { transaction_id: "string", user_id: "integer", amount: "float", timestamp: "timestamp" };
      const [id, other] = [await side.pipeline("Listed", fields), await side.pipeline("Unlisted", fields)];
      const condition = "user_id IN (SELECT value FROM mules)";
      for (const pipeline of [id, other]) {
        const rule = { rule_expression: condition, severity: "info" };
        const made = await side.post(`/api/pipelines/${pipeline}/rules`, rule);
        expect(made).toMatchObject({ status: 201, body: { warnings: [expect.stringContaining("mules")] } });
      }
      let count = 0;
      const isHit = async (slug: string, user_id: number, timestamp: string): Promise<boolean> => {
        const transaction = { transaction_id: `l${count++}`, user_id, amount: 1, timestamp };
        const { status, body } = await side.post(`/pipelines/${slug}/predict`, transaction);
        expect(status, JSON.stringify(body)).toBe(200);
        return body.rules.fired.length > 0;
      };
      const added = await side.post("/api/lists", {
        pipeline_id: id,
        name: "mules",
        values: [7, "9"],
        from: "2026-03-01",
        reason: "case 118",
      });
      expect(added).toMatchObject({ status: 201, body: { pipeline_id: id, name: "mules" } });
      expect(added.headers.get("location")).toBe(`/api/lists/mules?pipeline_id=${id}`);
      expect(await isHit("listed", 7, "2026-02-28T23:59:59Z")).toBe(false);
      expect(await isHit("listed", 7, "2026-03-01T00:00:00Z")).toBe(true);
      expect(await isHit("listed", 9, "2026-03-02T00:00:00Z")).toBe(true);
      expect(await isHit("listed", 8, "2026-03-02T00:00:00Z")).toBe(false);
      expect(await isHit("unlisted", 7, "2026-03-02T00:00:00Z")).toBe(false);

      const ended = { pipeline_id: id, values: [7], at: "2026-03-10", reason: "cleared" };
      expect((await side.post("/api/lists/mules/end", ended)).status).toBe(200);
      expect(await isHit("listed", 7, "2026-03-09T23:59:59Z")).toBe(true);
      expect(await isHit("listed", 7, "2026-03-10T00:00:00Z")).toBe(false);
      expect(await isHit("listed", 9, "2026-03-11T00:00:00Z")).toBe(true);
      const at = async (time: string): Promise<readonly string[]> => {
        const { body } = await side.get(`/api/lists/mules?pipeline_id=${id}&at=${time}`);
        return body.map(({ value }: { value: string }) => value).sort();
      };
      expect([await at("2026-02-01"), await at("2026-03-05"), await at("2026-03-20")]).toEqual([[], ["7", "9"], ["9"]]);
      expect((await side.get(`/api/lists?pipeline_id=${id}`)).body).toMatchObject([{ name: "mules", changes: 3 }]);
      expect((await side.get(`/api/lists?pipeline_id=${other}`)).body).toEqual([]);
      expect((await side.get(`/api/lists/mules?pipeline_id=${other}`)).status).toBe(404);
      for (const wrong of [
        { name: "mules", values: [] },
        { name: "a b", values: [1] },
        { name: "mules", values: [1], from: "soon" },
        // Seconds since 1970 would be days of January 1970: for ever, or never.
        { name: "mules", values: [1], from: 1769817600 },
        { name: "mules", values: [1], to: "1893456000" },
        { name: "mules", values: [1], from: "2026-03-02", to: "2026-03-01" },
        { name: "mules", values: [2 ** 53] },
      ]) {
        const refused = await side.post("/api/lists", { pipeline_id: id, ...wrong });
        expect([400, 422], JSON.stringify(wrong)).toContain(refused.status);
        expect(refused.body.hint).toBeTruthy();
      }
    });

    test("pipelines side by side: merchants with fields of their own, sensors, withdrawals; each on its own", async () => {
      const shop = await side.pipeline("Shop Nord", { order_id: "string", amount: "float", buyer_ip: "string" });
      const club = await side.pipeline("Club", {
        order_id: "integer",
        amount: "float",
        loyalty_points: "integer",
        membership_tier: "string",
      });
      const sensors = await side.pipeline("Sensors", {
        sensor_id: "string",
        temperature: "float",
        pressure: "float?",
        vibration: "float?",
        timestamp: "timestamp?",
      });
      const crypto = await side.pipeline("Crypto withdrawals", {
        withdrawal_id: "string",
        user_id: "integer",
        amount_usd: "float",
        crypto_type: "string",
        wallet_address: "string",
        is_new_wallet: "boolean",
      });
      await side.rule(shop, "amount > 900 AND buyer_ip LIKE '10.%'");
      await side.rule(club, "loyalty_points > 10000 AND membership_tier = 'BRONZE'", { severity: "warning" });
      await side.rule(sensors, "temperature > 150 OR temperature < -20");
      await side.rule(crypto, "is_new_wallet = true AND amount_usd > 10000", { action: "block" });
      await side.rule(crypto, "count_last('5m', user_id) >= 3", { severity: "warning", description: "3 in 5 minutes" });

      // Before a rule, and without an id or a time.
      const reading = await side.post("/pipelines/sensors/predict", { sensor_id: "s1", temperature: 151 });
      expect(reading).toMatchObject({
        status: 200,
        body: { decision: "review", transaction_id: expect.stringMatching(/.{10,}/) },
      });
      const other = await side.post("/pipelines/sensors/predict", {
        sensor_id: "s1",
        temperature: 151,
        timestamp: null,
      });
      expect(other.body.transaction_id).not.toBe(reading.body.transaction_id);
      expect(
        await side.post("/pipelines/shop-nord/predict", { order_id: "o1", amount: 1000, buyer_ip: "10.1.2.3" }),
      ).toMatchObject({
        body: { transaction_id: "o1", decision: "review" },
      });
      expect(
        await side.post("/pipelines/club/predict", {
          order_id: 17,
          amount: 5,
          loyalty_points: 10001,
          membership_tier: "BRONZE",
        }),
      ).toMatchObject({
        body: { transaction_id: "17", decision: "review" },
      });
      const withdrawn = {
        user_id: 4,
        amount_usd: 20_000,
        crypto_type: "BTC",
        wallet_address: "w",
        is_new_wallet: true,
      };
      expect(
        await side.post("/pipelines/crypto-withdrawals/predict", { ...withdrawn, withdrawal_id: "w1" }),
      ).toMatchObject({
        body: { decision: "block", decided_by: "rule" },
      });
      const wrong = await side.post("/pipelines/shop-nord/predict", { order_id: "o2", loyalty_points: 3 });
      expect(wrong).toMatchObject({ status: 422, body: { code: "request.invalid" } });
      expect(await side.post("/pipelines/club/predict", { order_id: "o1", amount: "5" })).toMatchObject({
        status: 422,
      });

      expect(await side.alertsOf(shop, 1)).toMatchObject([
        { transaction_data: { order_id: "o1", buyer_ip: "10.1.2.3" } },
      ]);
      expect(await side.alertsOf(club, 1)).toMatchObject([{ severity: "warning", transaction_data: { order_id: 17 } }]);
      expect(await side.alertsOf(sensors, 2)).toMatchObject([
        { transaction_data: { sensor_id: "s1" } },
        { entity: "s1" },
      ]);
      expect(await side.alertsOf(crypto, 1)).toMatchObject([
        { severity: "critical", decision: "block", amount: 20_000 },
      ]);

      // More of them, all at once, isolated.
      const many = await Promise.all(
        Array.from({ length: store.isServer ? 2 : 10 }, (_, at) =>
          side.pipeline(`Merchant ${at}`, { order_id: "string", [`f${at}`]: "float" }),
        ),
      );
      await Promise.all(many.map((id, at) => side.rule(id, `f${at} > ${at}`, { description: `rule of ${at}` })));
      await Promise.all(
        many.map((_, at) => side.post(`/pipelines/merchant-${at}/predict`, { order_id: "same", [`f${at}`]: at + 1 })),
      );
      for (const [at, id] of many.entries()) {
        expect(await side.alertsOf(id, 1)).toMatchObject([
          { rule_description: `rule of ${at}`, transaction_data: { order_id: "same" } },
        ]);
      }
      const strange = await side.post(`/api/pipelines/${many[0]}/rules`, {
        rule_expression: "f1 > 1",
        severity: "info",
      });
      expect(strange).toMatchObject({ status: 400 });
    });

    test("a schema gains fields while it serves; two people at once: the later one is told", async () => {
      const id = await side.pipeline("Growing", { transaction_id: "string", amount: "float" });
      const read = await side.get(`/api/pipelines/${id}`);
      const tag = read.headers.get("etag")!;
      const grown = { add_fields: [{ name: "device", type: "string", nullable: true }] };
      expect(await side.patch(`/api/pipelines/${id}`, grown)).toMatchObject({
        status: 428,
        body: { code: "request.unconditional" },
      });
      const done = await side.patch(`/api/pipelines/${id}`, grown, { "if-match": tag });
      expect(done).toMatchObject({ status: 200, body: { schema_version: 2 } });
      const late = { add_fields: [{ name: "place", type: "string", nullable: true }] };
      expect(await side.patch(`/api/pipelines/${id}`, late, { "if-match": tag })).toMatchObject({
        status: 412,
        body: { code: "request.changed" },
      });
      expect((await side.get(`/api/pipelines/${id}/schema`)).body).toHaveLength(3);
      const rule = await side.rule(id, "device = 'emulator'");
      expect(
        await side.post("/pipelines/growing/predict", { transaction_id: "g1", amount: 1, device: "emulator" }),
      ).toMatchObject({
        body: { decision: "review" },
      });
      expect(await side.post("/pipelines/growing/predict", { transaction_id: "g2", amount: 1 })).toMatchObject({
        body: { decision: "approve" },
      });
      for (const [change, words] of [
        [{ add_fields: [{ name: "must", type: "string", nullable: false }] }, /not nullable/],
        [{ schema: [{ name: "transaction_id", type: "string", nullable: false }] }, /amount is missing/],
        [{ add_fields: [{ name: "AMOUNT", type: "string", nullable: true }] }, /twice/],
      ] as const) {
        const refused = await side.patch(`/api/pipelines/${id}`, change, { "if-match": "*" });
        expect(refused.status, JSON.stringify(refused.body)).toBe(422);
        expect(refused.body.detail).toMatch(words);
      }

      // Two analysts have the same rule open.
      const seen = (await side.get(`/api/rules/${rule}`)).headers.get("etag")!;
      const ana = await side.patch(
        `/api/rules/${rule}`,
        { rule_expression: "device = 'rooted'" },
        { "if-match": seen },
      );
      expect(ana).toMatchObject({ status: 200, body: { rule: { rule_expression: "device = 'rooted'" } } });
      const ben = await side.patch(`/api/rules/${rule}`, { severity: "info" }, { "if-match": seen });
      expect(ben).toMatchObject({
        status: 412,
        body: { code: "request.changed", hint: expect.stringContaining("read it again") },
      });
      expect(await side.patch(`/api/rules/${rule}`, { severity: "info" })).toMatchObject({ status: 428 });
      // Two who change different things at the same time both succeed.
      const both = await Promise.all(
        Array.from({ length: 5 }, (_, at) => side.rule(id, `amount > ${at}000`, { stage: "shadow" })),
      );
      expect(new Set(both).size).toBe(5);
      const listed = (await side.get(`/api/pipelines/${id}/rules`)).body;
      expect(listed.map((one: Answer["body"]) => one.id)).toEqual(
        [...listed.map((one: Answer["body"]) => one.id)].sort((a, b) => a - b),
      );
      expect(listed).toHaveLength(6);
      expect(await side.call("DELETE", `/api/rules/${both[0]}`)).toMatchObject({ status: 200 });
      expect(await side.get(`/api/rules/${both[0]}`)).toMatchObject({ status: 404 });

      const audit = (await side.get(`/api/audit?pipeline=${id}&limit=100`)).body as readonly Answer["body"][];
      expect(audit.length).toBeGreaterThanOrEqual(9);
      expect(audit[0]).toMatchObject({ actor: "anonymous", pipeline: "growing" });
      expect(audit.some(({ action }) => /pipeline/.test(action))).toBe(true);
    });

    test("what a filter asks for, page after page, and as a table that no spreadsheet takes for formulas", async () => {
      const id = await side.pipeline("Filters", {
        transaction_id: "string",
        user_id: "string",
        amount: "float",
        note: "string?",
      });
      const rule = await side.rule(id, "amount > 10", { description: '=HYPERLINK("http://x")' });
      await side.rule(id, "amount > 50", { severity: "warning", action: "block" });
      for (let at = 0; at < 6; at++) {
        const note = at === 5 ? '+1,"2"' : "plain";
        await side.post("/pipelines/filters/predict", {
          transaction_id: `f${at}`,
          user_id: `u${at % 2}`,
          amount: 20 * at,
          note,
        });
      }
      expect(await side.alertsOf(id, 5)).toHaveLength(5);
      const ids = async (query: string): Promise<readonly string[]> =>
        (await side.alerts(`&pipeline=filters${query}`)).map((one) => one.transaction_id);
      expect(await ids("&min_amount=40&max_amount=60")).toEqual(["f3", "f2"]);
      expect(await ids("&decision=block")).toEqual(["f5", "f4", "f3"]);
      expect(await ids("&entity=u0")).toEqual(["f4", "f2"]);
      expect(await ids(`&rule=${rule}`)).toHaveLength(5);
      expect(await ids("&transaction_id=f1")).toEqual(["f1"]);
      expect(await ids(`&from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
      const paged: string[] = [];
      for (let cursor: string | null = ""; cursor !== null; ) {
        const page = await side.get(
          `/api/alerts?pipeline=${id}&limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
        );
        paged.push(...page.body.map((one: Answer["body"]) => one.transaction_id));
        cursor = page.headers.get("x-next-cursor");
      }
      expect(paged).toEqual(["f5", "f4", "f3", "f2", "f1"]);
      const table = await side.get("/api/alerts?pipeline=filters&format=csv");
      expect(table.headers.get("content-type")).toContain("text/csv");
      const lines = (table.body as string).split("\r\n");
      expect(lines).toHaveLength(7);
      expect(lines[1]).toContain(`"'=HYPERLINK(""http://x"")"`);
      expect(table.body).not.toMatch(/(^|,|")[=+@-][A-Za-z]/m);
      const some = await side.get("/api/alerts?pipeline=filters&format=csv&limit=2");
      expect((some.body as string).split("\r\n")).toHaveLength(4);
      expect(some.headers.get("x-next-cursor")).not.toBeNull();
      for (const wrong of [
        "severity=loud",
        "limit=0",
        "limit=1001",
        "cursor=nonsense",
        "from=yesterday",
        "min_amount=x",
        "amount=5",
      ]) {
        const refused = await side.get(`/api/alerts?${wrong}`);
        expect([400, 422], wrong).toContain(refused.status);
        expect(refused.body.hint, wrong).toBeTruthy();
      }
    });

    onOne("a filter as CSV is all that matches it, however many pages that are, each once", async () => {
      const id = await side.pipeline("Many", { transaction_id: "string", user_id: "string", amount: "float" });
      const { alerts } = await side.workspace.common.store!();
      const count = ALERTS_SEEN_MAX + 100;
      const at = Date.now();
      for (let from = 0; from < count; from += 1000) {
        await alerts.append(
          Array.from({ length: Math.min(1000, count - from) }, (_, i) =>
            newAlert(id, null, { rules: [], transaction: { user_id: "u" }, amount: 1, alertedAt: at - from - i }),
          ),
        );
      }
      const table = await side.get(`/api/alerts?pipeline=${id}&min_amount=1&format=csv`);
      const ids = (table.body as string)
        .split("\r\n")
        .slice(1, -1)
        .map((line) => line.split(",")[0]);
      expect([ids.length, new Set(ids).size]).toEqual([count, count]);
      expect(table.headers.get("x-next-cursor")).toBeNull();
    });

    onOne("a rule is judged: what it did, and what it would have done", async () => {
      const id = await side.pipeline("Judged", { transaction_id: "string", user_id: "string", amount: "float" });
      const rule = await side.rule(id, "amount >= 50");
      for (let at = 0; at < 10; at++) {
        await side.post("/pipelines/judged/predict", { transaction_id: `j${at}`, user_id: `u${at}`, amount: at * 10 });
      }
      const performance = await side.get(`/api/rules/${rule}/performance`);
      expect(performance).toMatchObject({
        status: 200,
        body: { id: rule, transactions: 10, fired: 5, shadow: 0, decided: 5, entities: 5, whole: true },
      });
      const asked = await side.post("/api/rules/backtest", { pipeline_id: id, rule_expression: "amount >= 30" });
      expect(asked.status, JSON.stringify(asked.body)).toBe(200);
      expect(asked.body).toMatchObject({ rows: 10, fires: 7, entities: 7, verdict: { verdict: expect.any(String) } });
      expect(await side.post("/api/rules/backtest", { rule_id: rule })).toMatchObject({
        status: 200,
        body: { fires: 5 },
      });
      expect(await side.post("/api/rules/backtest", { pipeline_id: id })).toMatchObject({ status: 422 });
      expect(await side.post("/api/rules/backtest", { pipeline_id: id, rule_expression: "nope > 1" })).toMatchObject({
        status: 400,
      });
    });

    onOne("hostile rules and names are refused, or bounded, in words that an analyst understands", async () => {
      const id = await side.pipeline("Hostile", { transaction_id: "string", amount: "float", note: "string?" });
      const add = (expression: unknown, more: object = {}) =>
        side.post(`/api/pipelines/${id}/rules`, { rule_expression: expression, severity: "critical", ...more });
      const hostile: readonly unknown[] = [
        `amount > 1 OR ${"amount > 1 OR ".repeat(1000)}amount > 2`,
        `note = '${"x".repeat(10_001)}'`,
        `${"(".repeat(5000)}amount${")".repeat(5000)}`,
        `${"NOT ".repeat(2000)}amount > 1`,
        "note RLIKE '(?=a)b'",
        "note RLIKE '('",
        "pg_sleep(10) = 1",
        "exec('rm -rf /') = 1",
        "__proto__ = 1",
        "constructor = 'x'",
        "amount.constructor = 1",
        "toString > 1",
        "amount > 1; DROP TABLE alerts",
        "amount > 1 -- comment\n UNION SELECT * FROM keys",
        "1 = 1 UNION SELECT password FROM users",
        "amount > (SELECT 1)",
        "",
        "   ",
        "amount",
        "amount > ",
        "note > 5 AND amount LIKE 'x'",
        42,
        null,
        ["amount > 1"],
        { $gt: 1 },
      ];
      for (const expression of hostile) {
        const { status, body } = await add(expression);
        const what = JSON.stringify(expression).slice(0, 80);
        expect([400, 413, 422], `${what}: ${JSON.stringify(body)}`).toContain(status);
        expect(body.detail, what).not.toMatch(/undefined|\[object|at .*\.ts|SQLITE|TypeError/);
        expect(body.hint.length, what).toBeGreaterThan(10);
      }
      // Slow elsewhere, linear here; an overflow is a number like any other.
      await side.rule(id, "note RLIKE '^(a+)+$'");
      await side.rule(id, "amount > 9223372036854775808 OR amount > 1e308");
      const answer = await side.post("/pipelines/hostile/predict", {
        transaction_id: "h1",
        amount: 1,
        note: `${"a".repeat(900)}!`,
      });
      expect(answer).toMatchObject({ status: 200, body: { decision: "approve" } });
      for (const [body, words] of [
        [{ rule_expression: "amount > 1", severity: "loud" }, /severity/],
        [{ rule_expression: "amount > 1", severity: "info", stagee: "shadow" }, /stagee.*stage/],
        [{ severity: "info" }, /rule_expression/],
        [{ rule_expression: "amount > 1", severity: "info", name: "../../etc" }, /name/],
      ] as const) {
        const refused = await side.post(`/api/pipelines/${id}/rules`, body);
        expect(refused.status).toBe(422);
        expect(refused.body.detail).toMatch(words);
      }
      for (const schema of [
        [],
        [{ name: "__proto__", type: "string" }],
        [{ name: "constructor", type: "string" }],
        [{ name: "a b", type: "string" }],
        [{ name: "a", type: "text" }],
        [
          { name: "a", type: "string" },
          { name: "A", type: "float" },
        ],
        Array.from({ length: 501 }, (_, at) => ({ name: `f${at}`, type: "string" })),
        "all",
      ]) {
        const refused = await side.post("/api/pipelines", { name: `H ${JSON.stringify(schema).length}`, schema });
        expect(refused.status, JSON.stringify(schema).slice(0, 60)).toBe(422);
      }
      const one = [{ name: "a", type: "string" }];
      for (const name of ["", " ", "x".repeat(201), "a\u0000b", 7]) {
        expect((await side.post("/api/pipelines", { name, schema: one })).status, JSON.stringify(name)).toBe(422);
      }
      expect(await side.post("/api/pipelines", { name: "Hostile", schema: one })).toMatchObject({
        status: 409,
        body: { code: "pipeline.exists" },
      });
      const odd = await side.post("/api/pipelines", { name: "'; DROP TABLE pipelines; --", schema: one });
      expect(odd).toMatchObject({ status: 201, body: { slug: "drop-table-pipelines" } });
      expect((await side.post("/api/pipelines", { name: "2024", schema: one })).body.slug).toBe("pipeline-2024");
      expect((await side.post("/api/pipelines", { name: "日本", schema: one })).body.slug).toBe("pipeline");
      expect((await side.post("/api/pipelines", { name: "../../etc/passwd", schema: one })).body.slug).toBe(
        "etc-passwd",
      );
      expect(await side.get("/api/alerts/0x1")).toMatchObject({ status: 404 });
      expect(await side.get("/api/pipelines/__proto__/schema")).toMatchObject({ status: 404 });
      expect(await side.call("POST", "/api/pipelines", "{")).toMatchObject({
        status: 400,
        body: { code: "request.malformed" },
      });
    });

    test("a server that ends and begins again has its pipelines, rules and alerts; alerts that the store lacks are made from the log", async () => {
      const id = await side.pipeline("Lasting", { transaction_id: "string", amount: "float" });
      const rule = await side.rule(id, "amount > 100");
      await side.post("/pipelines/lasting/predict", { transaction_id: "l1", amount: 200 });
      await side.alertsOf(id, 1);
      // An engine whose store fails takes answers all the same, and is killed before it could write their alerts.
      const parts = side.server.pipelines.engine("lasting")!;
      parts.alerts!.offer = () => {};
      await side.post("/pipelines/lasting/predict", { transaction_id: "l2", amount: 300 });
      await side.patch(`/api/pipelines/${id}/status`, { status: "paused" });
      await side.stop();
      await side.start();
      expect((await side.alertsOf(id, 2)).map(({ transaction_id }) => transaction_id).sort()).toEqual(["l1", "l2"]);
      expect(await side.post("/pipelines/lasting/predict", { transaction_id: "l3", amount: 300 })).toMatchObject({
        status: 503,
      });
      await side.patch(`/api/pipelines/${id}/status`, { status: "active" });
      expect(await side.post("/pipelines/lasting/predict", { transaction_id: "l3", amount: 300 })).toMatchObject({
        body: { decision: "review" },
      });
      // What was answered before the stop is known.
      expect(await side.post("/pipelines/lasting/predict", { transaction_id: "l1", amount: 201 })).toMatchObject({
        status: 409,
      });
      expect((await side.get(`/api/rules/${rule}`)).body.is_active).toBe(true);
    });

    if (store.isServer) {
      test("another server on the same store has the pipelines, and a rule within its poll", async () => {
        const id = await side.pipeline("Both", { transaction_id: "string", amount: "float" });
        const other = new Side(opened.variables);
        await other.start();
        const at = "/pipelines/both/predict";
        expect((await other.post(at, { transaction_id: "o0", amount: 5 })).body.decision).toBe("approve");
        await side.rule(id, "amount > 4");
        let count = 1;
        await until(
          async () => (await other.post(at, { transaction_id: `o${count++}`, amount: 5 })).body.decision === "review",
        );
        await other.patch(`/api/pipelines/${id}/status`, { status: "paused" });
        await until(async () => (await side.post(at, { transaction_id: `s${count++}`, amount: 1 })).status === 503);
        await side.patch(`/api/pipelines/${id}/status`, { status: "active" });
        await side.alertsOf(id, 1);
        await other.remove();
      });

      test("the store goes away while transactions come: the last rules decide, and the alerts are there once it is back", async () => {
        const id = await side.pipeline("Away", { transaction_id: "string", amount: "float" });
        await side.rule(id, "amount > 4");
        await opened.outage!.begin();
        for (let at = 0; at < 3; at++) {
          const answer = await side.post("/pipelines/away/predict", { transaction_id: `a${at}`, amount: 5 });
          expect(answer).toMatchObject({ status: 200, body: { decision: "review", decided_by: "rule" } });
        }
        for (const route of ["/api/alerts", "/api/pipelines", `/api/pipelines/${id}/rules`, "/api/audit"]) {
          const { status, body } = await side.get(route);
          expect([status, body.code], route).toEqual([503, "store.unreachable"]);
        }
        expect(await side.post(`/api/pipelines/${id}/rules`, { rule_expression: "amount > 1" })).toMatchObject({
          status: 503,
        });
        expect((await side.get("/readyz")).status).toBe(200);
        await opened.outage!.end();
        await until(async () => (await side.get("/api/alerts")).status === 200);
        expect((await side.alertsOf(id, 3)).map((one) => one.transaction_id).sort()).toEqual(["a0", "a1", "a2"]);
        expect((await side.get(`/api/pipelines/${id}/rules`)).body).toHaveLength(1);
      });
    }

    onOne("bodies and queries that nobody should send are refused, never a fault of the server", async () => {
      const id = await side.pipeline("Fuzzed", { transaction_id: "string", amount: "float" });
      const rule = await side.rule(id, "amount > 1000000", { stage: "shadow" });
      const routes: readonly (readonly [string, string, object])[] = [
        ["POST", "/api/pipelines", { name: "x", schema: [{ name: "a", type: "string" }] }],
        ["PATCH", `/api/pipelines/${id}`, { add_fields: [] }],
        ["PATCH", `/api/pipelines/${id}/status`, { status: "active" }],
        ["POST", `/api/pipelines/${id}/rules`, { rule_expression: "amount > 1", severity: "info" }],
        ["PATCH", `/api/rules/${rule}`, { severity: "info" }],
        ["PATCH", `/api/rules/${rule}/status`, { is_active: false }],
        ["POST", "/api/rules/backtest", { pipeline_id: id, rule_expression: "amount > 1" }],
        ["POST", "/api/lists", { pipeline_id: id, name: "l", values: ["a"] }],
        ["POST", "/api/lists/l/end", { pipeline_id: id, values: ["a"] }],
        ["POST", `/api/pipelines/${id}/transactions`, { transaction_id: "x", amount: 1 }],
      ];
      const names = [
        "limit",
        "cursor",
        "pipeline",
        "pipeline_id",
        "rule",
        "from",
        "to",
        "min_amount",
        "severity",
        "format",
        "at",
      ];
      const fine = async (answer: Answer, what: unknown): Promise<void> => {
        expect(answer.status, JSON.stringify([what, answer.body]).slice(0, 500)).toBeLessThan(500);
        if (answer.status >= 400) expect(answer.body.hint, JSON.stringify(what)).toBeTruthy();
      };
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...routes),
          fc.string(),
          fc.jsonValue(),
          fc.boolean(),
          async (route, name, value, whole) => {
            const [method, at, seed] = route;
            const keys = Object.keys(seed);
            const key = name.length % 3 === 0 ? name : keys[name.length % keys.length];
            const body = whole ? value : { ...seed, [key]: value };
            await fine(await side.call(method, at, JSON.stringify(body), { "if-match": "*" }), [at, body]);
          },
        ),
        { numRuns: 200 },
      );
      const places = [
        "/api/alerts",
        "/api/audit",
        "/api/lists",
        "/api/lists/l",
        "/api/pipelines",
        `/api/pipelines/${id}/rules`,
      ];
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...places),
          fc.constantFrom(...names),
          fc.string(),
          async (at, name, value) => {
            await fine(await side.get(`${at}?${name}=${encodeURIComponent(value)}`), [at, name, value]);
          },
        ),
        { numRuns: 150 },
      );
    });

    onOne("every answer is what the document says", async () => {
      const [one] = (await side.get("/api/pipelines")).body as readonly Answer["body"][];
      const rules = (await side.get(`/api/pipelines/${one.id}/rules`)).body as readonly Answer["body"][];
      const at: readonly (readonly [string, string, string])[] = [
        ["GET", "/api/pipelines", "/api/pipelines"],
        ["GET", `/api/pipelines/${one.id}`, "/api/pipelines/{id}"],
        ["GET", `/api/pipelines/${one.id}/schema`, "/api/pipelines/{id}/schema"],
        ["GET", `/api/pipelines/${one.id}/rules`, "/api/pipelines/{id}/rules"],
        ["GET", `/api/rules/${rules[0].id}`, "/api/rules/{rule}"],
        ["GET", `/api/rules/${rules[0].id}/performance`, "/api/rules/{rule}/performance"],
        ["GET", "/api/rules/999999", "/api/rules/{rule}"],
        ["GET", "/api/alerts", "/api/alerts"],
        ["GET", "/api/alerts?format=csv", "/api/alerts"],
        ["GET", "/api/lists", "/api/lists"],
        ["GET", "/api/audit", "/api/audit"],
        ["GET", "/api/audit?limit=0", "/api/audit"],
      ];
      for (const [method, url, route] of at) {
        const response = await side.server.app.request(url, { method });
        const { status, headers } = response;
        side.documents.answer(
          { status, type: headers.get("content-type"), text: await response.text() },
          { path: route, method },
        );
      }
    });

    onOne("who may do what: viewer, analyst, admin; and a second person where a pipeline asks for one", async () => {
      const careful = await side.pipeline(
        "Careful",
        { transaction_id: "string", amount: "float" },
        { rules: { four_eyes: true } },
      );
      await side.pipeline("Another", { transaction_id: "string" });
      const keyed = async (
        role: "viewer" | "analyst" | "admin" | "predict",
        name: string,
        pipelines: readonly string[] | null = null,
      ) => {
        const { ports } = side.workspace.portsOf({ pipeline: "careful" });
        const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));
        const made = await addKey(ports, { role, name, actor: "t", validMs: null, rate: null, pipelines, random });
        return { authorization: `Bearer ${made.key}` };
      };
      const viewer = await keyed("viewer", "vera");
      const [ana, ben] = [await keyed("analyst", "ana"), await keyed("analyst", "ben")];
      const admin = await keyed("admin", "ada");
      const program = await keyed("predict", "checkout");
      const narrow = await keyed("viewer", "nora", ["careful"]);
      // A server reads the keys once a second: the last one that was made is there when all are.
      await until(async () => (await side.get("/api/pipelines")).status === 401);
      await until(async () => (await side.get("/api/pipelines", narrow)).status === 200);
      expect((await side.get("/api/pipelines", viewer)).status).toBe(200);
      expect((await side.get("/api/pipelines", narrow)).body).toHaveLength(1);
      expect(
        (await side.get("/api/alerts", narrow)).body.every((one: Answer["body"]) => one.pipeline === "careful"),
      ).toBe(true);
      expect(await side.get("/api/pipelines/another", narrow)).toMatchObject({
        status: 403,
        body: { code: "server.key-role" },
      });
      const body = { rule_expression: "amount > 5", severity: "critical" };
      const at = `/api/pipelines/${careful}/rules`;
      for (const [key, status] of [
        [viewer, 403],
        [program, 403],
        [narrow, 403],
        [{}, 401],
      ] as const) {
        expect((await side.post(at, body, key)).status).toBe(status);
      }
      expect(
        await side.post("/api/pipelines", { name: "No", schema: [{ name: "a", type: "string" }] }, ana),
      ).toMatchObject({ status: 403 });
      expect(await side.patch(`/api/pipelines/${careful}/status`, { status: "paused" }, ana)).toMatchObject({
        status: 403,
      });
      expect((await side.post("/pipelines/careful/predict", { transaction_id: "c0", amount: 6 }, viewer)).status).toBe(
        403,
      );

      const posted = await side.post(at, body, ana);
      expect(posted).toMatchObject({
        status: 201,
        body: { rule: { stage: "shadow", owner: "ana", is_active: false } },
      });
      expect(posted.body.warnings[0]).toContain("second person");
      const { id } = posted.body;
      const predict = (transaction: string) =>
        side.post("/pipelines/careful/predict", { transaction_id: transaction, amount: 6 }, program);
      expect((await predict("c1")).body).toMatchObject({
        decision: "approve",
        rules: { shadow: [expect.any(String)] },
      });
      const own = await side.patch(`/api/rules/${id}/status`, { is_active: true }, ana);
      expect(own).toMatchObject({ status: 403, body: { code: "rules.four-eyes" } });
      expect(await side.post(at, { ...body, stage: "live" }, ana)).toMatchObject({
        status: 403,
        body: { code: "rules.four-eyes" },
      });
      expect(await side.patch(`/api/rules/${id}/status`, { is_active: true }, ben)).toMatchObject({ status: 200 });
      expect((await predict("c2")).body.decision).toBe("review");
      // Who changes what it does is its author from then on, and it waits again.
      const changed = await side.patch(
        `/api/rules/${id}`,
        { rule_expression: "amount > 6" },
        { ...ben, "if-match": "*" },
      );
      expect(changed.body.rule).toMatchObject({ stage: "shadow", owner: "ben" });
      expect(await side.patch(`/api/rules/${id}/status`, { is_active: true }, ben)).toMatchObject({ status: 403 });
      expect(await side.patch(`/api/rules/${id}/status`, { is_active: true }, admin)).toMatchObject({ status: 200 });
      const audit = (await side.get("/api/audit?actor=ben", viewer)).body as readonly Answer["body"][];
      expect(audit.length).toBeGreaterThanOrEqual(2);
    });
  });
}

test("a pipeline of a file beside its model: what the model blocks is an alert, its rules and status are managed here, and others go on", async () => {
  const world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const { ports, close } = world.open();
  const { pipeline } = world;
  writeFileSync(pipeline.schemaFile, JSON.stringify(SCHEMA));
  const open = async (): Promise<OpenPipeline> => ({ ports, pipeline, schema: SCHEMA, close: async () => {} });
  const never = (): never => {
    throw new Error("no other pipeline is asked for");
  };
  const server = await createSeveral({
    sources: [{ name: "card", from: "file", open }],
    main: "card",
    clock: ports.clock,
    platform: { store: ports.store!, workspace: world.dir, sourceOf: never, pollMs: 50 },
    options: { logger: silent, announceMs: 0, lagMsMax: 60_000, aheadMaxMs: DAY_MS },
  });
  try {
    const { host, port } = await server.start({ host: "127.0.0.1", port: 0 });
    const call = async (method: string, at: string, body?: object): Promise<Answer> => {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const response = await fetch(`http://${host}:${port}${at}`, {
        method,
        headers: { "content-type": "application/json" },
        ...sent,
      });
      return { status: response.status, body: await response.json(), headers: response.headers };
    };
    const events = payments(120, { seed: 41, from: HISTORY[HISTORY.length - 1].time, prefix: "m" }).map(bodyOf);
    const replies = new Map<string, Answer["body"]>();
    for (const event of events) replies.set(String(event.transaction_id), (await call("POST", "/predict", event)).body);
    const flagged = [...replies.values()].filter(({ decision }) => decision !== "approve");
    expect(flagged.length).toBeGreaterThan(0);
    let alerts: readonly Answer["body"][] = [];
    await until(async () => {
      alerts = (await call("GET", "/api/alerts?limit=1000")).body;
      return alerts.length >= flagged.length;
    });
    expect(alerts).toHaveLength(flagged.length);
    for (const alert of alerts) {
      const reply = replies.get(alert.transaction_id);
      expect(alert).toMatchObject({
        decision: reply.decision,
        decided_by: "model",
        score: reply.score,
        severity: reply.decision === "block" ? "critical" : "warning",
        bundle: reply.model.bundle,
        vector_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        rules: [],
      });
    }
    const [card] = (await call("GET", "/api/pipelines")).body;
    expect(card).toMatchObject({ name: "card", source: "file", model: "card-fraud", alert_count: flagged.length });
    const schema = (await call("GET", `/api/pipelines/${card.id}/schema`)).body;
    expect(schema).toContainEqual({ name: "amount", type: "float", nullable: false });
    expect(await call("PATCH", `/api/pipelines/${card.id}`, { name: "x" })).toMatchObject({ status: 428 });
    // The road of most requests obeys, and comes back to the same champion.
    await call("PATCH", `/api/pipelines/${card.id}/status`, { status: "paused" });
    const next = { ...events[0], transaction_id: "n1" };
    expect(await call("POST", "/predict", next)).toMatchObject({ status: 503, body: { code: "pipeline.paused" } });
    expect(await call("POST", "/predict/batch", [next] as object)).toMatchObject({ status: 503 });
    expect(await call("POST", "/feedback", { transaction_id: "m1", fraud: true, source: "t" })).toMatchObject({
      status: 200,
    });
    await call("PATCH", `/api/pipelines/${card.id}/status`, { status: "active" });
    expect((await call("POST", "/predict", next)).body.model.version).toBe("1");
    // More rules than a pipeline may have: said at once, in words.
    const many = Array.from({ length: 10_001 }, (_, at) => ({ ...RULE, id: `r${at}`, when: `amount > ${at}` }));
    const by = { pipeline, actor: "t", verb: "add" };
    await expect(changeRules(ports, by, () => ({ rules: many }))).rejects.toMatchObject({
      code: "rules.invalid",
      message: "there are 10001 rules",
      hint: expect.stringContaining("10000"),
    });
  } finally {
    await server.stop();
    await close();
    await world.remove();
  }
});

const RULE = { action: "tag", severity: "info", description: "", stage: "live", share: 1, owner: "" } as const;
