// Requests that schemathesis makes of /openapi.json by itself: it finds no answer that the document does not describe.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tasksIn } from "../../src/cli/serve/tasks.ts";
import { loadConfig } from "../../src/config.ts";
import { DEFAULT_TENANT } from "../../src/core/tenant.ts";
import { madeSource } from "../../src/lifecycle/serve.ts";
import { createSeveral } from "../../src/server/server.ts";
import { openWorkspacePorts } from "../../src/wiring.ts";
import { makeBundle, makeWorld, SPEC_A, serve, silent, type World } from "./world.ts";

const VENV = fileURLToPath(new URL("../../.cache/venv-schemathesis", import.meta.url));
const HOOKS = fileURLToPath(new URL("./schemathesis_hooks.py", import.meta.url));
/** SENTINEL_SCHEMATHESIS_EXAMPLES=100 lets it draw more per operation. */
const EXAMPLES = process.env.SENTINEL_SCHEMATHESIS_EXAMPLES ?? "3";
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
];
const there = existsSync(path.join(VENV, "sentinel-stamp"));
if (!there) {
  console.warn("SKIPPED schemathesis: there is no .cache/venv-schemathesis; scripts/setup-python installs it");
  if (process.env.CI === "true")
    test("schemathesis is installed", () => expect.fail("CI needs it: scripts/setup-python"));
}

let world: World;
let stop: () => Promise<void>;
let url = "";
beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const served = await serve(world, { adminKey: "administrator", announceMs: 0 });
  ({ stop } = served);
  const { port } = await served.server.start({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await stop();
  await world.remove();
});

/** What schemathesis says of a server's document; `paths` restricts it to some. */
async function runOn(
  at: { readonly url: string; readonly dir: string },
  of: { readonly parameters: Readonly<Record<string, string>>; readonly paths: readonly string[] },
): Promise<void> {
  const config = path.join(at.dir, "schemathesis.toml");
  const lines = Object.entries(of.parameters).map(([name, value]) => `${JSON.stringify(`path.${name}`)} = "${value}"`);
  writeFileSync(config, `hooks = ${JSON.stringify(HOOKS)}\n[parameters]\n${lines.join("\n")}\n`);
  const args = ["--config-file", config, "run", `${at.url}/openapi.json`, "--checks", CHECKS.join(",")];
  const limits = ["--max-examples", EXAMPLES, "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"];
  const keys = ["--header", "Authorization: Bearer administrator", "--warnings", "off"];
  const env = { ...process.env, NO_PROXY: "127.0.0.1" };
  const { code, text } = await new Promise<{ readonly code: number; readonly text: string }>((resolve) => {
    const ended = (error: Error | null, stdout: string, stderr: string): void =>
      resolve({ code: error === null ? 0 : 1, text: `${stdout}\n${stderr}` });
    const options = { env, cwd: at.dir, maxBuffer: 1 << 26 };
    execFile(path.join(VENV, "bin", "schemathesis"), [...args, ...limits, ...keys, ...of.paths], options, ended);
  });
  expect(code, text.slice(-6000)).toBe(0);
  const [, generated, passed] = /(\d+) generated, (\d+) passed/.exec(text) ?? [];
  expect(Number(passed), text.slice(-2000)).toBe(Number(generated));
  expect(Number(generated)).toBeGreaterThan(300);
}

// Minutes on a busy machine.
describe.runIf(there)("schemathesis", { timeout: 600_000 }, () => {
  test("finds every answer documented", async () => {
    // What stands below /api is asked of a server that has it all, in the next test.
    const paths = ["--exclude-path-regex", "^/api"];
    await runOn({ url, dir: world.dir }, { parameters: { model: "card-fraud", version: "1" }, paths });
  });

  test("what a server without a platform says below /api is documented, too", async () => {
    const headers = { authorization: "Bearer administrator", "content-type": "application/json" };
    const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>;
    };
    const asked = Object.entries(paths).flatMap(([path, methods]) =>
      path.startsWith("/api") ? Object.entries(methods).map(([method, of]) => ({ path, method, of })) : [],
    );
    expect(asked.length).toBeGreaterThan(50);
    for (const { path, method, of } of asked) {
      const at = `${url}${path.replace(/\{\w+\}/g, "1")}`;
      const body = method === "get" || method === "delete" ? undefined : "{}";
      const answer = await fetch(at, { method: method.toUpperCase(), headers, body, redirect: "manual" });
      const text = await answer.text();
      expect(answer.status, `${method} ${path}`).toBeLessThan(500);
      if (String(answer.status) in of.responses) continue;
      // What every route may say besides: a problem by its code.
      expect(Object.keys(of.responses), `${method} ${path}: ${answer.status}`).toContain("default");
      expect(answer.headers.get("content-type"), `${method} ${path}`).toMatch(/^application\/problem\+json/);
      expect(JSON.parse(text), `${method} ${path}`).toMatchObject({ status: answer.status, code: expect.any(String) });
    }
  });

  test("finds every answer of a platform documented", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "sentinel-schemathesis-"));
    const report = { line: () => {}, progress: () => {} };
    const workspace = openWorkspacePorts(loadConfig({ workspace: dir, environment: {} }), { report });
    const platform = {
      store: workspace.common.store!,
      workspace: dir,
      tasks: tasksIn({ root: dir, tenant: DEFAULT_TENANT }),
      sourceOf: (name: string) =>
        madeSource(dir, name, {
          portsOf: (pipeline) => workspace.portsOf({ pipeline: name, settings: () => pipeline }),
          archiverOf: () => {
            throw new Error("these pipelines are not archived");
          },
        }),
    };
    const options = { logger: silent, adminKey: "administrator", announceMs: 0, lagMsMax: 60_000 };
    const { clock, keys } = workspace.common;
    const server = await createSeveral({ sources: [], main: null, clock, keys, platform, options });
    try {
      const { port } = await server.start({ host: "127.0.0.1", port: 0 });
      const at = `http://127.0.0.1:${port}`;
      const post = async (route: string, body: object): Promise<void> => {
        const headers = { "content-type": "application/json", authorization: "Bearer administrator" };
        const { status } = await fetch(`${at}${route}`, { method: "POST", headers, body: JSON.stringify(body) });
        expect(status).toBe(201);
      };
      const schema = ["user_id string", "amount float"].map((field) => {
        const [name, type] = field.split(" ");
        return { name, type, nullable: true };
      });
      await post("/api/pipelines", { name: "Payments", kafka_topic: "t", schema });
      await post("/api/pipelines/1/rules", { rule_expression: "amount > 10", severity: "critical" });
      await runOn({ url: at, dir }, { parameters: { id: "1", rule: "1" }, paths: ["--include-path-regex", "^/api"] });
    } finally {
      await server.stop();
      await workspace.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
