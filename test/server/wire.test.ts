// Plain requests on the wire: read as node:http reads them, answered as by it, and everything else left to it, byte for byte.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { type KeyRecord, newKey } from "../../src/core/key.ts";
import type { Exchange } from "../../src/server/exchange.ts";
import { readPlainHead } from "../../src/server/plain-head.ts";
import { type Wires, wiresOf } from "../../src/server/wire.ts";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, SPEC_A, serve, type World } from "./world.ts";

const HEAD = "POST /predict HTTP/1.1\r\n";
const PLAIN = "host: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n";

test("a plain head is read; names in any case, values without the space around them", () => {
  const head = readPlainHead(
    `${HEAD}Host: a\r\nContent-Type:application/json \r\nContent-Length: \t12\r\nX-Empty:\r\nConnection: Keep-Alive\r\n`,
  );
  expect(head?.path).toBe("/predict");
  expect(head?.length).toBe(12);
  expect(Object.fromEntries(head!.headers)).toEqual({
    host: "a",
    "content-type": "application/json",
    "content-length": "12",
    "x-empty": "",
    connection: "Keep-Alive",
  });
});

test.each([
  ["another method", "GET /predict HTTP/1.1\r\n", PLAIN],
  ["a query", "POST /predict?explain=true HTTP/1.1\r\n", PLAIN],
  ["an escaped path", "POST /pre%64ict HTTP/1.1\r\n", PLAIN],
  ["an absolute target", "POST http://a/predict HTTP/1.1\r\n", PLAIN],
  ["HTTP/1.0", "POST /predict HTTP/1.0\r\n", PLAIN],
  ["a bare line feed", "POST /predict HTTP/1.1\n", PLAIN],
  ["no host", HEAD, PLAIN.replace("host: a\r\n", "")],
  ["two hosts", HEAD, `${PLAIN}Host: b\r\n`],
  ["two lengths", HEAD, `${PLAIN}Content-Length: 2\r\n`],
  ["a length of two numbers", HEAD, PLAIN.replace(": 2", ": 2, 2")],
  ["a length with a sign", HEAD, PLAIN.replace(": 2", ": +2")],
  ["a length in hexadecimal", HEAD, PLAIN.replace(": 2", ": 0x2")],
  ["a length with a space behind it", HEAD, PLAIN.replace(": 2", ": 2 ")],
  ["a length with a tab behind it", HEAD, PLAIN.replace(": 2", ": 2\t")],
  ["a host of two words", HEAD, PLAIN.replace("host: a", "host: a b")],
  ["a host with a path", HEAD, PLAIN.replace("host: a", "host: a/b")],
  ["a host with a user", HEAD, PLAIN.replace("host: a", "host: a@b")],
  ["a host whose port is none", HEAD, PLAIN.replace("host: a", "host: a:65536")],
  ["an empty host", HEAD, PLAIN.replace("host: a", "host:")],
  ["an address that is not spelled as short as can be", HEAD, PLAIN.replace("host: a", "host: [2001:0db8::1]")],
  ["a host that is half an address", HEAD, PLAIN.replace("host: a", "host: [::1")],
  ["no length", HEAD, PLAIN.replace("content-length: 2\r\n", "")],
  ["a length and chunks", HEAD, `${PLAIN}Transfer-Encoding: chunked\r\n`],
  ["a space before the colon", HEAD, `${PLAIN}x-a : b\r\n`],
  ["a folded value", HEAD, `${PLAIN}x-a: b\r\n c\r\n`],
  ["a bare carriage return", HEAD, `${PLAIN}x-a: b\rc\r\n`],
  ["a bare line feed within", HEAD, `${PLAIN}x-a: b\nx-c: d\r\n`],
  ["a zero byte", HEAD, `${PLAIN}x-a: b\0c\r\n`],
  ["a value beyond ASCII", HEAD, `${PLAIN}x-a: \xe9\r\n`],
  ["an empty name", HEAD, `${PLAIN}: b\r\n`],
  ["an upgrade", HEAD, `${PLAIN}connection: upgrade\r\nupgrade: h2c\r\n`],
  ["a connection that ends", HEAD, `${PLAIN}connection: close\r\n`],
  ["an expectation", HEAD, `${PLAIN}expect: 100-continue\r\n`],
  ["an encoded body", HEAD, `${PLAIN}content-encoding: gzip\r\n`],
  ["a session", HEAD, `${PLAIN}cookie: a=b\r\n`],
  ["a page's origin", HEAD, `${PLAIN}Origin: http://a\r\n`],
  ["a browser's word on the site", HEAD, `${PLAIN}Sec-Fetch-Site: same-origin\r\n`],
  ["another type", HEAD, PLAIN.replace("json", "xml")],
  ["a header that is repeated", HEAD, `${PLAIN}x-api-key: a\r\nX-API-Key: b\r\n`],
  ["more headers than plain ones have", HEAD, PLAIN + Array.from({ length: 70 }, (_, i) => `x-${i}: 1\r\n`).join("")],
  ["a head that is too long", HEAD, `${PLAIN}x-a: ${"b".repeat(5000)}\r\n`],
])("%s is not plain", (_, line, headers) => {
  expect(readPlainHead(HEAD + PLAIN)).not.toBeNull();
  expect(readPlainHead(line + headers)).toBeNull();
});

