// Tenants of one server: every route that there is, asked with another tenant's key about what is somebody else's, answers as if it were not there.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OPERATOR } from "../../src/core/key.ts";
import { type DeskWorld, openDesk } from "./desk-world.ts";

const SECRET = "s3cret-of-the-owner";
const SLUG = "payments";
/** As nobody's is called. */
const ABSENT = "nowhere";

let desk: DeskWorld;
/** Keys of administrators by tenant. */
const keys: Record<string, string> = {};

interface Owned {
  readonly pipeline: number;
  readonly rule: number;
  readonly alert: number;
  readonly case: number;
  readonly snooze: number;
  readonly key: string;
}
const owned: Record<string, Owned> = {};

const as = (tenant: string) => ({ "x-api-key": keys[tenant] });
const payment = (id: string, amount: number) => ({ transaction_id: id, user_id: SECRET, amount, note: SECRET });

async function ask(tenant: string, at: string, body?: unknown, method?: string) {
  return desk.call(at, { headers: { ...as(tenant), "if-match": "*" }, body, method });
}

/** Asks until the answer has this status: keys and tenants count within a second. */
async function until(at: string, headers: Readonly<Record<string, string>>, wanted: number): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if ((await desk.call(at, { headers })).status === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${at} never answered ${wanted}`);
}

async function anOperator(): Promise<Readonly<Record<string, string>>> {
  const headers = { "x-api-key": await desk.key(OPERATOR) };
  await until("/api/tenants", headers, 200);
  return headers;
}

/** Something of each kind, the same in each tenant that has it. */
async function furnish(tenant: string): Promise<void> {
  const field = (name: string, type: string) => ({ name, type, nullable: false });
  const made = await ask(tenant, "/api/pipelines", {
    name: "Payments",
    schema: [
      field("transaction_id", "string"),
      field("user_id", "string"),
      field("amount", "float"),
      field("note", "string"),
    ],
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const { id: pipeline } = made.body as { readonly id: number };
  const rule = await ask(tenant, `/api/pipelines/${pipeline}/rules`, {
    name: "large",
    rule_expression: "amount > 100",
    severity: "critical",
    description: SECRET,
  });
  expect(rule.status, JSON.stringify(rule.body)).toBe(201);
  const list = await ask(tenant, "/api/lists", { pipeline_id: SLUG, name: "mules", values: [SECRET] });
  expect(list.status, JSON.stringify(list.body)).toBeLessThan(300);
  for (const [index, amount] of [5, 500, 700].entries()) {
    const answered = await ask(tenant, `/pipelines/${SLUG}/predict`, payment(`t${index}`, amount));
    expect(answered.status, JSON.stringify(answered.body)).toBe(200);
  }
  const firstOf = async (at: string): Promise<{ readonly id: number }> => {
    for (let tries = 0; tries < 400; tries++) {
      const { body } = await ask(tenant, at);
      const all = Array.isArray(body) ? body : Object.values(body as object).find(Array.isArray);
      const found = (all ?? []) as readonly { readonly id: number }[];
      if (found.length > 0) return found[0];
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`nothing at ${at}`);
  };
  const { id: alert } = await firstOf("/api/alerts");
  const { id: opened } = await firstOf("/api/cases");
  const rule_id = (rule.body as { readonly id: number }).id;
  const until = new Date(Date.now() + 86_400_000).toISOString();
  const snooze = await ask(tenant, "/api/snoozes", { entity: "somebody", rule_id, until, reason: SECRET });
  expect(snooze.status, JSON.stringify(snooze.body)).toBe(201);
  const record = await ask(tenant, "/api/keys", { name: SECRET, role: "viewer" });
  owned[tenant] = {
    pipeline,
    rule: (rule.body as { readonly id: number }).id,
    alert,
    case: opened,
    snooze: (snooze.body as { readonly id: number }).id,
    key: (record.body as { readonly record: { readonly id: string } }).record.id,
  };
}

beforeAll(async () => {
  desk = await openDesk();
  keys.default = await desk.key("admin");
  // Before any key is known nobody is asked for one.
  await until("/api/pipelines", {}, 401);
  await until("/api/pipelines", as("default"), 200);
  keys.north = await desk.tenant("north");
  keys.south = await desk.tenant("south");
  for (const tenant of ["default", "north"]) await furnish(tenant);
}, 60_000);
afterAll(() => desk?.remove());

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
}
interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly format?: string;
}

/** A body that a schema may take: what must be there, and nothing else. */
function sample(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice !== undefined) return sample(choice[0]);
  const type = typeof schema.type === "string" ? schema.type : (schema.type?.[0] ?? "object");
  if (type === "array") return schema.items === undefined ? [] : [sample(schema.items)];
  if (type === "integer" || type === "number") return Math.max(schema.minimum ?? 1, 1);
  if (type === "boolean") return true;
  if (type === "string") return schema.format === "date-time" ? "2026-01-01T00:00:00Z" : "words";
  return Object.fromEntries(
    (schema.required ?? []).map((name) => [name, sample(schema.properties?.[name] ?? { type: "string" })]),
  );
}

/** What stands for each parameter of a path: what the owner has, and what nobody has. A new one needs a line here. */
function valuesOf(tenant: string): Readonly<Record<string, readonly [string, string]>> {
  const { pipeline, rule, alert, case: opened, snooze, key } = owned[tenant];
  return {
    pipeline: [SLUG, ABSENT],
    id: [String(pipeline), "991"],
    rule: [String(rule), "992"],
    alert: [String(alert), "993"],
    case: [String(opened), "994"],
    snooze: [String(snooze), "995"],
    message: ["1", "996"],
    key: [key, "00000000"],
    list: ["mules", ABSENT],
    column: ["user_id", "user_id"],
    value: [SECRET, ABSENT],
    version: ["1", "997"],
    model: [SLUG, ABSENT],
    file: ["a.js", "a.js"],
    tenant: [tenant, ABSENT],
  };
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

async function routesOf(tenant: string): Promise<readonly Route[]> {
  const { body } = await ask(tenant, "/openapi.json");
  const { paths } = body as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** One request without a socket; of a stream its first part. */
async function answered(tenant: string, { method, operation }: Route, at: string) {
  const type = Object.keys(operation.requestBody?.content ?? {})[0];
  const schema = type === undefined ? undefined : operation.requestBody!.content[type].schema;
  const response = await desk.server.app.request(at, {
    method,
    headers: { ...as(tenant), "if-match": "*", ...(type === undefined ? {} : { "content-type": type }) },
    ...(schema === undefined ? {} : { body: JSON.stringify(sample(schema)) }),
  });
  const reader = response.body?.getReader();
  let text = "";
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    text += Buffer.from(part.value).toString();
    if ((response.headers.get("content-type") ?? "").startsWith("text/event-stream")) break;
  }
  await reader?.cancel();
  return { status: response.status, text };
}

function filled(path: string, values: ReturnType<typeof valuesOf>, which: 0 | 1): string {
  const named = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`nothing stands for {${name}} of ${path}: add it to valuesOf`);
    return encodeURIComponent(value[which]);
  });
  return which === 0 ? named : named.replace(`/pipelines/${SLUG}`, `/pipelines/${ABSENT}`);
}

/** Without what was asked for. */
function plain(text: string): string {
  return text
    .replaceAll(SLUG, "NAME")
    .replaceAll(ABSENT, "NAME")
    .replaceAll(SECRET, "NAME")
    .replace(/[0-9a-f]*\d[0-9a-f]*/g, "#");
}

/** What the owner sees of everything that is there, but for times, counts of requests and audit. */
async function everything(tenant: string): Promise<string> {
  const parts: string[] = [];
  for (const at of [
    "/api/pipelines",
    `/api/pipelines/${SLUG}/rules`,
    `/api/lists?pipeline=${SLUG}`,
    "/api/alerts",
    "/api/cases",
    "/api/snoozes",
    "/api/keys",
    "/api/notifications",
    "/pipelines",
    `/api/pipelines/${SLUG}/rules/history`,
  ]) {
    const { status, body } = await ask(tenant, at);
    parts.push(`${at} ${status} ${JSON.stringify(body)}`);
  }
  return parts.join("\n");
}

describe.each(["default", "north"])("what is the tenant's %s", (owner) => {
  test("is not read, changed or told from what is not there by another tenant's key, by any route", async () => {
    const before = await everything(owner);
    expect(before).toContain(SECRET);
    const values = valuesOf(owner);
    const routes = await routesOf(owner);
    expect(routes.length).toBeGreaterThan(90);
    let asked = 0;
    for (const route of routes) {
      const { method, path, operation } = route;
      // Makes what is the caller's own: then the same number would be a pipeline of theirs.
      if (method === "POST" && path === "/api/pipelines") continue;
      const queries = (operation.parameters ?? []).some((one) => one.in === "query" && one.name.startsWith("pipeline"))
        ? ["", SLUG, String(owned[owner].pipeline)]
        : [""];
      const name = operation.parameters?.find((one) => one.name.startsWith("pipeline") && one.in === "query")?.name;
      for (const query of queries) {
        const at = `${filled(path, values, 0)}${query === "" ? "" : `?${name}=${query}`}`;
        const nobodys = query === SLUG ? ABSENT : "991";
        const other = `${filled(path, values, 1)}${query === "" ? "" : `?${name}=${nobodys}`}`;
        const found = await answered("south", route, at);
        const missing = await answered("south", route, other);
        const what = `${method} ${at}`;
        asked++;
        if (!at.includes(SECRET)) expect(found.text, what).not.toContain(SECRET);
        if (at !== other)
          expect([found.status, plain(found.text)], what).toEqual([missing.status, plain(missing.text)]);
        expect(found.status, `${what}: ${found.text}`).not.toBe(500);
      }
    }
    expect(asked).toBeGreaterThan(110);
    expect(await everything(owner)).toBe(before);
    // The paths are those of something: their owner finds it.
    for (const route of routes) {
      if (
        route.method !== "GET" ||
        !route.path.startsWith("/api/") ||
        /models|message|tenant|live|oidc|drift/.test(route.path)
      )
        continue;
      const { status, text } = await answered(owner, route, filled(route.path, values, 0));
      expect([200, 400, 422, 409, 503], `${route.path}: ${text}`).toContain(status);
    }
  });

  test("has its own pipelines, states, ids and metrics, whatever others call theirs", async () => {
    const other = owner === "default" ? "north" : "default";
    expect(owned[owner]).toMatchObject({ pipeline: 1, rule: 1, alert: 2, case: 1 });
    // The same id is no duplicate of somebody else's, over the wire as without it.
    const first = await ask(owner, `/pipelines/${SLUG}/predict`, payment(`only-${owner}`, 900));
    expect(first).toMatchObject({ status: 200, body: { decision: "review" } });
    const second = await ask(other, `/pipelines/${SLUG}/predict`, payment(`only-${owner}`, 5));
    expect(second).toMatchObject({ status: 200, body: { decision: "approve" } });
    expect((await ask("south", `/pipelines/${SLUG}/predict`, payment("x", 5))).status).toBe(404);
    const metrics = await ask(owner, "/metrics");
    expect(String(metrics.body).includes(`tenant="north"`)).toBe(owner === "north");
    expect(String(metrics.body)).toContain(SLUG);
  });
});

test("who shows no key sees nothing of any tenant once there are several, and whoever runs the server sees all measures", async () => {
  for (const at of ["/metrics", "/readyz", "/health", "/api/session", "/v2/health/ready"]) {
    const { status, body } = await desk.call(at);
    expect([at, status]).toEqual([at, 200]);
    expect(JSON.stringify(body), at).not.toContain(SLUG);
  }
  expect((await desk.call(`/pipelines/${SLUG}/health`)).status).toBe(404);
  const operator = await anOperator();
  const { body } = await desk.call("/metrics", { headers: operator });
  expect(String(body)).toMatch(/pipeline="payments"/);
  expect(String(body)).toMatch(/tenant="north"/);
  expect((await desk.call("/api/pipelines", { headers: operator })).status).toBe(403);
  expect((await desk.call("/api/tenants", { headers: as("default") })).status).toBe(403);
});

test("whoever runs the server makes, limits and removes tenants; a limit says which it is, and is counted", async () => {
  const operator = await anOperator();
  const made = await desk.call("/api/tenants", {
    headers: operator,
    body: { name: "west", title: "West", limits: { pipelines: 1, rules: 1 } },
  });
  expect(made).toMatchObject({ status: 201, body: { tenant: { name: "west", limits: { pipelines: 1 } } } });
  keys.west = (made.body as { readonly key: string }).key;
  await until("/api/pipelines", as("west"), 200);
  expect((await ask("west", "/api/session")).body).toMatchObject({ tenant: "West" });
  expect((await ask("default", "/api/session")).body).toMatchObject({ tenant: null });
  const field = { name: "amount", type: "float", nullable: false };
  const pipeline = (name: string) => ask("west", "/api/pipelines", { name, schema: [field] });
  // What comes together finds the same room once.
  const three = await Promise.all(["One", "Other", "Third"].map(pipeline));
  expect(three.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  expect(await pipeline("Two")).toMatchObject({
    status: 409,
    body: { code: "tenant.limit", detail: expect.stringContaining("1 pipelines") },
  });
  const rule = () => ask("west", "/api/pipelines/1/rules", { rule_expression: "amount > 1" });
  const rules = await Promise.all(Array.from({ length: 4 }, rule));
  expect(rules.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  expect(await rule()).toMatchObject({
    status: 409,
    body: { code: "tenant.limit", detail: expect.stringContaining("1 rules") },
  });
  const limited = await desk.call("/api/tenants/west", {
    headers: operator,
    method: "PATCH",
    body: { limits: { requests_per_second: 2 } },
  });
  expect(limited).toMatchObject({ status: 200, body: { limits: { pipelines: 1, requests_per_second: 2 } } });
  let refused: Awaited<ReturnType<typeof ask>> | null = null;
  for (let tries = 0; tries < 400 && refused === null; tries++) {
    const one = await ask("west", "/api/pipelines");
    if (one.status === 429) refused = one;
  }
  expect(refused).toMatchObject({
    body: { code: "server.rate-limited", detail: expect.stringContaining("all keys of this tenant") },
  });
  const { body } = await desk.call("/metrics", { headers: operator });
  for (const quota of ["pipelines", "rules", "requests"]) {
    expect(String(body)).toMatch(new RegExp(`sentinel_tenant_refused_total\\{tenant="west",quota="${quota}"\\} [1-9]`));
  }
  expect((await desk.call("/api/tenants/west", { headers: operator, method: "DELETE" })).status).toBe(200);
  await until("/api/pipelines", as("west"), 401);
  expect(await desk.call("/api/tenants", { headers: operator, body: { name: "west" } })).toMatchObject({
    status: 409,
    body: { code: "tenant.exists" },
  });
});
