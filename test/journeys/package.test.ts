// The package as users get it: packed, installed into an empty folder, and a model's life by `npx sentinel` on every Node there is, with the same bundle on each.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { init } from "../../src/lifecycle/init.ts";
import { pack, userEnvironment } from "../cli/packed.ts";
import { edit, ROOT } from "../cli/sentinel.ts";

const WORLD = ["--customers", "200", "--terminals", "300", "--days", "60", "--seed", "7"];
const PACKAGE = "sentinel-fraud";

/** The Node that runs here, and those that scripts/setup-node installs. */
const NODES = [
  path.dirname(process.execPath),
  ...[20, 22, 24].map((major) => path.join(ROOT, ".cache", `node${major}`, "bin")),
]
  .filter((bin) => existsSync(path.join(bin, "node")))
  .map((bin) => ({ bin, version: execFileSync(path.join(bin, "node"), ["--version"], { encoding: "utf8" }).trim() }))
  .filter(({ version }, i, all) => all.findIndex((other) => other.version === version) === i);

let packed: Awaited<ReturnType<typeof pack>>;
/** Was empty; holds nothing but what npm and Sentinel put there. */
let home: string;
/** Of what each Node has trained. */
const bundles: Record<string, string> = {};

beforeAll(async () => {
  packed = await pack();
  home = mkdtempSync(path.join(tmpdir(), "sentinel-installed-"));
  // What `npm ci` of this clone has fetched need not be asked for again.
  const quick = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await promisify(execFile)("npm", ["install", ...quick, packed.tarball], { cwd: home, env: userEnvironment() });
});
afterAll(() => {
  rmSync(packed.folder, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
});

test("the tarball holds what the installed package needs, and nothing of the tests", () => {
  const root = path.join(home, "node_modules", PACKAGE);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
  const built = readdirSync(path.join(ROOT, "dist", "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
  expect(files).toEqual(expect.arrayContaining(built));
  expect(built.filter((name) => name.endsWith(".wasm")).length).toBeGreaterThan(0);
  expect(files).toEqual(
    expect.arrayContaining(["features/card.ts", "pipelines/card.yaml", "dvc.yaml", "docs/cli.md", "LICENSE"]),
  );
  expect(files.filter((name) => /(^|\/)(test|bench|scripts|node_modules)\//.test(name))).toEqual([]);
  expect(JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"))).not.toHaveProperty("private");
});

// CI must have run scripts/setup-node first; elsewhere the Node that runs here does.
test.runIf(process.env.CI === "true")("three versions of Node are there", () => {
  expect(NODES.map(({ version }) => version.split(".")[0])).toEqual(expect.arrayContaining(["v20", "v22", "v24"]));
});

describe.each(NODES)("on Node $version", ({ bin, version }) => {
  const env = { ...userEnvironment(), PATH: `${bin}${path.delimiter}${process.env.PATH}` };
  let dir: string;

  async function npx(...args: string[]): Promise<string> {
    const command = ["--no-install", "sentinel", ...args];
    return (await promisify(execFile)("npx", command, { cwd: dir, env, maxBuffer: 1 << 26 })).stdout;
  }

  /** What npx runs, without the second that npm needs to find it. */
  async function installed(...args: string[]): Promise<string> {
    const command = path.join(home, "node_modules", ".bin", "sentinel");
    return (await promisify(execFile)(command, args, { cwd: dir, env, maxBuffer: 1 << 26 })).stdout;
  }

  beforeAll(() => {
    // The first in the very folder of the installation, the others in folders of their own below it.
    dir = bin === NODES[0].bin ? home : path.join(home, version);
    mkdirSync(dir, { recursive: true });
  });

  test("init → simulate → train → promote → serve → predict", async () => {
    await npx("init");
    const dependencies = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8")).dependencies;
    expect(path.resolve(dir, dependencies[PACKAGE].replace("file:", ""))).toBe(packed.tarball);
    edit(dir, "pipelines/card.yaml", (text) => text.replace("trees: 300", "trees: 40"));

    await installed("simulate", "--out", "data/transactions.parquet", ...WORLD);
    const trained = JSON.parse(await installed("train", "--json", "--force", "--reason", "a test of the package"));
    expect(trained.version).toMatchObject({ version: "1", tags: { "sentinel.node_version": version } });
    // The bundle names the hash of the data: each Node has simulated the same ones, and trained the same models.
    bundles[version] = trained.version.bundle;
    expect(new Set(Object.values(bundles)), JSON.stringify(bundles, null, 2)).toHaveLength(1);
    expect(JSON.parse(await installed("promote", "--json"))).toMatchObject({ moved: true, to: "1" });

    const server = await serve({ dir, env });
    try {
      const body = { id: "one", amount: 950, user_id: 7, merchant_id: 42, time: Date.UTC(2018, 5, 30) };
      const answer = await fetch(`${server.url}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(200);
      const { score, decision, model } = (await answer.json()) as {
        readonly score: number;
        readonly decision: string;
        readonly model: { readonly version: string };
      };
      expect(score).toBeGreaterThanOrEqual(0);
      expect(score).toBeLessThanOrEqual(1);
      expect(["approve", "review", "block"]).toContain(decision);
      expect(model.version).toBe("1");
    } finally {
      await server.stop();
    }
    expect(JSON.parse(await installed("replay", "--json"))).toMatchObject({ verdict: "pass", compared: 1 });
  });
});

/** `npx sentinel serve` in a process group of its own, which npx does not pass signals on to. */
async function serve(given: { readonly dir: string; readonly env: NodeJS.ProcessEnv }) {
  const child: ChildProcess = spawn("npx", ["--no-install", "sentinel", "serve", "--port", "0"], {
    cwd: given.dir,
    env: given.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const said: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr! }).on("line", (line) => said.push(line));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      said.push(line);
      const found = / on (http:\/\/\S+)/.exec(line);
      if (found !== null) resolve(found[1]);
    });
    ended.then(() => reject(new Error(`the server ended:\n${said.join("\n")}`)));
  });
  return {
    url,
    async stop(): Promise<void> {
      process.kill(-child.pid!, "SIGTERM");
      await ended;
      expect(said.join("\n")).toContain("SIGTERM: draining");
    },
  };
}

describe("npx sentinel where nothing is installed", () => {
  /** A registry whose package `sentinel` is somebody else's; counts who fetches it. */
  let stranger: Server;
  let fetched = 0;
  let address: string;

  beforeAll(async () => {
    const folder = path.join(packed.folder, "stranger");
    mkdirSync(folder);
    const manifest = { name: "sentinel", version: "9.9.9", bin: { sentinel: "run.js" } };
    writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest));
    writeFileSync(path.join(folder, "run.js"), '#!/usr/bin/env node\nconsole.log("the stranger runs");\n');
    execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: folder, env: userEnvironment() });
    const tarball = readFileSync(path.join(folder, "sentinel-9.9.9.tgz"));
    stranger = createServer((request, response) => {
      if (request.url === "/sentinel/-/sentinel-9.9.9.tgz") {
        fetched++;
        response.end(tarball);
      } else if (request.url === "/sentinel") {
        const dist = { tarball: `${address}/sentinel/-/sentinel-9.9.9.tgz` };
        const document = {
          ...manifest,
          "dist-tags": { latest: "9.9.9" },
          versions: { "9.9.9": { ...manifest, dist } },
        };
        response.setHeader("content-type", "application/json").end(JSON.stringify(document));
      } else response.writeHead(404).end("{}");
    });
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  });
  afterAll(() => stranger.close());

  async function runIn(dir: string): Promise<{ readonly code: number; readonly text: string }> {
    // Whatever this machine's own npmrc says about questions: here the workspace's decides.
    const own = Object.fromEntries(
      ["cache", "userconfig", "globalconfig"].map((name) => [`npm_config_${name}`, path.join(packed.folder, name)]),
    );
    const env = { ...userEnvironment(), ...own, npm_config_registry: address };
    try {
      return { code: 0, text: (await promisify(execFile)("npx", ["sentinel", "doctor"], { cwd: dir, env })).stdout };
    } catch (error) {
      const { code, stderr } = error as { readonly code: number; readonly stderr: string };
      return { code, text: stderr };
    }
  }

  test("stops in a workspace, and would run the stranger's package elsewhere", async () => {
    const workspace = mkdtempSync(path.join(tmpdir(), "sentinel-bare-"));
    try {
      init({ dir: workspace, packageRoot: ROOT });
      for (const folder of [workspace, path.join(workspace, "data")]) {
        const { code, text } = await runIn(folder);
        expect(code).not.toBe(0);
        expect(text).toContain("canceled");
        expect(fetched).toBe(0);
      }
      // The proof that this registry would have been believed.
      rmSync(path.join(workspace, ".npmrc"));
      expect(await runIn(workspace)).toEqual({ code: 0, text: "the stranger runs\n" });
      expect(fetched).toBe(1);
    } finally {
      rmSync(workspace, { recursive: true, force: true });
    }
  });
});
