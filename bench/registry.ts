// Registering and loading a bundle of 20 MB on an MLflow server, against MLflow's own client; and history on a long journal.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { BundleFiles } from "../src/core/bundle.ts";
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { createMlflowRegistry } from "../src/drivers/registry/mlflow/driver.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import { journalFigures } from "./journal.ts";
import { type BenchServer, mlflowInstalled, mlflowPython, startMlflow } from "./mlflow-server.ts";
import { ROOT, temporaryFolder } from "./workspace.ts";

/** Sizes as a bundle of 3,000 deep trees has them: three large files and the small ones beside them. */
const FILES: Readonly<Record<string, number>> = {
  "trees.bin": 7_000_000,
  "forest.bin": 6_000_000,
  "model.onnx": 6_700_000,
  "reference.json": 150_000,
  "report.html": 120_000,
  "golden.json": 20_000,
  "bundle.json": 8_000,
  "card.md": 3_000,
  "metrics.json": 1_000,
  MLmodel: 4_000,
  "conda.yaml": 200,
  "python_env.yaml": 100,
  "requirements.txt": 80,
  "input_example.json": 3_000,
  "serving_input_example.json": 3_000,
};
/** Rounds that are not counted: connections, caches, the just-in-time compiler. */
const WARM_UP = 1;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    if (!mlflowInstalled()) {
      options.print("no MLflow installed (run scripts/setup-python): nothing to compare with");
      return { register: null, load: null, both: null };
    }
    const folder = temporaryFolder();
    const files = makeFiles(options.seed);
    const server = await startMlflow(folder);
    try {
      const figures = await compare(options, { folder, files, server });
      return { ...figures, journal: await journalFigures(options, { folder, server }) };
    } finally {
      server.stop();
    }
  },
};

interface Place {
  readonly folder: string;
  readonly files: BundleFiles;
  readonly server: BenchServer;
}

async function compare(options: BenchOptions, { folder, files, server }: Place): Promise<Figures> {
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  options.print(`MLflow ${server.version}, ${files.size} files, ${(bytes / 1e6).toFixed(1)} MB, sides take turns`);
  const onDisk = path.join(folder, "bundle");
  mkdirSync(onDisk);
  for (const [name, content] of files) writeFileSync(path.join(onDisk, name), content);
  const peer = await startPeer(server.uri);
  const own = createMlflowRegistry({ server });
  const times = {
    own: { register: [] as number[], load: [] as number[] },
    peer: { register: [] as number[], load: [] as number[] },
  };
  const ownTurn = async (): Promise<readonly [number, number]> => {
    const runId = await own.startRun({ experiment: "own", name: "bench", startedAt: 0, user: "", tags: {} });
    const start = performance.now();
    const { version } = await own.register({ model: "own", runId, files, description: "", tags: {}, at: 0 });
    const stored = performance.now();
    const loaded = await own.load("own", version);
    const end = performance.now();
    assert(loaded.size === files.size, "all files come back");
    return [(stored - start) / 1000, (end - stored) / 1000];
  };
  const peerTurn = async (): Promise<readonly [number, number]> => {
    const registered = await peer.ask({ do: "register", folder: onDisk });
    const loaded = await peer.ask({ do: "load", version: registered.value });
    // MLflow adds a small file of its own.
    assert(Number(loaded.value) >= bytes, "all bytes come back");
    return [registered.seconds, loaded.seconds];
  };
  for (let round = 0; round < options.repeats + WARM_UP; round++) {
    // Each round starts with the other side.
    for (const side of round % 2 === 0 ? (["own", "peer"] as const) : (["peer", "own"] as const)) {
      const [register, load] = await (side === "own" ? ownTurn() : peerTurn());
      if (round < WARM_UP) continue;
      times[side].register.push(register);
      times[side].load.push(load);
    }
  }
  peer.stop();
  await own.close();
  const medians = {
    own: { register: median(times.own.register), load: median(times.own.load) },
    peer: { register: median(times.peer.register), load: median(times.peer.load) },
  };
  options.print("               register ms   load ms");
  for (const side of ["own", "peer"] as const) {
    const { register, load } = medians[side];
    const name = side === "own" ? "sentinel" : "mlflow";
    options.print(
      `  ${name.padEnd(12)}${(register * 1000).toFixed(0).padStart(12)}${(load * 1000).toFixed(0).padStart(10)}`,
    );
  }
  return {
    register: medians.own.register / medians.peer.register,
    load: medians.own.load / medians.peer.load,
    both: (medians.own.register + medians.own.load) / (medians.peer.register + medians.peer.load),
    registerSeconds: medians.own.register,
    loadSeconds: medians.own.load,
  };
}

function makeFiles(seed: number): BundleFiles {
  const random = new Random(seed);
  const noise = Uint32Array.from({ length: 1 << 18 }, () => random.integer(2 ** 32));
  const bytes = new Uint8Array(noise.buffer);
  return new Map(
    Object.entries(FILES).map(([name, length]) => {
      const content = new Uint8Array(length);
      for (let at = 0; at < length; at += bytes.length)
        content.set(bytes.subarray(0, Math.min(bytes.length, length - at)), at);
      return [name, content];
    }),
  );
}

interface Peer {
  ask(what: object): Promise<{ readonly seconds: number; readonly value: string | number }>;
  stop(): void;
}

async function startPeer(uri: string): Promise<Peer> {
  const script = path.join(ROOT, "bench", "registry-peer.py");
  const env = { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", PYTHONWARNINGS: "ignore" };
  const child: ChildProcessWithoutNullStreams = spawn(mlflowPython, [script, JSON.stringify({ uri })], { env });
  child.stderr.resume();
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    for (;;) {
      const { value, done } = await lines.next();
      assert(done !== true, "the peer answers");
      if (value.startsWith("{")) return JSON.parse(value) as unknown;
    }
  };
  await answer();
  return {
    async ask(what) {
      child.stdin.write(`${JSON.stringify(what)}\n`);
      return (await answer()) as { readonly seconds: number; readonly value: string | number };
    },
    stop: () => child.kill(),
  };
}
