// Bodies that come too slowly or are cut off end the wait.
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { readText } from "../../src/server/body.ts";

const request = new Request("http://x/", { method: "POST" });

function slow(): { readonly stream: PassThrough; readonly incoming: IncomingMessage } {
  const stream = new PassThrough();
  return { stream, incoming: stream as unknown as IncomingMessage };
}

test("a body that does not come is given up", async () => {
  const { stream, incoming } = slow();
  stream.write("{");
  const reading = readText({ request, incoming, msMax: 30 }, 100);
  await expect(reading).rejects.toMatchObject({ code: "request.too-slow", message: expect.stringContaining("30 ms") });
});

test("a body that is cut off is given up at once", async () => {
  const { stream, incoming } = slow();
  const reading = readText({ request, incoming }, 100);
  stream.write("{");
  stream.destroy();
  await expect(reading).rejects.toMatchObject({
    code: "request.malformed",
    message: expect.stringContaining("cut off"),
  });
});

test("bytes that are no UTF-8 are refused, characters that are cut in two are not", async () => {
  const cut = slow();
  const whole = readText({ request, incoming: cut.incoming }, 100);
  const bytes = new TextEncoder().encode("ü☃");
  for (const byte of bytes) cut.stream.write(Uint8Array.of(byte));
  cut.stream.end();
  expect(await whole).toBe("ü☃");
  const bad = slow();
  const reading = readText({ request, incoming: bad.incoming }, 100);
  bad.stream.end(Uint8Array.of(0xc3, 0x28));
  await expect(reading).rejects.toMatchObject({ code: "request.malformed" });
});