test.each(["a", "a_b.example-c.org:8080", "127.0.0.1:65535", "[::1]:80", "[2001:DB8::1]"])(
  "host %s is plain",
  (host) => {
    expect(readPlainHead(HEAD + PLAIN.replace("host: a", `host: ${host}`))).not.toBeNull();
  },
);

test("what is plain reads node:http the same, whatever is done to a head", async () => {
  const server = http.createServer((request, response) => {
    request.resume();
    request.on("end", () => response.end(JSON.stringify({ url: request.url, headers: request.headers })));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const piece = fc.constantFrom(
    "\r\n",
    "\n",
    "\r",
    ":",
    " ",
    "\t",
    "a",
    "2",
    "\0",
    "\x7f",
    "\xff",
    "x-b: c\r\n",
    "chunked",
  );
  const edit = fc.record({ at: fc.nat({ max: 110 }), cut: fc.nat({ max: 2 }), piece });
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 2 }), async (edits) => {
      let text = `${HEAD}x-request-id: 1\r\n${PLAIN}accept: */*\r\n`;
      for (const { at, cut, piece: put } of edits) text = text.slice(0, at) + put + text.slice(at + cut);
      const head = readPlainHead(text);
      if (head === null) return;
      plain++;
      const answer = await talk(port, [`${text}\r\n${"1".repeat(head.length)}`], 1);
      const seen = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
      expect(seen).toEqual({ url: head.path, headers: Object.fromEntries(head.headers) });
    }),
    { numRuns: 300 },
  );
  expect(plain).toBeGreaterThan(30);
  server.close();
});

let world: World;
let served: Awaited<ReturnType<typeof serve>>;
let port = 0;
const PAYMENTS = payments(200, { seed: 5, from: HISTORY.at(-1)!.time, prefix: "w" }).map(bodyOf);
let used = 0;

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  served = await serve(world, { announceMs: 0 });
  ({ port } = await served.server.start({ host: "127.0.0.1", port: 0 }));
});
afterAll(async () => {
  await served.stop();
  await world.remove();
});

