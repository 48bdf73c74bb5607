// Logins by an identity provider, a real one: roles by a claim, and each way in which somebody else's login could become one's own.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { readLogin } from "../../src/pipeline/login.ts";
import { sessionRoutes } from "../../src/server/api/session.ts";
import { ASKING_MAX, LOGIN_COOKIE, LOGIN_MS_MAX, Logins } from "../../src/server/login.ts";
import { claimsOf, personOf } from "../../src/server/person.ts";
import { SESSION_COOKIE } from "../../src/server/sessions.ts";
import { openLogin } from "../../src/wiring.ts";
import { type DeskWorld, openDesk } from "./desk-world.ts";
import { CLIENT, Jar, logInThere, startProvider, type TestProvider } from "./provider.ts";

const ACCOUNTS = {
  ann: { email: "ann@shop.example", email_verified: true, groups: ["everybody", "fraud-analysts"] },
  lea: { email: "lea@shop.example", email_verified: true, groups: ["fraud-analysts", "fraud-leads"] },
  bob: { email: "bob@shop.example", email_verified: true, groups: ["warehouse"] },
  eve: { email: "ann@shop.example", email_verified: false, groups: ["fraud-leads"] },
  nil: { email: "nil@shop.example", email_verified: true },
};
const page = { accept: "text/html,application/xhtml+xml" };
const fileOf = (issuer: string, url: string, more = ""): string => `issuer: ${issuer}
client_id: ${CLIENT.id}
client_secret_from: file:secret
url: ${url}
title: Shop account
name_claim: email
role_claim: groups
roles: { fraud-leads: admin, fraud-analysts: analyst }
${more}`;

let skewMs = 0;
const clock = { now: () => Date.now() + skewMs, elapsed: () => performance.now() };
let desk: DeskWorld;
let provider: TestProvider;
beforeAll(async () => {
  desk = await openDesk({
    clock,
    login: async (url, dir) => {
      provider = await startProvider(ACCOUNTS, url);
      writeFileSync(path.join(dir, "secret"), `${CLIENT.secret}\n`);
      writeFileSync(path.join(dir, "login.yaml"), fileOf(provider.issuer, url));
      return (await openLogin(loadConfig({ workspace: dir, environment: {} }), clock))!;
    },
  });
});
afterAll(async () => {
  await desk?.remove();
  await provider?.close();
});
afterEach(() => {
  skewMs = 0;
  provider.change = null;
  provider.signature = "own";
});

/** A browser: its cookies at the desk. */
async function visit(at: string | URL, jar: Jar): Promise<Response> {
  const headers = { cookie: jar.header, ...page };
  const response = await fetch(new URL(at, desk.url), { headers, redirect: "manual" });
  jar.take(response.headers);
  return response;
}
async function begin(jar: Jar, to = ""): Promise<string> {
  const response = await visit(`/api/session/oidc${to === "" ? "" : `?to=${encodeURIComponent(to)}`}`, jar);
  expect(response.status, await response.clone().text()).toBe(303);
  return response.headers.get("location")!;
}
async function logIn(login: string, jar = new Jar(), to = ""): Promise<Response> {
  return visit(await logInThere(await begin(jar, to), login), jar);
}
async function expectRefused(response: Response, code: string, words: RegExp): Promise<void> {
  const text = await response.text();
  expect(text).toContain(`<code>${code}</code>`);
  expect(text).toMatch(words);
  expect(text).toContain("Back to the login");
  expect(text).not.toMatch(/<script/);
  expect(response.headers.get("content-type")).toContain("text/html");
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(response.headers.getSetCookie().join()).not.toContain(SESSION_COOKIE);
}
const who = async (jar: Jar) => (await desk.call("/api/session", { headers: { cookie: jar.header } })).body;

