// A process for the tests of locks: takes one, says so, and holds it until it is killed.
import { createFileLock } from "../../../dist/src/drivers/files/lock.js";

const [dir, name] = process.argv.slice(2);
await createFileLock({ dir }).acquire(name);
process.stdout.write("held\n");
setInterval(() => {}, 60_000);
