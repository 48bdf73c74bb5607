// Request bodies: read whole or line by line, decoded, never more than the limit, whatever Content-Length says.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ReadableStream as WebStream } from "node:stream/web";
import { SentinelError } from "../core/errors.ts";
import { decodeBody, decodeStream, type Encoding, encodingOf, notEncoded } from "./encodings.ts";
import { Gathered } from "./gathered.ts";
import type { Intake, OpenStream } from "./intake.ts";
import type { Overload } from "./overload.ts";
import type { RequestContext, ServerParts } from "./parts.ts";

/** Of a body below /api, which may be about no pipeline yet: ten thousand values of a list, or a schema of five hundred fields. */
export const PLATFORM_BODY_BYTES_MAX = 1_048_576;

/** Where a body comes from. Node's own message is read directly where there is one, because it is faster. */
export interface BodySource {
  readonly request: Request;
  readonly incoming: IncomingMessage | undefined;
  readonly msMax?: number;
  /** Counts it while it comes; null where nobody does. */
  readonly intake?: Intake;
}

/** Throws `request.media-type` unless the body is of one of these types; gives the type. */
export function mediaType(request: Request, allowed: readonly string[]): string {
  const given = (request.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  if (allowed.includes(given)) return given;
  throw new SentinelError("request.media-type", `the body is ${given === "" ? "of no named type" : given}`, {
    hint: `send Content-Type: ${allowed.join(" or ")}`,
  });
}

/**
 * The whole body of a route's request as text. While it comes the request is not among those being answered: who sends slowly keeps
 * nobody else out. Errors: as {@link readText}; `server.overloaded` when there is no room to answer it once it is there.
 */
export function bodyText(
  parts: Pick<ServerParts, "pipeline" | "intake" | "overload">,
  context: RequestContext,
): Promise<string> {
  const { intake, overload, pipeline } = parts;
  return readText({ ...sourceOf(context), intake }, pipeline.serve.bodyMaxBytes, overload);
}

/** As {@link bodyText}, for a body that is no text. */
export function bodyBytes(
  parts: Pick<ServerParts, "pipeline" | "intake" | "overload">,
  context: RequestContext,
): Promise<Uint8Array> {
  const { intake, overload, pipeline } = parts;
  return readBytes({ ...sourceOf(context), intake }, pipeline.serve.bodyMaxBytes, overload);
}

export function sourceOf(context: RequestContext): BodySource {
  return { request: context.req.raw, incoming: context.env?.incoming };
}

/** How long a whole body may take to arrive; a stream of lines may take longer. */
const BODY_MS_MAX = 30_000;

/**
 * The whole body as text. Errors: `request.body-too-large` (decoded), `request.malformed` when it is not UTF-8, not encoded as it
 * says or cut off, `request.too-slow`, `request.media-type` for an encoding that is not taken.
 */
export async function readText(source: BodySource, bytesMax: number, overload?: Overload): Promise<string> {
  return decode(await readBytes(source, bytesMax, overload));
}

/** As {@link readText}, of a message of node:http that has no Request; `hint` says what to do about one that is too large. */
export async function incomingText(
  incoming: IncomingMessage,
  { bytesMax, ...how }: { readonly bytesMax: number; readonly intake: Intake; readonly hint: string },
): Promise<string> {
  const { headers } = incoming;
  const encoding = encodingOf(headers["content-encoding"] ?? null);
  if (Number(headers["content-length"] ?? 0) > bytesMax) throw tooLarge(bytesMax, how.hint);
  const bytes = await readIncoming(incoming, { bytesMax, msMax: BODY_MS_MAX, ...how });
  return decode(encoding === null ? bytes : await decoded(bytes, encoding, { bytesMax, hint: how.hint }));
}

async function readBytes(source: BodySource, bytesMax: number, overload?: Overload): Promise<Uint8Array> {
  const { headers } = source.request;
  const encoding = encodingOf(headers.get("content-encoding"));
  if (Number(headers.get("content-length") ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const reading = readWhole(source, bytesMax);
  // Without a socket nobody sends slowly.
  const coming = overload !== undefined && source.incoming !== undefined;
  const bytes = coming ? await overload.aside(reading) : await reading;
  return encoding === null ? bytes : decoded(bytes, encoding, { bytesMax });
}

async function decoded(
  bytes: Uint8Array,
  encoding: Encoding,
  { bytesMax, hint }: { readonly bytesMax: number; readonly hint?: string },
): Promise<Uint8Array> {
  const whole = await decodeBody(bytes, encoding, bytesMax);
  if (whole === null) throw tooLarge(bytesMax, hint);
  return whole;
}

/** A line of NDJSON, or why it cannot be read. */
export type Line = string | SentinelError;

/** A line that is too long is read to its end for so many bytes, and answered in its place; one that is longer ends its stream. */
const SKIPPED_BYTES_MAX = 16 << 20;

/**
 * The lines of an NDJSON body, those of a chunk together; each at most `bytesMax` long. Blank ones are among them, so that the count is the
 * line's number. In the place of a line that is too long, or not UTF-8, stands its error. Errors: `request.body-too-large` for a line
 * beyond {@link SKIPPED_BYTES_MAX}, after the lines before it.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
  stream?: OpenStream,
): AsyncGenerator<readonly Line[]> {
  const rest = new Gathered();
  /** Bytes of a line that is too long, and that nobody keeps; 0: this one is not. */
  let skipped = 0;
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let from = 0;
    const lengthAt = (at: number): number => (skipped > 0 ? skipped : rest.length) + at - from;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const length = lengthAt(at);
      if (length > SKIPPED_BYTES_MAX) break;
      if (length > bytesMax) {
        rest.take();
        skipped = 0;
        lines.push(tooLarge(bytesMax));
      } else if (rest.length === 0) lines.push(lineOf(chunk.subarray(from, at)));
      else {
        rest.add(chunk.subarray(from, at));
        lines.push(lineOf(rest.take()));
      }
      from = at + 1;
    }
    const left = lengthAt(chunk.length);
    if (left > bytesMax) {
      rest.take();
      skipped = left;
    } else if (from < chunk.length) {
      // A copy: what stays behind must not keep the whole chunk.
      rest.add(from === 0 ? chunk : chunk.slice(from));
    }
    if (lines.length > 0) {
      stream?.line();
      yield lines;
    }
    if (skipped > SKIPPED_BYTES_MAX) throw tooLarge(bytesMax);
  }
  if (skipped > 0) yield [tooLarge(bytesMax)];
  else if (rest.length > 0) yield [lineOf(rest.take())];
}

