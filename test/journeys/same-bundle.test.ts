// The same data, code and seed give the same bundle: again, on any number of threads, and on a Node that the environment names; package.test.ts asks the others.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256 } from "../../src/core/hash.ts";
import { MAIN, makeWorkspace, removeWorkspace } from "../cli/sentinel.ts";

/** Another Node than those that scripts/setup-node installs, on which package.test.ts trains. */
const OTHERS = [process.env.SENTINEL_OTHER_NODE ?? ""]
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

async function bundleOf(node: string, threads: number): Promise<string> {
  const forced = ["--force", "--reason", "a test of sameness"];
  const trained = JSON.parse(await run(node, ["train", "--json", "--seed", "3", ...forced], threads)) as {
    readonly version: { readonly bundle: string };
  };
  return trained.version.bundle;
}

// That another seed makes another bundle is seen by registry-chaos.test.ts, which trains with three.
test.each([1, 2, 4])("one bundle on %i threads", async (threads) => {
  bundles[`${threads} threads`] = await bundleOf(process.execPath, threads);
  expect(new Set(Object.values(bundles)), JSON.stringify(bundles, null, 2)).toHaveLength(1);
});

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
