// Sessions of the dashboard: login, rotation, expiry, logout; fixation, cross-site requests, roles and other people's pipelines.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Role } from "../../src/core/key.ts";
import { DEFAULT_TENANT, parseTenant } from "../../src/core/tenant.ts";
import { DESK_HEADER } from "../../src/server/cross-site.ts";
import { WATCHERS_MAX } from "../../src/server/feed.ts";
import {
  cookieOf,
  SESSION_COOKIE,
  SESSION_IDLE_MS_MAX,
  SESSION_MS_MAX,
  SESSIONS_MAX,
  SESSIONS_PER_KEY_MAX,
  Sessions,
  tokenIn,
} from "../../src/server/sessions.ts";
import { cookieFrom, type DeskWorld, openDesk } from "./desk-world.ts";
import { until } from "./world.ts";

const clock = { time: Date.UTC(2026, 5, 1, 9), now: () => clock.time, elapsed: () => performance.now() };
const own = (cookie: string) => ({ cookie, [DESK_HEADER]: "1", "sec-fetch-site": "same-origin" });
const pipeline = (name: string) => ({
  name,
  schema: [
    { name: "transaction_id", type: "string", nullable: false },
    { name: "user_id", type: "string" },
    { name: "amount", type: "float" },
  ],
});

let desk: DeskWorld;
const keys = {} as Record<Role, string>;
beforeAll(async () => {
  desk = await openDesk({ clock });
  for (const role of ["viewer", "analyst", "admin", "predict"] as const) keys[role] = await desk.key(role);
  // Keys that were added are seen within a second.
  await until(async () => (await desk.call("/api/pipelines")).status === 401);
  for (const name of ["shop", "bank"]) {
    const made = await desk.call("/api/pipelines", {
      body: pipeline(name),
      headers: { authorization: `Bearer ${keys.admin}` },
    });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
  }
});
afterAll(() => desk.remove());

const login = (key: string, headers: Readonly<Record<string, string>> = {}) =>
  desk.call("/api/session", { body: { key }, headers });

test("a login sets a cookie that no script reads and no other site sends; it opens what the key opens", async () => {
  const answer = await login(keys.analyst);
  expect(answer.status).toBe(201);
  expect(answer.body).toMatchObject({ signed_in: true, login_needed: true, name: "analyst", role: "analyst" });
  const set = answer.headers.get("set-cookie")!;
  for (const part of ["HttpOnly", "SameSite=Strict", "Path=/", `Max-Age=${SESSION_MS_MAX / 1000}`])
    expect(set).toContain(part);
  expect(set).not.toContain("Secure");
  expect(cookieOf("x", { secure: true })).toContain("; Secure");
  expect(set).not.toContain(keys.analyst);
  const cookie = cookieFrom(answer);
  expect((await desk.call("/api/pipelines", { headers: { cookie } })).status).toBe(200);
  expect((await desk.call("/api/session", { headers: { cookie } })).body).toMatchObject({
    signed_in: true,
    role: "analyst",
  });
  expect((await desk.call("/api/session")).body).toMatchObject({
    signed_in: false,
    login_needed: true,
    name: null,
    pipelines: [],
  });
});

test("a wrong key and a key of a program open nothing", async () => {
  const wrong = await login("sentinel_00000000_wrong");
  expect([wrong.status, wrong.body.code, wrong.headers.get("set-cookie")]).toEqual([401, "server.key-missing", null]);
  const program = await login(keys.predict);
  expect([program.status, program.body.code, program.headers.get("set-cookie")]).toEqual([
    403,
    "server.key-role",
    null,
  ]);
});

test("session fixation: a token that a browser brings along is never taken over, and ends at the login", async () => {
  const before = cookieFrom(await login(keys.viewer));
  const planted = `${SESSION_COOKIE}=${"A".repeat(43)}`;
  expect(cookieFrom(await login(keys.analyst, own(planted)))).not.toBe(planted);
  expect((await desk.call("/api/pipelines", { headers: { cookie: planted } })).status).toBe(401);
  const after = cookieFrom(await login(keys.analyst, own(before)));
  expect(after).not.toBe(before);
  expect((await desk.call("/api/pipelines", { headers: { cookie: before } })).status).toBe(401);
  expect((await desk.call("/api/pipelines", { headers: { cookie: after } })).status).toBe(200);
});

test("a logout ends the session here, not only in the browser", async () => {
  const cookie = cookieFrom(await login(keys.analyst));
  const out = await desk.call("/api/session", { method: "DELETE", headers: own(cookie) });
  expect([out.status, out.body]).toEqual([200, { signed_in: false, leave: null }]);
  expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
  expect((await desk.call("/api/pipelines", { headers: { cookie } })).status).toBe(401);
});

