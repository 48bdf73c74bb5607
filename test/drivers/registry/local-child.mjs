// A second process for the tests of the embedded registry: registers, or moves aliases, as often as it is told.
import { createLocalRegistry } from "../../../dist/src/drivers/registry/local/driver.js";

const [dir, task, count] = process.argv.slice(2);
const registry = createLocalRegistry({ dir });
const at = Date.UTC(2026, 10, 21);
const done = [];

async function register(bytes) {
  const runId = await registry.startRun({ experiment: "card", name: "child", startedAt: at, user: "", tags: {} });
  const files = new Map([
    ["a.bin", new Uint8Array(bytes).fill(process.pid % 251)],
    ["b.bin", new Uint8Array(bytes)],
  ]);
  return registry.register({ model: "card-fraud", runId, files, description: "", tags: {}, at });
}

/** Moves the champion on from wherever it is, until it has won `count` times. */
async function move() {
  for (;;) {
    const { champion = null } = await registry.aliases("card-fraud");
    const entry = { at, actor: `child ${process.pid}`, verb: "promote", verdict: "PROMOTE", evidence: "", reason: "" };
    const input = { model: "card-fraud", alias: "champion", from: champion, to: champion === "1" ? "2" : "1", entry };
    try {
      return await registry.moveAlias(input);
    } catch (error) {
      if (error.code !== "registry.conflict") throw error;
    }
  }
}

if (task === "register-forever") process.stdout.write("ready\n");
for (let turn = 0; turn < Number(count); turn++) {
  if (task === "register") done.push((await register(1_000)).version);
  if (task === "register-forever") await register(3_000_000);
  if (task === "move") done.push((await move()).index);
}
await registry.close();
process.stdout.write(`${JSON.stringify(done)}\n`);
