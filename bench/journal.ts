// `registry history --at` and `registry verify` as a person calls them, on a journal of 10,000 entries, embedded and on a server.
import { spawn } from "node:child_process";
import path from "node:path";
import Database from "libsql";
import { assert } from "../src/core/errors.ts";
import { nextEntry } from "../src/core/journal.ts";
import { createLocalRegistry } from "../src/drivers/registry/local/driver.ts";
import { init } from "../src/lifecycle/init.ts";
import type { JournalEntry } from "../src/ports/registry.ts";
import { type BenchOptions, type Figures, median } from "./bench.ts";
import type { BenchServer } from "./mlflow-server.ts";
import { ROOT } from "./workspace.ts";

const ENTRIES = 10_000;
const MODEL = "card-fraud";
const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

/** Seconds of the whole process, medians. */
export async function journalFigures(
  options: BenchOptions,
  place: { readonly folder: string; readonly server: BenchServer },
): Promise<Figures> {
  const workspace = path.join(place.folder, "workspace");
  init({ dir: workspace, packageRoot: ROOT });
  await fill(path.join(workspace, "models"));
  const onServer = { MLFLOW_TRACKING_URI: place.server.uri };
  const pushed = await timed(workspace, ["registry", "push"], onServer);
  options.print(`journal of ${ENTRIES} entries, pushed in ${pushed.seconds.toFixed(1)} s`);
  const at = new Date(START + (ENTRIES / 2) * MINUTE).toISOString();
  const figures: Record<string, number> = { pushSeconds: pushed.seconds };
  for (const [name, args] of [
    ["history", ["registry", "history", "--at", at]],
    ["verify", ["registry", "verify"]],
  ] as const) {
    for (const [where, env] of [
      ["Embedded", {}],
      ["Server", onServer],
    ] as const) {
      const runs: number[] = [];
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        const { seconds, text } = await timed(workspace, args, env);
        if (name === "history") assert(text.includes(`"index": ${ENTRIES / 2}`), "the entry of that minute is found");
        runs.push(seconds);
      }
      figures[`${name}${where}Seconds`] = median(runs);
      options.print(`  ${name.padEnd(10)}${where.toLowerCase().padEnd(10)}${median(runs).toFixed(2).padStart(6)} s`);
    }
  }
  return figures;
}

/** Two versions, and a champion that changes every minute; the rows are put in directly, as that many moves would have left them. */
async function fill(dir: string): Promise<void> {
  const registry = createLocalRegistry({ dir });
  const runId = await registry.startRun({ experiment: "card", name: "bench", startedAt: START, user: "", tags: {} });
  for (const text of ["1", "2"]) {
    const files = new Map([["a", new TextEncoder().encode(text)]]);
    await registry.register({ model: MODEL, runId, files, description: "", tags: {}, at: START });
  }
  let last: JournalEntry = await registry.moveAlias({
    model: MODEL,
    alias: "champion",
    from: null,
    to: "1",
    entry: { at: START, actor: "ana", verb: "promote", verdict: "PROMOTE", evidence: "", reason: "the first" },
  });
  await registry.close();
  const database = new Database(path.join(dir, "mlflow.db"));
  database.exec("BEGIN");
  const insert = database.prepare("INSERT INTO sentinel_journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (let turn = 1; turn < ENTRIES; turn++) {
    const reason = `turn ${turn}: the paired difference of average precision is 0.021 [0.012, 0.030], 412 frauds, coverage 99.8 %`;
    const words = { actor: "ana", verb: "promote", verdict: "PROMOTE", evidence: "", reason } as const;
    const [from, to] = turn % 2 === 1 ? ["1", "2"] : ["2", "1"];
    const { hash: _h, previous: _p, index: _i, ...fields } = { ...last, ...words, from, to, at: START + turn * MINUTE };
    last = nextEntry(fields, last);
    const { index, model, alias, at, actor, verb, verdict, evidence, previous, hash } = last;
    insert.run(model, index, alias, from, to, at, actor, verb, verdict, evidence, reason, previous, hash);
  }
  database.exec(`UPDATE registered_model_aliases SET version = ${last.to}; COMMIT`);
  database.close();
}

async function timed(
  workspace: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly seconds: number; readonly text: string }> {
  const start = performance.now();
  const main = path.join(ROOT, "dist", "src", "cli", "main.js");
  const child = spawn(process.execPath, [main, ...args, "--json", "--workspace", workspace], {
    env: { ...process.env, MLFLOW_TRACKING_URI: "", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  assert(code === 0, `${args.join(" ")} ends with code 0, not ${code}: ${text.slice(0, 500)}`);
  return { seconds: (performance.now() - start) / 1000, text };
}