test("a person logs in by the provider, in the role of the highest group, with a cookie like that of a key", async () => {
  expect((await desk.call("/api/pipelines")).status).toBe(401);
  expect((await desk.call("/api/session")).body).toMatchObject({ signed_in: false, provider: "Shop account" });
  const jar = new Jar();
  const done = await logIn("ann", jar, "#/alerts?pipeline=shop");
  expect([done.status, done.headers.get("location")]).toEqual([303, "/#/alerts?pipeline=shop"]);
  const set = done.headers.getSetCookie().find((one) => one.startsWith(SESSION_COOKIE))!;
  expect(set).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=/);
  expect(await who(jar)).toMatchObject({ signed_in: true, name: "oidc:ann@shop.example", role: "analyst" });
  expect((await desk.call("/api/pipelines", { headers: { cookie: jar.header } })).status).toBe(200);
  expect((await desk.call("/api/keys", { headers: { cookie: jar.header } })).status).toBe(403);
  const lead = new Jar();
  await logIn("lea", lead);
  expect(await who(lead)).toMatchObject({ role: "admin" });
  expect((await desk.call("/api/keys", { headers: { cookie: lead.header } })).status).toBe(200);
});

test("what is asked for has PKCE, state and nonce, new ones each time, and the browser reads none of them", async () => {
  const jar = new Jar();
  const one = new URL(await begin(jar)).searchParams;
  const two = new URL(await begin(new Jar())).searchParams;
  expect(one.get("code_challenge_method")).toBe("S256");
  for (const name of ["state", "nonce", "code_challenge"]) {
    expect(one.get(name), name).toMatch(/^[\w-]{43}$/);
    expect(one.get(name)).not.toBe(two.get(name));
    expect(jar.header).not.toContain(one.get(name));
  }
  const set = (await visit("/api/session/oidc", new Jar())).headers.get("set-cookie")!;
  expect(set).toMatch(/^sentinel_login=[\w-]+; Path=\/api\/session\/oidc; HttpOnly; SameSite=Lax; Max-Age=600$/);
});

test("who has no role, no such claim or no verified address is refused, and told what is missing", async () => {
  await expectRefused(await logIn("bob"), "login.refused", /nothing that counts here in the claim &quot;groups&quot;/);
  await expectRefused(await logIn("nil"), "login.refused", /does not send the claim &quot;groups&quot;/);
  await expectRefused(await logIn("eve"), "login.refused", /has not verified the e-mail address/);
});

test("session fixation: a session that the browser brings along ends, and the new one has another token", async () => {
  const jar = new Jar();
  await logIn("ann", jar);
  const before = jar.header;
  jar.take(new Headers({ "set-cookie": `${SESSION_COOKIE}=${"A".repeat(43)}` }));
  const planted = jar.header;
  await logIn("lea", jar);
  expect(jar.header).not.toBe(planted);
  expect((await desk.call("/api/pipelines", { headers: { cookie: planted } })).status).toBe(401);
  const again = new Jar();
  again.take(new Headers({ "set-cookie": before }));
  await logIn("lea", again);
  expect((await desk.call("/api/pipelines", { headers: { cookie: before } })).status).toBe(401);
});

test("CSRF of the callback: a login that another browser began is none here, whoever's code it brings", async () => {
  const [mine, theirs] = [new Jar(), new Jar()];
  const back = await logInThere(await begin(theirs), "eve");
  await expectRefused(await visit(back, mine), "login.invalid", /not begun in this browser/);
  await begin(mine);
  await expectRefused(await visit(back, mine), "login.invalid", /not begun in this browser/);
  // A cookie that somebody wrote is no seal.
  const forged = new Jar();
  forged.take(
    new Headers({
      "set-cookie": `${LOGIN_COOKIE}=${Buffer.from(JSON.stringify({ state: "x" })).toString("base64url")}`,
    }),
  );
  await expectRefused(await visit(back, forged), "login.invalid", /not begun in this browser/);
  expect(await who(mine)).toMatchObject({ signed_in: false });
});

