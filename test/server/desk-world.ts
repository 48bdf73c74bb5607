// A desk for tests: a server with pipelines, rules, alerts and keys on a workspace of its own, and the dashboard's files where they are built.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { readPages } from "../../src/cli/serve/pages.ts";
import { tasksIn } from "../../src/cli/serve/tasks.ts";
import { loadConfig } from "../../src/config.ts";
import type { Role } from "../../src/core/key.ts";
import { DEFAULT_TENANT } from "../../src/core/tenant.ts";
import { addKey } from "../../src/lifecycle/keys.ts";
import { fileSource, type Makers, madeSource } from "../../src/lifecycle/serve.ts";
import { pipelineNames } from "../../src/pipeline/pipeline.ts";
import type { Clock } from "../../src/ports/ports.ts";
import type { ProviderLogin } from "../../src/server/login.ts";
import { createSeveral, type SentinelServer } from "../../src/server/server.ts";
import { openWorkspacePorts } from "../../src/wiring.ts";
import { silent } from "./world.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
  readonly body: any;
  readonly headers: Headers;
}

export interface DeskWorld {
  readonly dir: string;
  readonly server: SentinelServer;
  readonly url: string;
  /** Asks; with a body by POST unless a method is named. */
  call(
    at: string,
    on?: { readonly method?: string; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answered>;
  /** A key of a role; one of some pipelines alone where they are named. */
  key(
    role: Role,
    more?: { readonly name?: string; readonly pipelines?: readonly string[]; readonly validMs?: number },
  ): Promise<string>;
  remove(): Promise<void>;
}

/**
 * `clock` replaces the system's for sessions, keys and events; `login`: of the address that the desk will have; `workspace`: a folder with
 * pipelines, which is removed with the desk.
 */
export async function openDesk({
  clock,
  login,
  workspace: dir = mkdtempSync(path.join(tmpdir(), "sentinel-desk-")),
}: {
  readonly clock?: Clock;
  readonly workspace?: string;
  readonly login?: (url: string, dir: string) => Promise<ProviderLogin>;
} = {}): Promise<DeskWorld> {
  const workspace = openWorkspacePorts(loadConfig({ workspace: dir, environment: {} }), {
    report: { line: () => {}, progress: () => {} },
  });
  const common = clock === undefined ? workspace.common : { ...workspace.common, clock };
  const makersOf = (name: string): Makers => ({
    portsOf: (pipeline) => {
      const ports = workspace.portsOf({ pipeline: name, settings: () => pipeline });
      return clock === undefined ? ports : { ...ports, clock };
    },
    archiverOf: () => {
      throw new Error("these pipelines are not archived");
    },
  });
  const sourceOf = (name: string) => madeSource(dir, name, makersOf(name));
  const names = pipelineNames(dir);
  const at = { host: "127.0.0.1", port: login === undefined ? 0 : await freePort() };
  const provider = login === undefined ? null : await login(`http://${at.host}:${at.port}`, dir);
  const server = await createSeveral({
    sources: names.map((name) => fileSource(dir, name, makersOf(name))),
    main: names[0] ?? null,
    clock: common.clock,
    keys: common.keys,
    platform: {
      store: common.store!,
      workspace: dir,
      pollMs: 50,
      figuresMs: 50,
      sourceOf,
      keyring: common,
      tasks: tasksIn({ root: dir, tenant: DEFAULT_TENANT }),
    },
    options: { logger: silent, announceMs: 0, lagMsMax: 60_000, drainMsMax: 1000, pages: readPages(ROOT), provider },
  });
  const { host, port } = await server.start(at);
  const url = `http://${host}:${port}`;
  return {
    dir,
    server,
    url,
    async call(at, { method, body, headers = {} } = {}) {
      const sent: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
      const response = await fetch(`${url}${at}`, {
        method: method ?? (body === undefined ? "GET" : "POST"),
        headers: { ...sent, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = (response.headers.get("content-type") ?? "").includes("json");
      return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    },
    async key(role, { name = role, pipelines, validMs } = {}) {
      const made = await addKey(common, {
        role,
        name,
        actor: "test",
        validMs: validMs ?? null,
        rate: null,
        pipelines: pipelines ?? null,
        random: randomBytes,
      });
      return made.key;
    },
    async remove() {
      await server.stop();
      await workspace.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The cookie that an answer sets, as a browser sends it. */
export function cookieFrom({ headers }: Answered): string {
  return (headers.get("set-cookie") ?? "").split(";")[0];
}

/** A port that nobody has now; a provider must know the desk's address before the desk is there. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
