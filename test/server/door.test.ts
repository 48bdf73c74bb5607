// The door by its socket: heads and bodies as hostile or old clients send them, encodings, slow senders, and a stop that loses nothing.
import { once } from "node:events";
import http from "node:http";
import { connect, type Socket } from "node:net";
import zlib from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { IntakeLimits } from "../../src/server/intake.ts";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, SPEC_A, serve, type World } from "./world.ts";

type Running = Awaited<ReturnType<typeof serve>> & { readonly port: number };

let world: World;
const running: Running[] = [];
const PAYMENTS = payments(3000, { seed: 21, from: HISTORY.at(-1)!.time, prefix: "d" }).map(bodyOf);
let used = 0;
const payment = (): string => JSON.stringify(PAYMENTS[used++]);

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  await listening();
});
afterAll(async () => {
  for (const { stop } of running) await stop();
  await world.remove();
});

async function listening(intake: Partial<IntakeLimits> = {}, announceMs = 0): Promise<Running> {
  const served = await serve(world, { intake, announceMs });
  const { port } = await served.server.start({ host: "127.0.0.1", port: 0 });
  const made = { ...served, port };
  running.push(made);
  return made;
}

/** Everything the server writes until it closes the connection, or `done` says that it is enough. */
async function raw(port: number, text: string, done: (answer: string) => boolean = () => false): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(text);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (done(answer)) break;
  }
  socket.destroy();
  return answer;
}

