// A retraining killed in any step and run again: the same version, aliases, journal and feature state as without the kill.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { sha256 } from "../../src/core/hash.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { numberAt } from "../../src/core/table.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { type RetrainStep, retrain } from "../../src/lifecycle/retrain.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { train } from "../../src/lifecycle/train.ts";
import { loadPipeline, type Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { openPorts } from "../../src/wiring.ts";
import { edit, makeWorkspace, removeWorkspace } from "../cli/sentinel.ts";
import { prediction } from "./records.ts";

const CHILD = fileURLToPath(new URL("./retrain-killed.mjs", import.meta.url));
const WORLD = { customers: 80, terminals: 80, seed: 5, compromisedTerminals: 0.5, compromisedCustomers: 1 };
const DAYS = 50;
const LATER = 16;
/** After all that is logged. */
const NOW = Date.UTC(2018, 3, 1) + (DAYS + LATER) * DAY_MS;
const STEPS: readonly RetrainStep[] = [
  "locked",
  "table",
  "read",
  "fit",
  "judge",
  "run",
  "register",
  "state",
  "journal",
  "end",
];

let origin: string;
let pipeline: Pipeline;
let undisturbed: Awaited<ReturnType<typeof stateOf>>;
const copies: string[] = [];

/** A workspace with a champion and a log of later days. */
beforeAll(async () => {
  origin = makeWorkspace();
  edit(origin, "pipelines/card.yaml", (text) =>
    text.replace("resamples: 1000", "resamples: 100").replace(" trees: 40", " trees: 10"),
  );
  await inside(origin, async (ports) => {
    const dataset = await ports.dataset();
    const { source } = pipeline;
    await dataset.write(source, simulateDays({ ...WORLD, days: DAYS }));
    const by = { pipeline, path: source, actor: "tester", packageVersion: "0" };
    const first = await train(ports, { ...by, forced: "a test", verb: "train" });
    await promote(ports, { pipeline, to: first.version!.version, actor: "tester", forced: "a test", seed: 1 });
    const log = await ports.log();
    for (const table of [...simulateDays({ ...WORLD, days: DAYS + LATER })].slice(DAYS)) {
      const value = (name: string, row: number): number => numberAt(table.columns.get(name)!, row);
      for (let row = 0; row < table.rows; row++) {
        const [transactionId, time] = [String(value("transaction_id", row)), value("tx_datetime", row)];
        const fields = {
          amount: value("tx_amount", row),
          customer_id: value("customer_id", row),
          terminal_id: value("terminal_id", row),
        };
        log.appendPrediction(prediction({ transactionId, time, fields }));
        if (value("tx_fraud", row) === 1)
          log.appendLabel({ transactionId, fraud: true, knownAt: time + DAY_MS, source: "test", receivedAt: time });
      }
      await log.flush();
    }
  });
  const dir = copyOf(origin);
  await inside(dir, async (ports) => {
    expect((await retrain(ports, input(dir))).outcome).toBe("trained");
  });
  undisturbed = await stateOf(dir);
});
afterAll(() => [origin, ...copies].forEach(removeWorkspace));

function copyOf(dir: string): string {
  const copy = makeWorkspace();
  copies.push(copy);
  cpSync(dir, copy, { recursive: true });
  return copy;
}

async function inside<T>(dir: string, work: (ports: Ports) => Promise<T>): Promise<T> {
  pipeline = loadPipeline(dir, "card");
  const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
    report: { line: () => {}, progress: () => {} },
    pipeline: "card",
    settings: () => pipeline,
    clock: { now: () => NOW, elapsed: () => performance.now() },
  });
  try {
    return await work(ports);
  } finally {
    await close();
  }
}

function input(dir: string) {
  return {
    pipeline,
    path: pipeline.source,
    monitorPath: null,
    workspace: dir,
    actor: "tester",
    packageVersion: "0",
    forced: "a test",
  };
}

/** All that a retraining is for, but its runs' own ids. */
async function stateOf(dir: string) {
  return inside(dir, async (ports) => {
    const registry = await ports.registry();
    const journal = await registry.journal("card-fraud");
    expect(verifyJournal(journal).ok).toBe(true);
    const versions = await registry.versions("card-fraud");
    for (const { version } of versions) await registry.load("card-fraud", version);
    return {
      aliases: await registry.aliases("card-fraud"),
      versions: versions.map(({ version, bundle, tags }) => ({
        version,
        bundle,
        gates: tags["sentinel.gate.training"],
        rows: tags["sentinel.data_rows"],
      })),
      journal: journal.map(({ alias, from, to, verb, verdict, reason }) => ({
        alias,
        from,
        to,
        verb,
        verdict,
        reason,
      })),
      data: filesOf(path.join(dir, "data")),
      // A state names the table that it was made from by its whole path.
      states: Object.keys(filesOf(path.join(dir, "models", "state", "snapshots"))),
      temporary: Object.keys(filesOf(dir)).filter((name) => /\.(tmp|part)/.test(name)),
      locks: Object.keys(filesOf(path.join(dir, "models", "state", "locks"))),
    };
  });
}

function filesOf(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8", withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(files.sort().map((file) => [path.relative(dir, file), sha256(readFileSync(file))]));
}

async function statuses(ports: Ports): Promise<string[]> {
  const runs = await (await ports.registry()).runs("card");
  return runs.map(({ status }) => status).sort();
}

test("a fault in each step, one after the other, and then an undisturbed round", async () => {
  const dir = copyOf(origin);
  const reached: string[] = [];
  for (const step of STEPS) {
    await inside(dir, async (ports) => {
      const onStep = (at: RetrainStep): void => {
        if (at === step) throw new Error(`killed at ${at}`);
      };
      await expect(retrain(ports, { ...input(dir), onStep })).rejects.toThrow(`killed at ${step}`);
    });
    reached.push(step);
  }
  expect(reached).toEqual(STEPS);
  await inside(dir, async (ports) => {
    expect((await retrain(ports, input(dir))).outcome).toBe("trained");
    // What was killed after its run had begun stays in the list as killed, and nothing as running.
    expect(await statuses(ports)).toEqual(["FINISHED", "FINISHED", "KILLED", "KILLED", "KILLED", "KILLED"]);
  });
  expect(await stateOf(dir)).toEqual(undisturbed);
});

// Before anything is written, and when all but the alias is: the steps between are those of the faults above.
test.each(["fit", "journal"] as const)("SIGKILL at the step %s, and then again", async (step) => {
  const dir = copyOf(origin);
  const child = spawn(process.execPath, [CHILD, dir, step, String(NOW)], { stdio: ["ignore", "inherit", "inherit"] });
  const [code, signal] = await once(child, "exit");
  expect({ code, signal }).toEqual({ code: null, signal: "SIGKILL" });
  // Its lock lies there, and the next one takes it over.
  expect(Object.keys(filesOf(path.join(dir, "models", "state", "locks"))).join()).toContain("retrain-card");
  await inside(dir, async (ports) => {
    // Without force too: a killed retraining counts for no cooldown, and then there is nothing to see.
    await expect(retrain(ports, { ...input(dir), forced: null })).rejects.toMatchObject({
      code: "lifecycle.not-enough-data",
    });
    expect((await retrain(ports, input(dir))).outcome).toBe("trained");
    expect(await statuses(ports)).not.toContain("RUNNING");
  });
  expect(await stateOf(dir)).toEqual(undisturbed);
});
