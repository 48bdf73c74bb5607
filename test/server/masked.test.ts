// Personal columns are hidden from viewers in every answer below /api, from receivers of notifications and from the log; analysts see them.
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import type { Role } from "../../src/core/key.ts";
import { addKey } from "../../src/lifecycle/keys.ts";
import { fileSource } from "../../src/lifecycle/serve.ts";
import { maskedLog } from "../../src/online/masked-log.ts";
import { type MadePipeline, madeSchema, madeText } from "../../src/pipeline/made.ts";
import { parseNotifications } from "../../src/pipeline/notifications.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import { personalMask } from "../../src/pipeline/privacy.ts";
import { Privacies } from "../../src/server/privacies.ts";
import { createSeveral, type SentinelServer } from "../../src/server/server.ts";
import { openWorkspacePorts } from "../../src/wiring.ts";
import { silent, until } from "./world.ts";

const CARD_COLUMN = "card_no";
const CARD = "4929-1234-77";
const MAIL = "mia@example.org";
const FIELDS = ["transaction_id", "card_no", "email", "country"].map(
  (name) => ({ name, type: "string", nullable: name !== "transaction_id" }) as const,
);
const MADE: MadePipeline = {
  slug: "shop",
  fourEyes: false,
  fields: [
    ...FIELDS,
    { name: "amount", type: "float", nullable: true },
    { name: "at", type: "timestamp", nullable: false },
  ],
  roles: { id: "transaction_id", time: "at", amount: "amount", key: "card_no" },
};

let dir: string;
let server: SentinelServer;
let url: string;
let close: () => Promise<void>;
let store: Awaited<ReturnType<NonNullable<ReturnType<typeof openWorkspacePorts>["common"]["store"]>>>;
const keys = new Map<Role, string>();

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-masked-"));
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), text);
  };
  const pipeline = { ...JSON.parse(madeText(MADE)), privacy: { personal: [CARD_COLUMN, "email"] } };
  write("pipelines/shop.yaml", JSON.stringify(pipeline));
  write("pipelines/shop.schema.json", JSON.stringify(madeSchema(MADE)));
  write(
    "pipelines/shop.rules.yaml",
    "rules:\n  - id: large\n    when: amount > 100\n    action: review\n    severity: critical\n    stage: live\n    description: a large amount\n",
  );
  const workspace = openWorkspacePorts(loadConfig({ workspace: dir, environment: {} }), {
    report: { line: () => {}, progress: () => {} },
  });
  const { common } = workspace;
  const makers = {
    portsOf: (pipeline: Pipeline) => workspace.portsOf({ pipeline: "shop", settings: () => pipeline }),
    archiverOf: () => {
      throw new Error("nothing is archived here");
    },
  };
  server = await createSeveral({
    sources: [fileSource(dir, "shop", makers)],
    main: "shop",
    clock: common.clock,
    keys: common.keys,
    platform: {
      store: common.store!,
      workspace: dir,
      pollMs: 50,
      sourceOf: () => fileSource(dir, "shop", makers),
      deskPollMs: 50,
      notices: {
        file: parseNotifications(
          "targets: { hook: { kind: webhook, url: 'http://127.0.0.1:1/' } }\nroutes: [{ to: [hook], events: [alert] }]\n",
          "n",
        ).value,
        targets: [{ name: "hook", send: async () => ({ outcome: "again", cause: "not yet" }) }],
      },
    },
    options: { logger: silent, announceMs: 0, lagMsMax: 60_000, drainMsMax: 1000 },
  });
  for (const role of ["viewer", "analyst", "predict"] as const) {
    const made = await addKey(common, {
      name: role,
      role,
      actor: "test",
      validMs: null,
      rate: null,
      random: randomBytes,
    });
    keys.set(role, made.key);
  }
  const { host, port } = await server.start({ host: "127.0.0.1", port: 0 });
  url = `http://${host}:${port}`;
  store = await common.store!();
  close = async () => {
    await server.stop();
    await workspace.close();
    rmSync(dir, { recursive: true, force: true });
  };
}, 60_000);
afterAll(() => close?.());

