// The hot road: POST /predict with a plain JSON body goes from the connection to the engine, without a router or a Request in between.
import type { IncomingMessage, RequestListener } from "node:http";
import type { Socket } from "node:net";
import { SentinelError } from "../core/errors.ts";
import { bearerIn } from "../core/key.ts";
import { answer, budgetMs, expect } from "../online/answer.ts";
import { parseJsonBytes } from "../online/json.ts";
import { type Entity, entityIn, scoreEntity } from "../online/known.ts";
import type { Parsed } from "../online/parse.ts";
import type { Pipelines } from "../online/pipelines.ts";
import { problemOf } from "../online/problem.ts";
import { type Reply, replyText } from "../online/reply.ts";
import { type Exchange, httpExchange } from "./exchange.ts";
import { Gathered } from "./gathered.ts";
import type { Hall } from "./hall.ts";
import { noteFailure } from "./note-failure.ts";
import { PREFIX, type ServerParts } from "./parts.ts";
import { isPlainHost, OF_BROWSERS } from "./plain-head.ts";
import { predictRoute } from "./predict.ts";
import { problemHeaders } from "./problem.ts";
import { REQUEST_ID } from "./request-id.ts";
import type { SafetyHeaders } from "./safety.ts";
import type { PlainRoad } from "./wire.ts";

export interface HotRoad {
  /** Answers what it can by itself, and gives everything else to the cold road. */
  readonly listener: RequestListener;
  /** Answers what is plain on the wire; null where requests are traced, which needs node:http. */
  readonly plain: PlainRoad | null;
}

const BEFORE_NAME = PREFIX.slice(0, PREFIX.indexOf("{"));

/**
 * Gives to `cold` other routes, queries, encodings, bodies of unknown length, and what a browser sends. Errors, headers, limits and metrics are those of the cold
 * road.
 */
export function hotRoad(
  hall: Hall,
  { cold, safety }: { readonly cold: RequestListener; readonly safety: SafetyHeaders },
): HotRoad {
  const { clock, requestIds, tracing } = hall.first;
  const turn = new Turn();
  const plain: PlainRoad = {
    safety,
    clock,
    requestId: requestIds,
    takes(path, { bytes, key }) {
      const parts = partsAt(hall.pipelinesBy(key), path);
      return parts !== null && bytes <= parts.pipeline.serve.bodyMaxBytes;
    },
    take(on, { path, body, key, socket }) {
      const parts = partsAt(hall.pipelinesBy(key), path)!;
      const begun = clock.elapsed();
      const hold = (): void => parts.overload.heldBack.hold(socket);
      if (isAdmitted(parts, on, { key: key(), begun, socket, hold })) turn.push({ parts, on, body, begun, at: begun });
    },
  };
  return {
    listener(incoming, response) {
      const { headers, url } = incoming;
      const parts = partsAt(
        hall.pipelinesBy(() => bearerIn(headers["x-api-key"], headers.authorization)),
        url!,
      );
      const length = parts === null ? -1 : plainLength(incoming);
      if (parts === null || length < 0 || length > parts.pipeline.serve.bodyMaxBytes) cold(incoming, response);
      else {
        const id = parts.requestIds(textOf(headers[REQUEST_ID]));
        receive(parts, { incoming, length, turn, on: httpExchange(response, { id, safety }) });
      }
    },
    plain: tracing === null ? plain : null,
  };
}

/** The pipeline whose predictions are at a URL; null for every other URL, and where the pipeline is not up. */
function partsAt(pipelines: Pipelines<ServerParts>, url: string): ServerParts | null {
  if (url === predictRoute.path) return pipelines.main;
  if (!url.startsWith(BEFORE_NAME) || !url.endsWith(predictRoute.path)) return null;
  return pipelines.engine(url.slice(BEFORE_NAME.length, -predictRoute.path.length)) ?? null;
}

