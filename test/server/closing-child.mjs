// A server in a process of its own, for the test that kills it while cases are closed: node closing-child.mjs DIR.
import { pino } from "pino";
import { loadConfig } from "../../dist/src/config.js";
import { madeSource } from "../../dist/src/lifecycle/serve.js";
import { createSeveral } from "../../dist/src/server/server.js";
import { openWorkspacePorts } from "../../dist/src/wiring.js";

const [, , workspace] = process.argv;
const report = { line: () => {}, progress: () => {} };
const { common, portsOf } = openWorkspacePorts(loadConfig({ workspace, environment: {} }), { report });
const server = await createSeveral({
  sources: [],
  main: null,
  clock: common.clock,
  platform: {
    store: common.store,
    workspace,
    sourceOf: (name) =>
      madeSource(workspace, name, { portsOf: (pipeline) => portsOf({ pipeline: name, settings: () => pipeline }) }),
  },
  options: { logger: pino({ level: "silent" }), lagMsMax: 60_000 },
});
const { port } = await server.start({ host: "127.0.0.1", port: 0 });
process.send(`http://127.0.0.1:${port}`);
