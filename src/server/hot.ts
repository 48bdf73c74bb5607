// The hot road: POST /predict with a plain JSON body goes from node:http to the engine, without a router or a Request in between.
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { SentinelError } from "../core/errors.ts";
import { answer } from "../online/answer.ts";
import type { Pipelines } from "../online/pipelines.ts";
import { bearerIn } from "./access.ts";
import { noteFailure } from "./app.ts";
import { Gathered } from "./gathered.ts";
import { parseJson } from "./json.ts";
import { BUDGET_MS, PREFIX, type Server, type ServerParts } from "./parts.ts";
import { predictRoute } from "./predict.ts";
import { problemHeaders, problemOf } from "./problem.ts";
import { REQUEST_ID } from "./request-id.ts";
import type { SafetyHeaders } from "./safety.ts";

const BEFORE_NAME = PREFIX.slice(0, PREFIX.indexOf("{"));

/**
 * Answers what is plain by itself, and gives everything else to `cold`: other routes, queries, encodings, bodies of unknown length. Errors,
 * headers, limits and metrics are those of the cold road.
 */
export function hotRoad(
  { pipelines }: Server,
  { cold, safety }: { readonly cold: RequestListener; readonly safety: SafetyHeaders },
): RequestListener {
  const turn = new Turn();
  return (incoming, response) => {
    const parts = partsAt(pipelines, incoming.url!);
    const length = parts === null ? -1 : plainLength(incoming);
    if (parts === null || length < 0 || length > parts.pipeline.serve.bodyMaxBytes) cold(incoming, response);
    else {
      const id = parts.requestIds(textOf(incoming.headers[REQUEST_ID]));
      serve(parts, { incoming, response, length, safety, turn, id });
    }
  };
}

/** The pipeline whose predictions are at a URL; null for every other URL, and where the pipeline is not up. */
function partsAt(pipelines: Pipelines<ServerParts>, url: string): ServerParts | null {
  if (url === predictRoute.path) return pipelines.main;
  if (!url.startsWith(BEFORE_NAME) || !url.endsWith(predictRoute.path)) return null;
  return pipelines.engine(url.slice(BEFORE_NAME.length, -predictRoute.path.length)) ?? null;
}

/** The length of a body that can be answered here; −1 for every other request. */
function plainLength({ method, headers }: IncomingMessage): number {
  if (method !== "POST") return -1;
  const type = headers["content-type"];
  if (type !== "application/json" && type !== "application/json; charset=utf-8") return -1;
  if (headers["content-encoding"] !== undefined || headers["transfer-encoding"] !== undefined) return -1;
  if (headers.expect !== undefined) return -1;
  const length = headers["content-length"];
  return length === undefined ? -1 : Number(length);
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly length: number;
  readonly safety: SafetyHeaders;
  readonly turn: Turn;
  /** The request's, which the answer names. */
  readonly id: string;
}

function serve(parts: ServerParts, on: Exchange): void {
  const { incoming, length } = on;
  const { overload, intake, access, ports } = parts;
  const begun = ports.clock.elapsed();
  const finish = (status: number): void =>
    parts.measures.requested({
      route: predictRoute.path,
      status,
      ms: ports.clock.elapsed() - begun,
      version: parts.live.current.champion?.scorer.version,
    });
  try {
    // First, because it costs least: overload makes thousands of refusals per second.
    if (overload.heldBack.isOld(incoming)) throw overload.late;
    overload.admit();
    const { headers } = incoming;
    access.check(predictRoute.access, bearerIn(headers["x-api-key"], headers.authorization), parts.pipeline.name);
  } catch (error) {
    // An old one is refused, and the next of its connection, which is fresh, has its chance.
    if (error === overload.late && !overload.heldBack.isOld(incoming)) overload.heldBack.add(incoming);
    incoming.resume();
    finish(refuse(parts, on, error));
    return;
  }
  const gathered = new Gathered();
  let over = false;
  /** True for the first of what may end the wait. */
  const arrived = (): boolean => {
    if (over) return false;
    over = true;
    coming.done();
    return true;
  };
  const fail = (error: SentinelError): void => {
    if (arrived()) finish(refuse(parts, on, error));
  };
  const coming = intake.body(fail);
  incoming.on("data", (chunk: Buffer) => {
    if (over) return;
    gathered.add(chunk);
    coming.add(chunk.length);
  });
  incoming.on("end", () => {
    if (arrived()) on.turn.push({ parts, on, body: gathered.take(), finish, at: ports.clock.elapsed() });
  });
  incoming.on("close", () => {
    if (!over) fail(incomplete(`was cut off after ${gathered.length} of ${length} bytes`));
  });
}

