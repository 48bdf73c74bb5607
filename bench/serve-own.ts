// A real server over a trained workspace, in a process of its own; its candidates may be made to misbehave.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { loadConfig } from "../src/config.ts";
import { silentLog } from "../src/online/counters.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { createServer } from "../src/server/server.ts";
import { openPorts } from "../src/wiring.ts";
import { timeStages } from "./stages.ts";

/** What the process is asked. */
export interface ServeTask {
  readonly workspace: string;
  /** The module that a candidate's thread runs instead of its own. */
  readonly worker?: string;
  /** How often the feature state is saved. */
  readonly persistMs?: number;
  /** Predictions that the log keeps, where not what the pipeline says. */
  readonly rows?: number;
  /** Times the stages of each request and writes them there at the end; that itself takes some microseconds. */
  readonly stages?: string;
}

const { workspace, worker, persistMs, rows, stages } = JSON.parse(process.argv[2]) as ServeTask;
const config = loadConfig({ workspace });
const own = loadPipeline(workspace, "card");
const retention = { ...own.log.retention, ...(rows === undefined ? {} : { rows }) };
const pipeline = { ...own, log: { ...own.log, retention } };
const seen = stages === undefined ? null : timeStages();
const { ports, close } = openPorts(config, {
  report: { line: () => {}, progress: () => {} },
  pipeline: pipeline.name,
  settings: () => pipeline,
});
const server = await createServer({
  ports,
  pipeline,
  schema: JSON.parse(readFileSync(pipeline.schemaFile, "utf8")) as object,
  options: {
    logger: silentLog,
    persistMs,
    ...(worker === undefined ? {} : { workerModule: pathToFileURL(worker) }),
  },
});
const at = await server.start({ host: "127.0.0.1", port: 0 });
console.log(JSON.stringify({ port: at.port }));
process.once("SIGTERM", () => {
  if (seen !== null) writeFileSync(stages!, JSON.stringify(seen()));
  void server
    .stop()
    .then(close)
    .finally(() => process.exit(0));
});