test("a session ends when it is idle, when it is old, and with its key", async () => {
  const idle = cookieFrom(await login(keys.analyst));
  clock.time += SESSION_IDLE_MS_MAX - 1;
  expect((await desk.call("/api/pipelines", { headers: { cookie: idle } })).status).toBe(200);
  clock.time += SESSION_IDLE_MS_MAX;
  expect((await desk.call("/api/pipelines", { headers: { cookie: idle } })).status).toBe(401);
  const old = cookieFrom(await login(keys.analyst));
  for (let passed = 0; passed < SESSION_MS_MAX; passed += SESSION_IDLE_MS_MAX / 2) {
    expect((await desk.call("/api/pipelines", { headers: { cookie: old } })).status).toBe(200);
    clock.time += SESSION_IDLE_MS_MAX / 2;
  }
  expect((await desk.call("/api/pipelines", { headers: { cookie: old } })).status).toBe(401);
  const shortKey = await desk.key("viewer", { name: "guest", validMs: 60_000 });
  let cookie = "";
  await until(async () => {
    const answer = await login(shortKey);
    cookie = cookieFrom(answer);
    return answer.status === 201;
  });
  clock.time += 60_001;
  expect((await desk.call("/api/pipelines", { headers: { cookie } })).status).toBe(401);
});

test("cross-site requests change nothing: neither by the cookie, nor without the header, nor where no key is asked for", async () => {
  const cookie = cookieFrom(await login(keys.admin));
  const put = (headers: Readonly<Record<string, string>>) =>
    desk.call("/api/pipelines/shop/status", { method: "PATCH", body: { status: "paused" }, headers });
  const refused: readonly Readonly<Record<string, string>>[] = [
    { ...own(cookie), "sec-fetch-site": "cross-site" },
    { ...own(cookie), "sec-fetch-site": "same-site" },
    { cookie, [DESK_HEADER]: "1", origin: "http://evil.example" },
    { cookie, [DESK_HEADER]: "1", origin: "null" },
    { cookie, "sec-fetch-site": "same-origin" },
    { cookie },
  ];
  for (const headers of refused) {
    const answer = await put(headers);
    expect([answer.status, answer.body.code], JSON.stringify(headers)).toEqual([403, "request.cross-site"]);
  }
  expect((await put({ cookie, [DESK_HEADER]: "1", origin: desk.url })).status).toBe(200);
  expect((await put({ ...own(cookie) })).status).toBe(200);
  // Who sends a key is a program, wherever it stands.
  expect((await put({ authorization: `Bearer ${keys.admin}`, origin: "http://tool.example" })).status).toBe(200);
  const keyless = await openDesk();
  try {
    const body = pipeline("free");
    const from = (site: string) => keyless.call("/api/pipelines", { body, headers: { "sec-fetch-site": site } });
    expect((await from("cross-site")).body.code).toBe("request.cross-site");
    expect((await keyless.call("/api/pipelines")).body).toEqual([]);
    expect((await from("same-origin")).status).toBe(201);
  } finally {
    await keyless.remove();
  }
});

test("role escalation: each role may change what it is for, whatever it sends beside its cookie", async () => {
  const attempts: readonly (readonly [method: string, at: string, body: unknown, role: Role])[] = [
    ["POST", "/api/pipelines/shop/rules", { rule_expression: "amount > 1" }, "analyst"],
    ["PATCH", "/api/pipelines/shop/status", { status: "active" }, "admin"],
    ["POST", "/api/pipelines", pipeline("third"), "admin"],
  ];
  const ranks: readonly Role[] = ["viewer", "analyst", "admin"];
  for (const role of ranks) {
    const cookie = cookieFrom(await login(keys[role]));
    for (const [method, at, body, need] of attempts) {
      const headers = { ...own(cookie), "x-role": "admin", "x-forwarded-user": "admin" };
      const { status } = await desk.call(at, { method, body, headers });
      const may = ranks.indexOf(role) >= ranks.indexOf(need);
      expect(may ? status < 300 : status === 403, `${role} ${method} ${at}: ${status}`).toBe(true);
    }
  }
});