test("a callback that comes again finds nothing: neither the login, nor at the provider the code", async () => {
  const jar = new Jar();
  const back = await logInThere(await begin(jar), "ann");
  const sealed = new Jar();
  sealed.take(new Headers({ "set-cookie": jar.header }));
  expect((await visit(back, jar)).status).toBe(303);
  await expectRefused(await visit(back, jar), "login.invalid", /ended already/);
  await expectRefused(await visit(back, sealed), "login.invalid", /ended already/);
  // A code of one login in another: PKCE and the provider's own memory.
  const other = new Jar();
  const next = await logInThere(await begin(other), "ann");
  next.searchParams.set("code", back.searchParams.get("code")!);
  await expectRefused(await visit(next, other), "login.invalid", /does not take the code/);
});

test("mix-up: an answer in another provider's name, or in nobody's, is refused", async () => {
  for (const iss of ["https://evil.example", null]) {
    const jar = new Jar();
    const back = await logInThere(await begin(jar), "ann");
    if (iss === null) back.searchParams.delete("iss");
    else back.searchParams.set("iss", iss);
    await expectRefused(await visit(back, jar), "login.invalid", /does not hold/);
  }
});

test("open redirect: a login ends in the dashboard, wherever it was asked to", async () => {
  for (const to of [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "#//evil.example",
    "javascript:alert(1)",
    "#/a\r\nSet-Cookie: x=y",
  ]) {
    const done = await logIn("ann", new Jar(), to);
    const at = new URL(done.headers.get("location")!, desk.url);
    expect([at.origin, at.pathname, at.search], to).toEqual([new URL(desk.url).origin, "/", ""]);
    expect(done.headers.get("location"), to).not.toMatch(/^\/\//);
  }
});

test("an ID token counts with this nonce, issuer, audience, time and signature, and with no other", async () => {
  const wrong: readonly (readonly [what: string, change: NonNullable<TestProvider["change"]>])[] = [
    ["nonce", (claims) => ({ ...claims, nonce: "another" })],
    ["issuer", (claims) => ({ ...claims, iss: "https://evil.example" })],
    ["audience", (claims) => ({ ...claims, aud: "another" })],
    ["audience beside", (claims) => ({ ...claims, aud: [CLIENT.id, "another"], azp: CLIENT.id })],
    ["authorized party", (claims) => ({ ...claims, aud: [CLIENT.id, "another"], azp: "another" })],
    ["expired", (claims) => ({ ...claims, exp: Math.floor(Date.now() / 1000) - 40 })],
    ["no subject", ({ sub: _, ...claims }) => claims],
  ];
  for (const [what, change] of wrong) {
    provider.change = change;
    const refused = await logIn("ann");
    expect(refused.status, what).toBe(400);
    await expectRefused(refused, "login.invalid", /does not hold|is for/);
  }
  provider.change = null;
  for (const signature of ["none", "foreign"] as const) {
    provider.signature = signature;
    await expectRefused(await logIn("ann"), "login.invalid", /does not hold/);
  }
});

test("clocks may be apart as far as clock_skew says, and no further", async () => {
  const expired = Math.floor(Date.now() / 1000) - 20;
  provider.change = (claims) => ({ ...claims, exp: expired });
  expect((await logIn("ann")).status).toBe(303);
  provider.change = null;
  // The login begins and ends by the server's clock, which is an hour behind.
  skewMs = -3_600_000;
  provider.change = (claims) => ({ ...claims, nbf: Math.floor(Date.now() / 1000) });
  await expectRefused(await logIn("ann"), "login.invalid", /does not hold/);
});

test("a login ends after ten minutes, by the server's clock", async () => {
  const jar = new Jar();
  const back = await logInThere(await begin(jar), "ann");
  skewMs = LOGIN_MS_MAX;
  await expectRefused(await visit(back, jar), "login.invalid", /within ten minutes/);
});

test("keys that rotate count at once, and those before no more", async () => {
  expect((await logIn("ann")).status).toBe(303);
  provider.rotate();
  expect((await logIn("ann")).status).toBe(303);
});

test("a person who says no at the provider comes back to a page that says so", async () => {
  const jar = new Jar();
  const { searchParams } = new URL(await begin(jar));
  const back = new URL(`${desk.url}/api/session/oidc/callback`);
  back.search = new URLSearchParams({
    error: "access_denied",
    state: searchParams.get("state")!,
    iss: provider.issuer,
  }).toString();
  const refused = await visit(back, jar);
  expect(refused.status).toBe(403);
  await expectRefused(refused, "login.refused", /access_denied/);
});

test("a provider that is away is told on a page, and a key still logs in", async () => {
  const jar = new Jar();
  const back = await logInThere(await begin(jar), "ann");
  await provider.away();
  try {
    const late = await visit(back, jar);
    expect(late.status).toBe(503);
    await expectRefused(late, "login.unreachable", /does not answer/);
    // A server that has not asked yet.
    const fresh = (await openLogin(loadConfig({ workspace: desk.dir, environment: {} }), clock))!;
    await expect(fresh.provider.begin({ state: "s", nonce: "n", verifier: "v".repeat(43) })).rejects.toMatchObject({
      code: "login.unreachable",
    });
    const key = await desk.key("analyst", { name: "Ann" });
    let status = 0;
    while (status !== 201) ({ status } = await desk.call("/api/session", { body: { key } }));
  } finally {
    await provider.back();
  }
  expect((await logIn("ann")).status).toBe(303);
});

test("a logout ends the session here and leads to the provider's, which leads back", async () => {
  const jar = new Jar();
  await logIn("ann", jar);
  const headers = { cookie: jar.header, "x-sentinel-desk": "1", "sec-fetch-site": "same-origin" };
  const { body } = await desk.call("/api/session", { method: "DELETE", headers });
  const leave = new URL(body.leave);
  expect(leave.origin).toBe(provider.issuer);
  expect(leave.searchParams.get("post_logout_redirect_uri")).toBe(`${desk.url}/`);
  expect(leave.searchParams.get("id_token_hint")).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  expect((await desk.call("/api/pipelines", { headers: { cookie: jar.header } })).status).toBe(401);
  const page = await fetch(leave, { redirect: "manual" });
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("/session/end/confirm")]);
});

