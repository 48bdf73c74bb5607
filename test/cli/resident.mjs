// A process that runs command lines one after the other for tests, with the modules of the built command loaded once: what `sentinel` says and answers.
import { setTimeout as sleep } from "node:timers/promises";
import { main } from "../../dist/src/cli/main.js";

/** Half a minute: a busy machine is not what the tests are about. */
const LOOKS_MAX = 3000;
const LOOK_EVERY_MS = 10;

/** What a stream is given while a command runs. */
function capture(stream) {
  const { write } = stream;
  let text = "";
  stream.write = (piece, encoding, done) => {
    text += typeof piece === "string" ? piece : Buffer.from(piece).toString("utf8");
    const said = typeof encoding === "function" ? encoding : done;
    if (said !== undefined) process.nextTick(said, null);
    return true;
  };
  return () => {
    stream.write = write;
    return text;
  };
}

/** What would keep a process from ending. */
function holding(known = []) {
  const left = process.getActiveResourcesInfo();
  for (const name of known) if (left.includes(name)) left.splice(left.indexOf(name), 1);
  return left;
}

/** A command that returns and leaves a file, a thread or a timer open would never end as a process of its own. */
async function heldAfter(known) {
  for (let look = 0; look < LOOKS_MAX && holding(known).length > 0; look++) await sleep(LOOK_EVERY_MS);
  return holding(known);
}

// Opened at their first use, and open from then on.
void [process.stdout, process.stderr];
process.on("disconnect", () => process.exit());
/** The variables of the command before. */
let given = {};
process.on("message", async ({ args, cwd, env }) => {
  process.chdir(cwd);
  for (const name of Object.keys(given)) delete process.env[name];
  given = env;
  Object.assign(process.env, env);
  const known = holding();
  const [stdout, stderr] = [process.stdout, process.stderr].map(capture);
  const code = await main(args).catch((error) => {
    process.stderr.write(`main() threw: ${error?.stack ?? error}`);
    return null;
  });
  const held = await heldAfter(known);
  const why = held.length === 0 ? "" : `the process would not end: ${held}`;
  process.send({ code: why === "" ? code : null, signal: null, stdout: stdout(), stderr: stderr() + why });
});