/** The length of a body that can be answered here; −1 for every other request. */
function plainLength({ method, headers, rawHeaders }: IncomingMessage): number {
  if (method !== "POST" || isRepeated(rawHeaders) || !isPlainHost(headers.host ?? "")) return -1;
  const type = headers["content-type"];
  if (type !== "application/json" && type !== "application/json; charset=utf-8") return -1;
  if (headers["content-encoding"] !== undefined || headers["transfer-encoding"] !== undefined) return -1;
  if (headers.expect !== undefined) return -1;
  for (const name of OF_BROWSERS) if (headers[name] !== undefined) return -1;
  const length = headers["content-length"];
  return length === undefined ? -1 : Number(length);
}

/** Of these node:http keeps the first, where the cold road sees all. */
const READ_HERE: ReadonlySet<string> = new Set(["authorization", "content-type", "x-api-key"]);

/** Whether one of the headers that are read here came more than once. */
function isRepeated(rawHeaders: readonly string[]): boolean {
  const seen: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    if (!READ_HERE.has(name)) continue;
    if (seen.includes(name)) return true;
    seen.push(name);
  }
  return false;
}

/** Whether a request may be answered now; else it has its refusal. `hold` holds its connection back. */
function isAdmitted(
  parts: ServerParts,
  on: Exchange,
  from: { readonly key: string | null; readonly begun: number; readonly socket: Socket; readonly hold: () => void },
): boolean {
  const { overload, access } = parts;
  const { begun } = from;
  try {
    // First, because it costs least: overload makes thousands of refusals per second.
    if (overload.heldBack.isOld(from)) throw overload.late;
    overload.admit();
    access.check(predictRoute.access, from.key, parts.pipeline.name);
    return true;
  } catch (error) {
    // An old one is refused, and the next of its connection, which is fresh, has its chance.
    if (error === overload.late && !overload.heldBack.isOld(from)) from.hold();
    finish(parts, begun, refuse(parts, on, error));
    return false;
  }
}

function finish({ measures, ports, live }: ServerParts, begun: number, status: number): void {
  measures.requested({
    route: predictRoute.path,
    status,
    ms: ports.clock.elapsed() - begun,
    version: live.current.champion?.scorer.version,
  });
}

/** Waits for a request's body. */
function receive(
  parts: ServerParts,
  given: {
    readonly incoming: IncomingMessage;
    readonly length: number;
    readonly turn: Turn;
    readonly on: Exchange;
  },
): void {
  const { incoming, length, on } = given;
  const begun = parts.ports.clock.elapsed();
  const { headers } = incoming;
  const key = bearerIn(headers["x-api-key"], headers.authorization);
  const hold = (): void => parts.overload.heldBack.add(incoming);
  if (!isAdmitted(parts, on, { key, begun, socket: incoming.socket, hold })) {
    incoming.resume();
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
    if (arrived()) finish(parts, begun, refuse(parts, on, error));
  };
  const coming = parts.intake.body(fail);
  incoming.on("data", (chunk: Buffer) => {
    if (over) return;
    gathered.add(chunk);
    coming.add(chunk.length);
  });
  incoming.on("end", () => {
    if (arrived()) given.turn.push({ parts, on, body: gathered.take(), begun, at: parts.ports.clock.elapsed() });
  });
  incoming.on("close", () => {
    if (!over) fail(incomplete(`was cut off after ${gathered.length} of ${length} bytes`));
  });
}

/** A request whose body is there whole. */
interface Whole {
  readonly parts: ServerParts;
  readonly on: Exchange;
  readonly body: Uint8Array;
  /** When it came and when it was there whole, by the steady clock. */
  readonly begun: number;
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
    const { overload, ports, tracing } = turn[0].parts;
    const begun = ports.clock.elapsed();
    let judged = 0;
    const late = { error: overload.late };
    // All are read before the first is answered, so that what the answers need comes from memory at once.
    const requests: (Asked | { readonly error: unknown } | null)[] = [];
    for (const whole of turn) {
      const comes = overload.pace.comes(begun - whole.at, begun);
      if (comes) judged++;
      const request = !comes ? late : tracing === null ? read(whole) : null;
      requests.push(request);
      if (request !== null && "transaction" in request && turn.length > 1) expect(whole.parts, request);
    }
    const answers: (Outcome | Promise<Outcome>)[] = [];
    for (let i = 0; i < turn.length; i++) {
      const request = requests[i];
      answers.push(request === null ? traced(turn[i]) : "error" in request ? request : judge(turn[i].parts, request));
    }
    for (let i = 0; i < turn.length; i++) {
      const whole = turn[i];
      const answered = answers[i];
      if (answered instanceof Promise)
        void answered.catch((error: unknown) => ({ error })).then((later) => send(whole, later));
      else send(whole, answered);
    }
    // Refusals cost less: they must not make answers look cheap.
    if (judged === turn.length) overload.pace.answered(judged, ports.clock.elapsed() - begun);
  }
}