test("a program gets a problem, and a server without a provider has no such login", async () => {
  const { status, body } = await desk.call("/api/session/oidc/callback?code=x&state=y");
  expect([status, body.code]).toEqual([400, "login.invalid"]);
  const other = await openDesk();
  try {
    expect((await other.call("/api/session/oidc")).body.code).toBe("request.not-found");
    expect((await other.call("/api/session")).body.provider).toBeNull();
  } finally {
    await other.remove();
  }
});

test("claims that are odd give nobody a role, and a name that nobody else has", () => {
  const keys = { nameClaim: "sub", roleClaim: "realm.roles", roles: { lead: "admin", team: "analyst" } } as const;
  const of = (claims: object) =>
    personOf({ issuer: "https://id.example", subject: "1", claims: { sub: "1", ...claims }, idToken: "" }, keys, 0);
  expect(of({ realm: { roles: ["team", "lead"] } })).toMatchObject({ role: "admin", name: "oidc:1" });
  expect(of({ "realm.roles": "team" }).role).toBe("analyst");
  // Nobody is who an address says before the provider has said that it is theirs.
  const mails = { ...keys, nameClaim: "email" };
  const mailed = (claims: object) =>
    personOf(
      { issuer: "https://id.example", subject: "1", claims: { "realm.roles": "team", ...claims }, idToken: "" },
      mails,
      0,
    );
  expect(mailed({ email: "a@b.example", email_verified: true }).name).toBe("oidc:a@b.example");
  for (const said of [{}, { email_verified: false }, { email_verified: "true" }, { email_verified: null }])
    expect(() => mailed({ email: "a@b.example", ...said }), JSON.stringify(said)).toThrow(/email_verified/);
  expect(claimsOf(mails)).toContain("email_verified");
  expect(claimsOf(keys)).toEqual(["sub", "realm.roles"]);
  for (const odd of [
    {},
    { realm: null },
    { realm: { roles: { lead: true } } },
    { realm: { roles: ["__proto__", "constructor", 1, null] } },
    { realm: { roles: "lead,team" } },
  ])
    expect(() => of(odd), JSON.stringify(odd)).toThrow(/claim/);
  for (const name of ["", " ", "a\nb", "a\u202Eb", "x".repeat(201), 7])
    expect(() => of({ realm: { roles: ["lead"] }, sub: name }), JSON.stringify(name)).toThrow(/name/);
  const [one, two] = ["https://a.example", "https://b.example"].map((issuer) =>
    personOf({ issuer, subject: "1", claims: { sub: "1", "realm.roles": "team" }, idToken: "" }, keys, 0),
  );
  expect(one.id).not.toBe(two.id);
});