test("insecure direct references: a key of one pipeline sees no other's alerts, rules or figures by their numbers", async () => {
  const admin = { authorization: `Bearer ${keys.admin}` };
  const rule = await desk.call("/api/pipelines/bank/rules", {
    body: { rule_expression: "amount > 0", severity: "critical" },
    headers: admin,
  });
  expect(rule.status).toBe(201);
  const sent = await desk.call("/pipelines/bank/predict", {
    body: { transaction_id: "b1", user_id: "u", amount: 5 },
    headers: admin,
  });
  expect(sent.status).toBe(200);
  // The dashboard's own page asks by its session, over the same road as programs, or not.
  const page = own(cookieFrom(await login(keys.admin)));
  for (const query of ["", "?explain=false"]) {
    const body = { transaction_id: "b1", user_id: "u", amount: 5 };
    const tried = await desk.call(`/pipelines/bank/predict${query}`, { body, headers: page });
    expect([query, tried.status, tried.body]).toEqual([query, 200, sent.body]);
  }
  let alert = 0;
  await until(async () => {
    const { body } = await desk.call("/api/alerts?pipeline=bank", { headers: admin });
    alert = body[0]?.id ?? 0;
    return alert > 0;
  });
  const shopKey = await desk.key("analyst", { name: "shop analyst", pipelines: ["shop"] });
  let cookie = "";
  await until(async () => {
    const answer = await login(shopKey);
    cookie = cookieFrom(answer);
    return answer.status === 201;
  });
  const headers = own(cookie);
  for (const at of [
    `/api/alerts/${alert}`,
    `/api/rules/${rule.body.id}`,
    `/api/rules/${rule.body.id}/performance`,
    "/api/pipelines/bank",
    "/api/pipelines/bank/rules",
    "/api/overview?pipeline=bank",
    "/api/days?pipeline=bank",
    "/api/live?pipeline=bank",
    "/api/alerts?pipeline=bank",
  ]) {
    expect((await desk.call(at, { headers })).status, at).toBe(403);
  }
  expect((await desk.call("/api/alerts", { headers })).body).toEqual([]);
  const { body } = await desk.call("/api/overview", { headers });
  expect(body.alerts.total).toBe(0);
  expect(body.flagged).toEqual({ amount: 0, alerts: 0, whole: true });
  expect(body.health.map((one: { pipeline: string }) => one.pipeline)).toEqual(["shop"]);
  expect((await desk.call("/api/session", { headers })).body.pipelines).toEqual(["shop"]);
});

test("the live stream begins at once, ends with its browser, and HEAD opens none: no more are kept than are read", async () => {
  const cookie = cookieFrom(await login(keys.viewer));
  for (let i = 0; i < WATCHERS_MAX + 10; i++) {
    const stop = new AbortController();
    // A client may close its half and still read: that it is gone shows at the next tick's write.
    const ask = (): Promise<Response> => fetch(`${desk.url}/api/live`, { headers: { cookie }, signal: stop.signal });
    let stream = await ask();
    await until(async () => {
      if (stream.status !== 200) stream = await ask();
      return stream.status === 200;
    });
    const { value } = await stream.body!.getReader().read();
    expect(new TextDecoder().decode(value)).toMatch(/^retry: 3000\nevent: tick\ndata: \{"at":/);
    stop.abort();
    expect((await fetch(`${desk.url}/api/live`, { method: "HEAD", headers: { cookie } })).status).toBe(200);
  }
  const open: AbortController[] = [];
  await until(async () => {
    const stop = new AbortController();
    open.push(stop);
    return (await fetch(`${desk.url}/api/live`, { headers: { cookie }, signal: stop.signal })).status === 503;
  });
  expect(open.length).toBeLessThanOrEqual(WATCHERS_MAX + 1);
  for (const stop of open) stop.abort();
});

test("the table of sessions is bounded: the one that was idle for longest makes room", () => {
  let drawn = 0;
  const time = { at: 0 };
  const sessions = new Sessions({ now: () => time.at, elapsed: () => 0 }, (bytes) => {
    const value = new Uint8Array(bytes);
    new DataView(value.buffer).setUint32(0, ++drawn);
    return value;
  });
  const [mine, theirs] = [DEFAULT_TENANT, parseTenant("north")];
  const open = (key: string, tenant = mine): string => sessions.open({ id: key, hash: key }, { tenant });
  const tokens = Array.from({ length: SESSIONS_MAX }, (_, i) => open(`k${i}`));
  expect(sessions.find(tokens[0])).not.toBeNull();
  open("one more");
  expect(sessions.size).toBe(SESSIONS_MAX);
  expect(sessions.find(tokens[0])).not.toBeNull();
  expect(sessions.find(tokens[1])).toBeNull();
  // Whoever logs in again and again ends their own sessions, and nobody else's: neither of the tenant, nor of another one.
  const again = Array.from({ length: 2 * SESSIONS_MAX }, () => open("again"));
  expect(again.filter((token) => sessions.find(token) !== null)).toHaveLength(SESSIONS_PER_KEY_MAX);
  for (let i = 0; i < 2 * SESSIONS_MAX; i++) open(`n${i}`, theirs);
  expect(sessions.find(tokens[0])).not.toBeNull();
  expect(sessions.size).toBe(2 * SESSIONS_MAX);
});

test("cookies are read as RFC 6265 writes them, and odd ones find nothing", () => {
  expect(tokenIn(`a=1; ${SESSION_COOKIE}=abc; b=2`)).toBe("abc");
  expect(tokenIn(`x${SESSION_COOKIE}=abc`)).toBeNull();
  expect(tokenIn(undefined)).toBeNull();
  const sessions = new Sessions({ now: () => 0, elapsed: () => 0 }, (bytes) => new Uint8Array(bytes));
  for (const odd of ["", "__proto__", "a".repeat(1_000_000), "%00", "A".repeat(43)])
    expect(sessions.find(odd)).toBeNull();
});
