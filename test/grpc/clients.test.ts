// Other people's gRPC clients, Python's grpcio and tritonclient, are given the scores of /predict and the contract that the package ships.
import { execFile, execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GrpcDoor } from "../../src/grpc/door.ts";
import type { SentinelServer } from "../../src/server/server.ts";
import { isInstalled, venvAt } from "../python.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  serve,
  type World,
} from "../server/world.ts";
import { attach, PROTO } from "./client.ts";

const VENV = "venv-oip";
const SCRIPT = path.join(import.meta.dirname, "clients.py");

const isThere = isInstalled(VENV);
if (!isThere) {
  console.warn(`SKIPPED the gRPC clients' tests: there is no .cache/${VENV}; scripts/setup-python installs it`);
  if (process.env.CI === "true")
    test(`${VENV} is installed`, () => expect.fail(`CI needs .cache/${VENV}: scripts/setup-python`));
}

const rows: readonly Readonly<Record<string, unknown>>[] = payments(12, {
  seed: 21,
  from: NOW - 3_600_000,
  prefix: "k",
}).map((payment, index) => ({
  ...bodyOf(payment),
  ...(index === 1 ? { customer_id: "007" } : {}),
  ...(index === 3 ? { customer_id: "Müller €" } : {}),
}));

describe.runIf(isThere)("Python's clients", () => {
  let world: World;
  let server: SentinelServer;
  let stop: () => Promise<void>;
  let door: GrpcDoor;
  let expected: Reply[];

  beforeAll(async () => {
    world = makeWorld();
    await world.saveState(SPEC_A);
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    ({ server, stop } = await serve(world, { packageVersion: "1.2.3", announceMs: 0 }));
    await server.start({ host: "127.0.0.1", port: 0 });
    door = await attach(server);
    expected = await Promise.all(rows.map((row) => reply(post(server, "/predict", row))));
  });

  afterAll(async () => {
    await stop();
    await world.remove();
  });

  async function ask(which: string, more: object = {}, port = door.port): Promise<Readonly<Record<string, never>>> {
    const file = path.join(world.dir, `${which}.json`);
    const known = new Date(NOW).toISOString();
    writeFileSync(file, JSON.stringify({ rows, messages: 2000, known_at: known, ...more }));
    const python = path.join(venvAt(VENV), "bin", "python");
    const env = { ...process.env, PYTHONWARNINGS: "ignore", NO_PROXY: "127.0.0.1", GRPC_VERBOSITY: "NONE" };
    const args = [SCRIPT, which, `127.0.0.1:${port}`, file, PROTO];
    const { stdout } = await promisify(execFile)(python, args, { env, maxBuffer: 1 << 26 });
    return JSON.parse(stdout.trim().split("\n").at(-1)!);
  }

  test("grpcio with stubs of the shipped contract: scores, a stream, explanations, labels, refusals", async () => {
    const seen = await ask("grpcio");
    expect(seen.struct).toEqual(expected);
    expect(seen.json).toEqual(expected);
    expect(seen.stream).toEqual({ count: 2000, in_order: true, same: true });
    expect(seen.explain).toMatchObject({ logged: true, score: expected[1].score });
    expect(seen.label).toMatchObject({ accepted: 1, items: [{ accepted: true }] });
    expect(seen.bad).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: {
        info: { reason: "REQUEST_INVALID", domain: "sentinel", metadata: { code: "request.invalid" } },
        fields: ["amount"],
        problem: true,
      },
    });
    expect(seen.none).toMatchObject({ code: "NOT_FOUND", details: { info: { reason: "REQUEST_NOT_FOUND" } } });
    expect(seen.unknown_method).toMatchObject({ code: "UNIMPLEMENTED" });
    expect(seen.no_message).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { info: { reason: "REQUEST_MALFORMED" } },
    });
    expect(seen.late).toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(seen.compressed).toEqual(expected[0]);
  });

  test("a client without the contract learns it by reflection and calls by it; health is checked and watched", async () => {
    const seen = await ask("reflection");
    expect(seen).toEqual({
      services: [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "sentinel.v1.Sentinel",
      ],
      methods: ["Explain", "Label", "Score", "ScoreStream"],
      tensor_fields: ["contents", "datatype", "name", "parameters", "shape"],
      optional_score: true,
      unknown: "unknown",
      answer: expected[2],
      check: "SERVING",
      watch: "SERVING",
      watch_nobody: "SERVICE_UNKNOWN",
      check_nobody: expect.objectContaining({ code: "NOT_FOUND" }),
    });
  });

  test("tritonclient is given the scores of /predict and the words of a refusal", async () => {
    const seen = await ask("triton");
    expect(seen).toMatchObject({
      live: true,
      ready: true,
      model_ready: true,
      version_ready: true,
      other_ready: { status: "StatusCode.NOT_FOUND" },
      server: { name: "sentinel", version: "1.2.3", extensions: ["binary_tensor_data"] },
      model: { name: "card-fraud", versions: ["1"], platform: "sentinel" },
      inputs: { amount: ["FP64", [-1]], transaction_id: ["BYTES", [-1]] },
      id: "ab-1",
      refusal: {
        status: "StatusCode.INVALID_ARGUMENT",
        message: expect.stringContaining("0/transaction_id is missing"),
      },
      other_version: { status: "StatusCode.NOT_FOUND" },
    });
    const scores = expected.map(({ score }) => score);
    for (const answers of [seen.raw, seen.some, seen.matrix] as Readonly<Record<string, unknown>>[]) {
      expect(answers.score).toEqual(scores);
      expect(answers.decision).toEqual(expected.map(({ decision }) => decision));
    }
    expect(seen).toMatchObject({ raw: { version: rows.map(() => "1"), shape: [12] }, matrix: { shape: [12, 1] } });
    expect((seen.raw as { transaction_id: unknown }).transaction_id).toEqual(rows.map((row) => row.transaction_id));
    expect((seen.some as { transaction_id?: unknown }).transaction_id).toBeUndefined();
    expect((seen.fresh as { score: unknown[] }).score).toHaveLength(12);
  });

  test("with mTLS only clients whose certificate the authority signed are let in", async () => {
    const files = certificates(world.dir);
    const tls = { cert: files.server_cert, key: files.server_key, ca: files.ca };
    const text = (file: string): string => readFileSync(file, "utf8");
    const own = await attach(server, { cert: text(tls.cert), key: text(tls.key), clientCa: text(tls.ca) });
    const seen = await ask("mtls", { certificates: files }, own.port);
    expect(seen.known).toEqual(expected[0]);
    expect(seen.stranger).toMatchObject({ code: "UNAVAILABLE" });
    expect(seen.nobody).toMatchObject({ code: "UNAVAILABLE" });
  });

  test("the compiled contract that reflection serves is that of the files", () => {
    const out = path.join(world.dir, "again.binpb");
    execFileSync("bash", [path.join(PROTO, "..", "scripts", "proto"), out], { stdio: "pipe" });
    expect(readFileSync(out).equals(readFileSync(path.join(PROTO, "reflection.binpb"))), "run scripts/proto").toBe(
      true,
    );
  });
});

/** An authority with a server's and a client's certificate, and a client that nobody signed. */
function certificates(dir: string): Readonly<Record<string, string>> {
  const at = (name: string): string => path.join(dir, name);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const alone = (name: string): void =>
    openssl(
      "req",
      "-x509",
      ...kind,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.crt`),
    );
  alone("ca");
  alone("stranger");
  for (const name of ["server", "client"]) {
    openssl("req", ...kind, "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
    writeFileSync(at(`${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    const signed = [
      "-CA",
      at("ca.crt"),
      "-CAkey",
      at("ca.key"),
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      at(`${name}.ext`),
    ];
    openssl("x509", "-req", "-in", at(`${name}.csr`), ...signed, "-out", at(`${name}.crt`));
  }
  return {
    ca: at("ca.crt"),
    server_cert: at("server.crt"),
    server_key: at("server.key"),
    client_cert: at("client.crt"),
    client_key: at("client.key"),
    stranger_cert: at("stranger.crt"),
    stranger_key: at("stranger.key"),
  };
}
