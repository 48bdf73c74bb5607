// The same data, code and seed give the same bundle: again, on any number of threads, and on other versions of Node.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { MAIN, makeWorkspace, ROOT, removeWorkspace } from "../cli/sentinel.ts";

/** Binaries of other Nodes: those that scripts/setup-node installs, and one that the environment names. */
const OTHERS = [
  ...[22, 24].map((major) => path.join(ROOT, ".cache", `node${major}`, "bin", "node")),
  ...(process.env.SENTINEL_OTHER_NODE ? [process.env.SENTINEL_OTHER_NODE] : []),
]
  .filter((binary) => existsSync(binary))
  .map((binary) => ({ binary, version: execFileSync(binary, ["--version"], { encoding: "utf8" }).trim() }))
  .filter(({ version }) => version !== process.version);

const WORLD = ["--customers", "300", "--terminals", "450", "--days", "60", "--seed", "7"];

let dir: string;
/** Bundle hash by what made it. */
const bundles: Record<string, string> = {};

beforeAll(async () => {
  dir = makeWorkspace();
  await run(process.execPath, ["simulate", "--out", "data/transactions.parquet", ...WORLD]);
});
afterAll(() => removeWorkspace(dir));

async function run(node: string, args: readonly string[], threads = 2): Promise<string> {
  const { stdout } = await promisify(execFile)(node, [MAIN, ...args], {
    cwd: dir,
    env: { ...process.env, SENTINEL_THREADS: String(threads) },
    maxBuffer: 1 << 26,
  });
  return stdout;
}

async function bundleOf(node: string, threads: number, seed = 3): Promise<string> {
  const forced = ["--force", "--reason", "a test of sameness"];
  const trained = JSON.parse(await run(node, ["train", "--json", "--seed", String(seed), ...forced], threads)) as {
    readonly version: { readonly bundle: string };
  };
  return trained.version.bundle;
}

test.each([
  [1, 1],
  [2, 2],
  [4, 1],
])("one bundle on %i threads, %i times", async (threads, rounds) => {
  for (let round = 1; round <= rounds; round++)
    bundles[`${threads} threads, round ${round}`] = await bundleOf(process.execPath, threads);
  expect(new Set(Object.values(bundles)), JSON.stringify(bundles, null, 2)).toHaveLength(1);
});

test("another seed makes another bundle", async () => {
  expect(await bundleOf(process.execPath, 2, 4)).not.toBe(Object.values(bundles)[0]);
});

if (OTHERS.length === 0) {
  console.warn(
    "SKIPPED the bundle on another Node: scripts/setup-node installs two, or name one in SENTINEL_OTHER_NODE",
  );
  test.runIf(process.env.CI === "true")("another Node is installed", () => {
    expect(OTHERS, "CI must run scripts/setup-node first").not.toEqual([]);
  });
}

test.each(OTHERS)(
  "Node $version simulates the same transactions and trains the same bundle",
  async ({ binary, version }) => {
    console.info(`the same bundle on Node ${process.version} and ${version}`);
    const file = `data/node-${version}.parquet`;
    await run(binary, ["simulate", "--out", file, ...WORLD]);
    const data = (name: string): string => sha256(readFileSync(path.join(dir, name)));
    expect(data(file)).toBe(data("data/transactions.parquet"));
    bundles[version] = await bundleOf(binary, 2);
    expect(new Set(Object.values(bundles)), JSON.stringify(bundles, null, 2)).toHaveLength(1);
  },
);
