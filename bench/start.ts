// Start: how long a server takes until it is ready beside a log of millions, with and without what an earlier one saved.
import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import type { Bench, Figures } from "./bench.ts";
import { fillLog } from "./log-fill.ts";
import { runOwn } from "./peers.ts";
import { preparedWorkspace, processorSeconds, residentMb, sentinelServer, writeBodies } from "./serving.ts";

/** Predictions between the last save and a kill: what five minutes of 1,000 per second leave. */
const UNSAVED = 300_000;
/** What stands in the log is spread over so many customers and terminals. */
const CUSTOMERS = 5000;
const TERMINALS = 10_000;
const STEP_MS = 100;
/** Predictions in the log, unless told otherwise. */
const ROWS = 10_000_000;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const { dir } = await preparedWorkspace(options);
    const bodiesFile = await writeBodies(options);
    const send = async (port: number, count: number, prefix: string): Promise<void> =>
      void (await runOwn("load-own", {
        port,
        path: "/predict",
        connections: 16,
        seconds: 0,
        bodiesFile,
        prefix,
        warmUp: count,
      }));
    const first = await sentinelServer(dir);
    await send(first.port, 1000, "first-");
    await first.stop();
    const state = path.join(dir, "models", "state");
    const filled = fillLog(path.join(state, logIn(state)), {
      rows: options.rows ?? ROWS,
      stepMs: STEP_MS,
      fields: `json_set(p.fields, '$.customer_id', CAST(n.i % ${CUSTOMERS} AS TEXT), '$.terminal_id', CAST((n.i * 7919) % ${TERMINALS} AS TEXT),
        '$.amount', (n.i % 10000) / 100.0)`,
      randomVectors: true,
    });
    options.print(`  ${filled.toLocaleString("en")} predictions in the log`);
    for (const name of readdirSync(path.join(state, "snapshots"))) {
      if (/^(state-serve|ids)-/.test(name)) rmSync(path.join(state, "snapshots", name));
    }
    const cold = await timedStart(dir);
    options.print(`  without a saved state: ${text(cold.figures)}`);
    await cold.server.stop();
    const saved = await timedStart(dir);
    options.print(`  after a clean stop: ${text(saved.figures)}`);
    await send(saved.server.port, UNSAVED, "unsaved-");
    await saved.server.kill();
    const killed = await timedStart(dir);
    options.print(`  killed, ${UNSAVED} predictions after the last save: ${text(killed.figures)}`);
    await killed.server.stop();
    return { rows: options.rows ?? ROWS, cold: cold.figures, saved: saved.figures, killed: killed.figures };
  },
};

interface StartFigures extends Figures {
  readonly readySeconds: number;
  readonly readyProcessorSeconds: number;
  readonly idsKnownSeconds: number;
  readonly memoryMbMost: number;
}

async function timedStart(
  dir: string,
): Promise<{ readonly server: Awaited<ReturnType<typeof sentinelServer>>; readonly figures: StartFigures }> {
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  let idsKnown = (): void => {};
  let idsKnownSeconds = Number.NaN;
  const known = new Promise<void>((resolve) => {
    idsKnown = resolve;
  });
  const server = await sentinelServer(dir, {
    onLog(line) {
      if (!line.includes("ids are known")) return;
      idsKnownSeconds = seconds();
      idsKnown();
    },
  });
  const readySeconds = seconds();
  const readyProcessorSeconds = processorSeconds(server.pid);
  await known;
  return {
    server,
    figures: { readySeconds, readyProcessorSeconds, idsKnownSeconds, memoryMbMost: residentMb(server.pid, "VmHWM") },
  };
}

function text({ readySeconds, readyProcessorSeconds, idsKnownSeconds, memoryMbMost }: StartFigures): string {
  return `ready after ${readySeconds.toFixed(1)} s (${readyProcessorSeconds.toFixed(1)} s of processor time), all ids known after ${idsKnownSeconds.toFixed(1)} s, ${memoryMbMost.toFixed(0)} MB at most`;
}

/** The name of the one log in a folder. */
export function logIn(state: string): string {
  const name = readdirSync(state).find((file) => file.endsWith(".db"));
  if (name === undefined) throw new Error(`there is no log in ${state}`);
  return name;
}
