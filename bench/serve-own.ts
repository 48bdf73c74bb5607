// A real server over a trained workspace, in a process of its own; its candidates may be made to misbehave.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { loadConfig } from "../src/config.ts";
import { silentLog } from "../src/online/counters.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { createServer } from "../src/server/server.ts";
import { openPorts } from "../src/wiring.ts";

/** What the process is asked. `worker`: the module that a candidate's thread runs instead of its own. */
export interface ServeTask {
  readonly workspace: string;
  readonly worker?: string;
}

const { workspace, worker } = JSON.parse(process.argv[2]) as ServeTask;
const config = loadConfig({ workspace });
const pipeline = loadPipeline(workspace, "card");
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
    ...(worker === undefined ? {} : { workerModule: pathToFileURL(worker) }),
  },
});
const at = await server.start({ host: "127.0.0.1", port: 0 });
console.log(JSON.stringify({ port: at.port }));
process.once("SIGTERM", () => {
  void server
    .stop()
    .then(close)
    .finally(() => process.exit(0));
});
