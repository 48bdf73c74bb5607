// A worker that kills its executor in the middle of a partition: stands in front of Sentinel's own and ends both where a file asks for it.
import { spawn } from "node:child_process";
import { readFileSync, unlinkSync } from "node:fs";
import path from "node:path";

// A file KIND-PASS in the folder asks for one death in a task of that kind; whoever removes it dies.
const [folder, ...command] = process.argv.slice(2);
const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "inherit", "inherit"] });
child.on("close", (code) => process.exit(code ?? 1));
child.stdin.on("error", () => {});

let bytes = Buffer.alloc(0);
let isHeader = true;
let dies = false;

process.stdin.on("data", (chunk) => {
  bytes = Buffer.concat([bytes, chunk]);
  while (bytes.length >= 8) {
    const length = Number(bytes.readBigUInt64LE(0));
    if (bytes.length < 8 + length) return;
    const block = bytes.subarray(0, 8 + length);
    bytes = bytes.subarray(8 + length);
    if (isHeader) dies = isAsked(JSON.parse(block.subarray(8).toString("utf8")));
    else if (dies) {
      // Half of a frame has gone through when the executor is no more.
      child.stdin.write(block.subarray(0, block.length >> 1), () => process.kill(executor(), "SIGKILL"));
      process.stdin.destroy();
      child.stdin.end();
      return;
    }
    isHeader = length === 0;
    child.stdin.write(block);
  }
});
process.stdin.on("end", () => child.stdin.end());

function isAsked({ kind, pass = 0 }) {
  try {
    unlinkSync(path.join(folder, `${kind}-${pass}`));
    return true;
  } catch {
    return false;
  }
}

/** The process above that is an executor of Spark's. */
function executor() {
  for (let pid = process.ppid; pid > 1; ) {
    if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("CoarseGrainedExecutorBackend")) return pid;
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    pid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  }
  throw new Error("there is no executor above this process");
}
