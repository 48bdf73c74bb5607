// Overload: one long pause is forgiven, a lasting delay sheds, and it ends when the delay does.
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { HeldBack } from "../../src/server/held-back.ts";
import { Overload } from "../../src/server/overload.ts";

const clock = { now: () => 0, elapsed: () => performance.now() };

/** Holds the event loop, then lets timers run. */
async function hold(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end);
  await new Promise((resolve) => setTimeout(resolve, 0));
  await new Promise((resolve) => setImmediate(resolve));
}

function sheds(overload: Overload): boolean {
  try {
    overload.enter();
    overload.leave();
    return false;
  } catch {
    return true;
  }
}

test("a lasting delay of the event loop sheds, one pause does not", async () => {
  const overload = new Overload({ clock, inFlightMax: 10, lagMsMax: 100 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  await hold(150);
  expect(sheds(overload)).toBe(false);
  let held = 0;
  while (!sheds(overload) && held < 50) {
    await hold(150);
    held++;
  }
  expect(sheds(overload)).toBe(true);
  while (sheds(overload)) await new Promise((resolve) => setTimeout(resolve, 10));
  overload.stop();
});

test("an answer has a budget; given up, it goes on and counts until it ends", async () => {
  const overload = new Overload({ clock, inFlightMax: 2, lagMsMax: 1e9 });
  overload.enter();
  expect(await overload.within(Promise.resolve(5), 50)).toBe(5);
  let finish = (): void => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await expect(overload.within(slow, 50)).rejects.toMatchObject({ code: "server.too-slow", kind: { http: 503 } });
  overload.leave();
  expect(overload.inFlight).toBe(1);
  finish();
  await slow;
  await new Promise((resolve) => setImmediate(resolve));
  expect(overload.inFlight).toBe(0);
  await expect(overload.within(Promise.reject(new Error("own")), 50)).rejects.toThrow("own");
  overload.stop();
});

test("a short budget is kept behind a long one that began before", async () => {
  const overload = new Overload({ clock, inFlightMax: 2, lagMsMax: 1e9 });
  let finish = (): void => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const long = overload.within(slow, 600_000);
  await expect(overload.within(slow, 50)).rejects.toMatchObject({ code: "server.too-slow" });
  finish();
  await long;
  overload.stop();
});

test("waiting for requests in flight ends with the last of them", async () => {
  const overload = new Overload({ clock, inFlightMax: 2, lagMsMax: 1e9 });
  overload.enter();
  overload.enter();
  expect(sheds(overload)).toBe(true);
  let settled = false;
  const waiting = overload.settled(60_000).then(() => {
    settled = true;
  });
  overload.leave();
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  overload.leave();
  await waiting;
  overload.stop();
});

test("a connection that is held back is read when it is its turn; what it sent meanwhile is old, what comes then is not", async () => {
  const heldBack = new HeldBack();
  const seen: string[] = [];
  const server = http.createServer((incoming, response) => {
    seen.push(`${incoming.url}${heldBack.isOld(incoming) ? " old" : ""}`);
    if (incoming.url === "/refused") heldBack.add(incoming);
    incoming.resume();
    response.end("answer");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const socket = connect(port, "127.0.0.1");
  let answers = 0;
  socket.on("data", (chunk) => {
    answers += String(chunk).split("answer").length - 1;
  });
  const send = (path: string): void =>
    void socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`);
  const answered = async (count: number): Promise<void> => {
    while (answers < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  send("/refused");
  await answered(1);
  expect(heldBack.size).toBe(1);
  send("/meanwhile");
  // Others are served, this one is not.
  await (await fetch(`http://127.0.0.1:${port}/other`)).text();
  expect(seen).toEqual(["/refused", "/other"]);
  heldBack.turn(5, 1);
  await answered(2);
  heldBack.turn(5, 1);
  send("/then");
  await answered(3);
  expect(seen).toEqual(["/refused", "/other", "/meanwhile old", "/then"]);
  // A server that stops holds nobody back.
  send("/refused");
  await answered(4);
  heldBack.stop();
  send("/refused");
  await answered(5);
  expect(heldBack.size).toBe(0);
  socket.destroy();
  server.closeAllConnections();
  server.close();
});
