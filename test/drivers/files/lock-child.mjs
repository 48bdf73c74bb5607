// A process for the tests of locks: takes one, says so, and holds it until it is killed.
import { createJiti } from "jiti";

const [dir, name] = process.argv.slice(2);
const { createFileLock } = await createJiti(import.meta.url).import("../../../src/drivers/files/lock.ts");
await createFileLock({ dir }).acquire(name);
process.stdout.write("held\n");
setInterval(() => {}, 60_000);
