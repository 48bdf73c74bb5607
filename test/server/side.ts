// One server on a workspace and a store of its own, asked over HTTP, for tests of the routes below /api.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { madeSource } from "../../src/lifecycle/serve.ts";
import type { IntakeLimits } from "../../src/server/intake.ts";
import { createSeveral, type SentinelServer } from "../../src/server/server.ts";
import { openNotices, openWorkspacePorts } from "../../src/wiring.ts";
import { type Document, type Documented, documentedBy } from "./documented.ts";
import { silent, until } from "./world.ts";

const REPORT = { line: () => {}, progress: () => {} };

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member
  readonly body: any;
  readonly headers: Headers;
}

/** One server on a workspace and a store of its own; it may be stopped and started again. */
export class Side {
  readonly dir: string;
  server!: SentinelServer;
  documents!: Documented;
  workspace!: ReturnType<typeof openWorkspacePorts>;
  url = "";
  private readonly environment: Readonly<Record<string, string>>;
  private readonly intake: Partial<IntakeLimits>;

  /** `dir`: a workspace that is there already. */
  constructor(
    environment: Readonly<Record<string, string>>,
    dir: string = mkdtempSync(path.join(tmpdir(), "sentinel-api-")),
    intake: Partial<IntakeLimits> = {},
  ) {
    this.environment = environment;
    this.dir = dir;
    this.intake = intake;
  }

  async start(): Promise<void> {
    const config = loadConfig({ workspace: this.dir, environment: this.environment });
    this.workspace = openWorkspacePorts(config, { report: REPORT });
    const { common, portsOf } = this.workspace;
    this.server = await createSeveral({
      sources: [],
      main: null,
      clock: common.clock,
      keys: common.keys,
      platform: {
        store: common.store!,
        workspace: this.dir,
        notices: await openNotices(config),
        pollMs: 100,
        deskPollMs: 50,
        sourceOf: (name) =>
          madeSource(this.dir, name, {
            portsOf: (pipeline) => portsOf({ pipeline: name, settings: () => pipeline }),
            archiverOf: () => {
              throw new Error("these pipelines are not archived");
            },
          }),
      },
      options: { logger: silent, announceMs: 0, lagMsMax: 60_000, intake: this.intake },
    });
    const { host, port } = await this.server.start({ host: "127.0.0.1", port: 0 });
    this.url = `http://${host}:${port}`;
    const document = await this.server.app.request("/openapi.json");
    this.documents = documentedBy((await document.json()) as Document);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    await this.workspace.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async call(
    method: string,
    at: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(`${this.url}${at}`, { method, headers: { ...type, ...headers }, ...sent });
    const text = await response.text();
    const { status } = response;
    const isJson = (response.headers.get("content-type") ?? "").includes("json");
    return { status, body: isJson && text !== "" ? JSON.parse(text) : text, headers: response.headers };
  }

  get = (at: string, headers?: Readonly<Record<string, string>>) => this.call("GET", at, undefined, headers);
  post = (at: string, body: unknown, headers?: Readonly<Record<string, string>>) =>
    this.call("POST", at, body, headers);
  patch = (at: string, body: unknown, headers?: Readonly<Record<string, string>>) =>
    this.call("PATCH", at, body, headers);

  /** A pipeline by its fields, `name: type`, a ? for nullable; its id. */
  async pipeline(name: string, fields: Readonly<Record<string, string>>, more: object = {}): Promise<number> {
    const schema = Object.entries(fields).map(([field, type]) => ({
      name: field,
      type: type.replace("?", ""),
      nullable: type.endsWith("?"),
    }));
    const made = await this.post("/api/pipelines", { name, kafka_topic: "t", schema, ...more });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    return made.body.id;
  }

  async rule(pipeline: number, expression: string, more: object = {}): Promise<number> {
    const made = await this.post(`/api/pipelines/${pipeline}/rules`, {
      rule_expression: expression,
      severity: "critical",
      ...more,
    });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    return made.body.id;
  }

  async alerts(query = ""): Promise<readonly Answer["body"][]> {
    const { status, body } = await this.get(`/api/alerts?limit=1000${query}`);
    expect(status, JSON.stringify(body)).toBe(200);
    return body;
  }

  /** Alerts of a pipeline, once there are so many. */
  async alertsOf(pipeline: number, count: number): Promise<readonly Answer["body"][]> {
    let found: readonly Answer["body"][] = [];
    await until(async () => {
      found = await this.alerts(`&pipeline=${pipeline}`);
      return found.length >= count;
    });
    return found;
  }
}
