// A training that is killed leaves no version, no alias and no half file, wherever it was; the next one works.
import { cpSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyJournal } from "../../src/core/journal.ts";
import { Random } from "../../src/core/random.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { makeWorkspace, removeWorkspace, sentinel, sentinelJson } from "../cli/sentinel.ts";
import { SMALL_WORLD, writeHistory } from "./traffic.ts";

/** Shares of a whole training's time between which it is killed; files and rows are written in the last tenth. */
const MOMENTS = [
  [0.05, 0.5],
  [0.8, 1],
  [0.9, 1.05],
] as const;

let dir: string;
let wholeMs: number;

beforeAll(async () => {
  dir = makeWorkspace();
  await writeHistory(dir, SMALL_WORLD);
  // How long a whole one takes here, in a workspace of its own.
  const other = makeWorkspace();
  cpSync(path.join(dir, "data"), path.join(other, "data"), { recursive: true });
  const started = performance.now();
  expect((await sentinel(["train"], { cwd: other, own: true })).code).toBe(0);
  wholeMs = performance.now() - started;
  removeWorkspace(other);
});

afterAll(() => removeWorkspace(dir));

/** Starts a training and ends it with the signal after a while; null when it was done before. */
async function killAfter(delayMs: number, signal: "SIGKILL" | "SIGINT") {
  const ran = await sentinel(["train"], {
    cwd: dir,
    started: (child) => setTimeout(() => child.kill(signal), delayMs),
  });
  return ran.code === 0 ? null : ran;
}

async function versions() {
  const registry = createLocalRegistry({ dir: path.join(dir, "models") });
  try {
    const journal = await registry.journal("card-fraud");
    expect(verifyJournal(journal).ok).toBe(true);
    const made = await registry.versions("card-fraud");
    // Every version that can be seen can be loaded, file by file against its hash.
    for (const { version } of made) await registry.load("card-fraud", version);
    return { count: made.length, aliases: await registry.aliases("card-fraud"), entries: journal.length };
  } finally {
    await registry.close();
  }
}

test.each(["SIGKILL", "SIGINT"] as const)(
  "%s at any moment leaves a registry as it was, or as it is after",
  async (signal) => {
    const random = new Random(signal.length);
    let killed = 0;
    for (let round = 0; round < MOMENTS.length; round++) {
      const before = await versions();
      const [from, to] = MOMENTS[round];
      const ran = await killAfter(random.uniform(from, to) * wholeMs, signal);
      const after = await versions();
      if (ran === null) {
        expect(after.count).toBe(before.count + 1);
        continue;
      }
      killed++;
      // A shell shows a death by SIGINT as 130.
      expect(ran.signal === signal || (signal === "SIGINT" && ran.code === 130)).toBe(true);
      // Registering ends with the alias: killed between the two, the version is whole and nobody's candidate.
      expect(after.count - before.count).toBeLessThanOrEqual(1);
      if (after.count === before.count) expect(after).toEqual(before);
    }
    expect(killed).toBeGreaterThan(0);
    expect(temporaries()).toEqual([]);
    const before = await versions();
    const next = await sentinelJson(["train"], { cwd: dir });
    expect(next.code, next.stdout).toBe(0);
    const after = await versions();
    expect(after.count).toBe(before.count + 1);
    expect(after.aliases).toEqual({ candidate: next.json.version.version });
  },
);

/** What a writer leaves under a name that is not final, in the folders that readers look into. */
function temporaries(): string[] {
  return readdirSync(path.join(dir, "models"), { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(tmp|part)/.test(name),
  );
}
