// Loaded into a `sentinel` of its own (node --import): before each write to SQLite or to a file it copies STEPS_OF to a folder of STEPS_TO, as SIGKILL would leave it; before the one that KILL_AT counts it sends itself that.
import { cpSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";

const require = createRequire(import.meta.url);
const { STEPS_OF, STEPS_TO, KILL_AT } = process.env;
let steps = 0;

// What a killed process has written stays; its locks and its memory go. The same can be said of a copy of its files, but for the log's, which
// a thread of its own writes and removes meanwhile: no step is about them.
const ofLog = /-log\.db(-wal|-shm)?$/;
function step() {
  steps++;
  if (KILL_AT === undefined)
    cpSync(STEPS_OF, `${STEPS_TO}/${steps}`, { recursive: true, filter: (file) => !ofLog.test(file) });
  else if (steps === Number(KILL_AT)) process.kill(process.pid, "SIGKILL");
}

const Database = require("libsql");
const { exec, prepare } = Database.prototype;
Database.prototype.exec = function (text) {
  if (/BEGIN|COMMIT|ALTER|CREATE/.test(text)) step();
  return exec.call(this, text);
};
Database.prototype.prepare = function (text) {
  const statement = prepare.call(this, text);
  const { run } = statement;
  statement.run = (...values) => {
    step();
    return run.apply(statement, values);
  };
  return statement;
};

const files = require("node:fs/promises");
const { open, rename } = files;
files.open = async (file, flags, ...rest) => {
  if (flags !== "wx" && flags !== "a") return open(file, flags, ...rest);
  step();
  const handle = await open(file, flags, ...rest);
  for (const write of ["writeFile", "appendFile", "sync"]) {
    const plain = handle[write].bind(handle);
    handle[write] = (...values) => {
      step();
      return plain(...values);
    };
  }
  return handle;
};
files.rename = (...names) => {
  step();
  return rename(...names);
};
syncBuiltinESMExports();
