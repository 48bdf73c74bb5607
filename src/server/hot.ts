// The hot road: POST /predict with a plain JSON body goes from node:http to the engine, without a router or a Request in between.
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { SentinelError } from "../core/errors.ts";
import { answer } from "../online/answer.ts";
import { failed } from "./app.ts";
import { parseJson } from "./json.ts";
import type { ServerParts } from "./parts.ts";
import { predictRoute } from "./predict.ts";
import { REQUEST_ID } from "./request-id.ts";

/** How long a whole body may take to arrive. */
const BODY_MS_MAX = 30_000;
/** How often bodies that are still arriving are looked at: one timer for all of them. */
const LOOK_MS = 1000;

export interface HotRoad {
  readonly listener: RequestListener;
  stop(): void;
}

/**
 * Answers what is plain by itself, and gives everything else to `cold`: other routes, queries, encodings, bodies of unknown length. Errors,
 * headers, limits and metrics are those of the cold road.
 */
export function hotRoad(parts: ServerParts, cold: RequestListener): HotRoad {
  const { bodyMaxBytes } = parts.pipeline.serve;
  const arriving = new Set<Arrival>();
  const timer = setInterval(() => {
    const late = parts.ports.clock.elapsed() - BODY_MS_MAX;
    for (const arrival of arriving) if (arrival.begun < late) arrival.giveUp();
  }, LOOK_MS).unref();
  return {
    listener(incoming, response) {
      const length = plainLength(incoming);
      if (length < 0 || length > bodyMaxBytes) cold(incoming, response);
      else serve(parts, { incoming, response, length, arriving });
    },
    stop: () => clearInterval(timer),
  };
}

/** A body that has not arrived whole. */
interface Arrival {
  readonly begun: number;
  giveUp(): void;
}

/** The length of a body that can be answered here; −1 for every other request. */
function plainLength({ method, url, headers }: IncomingMessage): number {
  if (method !== "POST" || url !== predictRoute.path) return -1;
  const type = headers["content-type"];
  if (type !== "application/json" && type !== "application/json; charset=utf-8") return -1;
  if (headers["content-encoding"] !== undefined || headers["transfer-encoding"] !== undefined) return -1;
  if (headers.expect !== undefined) return -1;
  const length = headers["content-length"];
  return length === undefined ? -1 : Number(length);
}

function serve(
  parts: ServerParts,
  on: {
    readonly incoming: IncomingMessage;
    readonly response: ServerResponse;
    readonly length: number;
    readonly arriving: Set<Arrival>;
  },
): void {
  const { incoming, response, length, arriving } = on;
  const { overload, ports } = parts;
  const begun = ports.clock.elapsed();
  const id = parts.requestIds(textOf(incoming.headers[REQUEST_ID]));
  const finish = (status: number): void =>
    parts.measures.requested({
      route: predictRoute.path,
      status,
      ms: ports.clock.elapsed() - begun,
      version: parts.live.current.champion?.scorer.version,
    });
  try {
    overload.enter();
  } catch (error) {
    incoming.resume();
    void refuse(parts, { response, id }, error).then(finish);
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  let over = false;
  const end = (outcome: Promise<number>): void => {
    over = true;
    arriving.delete(arrival);
    void outcome.then((status) => {
      overload.leave();
      finish(status);
    });
  };
  const arrival: Arrival = {
    begun,
    giveUp() {
      if (!over) end(refuse(parts, { response, id }, incomplete("did not arrive within its time")));
    },
  };
  arriving.add(arrival);
  incoming.on("data", (chunk: Buffer) => {
    size += chunk.length;
    chunks.push(chunk);
  });
  incoming.on("end", () => {
    if (over) return;
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size);
    end(traced(parts, { incoming, id }, () => reply(parts, { response, id }, body)));
  });
  incoming.on("close", () => {
    if (!over) end(refuse(parts, { response, id }, incomplete(`was cut off after ${size} of ${length} bytes`)));
  });
}

/** Runs within the request's span, where somebody traces. */
function traced(
  parts: ServerParts,
  { incoming, id }: { readonly incoming: IncomingMessage; readonly id: string },
  run: () => Promise<number>,
): Promise<number> {
  if (parts.tracing === null) return run();
  const header = (name: string): string | undefined => textOf(incoming.headers[name]);
  const request = { method: predictRoute.method, route: predictRoute.path, id, header };
  return parts.tracing.request(request, run, (status) => status);
}

/** An answer that is still to be given, and the request's id, which it names. */
interface Answering {
  readonly response: ServerResponse;
  readonly id: string;
}

/** Answers; the status. Never rejects. */
async function reply(parts: ServerParts, { response, id }: Answering, body: Buffer): Promise<number> {
  try {
    if (!isUtf8(body)) throw notUtf8();
    const parsed = parts.parser.parse(parseJson(body.toString("utf8")), parts.ports.clock.now());
    const text = JSON.stringify(await answer(parts, parsed));
    const length = String(Buffer.byteLength(text));
    response.writeHead(200, ["content-type", "application/json", "content-length", length, REQUEST_ID, id]);
    response.end(text);
    return 200;
  } catch (error) {
    return refuse(parts, { response, id }, error);
  }
}

/** The problem document of an error, as the cold road answers it; the status. Never rejects. */
async function refuse(parts: ServerParts, { response, id }: Answering, error: unknown): Promise<number> {
  const problem = failed(parts, error, { id });
  const text = await problem.text();
  if (!response.headersSent && !response.destroyed) {
    problem.headers.set("content-length", String(Buffer.byteLength(text)));
    problem.headers.set(REQUEST_ID, id);
    response.writeHead(problem.status, [...problem.headers].flat());
    response.end(text);
  }
  return problem.status;
}

/** A header that came once. */
function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}

function notUtf8(): SentinelError {
  return new SentinelError("request.malformed", "the body is not UTF-8", { hint: "send JSON in UTF-8" });
}

function incomplete(what: string): SentinelError {
  return new SentinelError("request.malformed", `the body ${what}`, { hint: "send the request again" });
}
