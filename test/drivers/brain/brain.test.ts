// Brains by HTTP and by gRPC: one contract, asked of real servers; and which driver is asked for which address.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { grpcBrain } from "../../../src/drivers/brain/grpc/driver.ts";
import { httpBrain } from "../../../src/drivers/brain/http/driver.ts";
import { openGrpc } from "../../../src/grpc/door.ts";
import { brainUrls } from "../../../src/lifecycle/gateway.ts";
import { brainContract } from "../../contracts/brain.ts";

const protoFolder = path.join(fileURLToPath(new URL("../../..", import.meta.url)), "proto");

brainContract({
  name: "http",
  nobody: new URL("http://127.0.0.1:9/predict"),
  make: (key) => httpBrain({ key }),
  async open(server) {
    const { port } = await server.start({ host: "127.0.0.1", port: 0 });
    return (pipeline) =>
      new URL(`http://127.0.0.1:${port}${pipeline === undefined ? "" : `/pipelines/${pipeline}`}/predict`);
  },
});

brainContract({
  name: "grpc",
  nobody: new URL("grpc://127.0.0.1:9"),
  make: (key) => grpcBrain({ key, protoFolder }),
  async open(server) {
    const at = { host: "127.0.0.1", port: 0, tls: null, protoFolder };
    const { port } = await server.attach(at.host, (parts) => openGrpc(parts, at));
    return (pipeline) => new URL(`grpc://127.0.0.1:${port}${pipeline === undefined ? "" : `/pipelines/${pipeline}`}`);
  },
});

test("the port that other gateways ask by gRPC is asked by gRPC here too; every other one by HTTP", () => {
  const texts = (given: readonly string[], host = "", port = ""): readonly string[] =>
    brainUrls(given, host === "" ? null : { host, port }).map(String);
  expect(texts([], "brain", "50051")).toEqual(["grpc://brain:50051"]);
  expect(texts([], "::1", "50051")).toEqual(["grpc://[::1]:50051"]);
  expect(texts([], "brain", "8000")).toEqual(["http://brain:8000/predict"]);
  expect(texts(["grpc://a", "grpcs://b:1/pipelines/card", "c:2"])).toEqual([
    "grpc://a",
    "grpcs://b:1/pipelines/card",
    "http://c:2/predict",
  ]);
  for (const wrong of ["grpc://a/predict", "grpc://", "grpc://u:p@a", "grpc:///x"]) {
    expect(() => texts([wrong]), wrong).toThrow(/no address/);
  }
});
