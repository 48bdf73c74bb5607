// A server in a process of its own, for the tests that kill it; built into dist/, arguments: the folder of its world, its pipeline's YAML.
import { makeWorld, serve } from "./world.ts";

const { server } = await serve(makeWorld({ dir: process.argv[2], pipeline: process.argv[3] ?? "" }), {
  persistMs: 200,
});
const { port } = await server.start({ host: "127.0.0.1", port: 0 });
process.send!(port);
