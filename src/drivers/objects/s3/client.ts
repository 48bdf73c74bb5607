// Requests to an S3-compatible store: signed, limited in time, repeated where that may help, with errors that say what to do.
import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { request as send } from "undici";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import type { BucketPlace } from "../../../core/remote.ts";

/** Where the store is, and who we are to it. */
export interface S3Login {
  /** null: Amazon's own, by region. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Request {
  readonly method: "GET" | "PUT" | "HEAD" | "DELETE";
  /** Below the bucket; "" is the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob | FileBody;
  /** SHA-256 of the body, in hexadecimal. */
  readonly sha256?: string;
  /** Answers that are no failure besides those of 200 to 299. */
  readonly also?: readonly number[];
  /** Bytes to come, so that a large object gets more time. */
  readonly bytes?: number;
}

/** A file that is sent as it is read. */
export interface FileBody {
  readonly file: string;
  readonly size: number;
}

export interface S3Client {
  /** `use` gets the answer and may read its body; it is asked again when the body breaks off. Errors: archive.unreachable, .unreadable, .unwritable. */
  ask<T>(request: S3Request, use: (answer: Response) => Promise<T>): Promise<T>;
  readonly place: BucketPlace;
}

export interface S3Patience {
  /** Waits before each repeat, in milliseconds: one request is tried once more than there are waits. */
  readonly waitsMs: readonly number[];
  /** How long one try may take, beside its bytes. */
  readonly tryMsMax: number;
}

/** A store that restarts, or a moment without a network; who needs more patience repeats the whole. */
const PATIENCE: S3Patience = { waitsMs: [200, 800, 2000, 5000], tryMsMax: 30_000 };
/** A connection slower than this is broken. */
const BYTES_PER_MS_MIN = 250;
/** The package's name for whom a signature is for. */
const SIGNED_FOR = "service";
/** SHA-256 of nothing. */
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export function createS3Client(options: {
  readonly place: BucketPlace;
  readonly login: S3Login;
  readonly patience?: S3Patience;
}): S3Client {
  const { place, login, patience = PATIENCE } = options;
  const once = async <T>(request: S3Request, use: (answer: Response) => Promise<T>): Promise<T> => {
    const { method, body, sha256 = EMPTY_SHA256, headers = {}, also = [], bytes = body?.size ?? 0 } = request;
    const { url, headers: signed } = await new AwsV4Signer({
      method,
      url: urlOf(place, login, request),
      headers: { ...headers, "x-amz-content-sha256": sha256 },
      [SIGNED_FOR]: "s3",
      region: login.region,
      accessKeyId: login.accessKeyId,
      secretAccessKey: login.secretAccessKey,
      sessionToken: login.sessionToken,
    }).sign();
    const signal = AbortSignal.timeout(Math.ceil(patience.tryMsMax + bytes / BYTES_PER_MS_MIN));
    const answer =
      body !== undefined && "file" in body
        ? await sendFile(url, { method, headers: signed, body, signal })
        : await fetch(url, { method, headers: signed, body, redirect: "manual", signal });
    if (answer.ok || also.includes(answer.status)) return await use(answer);
    throw await refusal(answer, { request, place });
  };
  return {
    place,
    async ask(request, use) {
      for (let tries = 0; ; tries++) {
        try {
          return await once(request, use);
        } catch (cause) {
          // A bug of ours is no fault of the network.
          if (cause instanceof RangeError || cause instanceof ReferenceError) throw cause;
          const error = faultOf(cause, place);
          if (!error.kind.retryable || tries === patience.waitsMs.length) throw error;
          await sleep(patience.waitsMs[tries]);
        }
      }
    },
  };
}

/**
 * A file as a body. Node's fetch sends streams without their length, which stores refuse, and a file that was opened as a Blob it may keep open for
 * ever (Node 20): a command would never end.
 */
