// A server in a process of its own, for the tests that kill it: node --import jiti/register killed-server.ts DIR [PIPELINE].
import { makeWorld, serve } from "./world.ts";

const { server } = await serve(makeWorld({ dir: process.argv[2], pipeline: process.argv[3] ?? "" }), {
  persistMs: 200,
});
const { port } = await server.start({ host: "127.0.0.1", port: 0 });
process.send!(port);
