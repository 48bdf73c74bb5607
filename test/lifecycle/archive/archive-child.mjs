// A process for the kill tests: archives or compacts, says when it begins, and kills itself before a step when it is told to.
import { loadConfig } from "../../../dist/src/config.js";
import { compactArchive } from "../../../dist/src/lifecycle/archive/maintain.js";
import { archiveNow } from "../../../dist/src/lifecycle/archive/write.js";
import { schemaIfThere } from "../../../dist/src/lifecycle/data/schema-file.js";
import { loadPipeline } from "../../../dist/src/pipeline/pipeline.js";
import { openPorts } from "../../../dist/src/wiring.js";

const [dir, task, step] = process.argv.slice(2);
const pipeline = loadPipeline(dir, "card");
const { ports, close } = openPorts(loadConfig({ workspace: dir }), {
  pipeline: "card",
  settings: () => pipeline,
  report: { line: () => {}, progress: () => {} },
});
const { objects, files } = await ports.archive();
let left = Number(step ?? Number.NaN);
const dying =
  (change) =>
  async (...given) => {
    if (left-- === 0) process.kill(process.pid, "SIGKILL");
    return await change(...given);
  };
const archive = {
  files,
  objects: { ...objects, create: dying(objects.create), move: dying(objects.move), remove: dying(objects.remove) },
};
process.stdout.write("begun\n");
const input = { pipeline, schema: schemaIfThere(pipeline) };
await (task === "write" ? archiveNow : compactArchive)({ ...ports, archive: async () => archive }, input);
await close();