/** A body that is there whole, and what to call once it is answered. */
interface Whole {
  readonly parts: ServerParts;
  readonly on: Exchange;
  readonly body: Uint8Array;
  readonly finish: (status: number) => void;
  /** When it was there, by the steady clock. */
  readonly at: number;
}

/** Answered in one turn; then other events get theirs. */
const TURN_MAX = 64;

/**
 * Bodies that arrived in one turn of the event loop are answered one after the other at its end, and only then written: the same code runs
 * again while it is in the processor's caches, which halves its time under load, and a busy client wakes once for several answers.
 */
class Turn {
  private waiting: Whole[] = [];
  private scheduled = false;

  push(whole: Whole): void {
    whole.parts.overload.pace.waits();
    this.waiting.push(whole);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.run());
  }

  private run(): void {
    this.scheduled = false;
    const turn = this.waiting.splice(0, TURN_MAX);
    if (this.waiting.length > 0) this.schedule();
    const { overload, ports } = turn[0].parts;
    const begun = ports.clock.elapsed();
    let judged = 0;
    const answers = turn.map((whole) => {
      if (!overload.pace.comes(begun - whole.at, begun)) return { error: overload.late };
      judged++;
      return traced(whole);
    });
    for (const [index, whole] of turn.entries()) {
      const answered = answers[index];
      if (answered instanceof Promise) void answered.then((later) => send(whole, later));
      else send(whole, answered);
    }
    // Refusals cost less: they must not make answers look cheap.
    if (judged === turn.length) overload.pace.answered(judged, ports.clock.elapsed() - begun);
  }
}

/** The text of an answer, or why there is none. */
type Outcome = { readonly text: string } | { readonly error: unknown };

/** As {@link judge}, within the request's span where somebody traces. */
function traced(whole: Whole): Outcome | Promise<Outcome> {
  const { tracing } = whole.parts;
  if (tracing === null) return judge(whole);
  const { incoming, id } = whole.on;
  const header = (name: string): string | undefined => textOf(incoming.headers[name]);
  const request = { method: predictRoute.method, route: predictRoute.path, id, header };
  return tracing.request(
    request,
    async () => judge(whole),
    (outcome) => ("error" in outcome ? problemOf(outcome.error).status : 200),
  );
}

/** Never throws or rejects. Counts as being scored until it is answered. */
function judge({ parts, body }: Whole): Outcome | Promise<Outcome> {
  const { overload } = parts;
  try {
    overload.enterAdmitted();
  } catch (error) {
    return { error };
  }
  let later = false;
  try {
    if (!isUtf8(body)) throw notUtf8();
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
    const parsed = parts.parser.parse(parseJson(text), parts.ports.clock.now());
    const next = answer(parts, parsed);
    // Mostly it is there already: no promise is made for it.
    if (!(next instanceof Promise)) return { text: JSON.stringify(next) };
    later = true;
    return overload
      .within(next, BUDGET_MS)
      .then(
        (reply) => ({ text: JSON.stringify(reply) }),
        (error: unknown) => ({ error }),
      )
      .finally(() => overload.leave());
  } catch (error) {
    return { error };
  } finally {
    if (!later) overload.leave();
  }
}

function send({ parts, on, finish }: Whole, outcome: Outcome): void {
  if ("error" in outcome) {
    finish(refuse(parts, on, outcome.error));
    return;
  }
  const { response, safety, id } = on;
  const { text } = outcome;
  response.writeHead(200, [
    "content-type",
    "application/json",
    "content-length",
    String(Buffer.byteLength(text)),
    REQUEST_ID,
    id,
    ...safety,
  ]);
  response.end(text);
  finish(200);
}

/** The end of a refusal. */
interface Refusal {
  readonly status: number;
  readonly text: string;
  readonly head: readonly string[];
}

/** The refusal of all that are late, made once. */
let lateRefusal: Refusal | null = null;

/** The problem document of an error, as the cold road answers it; the status. Made without a Response, because overload makes thousands. */
function refuse(parts: ServerParts, { response, safety, id }: Exchange, error: unknown): number {
  const more = noteFailure(parts, error, id);
  const isLate = error === parts.overload.late;
  const made = (isLate ? lateRefusal : null) ?? refusalOf(error, more);
  if (isLate) lateRefusal = made;
  if (!response.headersSent && !response.destroyed) {
    response.writeHead(made.status, [...made.head, REQUEST_ID, id, ...safety]);
    response.end(made.text);
  }
  return made.status;
}

function refusalOf(error: unknown, more: Readonly<Record<string, string>>): Refusal {
  const problem = problemOf(error);
  const text = JSON.stringify(problem);
  const head = ["content-length", String(Buffer.byteLength(text))];
  for (const headers of [problemHeaders(error, problem), more]) head.push(...Object.entries(headers).flat());
  return { status: problem.status, text, head };
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
