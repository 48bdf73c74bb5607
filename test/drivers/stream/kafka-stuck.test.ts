// A Kafka that takes connections and answers nothing: every call of the driver ends in a bounded time, and leaves no socket open.
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createKafkaStreams } from "../../../src/drivers/stream/kafka/driver.ts";
import type { Streams } from "../../../src/ports/stream.ts";

let server: Server;
let streams: Streams;
const sockets = new Set<Socket>();

beforeEach(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    // Read and forgotten.
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  streams = createKafkaStreams(
    { brokers: [`127.0.0.1:${port}`], tls: false, sasl: null },
    { limits: { askMs: 100, commitMs: 100, joinMs: 100, leaveMs: 50 } },
  );
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const unreachable = { code: "stream.unreachable", message: expect.stringContaining("no answer in 0.1 s") };

test("whoever asks, joins or writes hears that nothing answers, and closing leaves no connection", async () => {
  await expect(streams.topics(["payments"])).rejects.toMatchObject(unreachable);
  await expect(streams.create("payments", 1)).rejects.toMatchObject(unreachable);
  const joining = streams.subscribe({
    topic: "payments",
    group: "g",
    sessionMs: 1000,
    recordBytesMax: 1000,
    whole: false,
  });
  await expect(joining).rejects.toMatchObject(unreachable);
  for (const id of ["g-payments", null]) {
    const writer = await streams.writer({ id, group: "g", topic: "payments" });
    await expect(writer.takeOver([])).rejects.toMatchObject(unreachable);
    await expect(writer.commit({ outputs: new Map(), positions: new Map() })).rejects.toMatchObject({
      code: "stream.unreachable",
    });
  }
  await streams.close();
  while (sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a call that waits ends when the streams are closed", async () => {
  const patient = createKafkaStreams(
    { brokers: [`127.0.0.1:${(server.address() as { readonly port: number }).port}`], tls: false, sasl: null },
    { limits: { commitMs: 3_600_000, leaveMs: 50 } },
  );
  const writer = await patient.writer({ id: null, group: "g", topic: "payments" });
  const taking = writer.takeOver([]);
  taking.catch(() => {});
  while (sockets.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await patient.close();
  await expect(taking).rejects.toMatchObject({ code: "stream.unreachable" });
});
