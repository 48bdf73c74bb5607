// Request bodies: read whole or line by line, never more than the limit, whatever Content-Length says.
import type { IncomingMessage } from "node:http";
import { SentinelError } from "../core/errors.ts";

/** The chunks of a request's body. Node's own message is read directly where there is one, because it is faster. */
export type Chunks = AsyncIterable<Uint8Array>;

/** Throws `request.media-type` unless the body is of one of these types; gives the type. */
export function mediaType(request: Request, allowed: readonly string[]): string {
  const given = (request.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  if (allowed.includes(given)) return given;
  throw new SentinelError("request.media-type", `the body is ${given === "" ? "of no named type" : given}`, {
    hint: `send Content-Type: ${allowed.join(" or ")}`,
  });
}

/** How long a whole body may take to arrive; a stream of lines may take longer. */
const BODY_MS_MAX = 30_000;

interface BodySource {
  readonly request: Request;
  readonly incoming: IncomingMessage | undefined;
  readonly msMax?: number;
}

/** The whole body as text. Throws `request.body-too-large`, `request.malformed` when it is not UTF-8, cut off or too slow. */
export async function readText(input: BodySource, bytesMax: number): Promise<string> {
  return decode(await readBytes(input, bytesMax));
}

/** The whole body. Throws `request.body-too-large`, `request.malformed` when it is cut off or too slow. */
export async function readBytes(input: BodySource, bytesMax: number): Promise<Uint8Array> {
  const { request, incoming } = input;
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge(bytesMax);
  if (incoming === undefined) return readWeb(request, bytesMax);
  return readIncoming(incoming, { bytesMax, msMax: input.msMax ?? BODY_MS_MAX });
}

/** The lines of an NDJSON body; each at most `bytesMax` long. Blank ones are among them, so that the count is the line's number. */
export async function* readLines(chunks: Chunks, bytesMax: number): AsyncGenerator<string> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const line = decode(Buffer.concat([...rest, chunk.subarray(from, at)]));
      if (restBytes + at - from > bytesMax) throw tooLarge(bytesMax);
      yield line;
      rest = [];
      restBytes = 0;
      from = at + 1;
    }
    restBytes += chunk.length - from;
    if (restBytes > bytesMax) throw tooLarge(bytesMax);
    rest.push(chunk.subarray(from));
  }
  if (restBytes > 0) yield decode(Buffer.concat(rest));
}

/** The chunks of a body. */
export function chunksOf(input: { readonly request: Request; readonly incoming: IncomingMessage | undefined }): Chunks {
  if (input.incoming !== undefined) return input.incoming;
  return webChunks(input.request);
}

async function* webChunks(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function readWeb(request: Request, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of webChunks(request)) {
    size += chunk.length;
    if (size > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readIncoming(
  incoming: IncomingMessage,
  { bytesMax, msMax }: { readonly bytesMax: number; readonly msMax: number },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("error", onCut).off("close", onCut);
      finish();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > bytesMax) settle(() => reject(tooLarge(bytesMax)));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(() => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    const onCut = (): void => settle(() => reject(incomplete("was cut off")));
    const timer = setTimeout(() => settle(() => reject(incomplete(`did not arrive within ${msMax} ms`))), msMax);
    incoming.on("data", onData).on("end", onEnd).on("error", onCut).on("close", onCut);
  });
}

function incomplete(what: string): SentinelError {
  return new SentinelError("request.malformed", `the body ${what}`, { hint: "send the request again" });
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** Bytes as text. Throws `request.malformed` when they are not UTF-8. */
export function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new SentinelError("request.malformed", "the body is not UTF-8", { hint: "send JSON in UTF-8" });
  }
}

function tooLarge(bytesMax: number): SentinelError {
  return new SentinelError("request.body-too-large", `the body (or a line of it) has more than ${bytesMax} bytes`, {
    hint: "send less at once; serve.body_max_bytes in the pipeline is the limit",
  });
}