function problemIn(answer: string): { readonly status: number; readonly code: string; readonly hint: string } {
  expect(answer).toMatch(/^content-type: application\/problem\+json\r$/im);
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

interface Posted {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

function post(
  port: number,
  given: {
    readonly path?: string;
    readonly body: Uint8Array | string;
    readonly headers?: object;
    readonly agent?: http.Agent;
  },
): Promise<Posted> {
  const { path = "/predict", body, headers = {}, agent } = given;
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        port,
        host: "127.0.0.1",
        path,
        method: "POST",
        agent,
        headers: { "content-type": "application/json", ...headers },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

test("a check by HTTP/1.0 without Host is answered; HTTP/1.1 without one is refused as a problem", async () => {
  const { port } = running[0];
  expect(await raw(port, "GET /livez HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\{"status":"ok"\}$/);
  const refused = await raw(port, "GET /livez HTTP/1.1\r\n\r\n");
  expect(refused).toMatch(/^HTTP\/1\.1 400 /);
  expect(problemIn(refused)).toMatchObject({ status: 400, code: "request.malformed" });
});

const PIPELINED = Array.from({ length: 1000 }, () => "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").join("");

test.each([
  ["no Host", "GET /livez HTTP/1.1\r\n\r\n", 400, "request.malformed"],
  ["two Hosts", "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "request.malformed"],
  ["requests sent too far ahead", PIPELINED, 503, "server.overloaded"],
  [
    "a path that is not there",
    "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    404,
    "request.not-found",
  ],
  ["a wrong method", "DELETE /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "request.method"],
  ["no HTTP", "\x16\x03\x01 nonsense\r\n\r\n", 400, "request.malformed"],
  ["a method that is none", "G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "request.malformed"],
  [
    "two lengths",
    "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    400,
    "request.malformed",
  ],
  ["a host that is none", "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "request.malformed"],
  ["a path that is none", "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, "request.malformed"],
  ["a tunnel", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 405, "request.method"],
  [
    "a head that is too large",
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
    431,
    "request.head-too-large",
  ],
  [
    "extensions that are too large",
    `POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;${"a".repeat(20_000)}\r\na\r\n`,
    413,
    "request.body-too-large",
  ],
  [
    "an expectation that is unknown",
    "POST /predict HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n{}",
    417,
    "request.expectation",
  ],
])("%s: a problem document", async (_, text, status, code) => {
  const { port } = running[0];
  const counted = async (): Promise<number> => {
    const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const line = `sentinel_requests_total{route="(none)",status="${status}"} `;
    return Number(
      page
        .split("\n")
        .find((one) => one.startsWith(line))
        ?.slice(line.length) ?? 0,
    );
  };
  const before = await counted();
  const all = await raw(port, text, (so) => so.includes('"hint"'));
  const answer = all.split(/(?=HTTP\/1\.1 \d{3} )/).at(-1)!;
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(problemIn(answer)).toMatchObject({ status, code });
  // As every answer: it can be found in a log, no browser guesses at it, nobody keeps it, and all of them are counted.
  expect(answer).toMatch(/^x-request-id: \S+\r$/im);
  expect(answer).toMatch(/^x-content-type-options: nosniff\r$/im);
  expect(answer).toMatch(/^cache-control: no-store\r$/im);
  if (status === 405) expect(answer).toMatch(/^allow: .*POST/im);
  expect(await counted()).toBeGreaterThan(before);
});

test("Expect: 100-continue is granted where the body would be taken, and not where it would not", async () => {
  const { port } = running[0];
  const body = payment();
  const head = (length: number) =>
    `POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;
  expect(await raw(port, head(body.length) + body)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  expect(await raw(port, head(1e6), (so) => so.includes('"hint"'))).toMatch(/^HTTP\/1\.1 413 /);
});

test("HEAD is GET without the body; answers tell browsers and proxies to leave them alone", async () => {
  const { port } = running[0];
  const head = await raw(port, "HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(head).toMatch(/\r\n\r\n$/);
  expect(head).toMatch(/^x-content-type-options: nosniff\r$/im);
  expect(head).toMatch(/^cache-control: no-store\r$/im);
});

test("requests sent together on one connection are answered in order", async () => {
  const { port } = running[0];
  const one = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
  const answer = await raw(port, one("/livez") + one("/nowhere") + one("/livez", "Connection: close\r\n"));
  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"]);
});

test("a client that sends ahead without end is answered so far, and then cut off with a problem", async () => {
  const { port } = running[0];
  const answer = await raw(port, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000));
  const statuses = answer.match(/HTTP\/1\.1 \d+/g) ?? [];
  expect(statuses.slice(0, 101)).toEqual(Array.from({ length: 101 }, () => "HTTP/1.1 200"));
  expect(statuses.at(-1)).toBe("HTTP/1.1 503");
  expect(statuses.length).toBeLessThan(200);
  expect(answer).toMatch(/"code":"server.overloaded"/);
  expect(answer).toMatch(/^retry-after: 1\r$/im);
});

test.each([
  ["gzip", zlib.gzipSync],
  ["x-gzip", zlib.gzipSync],
  ["deflate", zlib.deflateSync],
  ["deflate", zlib.deflateRawSync],
  ["br", zlib.brotliCompressSync],
])("a body in %s is decoded", async (encoding, encode) => {
  const { port } = running[0];
  const headers = { "content-encoding": encoding };
  const sent = payment();
  const { status, text } = await post(port, { body: encode(sent), headers });
  expect({ status, text }).toMatchObject({
    status: 200,
    text: expect.stringContaining(JSON.parse(sent).transaction_id),
  });
  if (encode === zlib.deflateRawSync) return;
  const rows = [payment(), "", payment()].join("\n");
  const stream = {
    path: "/predict/batch",
    body: encode(rows),
    headers: { ...headers, "content-type": "application/x-ndjson" },
  };
  expect(
    (await post(port, stream)).text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).decision),
  ).toHaveLength(2);
});

test("a bomb, a body that is not what it says, and an encoding that is not taken are refused", async () => {
  const { port } = running[0];
  const bomb = zlib.gzipSync(Buffer.alloc(64 << 20, 32));
  expect(bomb.length).toBeLessThan(65_536);
  const sent = async (body: Uint8Array | string, encoding: string, type = "application/json") => {
    const path = type === "application/json" ? "/predict" : "/predict/batch";
    return JSON.parse(
      (await post(port, { path, body, headers: { "content-encoding": encoding, "content-type": type } })).text,
    );
  };
  expect(await sent(bomb, "gzip")).toMatchObject({ status: 413, code: "request.body-too-large" });
  expect(await sent(bomb, "gzip", "application/x-ndjson")).toMatchObject({ status: 413 });
  expect(await sent("{}", "gzip")).toMatchObject({ status: 400, detail: expect.stringMatching(/not gzip/) });
  expect(await sent(zlib.gzipSync(payment()).subarray(0, 30), "gzip")).toMatchObject({ status: 400 });
  expect(await sent("{}", "zstd")).toMatchObject({ status: 415, detail: expect.stringMatching(/"zstd"/) });
  expect(await sent("{}", "zstd", "application/x-ndjson")).toMatchObject({ status: 415 });
});

/** Opens a request and sends nothing of its body but `first`. */
async function begin(port: number, given: { readonly type: string; readonly first?: string }): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  const path = given.type === "application/x-ndjson" ? "/predict/batch" : "/predict";
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${given.type}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  if (given.first !== undefined) socket.write(`${given.first.length.toString(16)}\r\n${given.first}\r\n`);
  return socket;
}

async function answerOn(socket: Socket, done: (answer: string) => boolean): Promise<string> {
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (done(answer)) break;
  }
  socket.destroy();
  return answer;
}

test("unfinished bodies and silent streams keep nobody out, and do not stay", async () => {
  const limits = { graceMs: 300, lineMsMax: 1500, streamsMax: 20, bodiesMax: 40 };
  const { port, server } = await listening(limits);
  const bodies = await Promise.all(
    Array.from({ length: 60 }, () => begin(port, { type: "application/json", first: "{" })),
  );
  const streams = await Promise.all(
    Array.from({ length: 20 }, () => begin(port, { type: "application/x-ndjson", first: "{" })),
  );
  // Twenty bodies made room for later ones; another stream finds no place, a payment does.
  const full = await post(port, {
    path: "/predict/batch",
    body: `${payment()}\n`,
    headers: { "content-type": "application/x-ndjson" },
  });
  expect(full).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(JSON.parse(full.text)).toMatchObject({ code: "server.overloaded", detail: "20 streams are open already" });
  expect((await post(port, { body: payment() })).status).toBe(200);
  const metrics = await (await server.app.request("/metrics")).text();
  expect(metrics).toMatch(/^sentinel_streams_open 20$/m);
  // A body whose length is told goes another road, to the same end.
  const plain = connect(port, "127.0.0.1");
  plain.on("error", () => {});
  plain.write("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{");
  bodies.push(plain);
  const ended = await Promise.all(bodies.map((socket) => answerOn(socket, (so) => so.includes('"hint"'))));
  for (const answer of ended) expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"request.too-slow"/);
  for (const socket of streams)
    expect(await answerOn(socket, (so) => so.includes('"hint"'))).toMatch(/"line":1,.*"request.too-slow"/);
  const again = await post(port, {
    path: "/predict/batch",
    body: `${payment()}\n`,
    headers: { "content-type": "application/x-ndjson" },
  });
  expect(again.status).toBe(200);
});

test("a stream that sends an empty line now and then stays open", async () => {
  const { port } = await listening({ lineMsMax: 400 });
  const socket = await begin(port, { type: "application/x-ndjson" });
  for (let i = 0; i < 8; i++) {
    socket.write("1\r\n\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const sent = payment();
  socket.write(`${(sent.length + 1).toString(16)}\r\n${sent}\n\r\n0\r\n\r\n`);
  const answer = await answerOn(socket, (so) => so.includes("0\r\n\r\n"));
  expect(answer).toMatch(/"decision"/);
  expect(answer).not.toMatch(/too-slow/);
});

test.each([
  ["/predict", "application/json"],
  ["/predict/batch", "application/x-ndjson"],
])("%s: a body of one-byte chunks costs its bytes, not an object each", async (path, type) => {
  const { port } = running[0];
  const tiny = "1\r\na\r\n".repeat(60_000);
  const sockets = await Promise.all(Array.from({ length: 12 }, () => begin(port, { type, first: '"' })));
  global.gc?.();
  const before = process.memoryUsage().heapUsed + process.memoryUsage().external;
  for (const socket of sockets) socket.write(tiny);
  // Served after all that was sent before it.
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  global.gc?.();
  const after = process.memoryUsage().heapUsed + process.memoryUsage().external;
  for (const socket of sockets) socket.destroy();
  expect(path).toMatch(/predict/);
  // 720,000 bytes came. As chunks they would be more than 100 MB.
  expect(after - before).toBeLessThan(40 << 20);
});

test("a stop loses no request on 32 kept-alive connections, and readiness goes first", async () => {
  const { port, server } = await listening({}, 3000);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const agents = Array.from({ length: 32 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  let stopping: Promise<void> | null = null;
  const told = { answered: 0, closing: 0 };
  const client = async (own: http.Agent): Promise<void> => {
    // Until the server says that it closes, and then some, on new connections, while it still takes them.
    for (let more = 3; more > 0; ) {
      const { status, headers } = await post(port, { body: payment(), agent: own });
      expect(status).toBe(200);
      told.answered++;
      if (headers.connection !== "close") continue;
      told.closing++;
      more--;
    }
  };
  const clients = agents.map(client);
  while (told.answered < 200) await new Promise((resolve) => setTimeout(resolve, 5));
  stopping = server.stop();
  expect((await server.app.request("/readyz")).status).toBe(503);
  await Promise.all(clients);
  expect(told.closing).toBe(96);
  await stopping;
  await expect(post(port, { body: payment(), agent })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  for (const own of [agent, ...agents]) own.destroy();
});

test("a stop ends open streams with a problem that says where to go on", async () => {
  const { port, server } = await listening({}, 0);
  const socket = await begin(port, { type: "application/x-ndjson", first: `${payment()}\n` });
  const answer = answerOn(socket, (so) => so.includes("stopping"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await server.stop();
  expect(await answer).toMatch(/"decision"[\s\S]*"line":2,.*"server.not-ready"/);
});

test("a client that closes its half after the request gets its answer; one that goes away in the midst of a body is answered or forgotten, and leaves nothing behind", async () => {
  const { port, server } = await listening();
  const sent = payment();
  const head = (length: number): string =>
    `POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  const half = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  half.end(head(sent.length) + sent);
  expect(await answerOn(half, () => false)).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*"decision"/);
  // Half a body, and then the end of it.
  const early = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  early.end(`${head(900)}{"transaction_id": "cut"`);
  expect(await answerOn(early, (so) => so.includes('"hint"'))).toMatch(/^HTTP\/1\.1 400 [\s\S]*"request.malformed"/);
  // Gone without a word, with plain and with chunked bodies, in the midst of a stream, and before an answer is read.
  const gone = await Promise.all([
    ...Array.from({ length: 10 }, () => begin(port, { type: "application/json", first: "{" })),
    ...Array.from({ length: 10 }, () => begin(port, { type: "application/x-ndjson", first: `${payment()}\n` })),
    ...Array.from({ length: 10 }, async () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.write(`${head(900)}{"transaction_id": "cut"`);
      return socket;
    }),
    ...Array.from({ length: 10 }, async () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      const body = payment();
      socket.write(head(body.length) + body);
      return socket;
    }),
  ]);
  for (const socket of gone) socket.resetAndDestroy();
  const metrics = async (): Promise<string> => (await server.app.request("/metrics")).text();
  const open = /^sentinel_(?:bodies_coming|streams_open|in_flight)(?:\{[^}]*\})? [1-9]/m;
  for (let tries = 0; tries < 500 && open.test(await metrics()); tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await metrics()).not.toMatch(open);
  expect((await post(port, { body: payment() })).status).toBe(200);
});

test("a client that sends a stream and reads no answer costs no memory: it is not read either", async () => {
  const { port } = await listening();
  const socket = await begin(port, { type: "application/x-ndjson" });
  socket.pause();
  const line = `${payment()}\n`;
  const chunk = `${(line.length * 200).toString(16)}\r\n${line.repeat(200)}\r\n`;
  // Once neither side's buffers take more, nothing moves.
  let written = 0;
  let still = 0;
  while (still < 20 && written < 200 << 20) {
    const before = socket.bytesWritten - socket.writableLength;
    while (socket.writableLength < 1 << 20) {
      socket.write(chunk);
      written += chunk.length;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    still = socket.bytesWritten - socket.writableLength === before ? still + 1 : 0;
  }
  expect(written).toBeLessThan(60 << 20);
  // Others are answered meanwhile.
  expect((await post(port, { body: payment() })).status).toBe(200);
  socket.destroy();
});