/** The text of an answer, or why there is none. */
type Outcome = { readonly text: string } | { readonly error: unknown };

/** A request within its span: its parse is a part of it. */
function traced(whole: Whole): Outcome | Promise<Outcome> {
  const { parts, on } = whole;
  const header = (name: string): string | undefined => on.header(name);
  const request = { method: predictRoute.method, route: predictRoute.path, id: on.id, header };
  return parts.tracing!.request(
    request,
    async () => {
      const parsed = read(whole);
      return "error" in parsed ? parsed : judge(parts, parsed);
    },
    (outcome) => ("error" in outcome ? problemOf(outcome.error).status : 200),
  );
}

/** Never throws. */
function read({ parts, body }: Whole): Asked | { readonly error: unknown } {
  let json: unknown;
  try {
    json = parseJsonBytes(body);
    return parts.parser.parse(json, parts.ports.clock.now());
  } catch (error) {
    const entity = entityIn(parts, json);
    return entity === null ? { error } : { entity };
  }
}

/** A transaction, or an entity alone. */
type Asked = Parsed | { readonly entity: Entity };

/** Never throws or rejects. Counts as being scored until it is answered. */
function judge(parts: ServerParts, asked: Asked): Outcome | Promise<Outcome> {
  const { overload } = parts;
  let later = false;
  try {
    overload.enterAdmitted();
  } catch (error) {
    return { error };
  }
  try {
    const next = "entity" in asked ? entityText(parts, asked.entity) : answer(parts, asked);
    // Mostly it is there already: no promise is made for it.
    if (!(next instanceof Promise)) return { text: replyText(next) };
    later = true;
    return overload
      .within<string | Reply>(next, budgetMs(parts))
      .then(
        (reply) => ({ text: typeof reply === "string" ? reply : replyText(reply) }),
        (error: unknown) => ({ error }),
      )
      .finally(() => overload.leave());
  } catch (error) {
    return { error };
  } finally {
    if (!later) overload.leave();
  }
}

async function entityText(parts: ServerParts, entity: Entity): Promise<string> {
  return JSON.stringify(await scoreEntity(parts, entity));
}

function send({ parts, on, begun }: Whole, outcome: Outcome): void {
  if ("error" in outcome) finish(parts, begun, refuse(parts, on, outcome.error));
  else {
    on.respond(200, JSON_HEAD, outcome.text);
    finish(parts, begun, 200);
  }
}

const JSON_HEAD: readonly string[] = ["content-type", "application/json"];

/** A refusal that is ready to be sent. */
interface Refusal {
  readonly status: number;
  readonly head: readonly string[];
  readonly text: string;
}

/** The refusal of all that are late, made once. */
let lateRefusal: Refusal | null = null;

/** The problem document of an error, as the cold road answers it; the status. Made without a Response, because overload makes thousands. */
function refuse(parts: ServerParts, on: Exchange, error: unknown): number {
  const more = noteFailure(parts, error, on.id);
  const isLate = error === parts.overload.late;
  const made = (isLate ? lateRefusal : null) ?? refusalOf(error, more);
  if (isLate) lateRefusal = made;
  on.respond(made.status, made.head, made.text);
  return made.status;
}

function refusalOf(error: unknown, more: Readonly<Record<string, string>>): Refusal {
  const problem = problemOf(error);
  const head = Object.entries({ ...problemHeaders(error, problem), ...more }).flat();
  return { status: problem.status, head, text: JSON.stringify(problem) };
}

/** A header that came once. */
function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}

function incomplete(what: string): SentinelError {
  return new SentinelError("request.malformed", `the body ${what}`, { hint: "send the request again" });
}
