// Requests that schemathesis makes of /openapi.json by itself: it finds no answer that the document does not describe.
import { execFile } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeBundle, makeWorld, SPEC_A, serve, type World } from "./world.ts";

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

describe.runIf(there)("schemathesis", () => {
  test("finds every answer documented", async () => {
    const config = path.join(world.dir, "schemathesis.toml");
    writeFileSync(
      config,
      `hooks = ${JSON.stringify(HOOKS)}\n[parameters]\n"path.model" = "card-fraud"\n"path.version" = "1"\n`,
    );
    const args = ["--config-file", config, "run", `${url}/openapi.json`, "--checks", CHECKS.join(",")];
    const limits = ["--max-examples", EXAMPLES, "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"];
    const keys = ["--header", "Authorization: Bearer administrator", "--warnings", "off"];
    const env = { ...process.env, NO_PROXY: "127.0.0.1" };
    const { code, text } = await new Promise<{ readonly code: number; readonly text: string }>((resolve) => {
      const ended = (error: Error | null, stdout: string, stderr: string): void =>
        resolve({ code: error === null ? 0 : 1, text: `${stdout}\n${stderr}` });
      const options = { env, cwd: world.dir, maxBuffer: 1 << 26 };
      execFile(path.join(VENV, "bin", "schemathesis"), [...args, ...limits, ...keys], options, ended);
    });
    expect(code, text.slice(-6000)).toBe(0);
    const [, generated, passed] = /(\d+) generated, (\d+) passed/.exec(text) ?? [];
    expect(Number(passed), text.slice(-2000)).toBe(Number(generated));
    expect(Number(generated)).toBeGreaterThan(300);
  });
});