function lineOf(bytes: Uint8Array): Line {
  try {
    return decode(bytes, "line");
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
}

/** So much may come before it is read; then the client is held back. */
const AHEAD_BYTES = 65_536;

/** The chunks of a streamed body, decoded and put together while nobody reads them. Errors: `request.malformed`, those of `stream.wait`. */
export async function* chunksOf({ request, incoming }: BodySource, stream: OpenStream): AsyncGenerator<Uint8Array> {
  const encoding = encodingOf(request.headers.get("content-encoding"));
  if (incoming === undefined && request.body === null) return;
  const raw: Readable = incoming ?? Readable.fromWeb(request.body as WebStream);
  const source = encoding === null ? raw : decodeStream(raw, encoding);
  const gathered = new Gathered();
  let ended = false;
  let fault: unknown = null;
  let wake = (): void => {};
  const onData = (chunk: Buffer): void => {
    gathered.add(chunk);
    if (gathered.length >= AHEAD_BYTES) source.pause();
    wake();
  };
  const onEnd = (): void => {
    ended = true;
    wake();
  };
  const onCut = (error?: Error): void => {
    if (!ended)
      fault ??= encoding !== null && error !== undefined ? notEncoded(encoding, error) : incomplete("was cut off");
    onEnd();
  };
  source.on("data", onData).on("end", onEnd).on("error", onCut).on("close", onCut);
  try {
    for (;;) {
      if (gathered.length > 0) {
        const bytes = gathered.take();
        source.resume();
        yield bytes;
      } else if (fault !== null) throw fault;
      else if (ended) return;
      else {
        await stream.wait(
          new Promise((resolve) => {
            wake = resolve;
          }),
        );
      }
    }
  } finally {
    source.off("data", onData).off("end", onEnd).off("close", onCut);
    // Later faults of a body that nobody reads are nobody's; the listener keeps them from ending the process.
    if (source !== raw) source.destroy();
  }
}

async function readWhole(source: BodySource, bytesMax: number): Promise<Uint8Array> {
  const { request, incoming, msMax = BODY_MS_MAX, intake } = source;
  if (incoming !== undefined) return readIncoming(incoming, { bytesMax, msMax, intake });
  const gathered = new Gathered();
  if (request.body === null) return gathered.take();
  for await (const chunk of request.body) {
    if (gathered.length + chunk.length > bytesMax) throw tooLarge(bytesMax);
    gathered.add(chunk);
  }
  return gathered.take();
}

function readIncoming(
  incoming: IncomingMessage,
  {
    bytesMax,
    msMax,
    intake,
    hint,
  }: {
    readonly bytesMax: number;
    readonly msMax: number;
    readonly intake: Intake | undefined;
    readonly hint?: string;
  },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const gathered = new Gathered();
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      coming?.done();
      incoming.off("data", onData).off("end", onEnd).off("error", onCut).off("close", onCut);
      finish();
    };
    const fail = (error: SentinelError): void => settle(() => reject(error));
    const onData = (chunk: Buffer): void => {
      if (gathered.length + chunk.length > bytesMax) fail(tooLarge(bytesMax, hint));
      else {
        gathered.add(chunk);
        coming?.add(chunk.length);
      }
    };
    const onEnd = (): void => settle(() => resolve(gathered.take()));
    const onCut = (): void => fail(incomplete("was cut off"));
    const coming = intake?.body(fail);
    const timer = setTimeout(() => fail(tooSlow(msMax)), msMax);
    incoming.on("data", onData).on("end", onEnd).on("error", onCut).on("close", onCut);
  });
}

function incomplete(what: string): SentinelError {
  return new SentinelError("request.malformed", `the body ${what}`, { hint: "send the request again" });
}

function tooSlow(msMax: number): SentinelError {
  return new SentinelError("request.too-slow", `the body did not arrive within ${msMax} ms`, {
    hint: "send the request again",
  });
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** Bytes as text. Throws `request.malformed` when they are not UTF-8. */
export function decode(bytes: Uint8Array, what: "body" | "line" = "body"): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new SentinelError("request.malformed", `the ${what} is not UTF-8`, { hint: "send JSON in UTF-8" });
  }
}

function tooLarge(
  bytesMax: number,
  hint = "send less at once; serve.body_max_bytes in the pipeline is the limit",
): SentinelError {
  return new SentinelError("request.body-too-large", `the body (or a line of it) has more than ${bytesMax} bytes`, {
    hint,
  });
}