async function sendFile(
  url: URL,
  {
    method,
    headers,
    body,
    signal,
  }: {
    readonly method: S3Request["method"];
    readonly headers: Headers;
    readonly body: FileBody;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  const { file, size } = body;
  const {
    statusCode,
    headers: given,
    body: answer,
  } = await send(url, {
    method,
    headers: { ...Object.fromEntries(headers), "content-length": String(size) },
    body: createReadStream(file, { end: Math.max(0, size - 1) }),
    signal,
    // The signal ends it.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const bytes = await answer.arrayBuffer();
  const fields = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return new Response(bytes.byteLength === 0 ? null : bytes, {
    status: statusCode,
    headers: Object.fromEntries(fields),
  });
}

/** With an endpoint of its own the bucket stands in the path, as every S3-compatible store has it; at Amazon before the host. */
function urlOf({ bucket }: BucketPlace, { endpoint, region }: S3Login, { key, query = {} }: S3Request): string {
  const inPath = endpoint !== null || bucket.includes(".");
  const origin =
    endpoint ?? (inPath ? `https://s3.${region}.amazonaws.com` : `https://${bucket}.s3.${region}.amazonaws.com`);
  const parts = [...(inPath ? [bucket] : []), ...key.split("/").map(encodeKey)].join("/");
  const search = new URLSearchParams(query).toString();
  return `${origin}/${parts}${search === "" ? "" : `?${search.replaceAll("+", "%20")}`}`;
}

/** RFC 3986, as signatures want it: encodeURIComponent leaves five signs as they are. */
function encodeKey(part: string): string {
  return encodeURIComponent(part).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** What stands in an answer of S3: `<Code>NoSuchBucket</Code>`. */
export function xmlText(xml: string, tag: string): string | null {
  const found = new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(xml);
  return found === null ? null : unescapeXml(found[1]);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:(amp|lt|gt|quot|apos)|#x([0-9a-fA-F]+)|#(\d+));/g, (_, name, hex, digits) =>
    name === undefined
      ? String.fromCodePoint(hex === undefined ? Number(digits) : Number.parseInt(hex, 16))
      : ENTITIES[name],
  );
}

const RETRYABLE = [408, 409, 425, 429];
const DETAIL_MAX = 200;

async function refusal(
  answer: Response,
  { request, place }: { readonly request: S3Request; readonly place: BucketPlace },
): Promise<SentinelError> {
  const { status } = answer;
  const text = await answer.text().catch(() => "");
  const code = xmlText(text, "Code") ?? `HTTP ${status}`;
  const message = (xmlText(text, "Message") ?? "").slice(0, DETAIL_MAX);
  const what = `s3://${place.bucket}/${request.key}: the store answers ${code}${message === "" ? "" : ` (${message})`}`;
  if (status >= 500 || RETRYABLE.includes(status)) return unreachable(place, what);
  const writes = request.method === "PUT" || request.method === "DELETE";
  return new SentinelError(writes ? "archive.unwritable" : "archive.unreadable", what, { hint: hintOf(status, code) });
}

function hintOf(status: number, code: string): string {
  if (code === "NoSuchBucket") return "make the bucket, or correct the place of the archive";
  if (status === 301 || status === 307 || code === "AuthorizationHeaderMalformed")
    return "the bucket is in another region: set AWS_REGION";
  if (status === 403)
    return "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, the clock, and what the key may do with the bucket";
  return "check the place of the archive, AWS_ENDPOINT_URL_S3 and AWS_REGION";
}

export function unreachable(place: BucketPlace, what: string, cause?: unknown): SentinelError {
  return new SentinelError("archive.unreachable", what, {
    hint: `is the store of s3://${place.bucket} up, and AWS_ENDPOINT_URL_S3 right? What is not archived stays in the prediction log, and is tried again`,
    cause,
  });
}

/** What fetch throws is a fault of the network, but for the disk that an object is written to. */
function faultOf(cause: unknown, place: BucketPlace): SentinelError {
  if (cause instanceof SentinelError) return cause;
  const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : "";
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (["ENOSPC", "EACCES", "EROFS", "EDQUOT"].includes(code)) {
    return new SentinelError("archive.unwritable", `a file cannot be written on this machine: ${messageOf(cause)}`, {
      hint: "make room in the folder for temporary files (TMPDIR)",
      cause,
    });
  }
  return unreachable(place, `s3://${place.bucket} cannot be reached: ${messageOf(cause)}${inner}`, cause);
}
