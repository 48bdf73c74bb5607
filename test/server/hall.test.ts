// The hall: a tenant whose keys, pipelines or start fail for a moment is served once they do not, and leaves nothing behind meanwhile.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { roomOf } from "../../src/cli/serve/rooms.ts";
import { loadConfig } from "../../src/config.ts";
import { OPERATOR, ROLES, type Role } from "../../src/core/key.ts";
import { parseTenant } from "../../src/core/tenant.ts";
import { addKey } from "../../src/lifecycle/keys.ts";
import { addTenant, NO_QUOTAS } from "../../src/lifecycle/tenants.ts";
import { PIPELINES_MAX, type PipelineSource } from "../../src/online/pipelines.ts";
import { type MadePipeline, madeSchema, madeText } from "../../src/pipeline/made.ts";
import { SESSION } from "../../src/server/api/shapes.ts";
import { createSeveral, type RoomInput, type SentinelServer } from "../../src/server/server.ts";
import { openTenants, openWorkspacePorts } from "../../src/wiring.ts";
import { silent, until } from "./world.ts";

let dir: string;
let workspace: ReturnType<typeof openWorkspacePorts>;
let tenants: ReturnType<typeof openTenants>;
let server: SentinelServer;
/** What becomes of a room's parts, by tenant; tests set them. */
const change = new Map<string, (input: RoomInput) => RoomInput>();
const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-hall-"));
  const config = loadConfig({ workspace: dir, environment: {} });
  const report = { line: () => {}, progress: () => {} };
  workspace = openWorkspacePorts(config, { report });
  const { stores, common } = workspace;
  tenants = openTenants(config, { report, stores });
  server = await createSeveral({
    sources: [],
    main: null,
    clock: common.clock,
    keys: common.keys,
    tenants: {
      ports: tenants.ports,
      open: async (one) => {
        const input = await roomOf(config, one, { report, stores, logger: silent });
        return change.get(one)?.(input) ?? input;
      },
      pollMs: 20,
    },
    options: { logger: silent, announceMs: 0, lagMsMax: 60_000, drainMsMax: 1000 },
  });
});
afterAll(async () => {
  await server?.stop();
  await tenants?.close();
  await workspace?.close();
  rmSync(dir, { recursive: true, force: true });
});

const make = (name: string, quotas = NO_QUOTAS) =>
  addTenant(tenants.ports, { name: parseTenant(name), title: name, quotas, actor: "test", random });
/** Whose room a key leads into: the tenant's title. */
async function roomOfKey(key: string): Promise<string | null> {
  const response = await server.app.request("/api/session", { headers: { "x-api-key": key } });
  return ((await response.json()) as { readonly tenant: string | null }).tenant;
}
const statusOf = async (key: string, at = "/openapi.json"): Promise<number> =>
  (await server.app.request(at, { headers: { "x-api-key": key } })).status;

test("a tenant whose keys cannot be read at first is served once they can", async () => {
  let reads = 0;
  change.set("north", (input) => ({
    ...input,
    keys: {
      ...input.keys,
      read: () => (reads++ < 3 ? Promise.reject(new Error("no such disk")) : input.keys.read()),
    },
  }));
  const { key } = await make("north");
  await until(async () => (await roomOfKey(key)) === "north");
  expect(reads).toBeGreaterThan(3);
});

test("a tenant with more pipelines than there is room for is served with as many as there is", async () => {
  const broken = (name: string): PipelineSource => ({
    name,
    from: "file",
    open: () => Promise.reject(new Error("no")),
  });
  const sources = Array.from({ length: PIPELINES_MAX + 1 }, (_, i) => broken(`p${i}`));
  change.set("crowd", (input) => ({ ...input, sources }));
  const { key } = await make("crowd");
  await until(async () => (await roomOfKey(key)) === "crowd");
});

test("a room that cannot be opened leaves no engine behind, and is served once it can", async () => {
  const fields = [
    { name: "transaction_id", type: "string", nullable: false },
    { name: "amount", type: "float", nullable: true },
    { name: "at", type: "timestamp", nullable: false },
  ] as const;
  const roles = { id: "transaction_id", time: "at", amount: "amount", key: null };
  const made: MadePipeline = { slug: "shop", fourEyes: false, fields, roles };
  const folder = path.join(dir, "tenants", "twice", "pipelines");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "shop.yaml"), madeText(made));
  writeFileSync(path.join(folder, "shop.schema.json"), JSON.stringify(madeSchema(made)));
  let [tries, up] = [0, 0];
  change.set("twice", (input) => {
    const counted = input.sources.map(
      (source): PipelineSource => ({
        ...source,
        async open() {
          const opened = await source.open();
          up++;
          const close = (): Promise<void> => opened.close().finally(() => up--);
          return { ...opened, close };
        },
      }),
    );
    // The same name twice: the second one is refused, where the first one is up.
    return tries++ < 2 ? { ...input, sources: [...counted, ...counted] } : { ...input, sources: counted };
  });
  const { key } = await make("twice");
  await until(async () => (await roomOfKey(key)) === "twice");
  expect([tries, up]).toEqual([3, 1]);
  expect(await statusOf(key, "/pipelines/shop/model")).toBe(200);
});

test("a login is a request of its key, which a limit refuses", async () => {
  const { key } = await make("busy", { ...NO_QUOTAS, requestsPerSecond: 2 });
  await until(async () => (await roomOfKey(key)) === "busy");
  const log = async (): Promise<number> =>
    (
      await server.app.request("/api/session", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ key }),
      })
    ).status;
  const statuses = await Promise.all(Array.from({ length: 10 }, log));
  expect([...new Set(statuses)].sort()).toEqual([201, 429]);
});

test("who asks is told their role as it is documented, whatever the role", async () => {
  const documented = (SESSION as { readonly properties: { readonly role: { readonly enum: readonly unknown[] } } })
    .properties.role.enum;
  const made = new Map<Role, string>();
  for (const role of [...ROLES, OPERATOR] as const) {
    const record = { name: role, role, actor: "test", validMs: null, rate: null, random };
    made.set(role, (await addKey(workspace.common, record)).key);
  }
  for (const [role, key] of made) {
    const shown = async (): Promise<unknown> => {
      const response = await server.app.request("/api/session", { headers: { "x-api-key": key } });
      return ((await response.json()) as { readonly role: unknown }).role;
    };
    await until(async () => (await shown()) === role);
    expect(documented).toContain(role);
  }
});

test("whoever runs the server pays from no tenant's limit, and can so undo one that refuses everything", async () => {
  const record = (role: "admin" | typeof OPERATOR) =>
    addKey(workspace.common, { name: role, role, actor: "test", validMs: null, rate: null, random });
  const [operator, admin] = [await record(OPERATOR), await record("admin")];
  await until(async () => (await statusOf(operator.key, "/api/tenants")) === 200);
  const limits = async (requests: number | null): Promise<number> =>
    (
      await server.app.request("/api/tenants/default", {
        method: "PATCH",
        headers: { "x-api-key": operator.key, "content-type": "application/json" },
        body: JSON.stringify({ limits: { requests_per_second: requests } }),
      })
    ).status;
  expect(await limits(0)).toBe(200);
  await until(async () => (await statusOf(admin.key)) === 429);
  expect(await limits(null)).toBe(200);
  await until(async () => (await statusOf(admin.key)) === 200);
});