async function get(role: Role, at: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${url}${at}`, { headers: { authorization: `Bearer ${keys.get(role)}` } });
  return { status: response.status, text: await response.text() };
}

test("a viewer sees no personal value in any answer, as JSON or CSV, and cannot search for one; an analyst sees them", async () => {
  // Keys that were made a moment ago: until the server knows them it asks nobody, and shows everything.
  await until(async () => (await fetch(`${url}/api/alerts`)).status === 401);
  const transaction = { transaction_id: "t1", card_no: CARD, email: MAIL, country: "FR", amount: 500 };
  const sent = await fetch(`${url}/predict`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${keys.get("predict")}` },
    body: JSON.stringify({ ...transaction, at: new Date().toISOString() }),
  });
  expect([sent.status, await sent.text()]).toEqual([200, expect.stringContaining("review")]);
  await until(async () => (await store.cases.page({}, { limit: 10 })).items.length === 1);
  const [alert] = (await store.alerts.page({}, { limit: 1 })).items;
  const [one] = (await store.cases.page({}, { limit: 1 })).items;
  await store.cases.note(one.id, { at: 1, by: "ana", action: "note", text: `asked ${MAIL} about ${CARD}` } as never);
  const roads = [
    "/api/alerts",
    "/api/alerts?format=csv",
    `/api/alerts/${alert.id}`,
    "/api/cases",
    `/api/cases/${one.id}`,
  ];
  for (const at of roads) {
    const [seen, whole] = [await get("viewer", at), await get("analyst", at)];
    expect([at, seen.status, whole.status]).toEqual([at, 200, 200]);
    expect([at, seen.text.includes(CARD), seen.text.includes(MAIL)]).toEqual([at, false, false]);
    expect([at, whole.text.includes(CARD)]).toEqual([at, true]);
    if (!at.includes("csv")) expect(JSON.parse(seen.text)).toBeTypeOf("object");
  }
  expect(JSON.parse((await get("viewer", "/api/alerts")).text)[0]).toMatchObject({
    entity: "***",
    transaction_data: { card_no: "***", email: "***", country: "FR", amount: 500 },
  });
  for (const at of [
    `/api/alerts?entity=${CARD}`,
    "/api/alerts?q=mia",
    "/api/cases?q=4929",
    `/api/entities/card_no/${CARD}`,
  ]) {
    expect([at, (await get("viewer", at)).status, (await get("analyst", at)).status]).toEqual([at, 403, 200]);
  }
});

test("a viewer sees no value of a list, no text of a condition and no change of either; an analyst does", async () => {
  const post = async (at: string, body: object): Promise<number> => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${keys.get("analyst")}` };
    const response = await fetch(`${url}${at}`, { method: "POST", headers, body: JSON.stringify(body) });
    return response.status;
  };
  expect(await post("/api/lists", { name: "blocked_cards", values: ["4971-99"], reason: "fraud" })).toBe(201);
  expect(await post("/api/pipelines/shop/rules", { rule_expression: "card_no = '4971-98'", name: "one" })).toBe(201);
  const roads = ["/api/lists/blocked_cards", "/api/pipelines/shop/rules", "/api/pipelines/shop/rules/history"];
  for (const at of [...roads, "/api/audit"]) {
    const [seen, whole] = [await get("viewer", at), await get("analyst", at)];
    expect([at, seen.status, /4971-9/.test(seen.text)]).toEqual([at, 200, false]);
    expect([at, whole.status, /4971-9/.test(whole.text)]).toEqual([at, 200, true]);
  }
});

test("a name in the path that is no text in UTF-8 is answered alike for everybody", async () => {
  const [seen, whole] = [await get("viewer", "/api/entities/%FF/x"), await get("analyst", "/api/entities/%FF/x")];
  expect([seen.status, whole.status]).toEqual([404, 404]);
});

test("a notification says no personal value", async () => {
  await until(async () => (await store.outbox.waiting({ limit: 10 })).items.length === 1);
  const [message] = (await store.outbox.waiting({ limit: 10 })).items;
  expect(JSON.parse(message.body).data).toMatchObject({ entity: "***", amount: 500, transaction_id: "t1" });
  expect(message.body).not.toContain(CARD);
});

test("a line of the log says no personal value, whatever a message repeats", () => {
  const lines: string[] = [];
  const write = (facts: object, text: string): void => void lines.push(JSON.stringify({ ...facts, text }));
  const log = maskedLog({ info: write, warn: write, error: write }, () => personalMask([loadPipeline(dir, "shop")]));
  const error = `Unexpected end of JSON input: {"card_no": "${CARD}", "amount": 3`;
  log.error({ error, stack: `Error: email=${MAIL}`, fields: { card_no: CARD, country: "FR" } }, "a request met a bug");
  log.warn({ error, url: `/api/entities?card_no=${CARD}` }, "a request failed");
  expect(lines.join()).not.toMatch(new RegExp(`${CARD}|${MAIL}`));
  expect(lines[0]).toContain('"country":"FR"');
});

test("while a pipeline is not up its personal columns stay hidden: by what was known of it, and else by hiding the whole", async () => {
  // The pipeline has gone and its file can no longer be read.
  const other = await replaced(server.pipelines, async () => {
    throw new Error("a typo");
  });
  expect(other.engine).toBeNull();
  for (const at of ["/api/alerts", "/api/alerts?format=csv", "/api/cases"]) {
    const seen = await get("viewer", at);
    expect([at, seen.status, seen.text.includes(CARD), seen.text.includes(MAIL)]).toEqual([at, 200, false, false]);
  }
  expect(JSON.parse((await get("viewer", "/api/alerts")).text)[0].transaction_data).toMatchObject({ country: "FR" });
  expect((await get("viewer", "/api/alerts?q=mia")).status).toBe(403);
  // A server that never had it up.
  const never = new Privacies({ all: () => server.pipelines.all() });
  const stored = await store.pipelines.list();
  const [alert] = (await store.alerts.page({}, { limit: 1 })).items;
  const shown = never.mask(stored).document({ ...alert, other: 1 });
  expect(shown).toMatchObject({ entity: "***", transaction: "***", reasons: "***", amount: 500, other: 1 });
  expect(never.mask(null).isEmpty).toBe(false);
});

function replaced(pipelines: SentinelServer["pipelines"], open: () => Promise<never>) {
  return pipelines.replace({ name: "shop", from: "file", open });
}
