// What a command loads: the help no engine at all, the server neither training code nor the table engine; traced in real processes.
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clientOf } from "../grpc/client.ts";
import { postJson, SMALL_WORLD, writeHistory } from "../journeys/traffic.ts";
import { makeWorkspace, removeWorkspace, sentinel, serve } from "./sentinel.ts";

/** Loader hooks that note every module, and a patch that notes every CommonJS file and native addon. */
const HOOKS = `
import { appendFileSync } from "node:fs";
let file;
export function initialize(data) { file = data; }
export async function load(url, context, next) { appendFileSync(file, url + "\\n"); return next(url, context); }
`;
const REGISTER = (trace: string): string => `
import { appendFileSync } from "node:fs";
import Module, { register } from "node:module";
const trace = ${JSON.stringify(trace)};
register("./hooks.mjs", { parentURL: import.meta.url, data: trace });
for (const ending of [".js", ".node", ".json"]) {
  const load = Module._extensions[ending];
  Module._extensions[ending] = (module, name) => { appendFileSync(trace, name + "\\n"); return load(module, name); };
}
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sentinel-trace-"));
  writeFileSync(path.join(folder, "hooks.mjs"), HOOKS);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * An environment in which node traces into a file, and the lines of it afterwards. By NODE_OPTIONS, since a worker thread with arguments
 * of its own, such as a shadow's, drops those of its process.
 */
function tracing(name: string): { readonly env: { readonly NODE_OPTIONS: string }; loaded(): string[] } {
  const trace = path.join(folder, `${name}.txt`);
  const register = path.join(folder, `${name}.mjs`);
  writeFileSync(trace, "");
  writeFileSync(register, REGISTER(trace));
  return {
    env: { NODE_OPTIONS: `--import ${pathToFileURL(register).href}` },
    loaded: () => [
      ...new Set(
        readFileSync(trace, "utf8")
          .split("\n")
          .filter((line) => line !== ""),
      ),
    ],
  };
}

const ENGINES =
  /duckdb|libsql|hono|ajv|pino|jiti|simple-git|prom-client|node_modules\/yaml|src\/(expression|pipeline|metrics|ml|features|quality|drift|evidence|lifecycle|online|drivers|server)\//;
/** What only learning needs lies in folders train/; the verbs that learn or look back are no part of serving either. */
const TRAINING = /duckdb|jiti|src\/.*\/train\/|src\/lifecycle\/(train|retrain|monitor|compare)|src\/quality\//;

/** What only a server with a port for gRPC loads. */
const GRPC = /@grpc|protobufjs|src\/grpc\//;

/** The port by a variable, the command's own files of proto/, and an end without an error. */
async function answersGrpc(dir: string): Promise<void> {
  const { env, loaded } = tracing("grpc");
  const port = await freePort();
  const server = await serve(dir, { env: { ...env, SENTINEL_GRPC_PORT: String(port) } });
  const client = clientOf({ host: "127.0.0.1", port });
  const json = Buffer.from(JSON.stringify({ id: "a", amount: 5 }));
  const outcome = await client.call("sentinel.v1.Sentinel/Score", { json });
  const { body } = await postJson(`${server.url}/predict`, { id: "a", amount: 5 });
  client.close();
  expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
  expect([outcome.status, outcome.answer?.score]).toEqual(["OK", (body as { readonly score: number }).score]);
  expect(loaded().some((line) => GRPC.test(line))).toBe(true);
}

/** Free a moment ago, at least. */
async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  return port;
}

test("the help and the version load no engine", async () => {
  for (const [name, args] of [
    ["help", ["--help"]],
    ["version", ["--version"]],
    ["nothing", []],
  ] as const) {
    const { env, loaded } = tracing(name);
    const { stdout } = await sentinel(args, { env, own: true });
    expect(stdout.length).toBeGreaterThan(3);
    expect(loaded().some((line) => line.includes("commander"))).toBe(true);
    expect(loaded().filter((line) => ENGINES.test(line))).toEqual([]);
  }
});

test("the server loads neither training code nor the table engine, not even to answer, shadow and take labels", async () => {
  const dir = makeWorkspace();
  try {
    await writeHistory(dir, SMALL_WORLD);
    const training = tracing("train");
    for (const args of [["train"], ["promote"], ["train", "--seed", "2", "--force", "--reason", "a second one"]]) {
      const traced = args.length === 1 && args[0] === "train" ? { env: training.env, own: true } : {};
      const { code, stderr } = await sentinel(args, { cwd: dir, ...traced });
      expect(code, stderr).toBe(0);
    }
    // The trace does see what is forbidden below.
    for (const what of [
      /src\/ml\/gbdt\/train\//,
      /src\/ml\/train\//,
      /src\/lifecycle\/train\//,
      /duckdb/,
      /src\/quality\//,
    ])
      expect(
        training.loaded().filter((line) => what.test(line) && TRAINING.test(line)).length,
        String(what),
      ).toBeGreaterThan(0);
    const { env, loaded } = tracing("serve");
    const server = await serve(dir, { env });
    try {
      expect((await postJson(`${server.url}/predict`, { id: "a", amount: 5 })).status).toBe(200);
      expect((await postJson(`${server.url}/predict/batch`, [{ id: "b", amount: 5 }])).status).toBe(200);
      for (const route of ["/predict?explain=true", "/explain"])
        expect((await postJson(`${server.url}${route}`, { id: "c", amount: 5 })).status, route).toBe(200);
      expect((await postJson(`${server.url}/feedback`, [{ transaction_id: "a", fraud: true }])).status).toBeLessThan(
        300,
      );
      for (const route of ["/model", "/metrics", "/shadow/report", "/openapi.json", "/health"])
        expect((await fetch(`${server.url}${route}`)).status, route).toBe(200);
    } finally {
      await server.stop("SIGTERM");
    }
    for (const what of ["hono", "src/online/shadow/worker.js", "src/ml/gbdt/score.js"])
      expect(
        loaded().some((line) => line.includes(what)),
        what,
      ).toBe(true);
    expect(loaded().filter((line) => TRAINING.test(line))).toEqual([]);
    expect(loaded().filter((line) => GRPC.test(line))).toEqual([]);
    await answersGrpc(dir);
  } finally {
    removeWorkspace(dir);
  }
});