function request(more = "", body = JSON.stringify(PAYMENTS[used++])): string {
  return `${HEAD}host: a\r\n${more}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** All that comes back of these writes, up to so many answers. */
async function talk(to: number, writes: readonly (string | Buffer)[], answers: number, end = false): Promise<string> {
  const socket = connect(to, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  for (const text of writes) {
    socket.write(text);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (end) socket.end();
  return collect(socket, answers);
}

async function collect(socket: Socket, answers: number): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.split("HTTP/1.1 ").length > answers && text.endsWith("}")) break;
  }
  socket.destroy();
  return text;
}

function statuses(text: string): readonly string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
}

/** Names and values of a head, but for those that are each answer's own. */
function headOf(text: string): readonly string[] {
  const own = /^(date|x-request-id|content-length):/i;
  return text
    .slice(0, text.indexOf("\r\n\r\n"))
    .split("\r\n")
    .filter((line) => !own.test(line))
    .map((line) => line.toLowerCase())
    .sort();
}

test("an answer on the wire has the head that node:http gives it, refusals too", async () => {
  for (const body of [undefined, '{"amount":', '{"amount":-1}', '"\\ud800"']) {
    const plain = await talk(port, [request("", body ?? JSON.stringify(PAYMENTS[used++]))], 1);
    // A header that is repeated is left to node:http, but the hot road answers it there too.
    const other = await talk(port, [request("x-a: 1\r\nx-a: 2\r\n", body ?? JSON.stringify(PAYMENTS[used++]))], 1);
    expect(headOf(plain)).toEqual(headOf(other));
    if (body !== undefined) expect(plain.slice(plain.indexOf("\r\n\r\n"))).toBe(other.slice(other.indexOf("\r\n\r\n")));
  }
});

test("a connection goes on where node:http took it over, and answers stay in order", async () => {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  const answers = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (statuses(text).length >= count && text.endsWith("}")) resolve();
        else setTimeout(look, 1);
      };
      look();
    });
  const writes = [
    request(),
    request(),
    "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
    request(),
    `${request()}${request()}`,
  ];
  let count = 0;
  for (const write of writes) {
    socket.write(write);
    count += write.split("HTTP/1.1").length - 1;
    await answers(count);
  }
  socket.destroy();
  expect(statuses(text)).toEqual(["200", "200", "200", "200", "200", "200"]);
});

test("requests sent ahead are answered in order: in one piece, in two, while one is being answered", async () => {
  const ids = (text: string): readonly string[] => [...text.matchAll(/x-request-id: (\S+)/g)].map(([, id]) => id);
  const named = (id: string): string => request(`x-request-id: ${id}\r\n`);
  const together = await talk(port, [named("a1") + named("a2") + named("a3")], 3);
  expect(ids(together)).toEqual(["a1", "a2", "a3"]);
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  for (const id of ["b1", "b2", "b3"]) socket.write(named(id));
  expect(ids(await collect(socket, 3))).toEqual(["b1", "b2", "b3"]);
});

test("a request in pieces, at any place, is answered as a whole one", async () => {
  for (const at of [1, 30, 60, 95, 130]) {
    const whole = request();
    expect(statuses(await talk(port, [whole.slice(0, at), whole.slice(at)], 1))).toEqual(["200"]);
  }
});

test("a client that ends its side after the request still gets its answer, and the connection ends", async () => {
  const text = await talk(port, [request()], Number.POSITIVE_INFINITY, true);
  expect(statuses(text)).toEqual(["200"]);
});

test("an id beyond Latin-1 comes back as it was sent, and bytes that are no UTF-8 are refused", async () => {
  const body = JSON.stringify({ ...PAYMENTS[used++], transaction_id: "наём-é" });
  const text = await talk(port, [request("", body)], 1);
  expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)).transaction_id).toBe("наём-é");
  const bytes = Buffer.from(request("", JSON.stringify({ ...PAYMENTS[used++], transaction_id: "zz" })), "latin1");
  bytes[bytes.indexOf("zz")] = 0xff;
  expect(statuses(await talk(port, [bytes], 1))).toEqual(["400"]);
});

test("a stop ends idle wires, and one that is answered then says so", async () => {
  const own = await serve(world, { announceMs: 200 });
  const { port: at } = await own.server.start({ host: "127.0.0.1", port: 0 });
  const idle = connect(at, "127.0.0.1");
  const last = connect(at, "127.0.0.1");
  await Promise.all([once(idle, "connect"), once(last, "connect")]);
  idle.resume();
  const stopped = own.stop();
  last.write(request());
  expect(await collect(last, Number.POSITIVE_INFINITY)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^{]*connection: close\r\n/i);
  await stopped;
  if (!idle.destroyed) await once(idle, "close");
});

/** Status and body of an answer. */
function outcomeOf(text: string): string {
  return `${statuses(text)[0]} ${text.slice(text.indexOf("\r\n\r\n") + 4)}`;
}

test.each<readonly [string, string, (body: string) => string, number]>([
  ["a byte order mark", "", (body) => `\uFEFF${body}`, 200],
  ["two byte order marks", "", (body) => `\uFEFF\uFEFF${body}`, 400],
  ["a byte order mark alone", "", () => "\uFEFF", 400],
  ["a key twice in the document", "", (body) => body.replace("{", '{"amount":-5,'), 422],
  ["names of the prototype", "", (body) => body.replace("{", '{"__proto__":{"amount":1},"constructor":1,'), 200],
  ["two content types", "content-type: text/plain\r\n", (body) => body, 415],
  ["two hosts", "host: b\r\n", (body) => body, 400],
  ["another site's page", "sec-fetch-site: cross-site\r\n", (body) => body, 403],
  ["another site's page, of a browser that names its origin", "origin: http://b\r\n", (body) => body, 403],
  ["a sandboxed page", "origin: null\r\n", (body) => body, 403],
  ["the server's own page", "origin: http://a\r\n", (body) => body, 200],
  ["a cookie of somebody else", "cookie: a=b\r\n", (body) => body, 200],
  ["two authorizations, for where there are no keys", "authorization: a\r\nauthorization: b\r\n", (body) => body, 200],
])("all three roads answer alike: %s", async (_, more, change, status) => {
  const whole = request("", change(JSON.stringify(PAYMENTS[used++]))).replace("\r\n\r\n", `\r\n${more}\r\n`);
  const after = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
  const second = (text: string): string => text.slice(text.indexOf("HTTP/1.1 ", 1));
  const byWire = await talk(port, [whole], 1);
  const byNode = second(await talk(port, [after, whole], 2));
  const byApp = await talk(port, [whole.replace("/predict", "/predict?")], 1);
  expect(outcomeOf(byNode)).toBe(outcomeOf(byWire));
  expect(outcomeOf(byApp)).toBe(outcomeOf(byWire));
  expect(statuses(byWire)).toEqual([String(status)]);
});

test.each(["[2001:db8::1]", "[2001:0db8::1]"])("all roads take or refuse an address alike: %s", async (host) => {
  const whole = request().replace("host: a", `host: ${host}`);
  const byWire = statuses(await talk(port, [whole], 1));
  expect(statuses(await talk(port, [whole.replace("/predict", "/predict?")], 1))).toEqual(byWire);
});

test.each(["a b", "a/b", "a@b", "a:65536", "<a>", "[a"])("a Host that names no host is refused: %s", async (host) => {
  expect(statuses(await talk(port, [request().replace("host: a", `host: ${host}`)], 1))).toEqual(["400"]);
});

test("of two keys neither counts, whatever road the request takes", async () => {
  const { id, key: secret, hash } = newKey(randomBytes);
  const times = { createdAt: 0, expiresAt: null, revokedAt: null };
  const record: KeyRecord = { id, hash, name: "k", role: "predict", createdBy: "test", rate: null, ...times };
  const own = await serve(world, { announceMs: 0, keys: [record] });
  const { port: at } = await own.server.start({ host: "127.0.0.1", port: 0 });
  const key = `authorization: Bearer ${secret}\r\n`;
  const body = JSON.stringify(PAYMENTS[used++]);
  for (const [more, status] of [
    [key, "200"],
    [`${key}authorization: Bearer other\r\n`, "401"],
    [`${key}x-api-key: other\r\n`, "401"],
  ]) {
    const whole = request(more, body);
    expect(statuses(await talk(at, [whole], 1))).toEqual([status]);
    expect(statuses(await talk(at, [whole.replace("/predict", "/predict?")], 1))).toEqual([status]);
  }
  await own.stop();
});

test("of many that come in one turn each has its answer: a repeat the first one's, other content a refusal, a fault its own", async () => {
  const { engine } = served.server.pipelines.all()[0];
  const { state } = engine!.live.current.champion!.held;
  const [one, two, odd] = [PAYMENTS[used++], PAYMENTS[used++], PAYMENTS[used++]];
  const touch = state.touch.bind(state);
  state.touch = (tx) => {
    if (tx.id === odd.transaction_id) throw new Error("no such line");
    touch(tx);
  };
  const bodies = [one, two, one, { ...one, amount: 1 }, odd, { amount: 1 }, two];
  const sockets = await Promise.all(
    bodies.map(async () => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    }),
  );
  // The server has them by then, and reads in one turn of the loop what is written in one.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const texts = bodies.map((body, i) => {
    sockets[i].write(request("", JSON.stringify(body)));
    return collect(sockets[i], 1);
  });
  const answers = (await Promise.all(texts)).map(outcomeOf);
  state.touch = touch;
  expect(answers.map((text) => text.slice(0, 3))).toEqual(["200", "200", "200", "409", "200", "422", "200"]);
  expect(answers[2]).toBe(answers[0]);
  expect(answers[6]).toBe(answers[1]);
});

/** Wires of a server of their own, that give every request to `take`. */
async function wired(
  take: (exchange: Exchange, body: string) => void,
  times: { readonly headMsMax: number; readonly keepAliveMs: number; readonly silenceMsMax: number },
): Promise<{ readonly at: number; readonly wires: Wires; stop(): void; readonly refused: number[] }> {
  const server = http.createServer((_, response) => response.end("{}"));
  const refused: number[] = [];
  const wires = wiresOf({
    server,
    road: {
      takes: () => true,
      safety: ["x-content-type-options", "nosniff"],
      clock: { now: Date.now, elapsed: () => performance.now() },
      requestId: () => "1",
      take: (exchange, { body }) => take(exchange, Buffer.from(body).toString()),
    },
    tooSlow: new SentinelError("request.too-slow", "no head came", { hint: "send one" }),
    onRefused: (status) => refused.push(status),
    ...times,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = (): void => {
    wires.closeAll();
    wires.stop();
    server.close();
  };
  return { at: (server.address() as AddressInfo).port, wires, stop, refused };
}

test("a connection that says nothing is told so; one that was answered and is idle ends without a word", async () => {
  const times = { headMsMax: 100, keepAliveMs: 100, silenceMsMax: 100 };
  const { at, stop, refused } = await wired((exchange) => exchange.respond(200, [], "{}"), times);
  const silent = await collect(connect(at, "127.0.0.1"), Number.POSITIVE_INFINITY);
  expect(statuses(silent)).toEqual(["408"]);
  for (const line of [/^x-request-id: 1\r$/im, /^x-content-type-options: nosniff\r$/im, /^retry-after: 1\r$/im])
    expect(silent).toMatch(line);
  const idle = await talk(at, [request("", "{}")], Number.POSITIVE_INFINITY);
  expect(statuses(idle)).toEqual(["200"]);
  expect(refused).toEqual([408]);
  stop();
});

test("a client that never reads is not answered without end, and is cut off", async () => {
  const large = JSON.stringify("x".repeat(2 ** 25));
  let answers = 0;
  const answer = (exchange: Exchange): void => {
    answers++;
    exchange.respond(200, [], large);
  };
  const times = { headMsMax: 100, keepAliveMs: 100, silenceMsMax: 100 };
  const { at, stop } = await wired(answer, times);
  const socket = connect(at, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(request("", "{}"));
  while (answers === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  // What comes now waits: the first answer is not read.
  const sending = setInterval(() => socket.write(request("", "{}")), 5);
  await new Promise((resolve) => socket.once("close", resolve));
  clearInterval(sending);
  expect(answers).toBe(1);
  stop();
});

test("what comes after an answer that ends the connection is not answered, nor judged", async () => {
  let taken = 0;
  const take = (exchange: Exchange): void => {
    taken++;
    exchange.respond(200, [], "{}");
  };
  const { at, wires, stop } = await wired(take, { headMsMax: 1000, keepAliveMs: 1000, silenceMsMax: 1000 });
  wires.closing = true;
  const socket = connect({ port: at, host: "127.0.0.1", allowHalfOpen: true });
  socket.setNoDelay(true);
  let text = "";
  socket.on("data", (chunk) => {
    text += String(chunk);
  });
  socket.write(request("", "{}"));
  await once(socket, "end");
  socket.write(request("", "{}"));
  socket.end();
  await once(socket, "close");
  // The client is done before the server has read it.
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect([taken, statuses(text)]).toEqual([1, ["200"]]);
  stop();
});

test("requests sent far ahead, in pieces of any size, are answered in order, however long each takes", async () => {
  const times = { headMsMax: 1000, keepAliveMs: 1000, silenceMsMax: 1000 };
  let waiting = 0;
  let most = 0;
  const bodies: string[] = [];
  const answer = (exchange: Exchange, body: string): void => {
    bodies.push(body);
    most = Math.max(most, ++waiting);
    const reply = (): void => {
      waiting--;
      exchange.respond(200, [], body);
    };
    // Some at once, as refusals are, others in an order of their own.
    if (bodies.length % 5 === 0) reply();
    else setTimeout(reply, bodies.length % 7);
  };
  const { at, stop } = await wired(answer, times);
  const count = 300;
  const all = Array.from({ length: count }, (_, i) => request(i % 3 === 0 ? "x-a: 1\r\n" : "", `{"n":${i}}`));
  const text = all.join("");
  const socket = connect(at, "127.0.0.1");
  socket.setNoDelay(true);
  const got = collect(socket, count);
  for (let from = 0, i = 0; from < text.length; i++) {
    const to = from + 1 + ((i * 7919) % 4001);
    socket.write(text.slice(from, to));
    from = to;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const answers = [...(await got).matchAll(/\{"n":(\d+)\}/g)].map(([, n]) => Number(n));
  expect(answers).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(bodies.length).toBe(count);
  expect(most).toBeGreaterThan(10);
  expect(most).toBeLessThanOrEqual(64);
  stop();
});

test("of several under way only the last says that the connection ends, and what comes behind it is not judged", async () => {
  const waiting: Exchange[] = [];
  const times = { headMsMax: 1000, keepAliveMs: 1000, silenceMsMax: 1000 };
  const { at, wires, stop } = await wired((exchange) => void waiting.push(exchange), times);
  const socket = connect({ port: at, host: "127.0.0.1", allowHalfOpen: true });
  const got = collect(socket, Number.POSITIVE_INFINITY);
  socket.write(request("", "{}").repeat(3));
  while (waiting.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  wires.closing = true;
  socket.write(request("", "{}"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const exchange of waiting.reverse()) exchange.respond(200, [], "{}");
  const heads = (await got).split("HTTP/1.1 ").slice(1);
  expect(heads.map((head) => /connection: close/i.test(head))).toEqual([false, false, true]);
  expect(waiting.length).toBe(3);
  stop();
});

test("what is not plain waits for what is under way before it, and is node:http's then", async () => {
  const times = { headMsMax: 1000, keepAliveMs: 1000, silenceMsMax: 1000 };
  const { at, stop } = await wired(
    (exchange) => void setTimeout(() => exchange.respond(200, [], '{"by":1}'), 10),
    times,
  );
  const other = "GET /other HTTP/1.1\r\nhost: a\r\n\r\n";
  const text = await talk(at, [`${request("", "{}").repeat(2)}${other}${request("", "{}")}`], 4);
  expect(
    text
      .split("HTTP/1.1 ")
      .slice(1)
      .map((one) => one.slice(one.indexOf("\r\n\r\n") + 4)),
  ).toEqual(['{"by":1}', '{"by":1}', "{}", "{}"]);
  stop();
});
