// Killing for tests: processes that archive and compact end by SIGKILL at named steps and at any moment, and what they leave is counted.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { Random } from "../../../src/core/random.ts";
import { textAt } from "../../../src/core/table.ts";
import { verifyArchive } from "../../../src/lifecycle/archive/verify.ts";
import { type ArchivePlace, fillLog } from "./place.ts";

const CHILD = fileURLToPath(new URL("./archive-child.mjs", import.meta.url));
/** Kills of a write at any moment, besides those at named steps; one less of a compaction. */
const KILLS = Number(process.env.SENTINEL_ARCHIVE_KILLS ?? 1);
/** One batch (a claim, four days, labels and a mark), or several where there is time. */
const ROWS = KILLS > 1 ? 30_000 : 600;
/** In a batch's days, before its mark; before the old files go, and before the new one gets its name. */
export const STEPS = { write: [3, 6], compact: [2] } as const;

export interface Killed {
  readonly place: ArchivePlace;
  readonly environment: Readonly<Record<string, string>>;
  /** Rows and different ids, as anybody reads them. */
  count(): Promise<readonly [rows: number, ids: number]>;
  /** Where own readers read. */
  readonly asked: string;
  /** Before which changes of the store they are killed. */
  readonly steps: { readonly write: readonly number[]; readonly compact: readonly number[] };
}

/** Fills a log, then archives and compacts it in processes that are killed; what is there is right at any time, and whole in the end. */
export async function killAgainAndAgain({ place, environment, count, asked, steps }: Killed): Promise<void> {
  const { ports, close } = place.open(environment);
  try {
    await fillLog(ports, { from: 0, count: ROWS });
    const random = new Random(11);
    const own = async (): Promise<number> => {
      const table = await (await ports.dataset()).read(asked, { columns: ["transaction_id"] });
      const ids = table.columns.get("transaction_id")!;
      expect(new Set(Array.from({ length: table.rows }, (_, row) => textAt(ids, row))).size).toBe(table.rows);
      return table.rows;
    };
    for (const step of steps.write) {
      expect(await run(place.dir, environment, { task: "write", step })).toBe("SIGKILL");
      const [rows, ids] = await count();
      expect(rows).toBe(ids);
    }
    for (let kill = 0; kill < KILLS; kill++) {
      await run(place.dir, environment, { task: "write", afterMs: random.uniform(0, 400) });
      const [rows, ids] = await count();
      expect(rows).toBe(ids);
    }
    expect(await run(place.dir, environment, { task: "write" })).toBeNull();
    expect(await count()).toEqual([ROWS, ROWS]);
    for (const step of steps.compact) {
      expect(await run(place.dir, environment, { task: "compact", step })).toBe("SIGKILL");
      expect(await own()).toBe(ROWS);
      const [rows, ids] = await count();
      expect(rows).toBe(ids);
    }
    for (let kill = 1; kill < KILLS; kill++) {
      await run(place.dir, environment, { task: "compact", afterMs: random.uniform(0, 400) });
      expect(await own()).toBe(ROWS);
    }
    expect(await run(place.dir, environment, { task: "compact" })).toBeNull();
    expect(await count()).toEqual([ROWS, ROWS]);
    expect(await own()).toBe(ROWS);
    expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0, unsettled: 0 });
  } finally {
    await close();
  }
}

/** Ends with the signal that killed it; null where it came to its end. */
function run(
  dir: string,
  environment: Readonly<Record<string, string>>,
  { task, step, afterMs }: { readonly task: "write" | "compact"; readonly step?: number; readonly afterMs?: number },
): Promise<NodeJS.Signals | null> {
  const args = [CHILD, dir, task, ...(step === undefined ? [] : [String(step)])];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, SENTINEL_ARCHIVE_KILLS: undefined, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (afterMs !== undefined) child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), afterMs));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      signal === null && code !== 0 ? reject(new Error(`exit ${code}`)) : resolve(signal),
    );
  });
}
