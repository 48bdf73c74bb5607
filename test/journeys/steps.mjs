// Loaded into a `sentinel` of its own (node --import): ends it by SIGKILL just before the step that KILL_AT counts, a write to SQLite or to a file.
import { createRequire, syncBuiltinESMExports } from "node:module";

const require = createRequire(import.meta.url);
const killAt = Number(process.env.KILL_AT);
let steps = 0;

function step() {
  if (++steps === killAt) process.kill(process.pid, "SIGKILL");
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