test("a file that would send codes in the clear, map nobody or lead elsewhere is refused with its line", () => {
  const write = (text: string): void => writeFileSync(path.join(desk.dir, "login.yaml"), text);
  const good = fileOf("https://id.example/realms/a", "https://fraud.example");
  write(good);
  expect(readLogin(desk.dir)).toMatchObject({ url: "https://fraud.example", clockSkewMs: 30_000 });
  for (const [from, to, words] of [
    ["https://id.example", "http://id.example", /line 1: .*not https/],
    ["https://id.example/realms/a", "id.example", /line 1: .*no http address/],
    ["https://id.example", "https://me:secret@id.example", /holds a login/],
    ["https://fraud.example", "https://fraud.example/desk", /has a path/],
    ["https://fraud.example", "https://fraud.example?x=1", /\? or # part/],
    ["roles: { fraud-leads: admin, fraud-analysts: analyst }", "roles: {}", /there are 0/],
    ["fraud-leads: admin", "fraud-leads: predict", /must be equal to one of/],
    ["role_claim", "role_clam", /role_clam/],
    ["name_claim: email", "scopes: [profile]", /openid is not among them/],
  ] as const) {
    write(good.replace(from, to));
    expect(() => readLogin(desk.dir), to).toThrow(words);
  }
});

test("logins that ended are kept within a bound, and none of them opens again while it could", () => {
  let drawn = 0;
  const time = { at: 1000 };
  const logins = new Logins({ now: () => time.at, elapsed: () => 0 }, (bytes) => {
    const value = new Uint8Array(bytes);
    new DataView(value.buffer).setUint32(0, ++drawn);
    return value;
  });
  const first = logins.begin("");
  const sealed = logins.seal(first);
  expect(logins.open(sealed)).toEqual(first);
  expect([logins.end(first), logins.end(first), logins.open(sealed)]).toEqual([true, false, null]);
  for (let i = 0; i < 20_000; i++) logins.end(logins.begin(""));
  expect(logins.size).toBeLessThanOrEqual(10_000);
  for (const odd of ["", "A", "A".repeat(100), "A".repeat(100_000), `${sealed}A`, sealed.slice(1)])
    expect(logins.open(odd), odd.slice(0, 30)).toBeNull();
});

test("so many answers make this server ask the provider at once, whoever sends them, and both routes give way under load", async () => {
  const logins = new Logins(clock, (bytes) => new Uint8Array(bytes));
  const ends: (() => void)[] = [];
  const slow = (): Promise<void> => logins.during(() => new Promise((resolve) => ends.push(resolve)));
  const asked = Array.from({ length: ASKING_MAX }, slow);
  await expect(slow()).rejects.toMatchObject({ code: "server.overloaded" });
  expect(ends).toHaveLength(ASKING_MAX);
  for (const end of ends) end();
  await Promise.all(asked);
  await expect(logins.during(async () => "asked")).resolves.toBe("asked");
  await expect(logins.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  const routes = sessionRoutes.filter(({ path }) => path.startsWith("/api/session/oidc"));
  expect(routes.map(({ shed }) => shed)).toEqual([true, true]);
});
