// The image by its own steps: built, pruned, and run as its user, who can write nothing but the models.
import { spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeBundle, makeWorld, SPEC_A } from "../server/world.ts";
import { buildImage, type Container, openFolder, ROOT, stagesOf } from "./image-steps.ts";

const TEXT = readFileSync(path.join(ROOT, "Dockerfile"), "utf8");
const BUILD_MS_MAX = 1_200_000;
/** Node itself is 100 MB of it, DuckDB another 70. */
const IMAGE_MB_MAX = 450;
const packageJson = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const HADOLINT = path.join(ROOT, ".cache", "venv-hadolint", "bin", "hadolint");
if (!existsSync(HADOLINT)) {
  console.warn("SKIPPED hadolint on the Dockerfile: no .cache/venv-hadolint; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("hadolint is installed", () => {
    expect.fail("CI needs .cache/venv-hadolint: scripts/setup-python");
  });
}

test.runIf(existsSync(HADOLINT))("hadolint finds nothing", () => {
  const { status, stdout, stderr } = spawnSync(HADOLINT, ["Dockerfile"], { cwd: ROOT, encoding: "utf8" });
  expect([status, `${stdout}${stderr}`]).toEqual([0, ""]);
});

test("the last stage runs nothing, is no Node image, and names a user who is nobody else", () => {
  const stages = stagesOf(TEXT);
  const last = stages.at(-1)!;
  expect(last.steps.filter(({ keyword }) => keyword === "RUN")).toEqual([]);
  expect(last.image).not.toMatch(/node/);
  const users = last.steps.filter(({ keyword }) => keyword === "USER").map(({ text }) => text);
  expect(users).toEqual(["10001:10001"]);
  for (const { image } of stages) expect(image).toMatch(/:.+/);
});

const root = process.getuid?.() === 0;
if (!root) console.warn("SKIPPED the image as another user: only root may start a process as somebody else");

describe("built", () => {
  let dir: string;
  let container: Container;
  const inside = (name: string): string => path.join(container.root, name);
  /** Runs as the image's user would, with nothing of our own environment. */
  const as = (): { uid?: number; gid?: number } => (root ? container.user : {});
  const mapped = (word: string): string =>
    word.replace(/^\/(opt|workspace)\//, (_, name) => `${container.root}/${name}/`);
  const environment = (): Record<string, string> => ({
    ...container.environment,
    SENTINEL_WORKSPACE: inside(container.environment.SENTINEL_WORKSPACE),
  });

  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), "sentinel-image-"));
    openFolder(dir);
    container = buildImage(TEXT, dir);
  }, BUILD_MS_MAX);

  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test("it holds what the product needs, and nothing that builds or tests", () => {
    const modules = inside("/opt/sentinel/node_modules");
    for (const name of Object.keys(packageJson.dependencies)) expect(existsSync(path.join(modules, name))).toBe(true);
    const left = Object.keys(packageJson.devDependencies).filter((name) => existsSync(path.join(modules, name)));
    // prom-client depends on the API of OpenTelemetry, protobufjs on the types of Node.
    expect(left.filter((name) => name !== "@opentelemetry/api" && name !== "@types/node")).toEqual([]);
    expect(readdirSync(inside("/opt/sentinel")).sort()).toEqual([
      "LICENSE",
      "dist",
      "node",
      "node_modules",
      "package.json",
      "proto",
    ]);
    expect(existsSync(inside("/opt/sentinel/dist/bench"))).toBe(false);
    expect(bytesOf(container.root) / 1e6).toBeLessThan(IMAGE_MB_MAX);
  });

  test.runIf(root)("its user can write to the models, and to nothing else", () => {
    const write = (name: string): number | null =>
      spawnSync(inside("/opt/sentinel/node"), ["-e", `fs.writeFileSync(${JSON.stringify(inside(name))}, "x")`], {
        ...as(),
        env: {},
        stdio: "ignore",
      }).status;
    expect(write("/workspace/models/probe")).toBe(0);
    rmSync(inside("/workspace/models/probe"));
    for (const name of ["/probe", "/opt/sentinel/probe", "/workspace/probe", "/workspace/pipelines/card.yaml"]) {
      expect(write(name)).not.toBe(0);
    }
  });

  test("it starts, is healthy by its own check, answers by the champion of its volume, and drains", async () => {
    const world = makeWorld({ dir: inside("/workspace") });
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    const port = String(await freePort());
    const [program, ...args] = container.command.map(mapped);
    const own = inside("/workspace/models");
    if (root)
      for (const name of ["", ...readdirSync(own, { recursive: true, encoding: "utf8" })]) give(path.join(own, name));
    rmSync(inside("/workspace/state"), { recursive: true, force: true });
    const child = spawn(
      program,
      args.map((word) => (word === "8000" ? port : word === "0.0.0.0" ? "127.0.0.1" : word)),
      {
        ...as(),
        cwd: inside(container.directory),
        env: { ...environment(), SENTINEL_ADMIN_KEY: "a-long-admin-key-for-tests" },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => {
      words += chunk.toString();
    });
    const healthy = (): boolean => {
      const [check, ...rest] = container.health.map((word) => mapped(word).replace(":8000", `:${port}`));
      return spawnSync(check, rest, { ...as(), env: environment() }).status === 0;
    };
    expect(healthy()).toBe(false);
    while (!healthy()) {
      if (child.exitCode !== null) expect.fail(words);
      // The check blocks: here the server's end and its words arrive.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const key = { authorization: "Bearer a-long-admin-key-for-tests" };
    const body = { transaction_id: "t", amount: 12, customer_id: "c1", terminal_id: "t1", time: Date.now() };
    const answer = await fetch(`http://127.0.0.1:${port}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json", ...key },
      body: JSON.stringify(body),
    });
    expect([answer.status, await answer.json()]).toMatchObject([200, { model: { version: "1" } }]);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(healthy()).toBe(false);
    await world.remove();
  });

  function give(name: string): void {
    chownSync(name, container.user.uid, container.user.gid);
  }
});

function bytesOf(name: string): number {
  if (!lstatSync(name).isDirectory()) return statSync(name).size;
  return readdirSync(name).reduce((sum, inner) => {
    const file = path.join(name, inner);
    return lstatSync(file).isSymbolicLink() ? sum : sum + bytesOf(file);
  }, 0);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
