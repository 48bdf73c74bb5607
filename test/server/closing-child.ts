// A server in a process of its own, for the test that kills it while cases are closed: node --import jiti/register closing-child.ts DIR.
import { Side } from "./side.ts";

const side = new Side({}, process.argv[2]);
await side.start();
process.send!(side.url);
