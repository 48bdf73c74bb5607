// POST /predict/batch: a JSON array, judged whole by one bundle or not at all; or NDJSON, answered line by line as it comes.
import { SentinelError } from "../core/errors.ts";
import { answer, deciderOf, expect } from "../online/answer.ts";
import { checkSame, type Hold } from "../online/duplicates.ts";
import { explainedAnswer } from "../online/explained.ts";
import { type FieldFault, faultsOf, invalidRequest } from "../online/faults.ts";
import type { LiveSet } from "../online/live.ts";
import type { Parsed } from "../online/parse.ts";
import type { Reply } from "../online/reply.ts";
import type { Caller } from "./access.ts";
import { bodyText, chunksOf, mediaType, readLines, sourceOf } from "./body.ts";
import { encodingOf } from "./encodings.ts";
import { wantsReasons } from "./explained.ts";
import { parseJson } from "./json.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { problemOf } from "./problem.ts";
import { ANSWER_SCHEMA, EXPLAIN_QUERY, LINE_SCHEMA, ref } from "./schemas.ts";

const NDJSON = "application/x-ndjson";
/** Transactions judged before other requests get their turn. */
const PORTION = 32;
/** Records that may wait for the log before a stream goes on: a stream waits, so that it leaves room for those who cannot. */
const UNWRITTEN_MAX = 8192;
/** How often it looks, and how long it waits at most; then its lines are refused as others are. */
const LOG_LOOK_MS = 2;
const LOG_WAIT_MS_MAX = 10_000;
/** Lines of one stream; a longer one goes on in a new request. */
const LINES_MAX = 1_000_000;

export const batchRoute: Route = {
  method: "POST",
  access: "predict",
  path: "/predict/batch",
  summary:
    "Scores many transactions in order. An array is answered by one bundle and refused whole if one item is not valid; NDJSON is streamed, and a line that is not valid is answered by a problem in its place.",
  shed: true,
  query: EXPLAIN_QUERY,
  body: { "application/json": { type: "array", items: ref("Transaction") }, [NDJSON]: ref("Transaction") },
  answers: { "application/json": { type: "array", items: ANSWER_SCHEMA }, [NDJSON]: LINE_SCHEMA },
  async run(parts, context) {
    const type = mediaType(context.req.raw, ["application/json", NDJSON, "application/ndjson"]);
    return type === "application/json" ? array(parts, context) : lines(parts, context);
  },
};

async function array(parts: ServerParts, context: RequestContext): Promise<Response> {
  const explain = wantsReasons(context);
  const items = parseJson(await bodyText(parts, context));
  return jsonResponse(await answerItems(parts, items, { explain, caller: context.get("caller") }));
}

/**
 * The answers to an array of transactions, in order: by one bundle, all or nothing, paid for by the caller. Errors: `request.invalid`
 * with the index before each field, `request.body-too-large`, `server.rate-limited`, and those of `answer`.
 */
export async function answerItems(
  parts: ServerParts,
  items: unknown,
  { explain = false, caller }: { readonly explain?: boolean; readonly caller: Caller },
): Promise<readonly Reply[]> {
  const all = parseAll(parts, items);
  parts.access.charge(caller, all.length - 1);
  const live = parts.live.current;
  deciderOf(live);
  const byId = new Map<string, Parsed>();
  for (const parsed of all) {
    const { id } = parsed.transaction;
    checkSame(byId.get(id) ?? parsed, parsed);
    byId.set(id, parsed);
  }
  // From the first look to the last answer the ids are this batch's: nobody else may answer one of them in between.
  const hold = await parts.duplicates.hold([...byId.keys()]);
  try {
    for (const parsed of all) if (parts.duplicates.recall(parsed) === undefined) await parts.duplicates.find(parsed);
    const refusal = parts.log.refusal(all.length);
    if (refusal !== null) throw refusal;
    return await answerAll(parts, all, { live, hold, explain });
  } finally {
    hold.release();
  }
}

async function answerAll(
  parts: ServerParts,
  all: readonly Parsed[],
  on: { readonly live: LiveSet; readonly hold: Hold; readonly explain: boolean },
): Promise<readonly Reply[]> {
  const { live, hold, explain } = on;
  const answers: (Reply | Promise<Reply>)[] = [];
  for (const [index, parsed] of all.entries()) {
    if (index % PORTION === PORTION - 1) await breathe();
    const next = explain ? explainedAnswer(parts, parsed, { live, hold }) : answer(parts, parsed, { live, hold });
    answers.push(mayFollow(parts, parsed) ? handled(next) : await next);
  }
  return Promise.all(answers);
}

/**
 * Whether the next transaction may come before this one's answer is there: where this one is judged and learned, and its answer waits for
 * nothing but the disk. Then the answers of many wait for one commit.
 */
function mayFollow(parts: ServerParts, { transaction }: Parsed): boolean {
  const { log, states } = parts;
  return log.durability === "sync" && states.sharing() === null && log.recall(transaction.id) !== null;
}

/** A promise that somebody awaits later: that it fails before is no unhandled rejection. */
function handled<T>(next: T | Promise<T>): T | Promise<T> {
  if (next instanceof Promise) next.catch(() => {});
  return next;
}

function parseAll(parts: ServerParts, items: unknown): Parsed[] {
  const { batchMax } = parts.pipeline.serve;
  if (!Array.isArray(items))
    throw invalidRequest([{ field: "the document", message: "must be an array" }], "the batch");
  if (items.length > batchMax) {
    throw new SentinelError("request.body-too-large", `the batch has ${items.length} transactions`, {
      hint: `send at most ${batchMax} at once (serve.batch_max), or stream them as ${NDJSON}`,
    });
  }
  const now = parts.ports.clock.now();
  const faults: FieldFault[] = [];
  const all: Parsed[] = [];
  for (const [index, item] of items.entries()) {
    try {
      all.push(parts.parser.parse(item, now));
    } catch (error) {
      const own = faultsOf(error);
      if (own.length === 0) throw error;
      faults.push(...own.map(({ field, message }) => ({ field: `${index}/${field}`, message })));
    }
  }
  if (faults.length > 0) throw invalidRequest(faults, "the batch");
  return all;
}

function lines(parts: ServerParts, context: RequestContext): Response {
  const explain = wantsReasons(context);
  deciderOf(parts.live.current);
  encodingOf(context.req.raw.headers.get("content-encoding"));
  const stream = parts.intake.stream();
  const source = readLines(chunksOf(sourceOf(context), stream), parts.pipeline.serve.bodyMaxBytes, stream);
  const encoder = new TextEncoder();
  const state: StreamState = { lines: [], next: 0, line: 0, explain, caller: context.get("caller") };
  // Pulled by the client's reading: a slow reader slows the scoring, and nothing piles up in between.
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      let { text, done } = await portion(parts, source, state);
      // A pull that gives nothing is not repeated by the stream: blank lines are read on from here.
      while (text === "" && !done) ({ text, done } = await portion(parts, source, state));
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (!done) return;
      stream.done();
      controller.close();
    },
    async cancel() {
      stream.done();
      await source.return(undefined);
    },
  });
  return new Response(body, { headers: { "content-type": NDJSON } });
}

interface StreamState {
  /** Lines that came together, and the first of them that was not taken. */
  lines: readonly string[];
  next: number;
  /** Number of the last line that was taken. */
  line: number;
  readonly explain: boolean;
  readonly caller: Caller;
}

/** The answers to the next lines. A fault of the stream itself ends it with a problem. */
async function portion(
  parts: ServerParts,
  source: AsyncGenerator<readonly string[]>,
  state: StreamState,
): Promise<{ readonly text: string; readonly done: boolean }> {
  const replies: LineReply[] = [];
  let problem: object | null = null;
  let done = false;
  try {
    for (let left = PORTION; left > 0; ) {
      if (state.next === state.lines.length) {
        const more = await source.next();
        done = more.done === true;
        if (more.done) break;
        state.lines = more.value;
        state.next = 0;
      }
      await logHasRoom(parts);
      const read = readTogether(parts, state, left);
      left -= read.count;
      for (const one of read.parsed) {
        const reply = "problem" in one ? () => one.problem : answerLine(parts, one, state);
        // Mostly the answer is there already: no promise is made for it, and nothing else ran meanwhile.
        replies.push(reply instanceof Promise ? await parts.overload.during(() => reply) : reply);
      }
      if (read.tooMany) throw tooManyLines();
    }
    if (!done) await breathe();
  } catch (error) {
    await source.return(undefined);
    problem = { line: state.line + 1, ...problemOf(error) };
    done = true;
  }
  let text = "";
  for (const reply of replies) {
    const there = reply();
    text += `${JSON.stringify(there instanceof Promise ? await there : there)}\n`;
  }
  if (problem !== null) text += `${JSON.stringify(problem)}\n`;
  return { text, done };
}

/** Resolves once the log has written so much of what was answered that more may come, or when waiting does not help. */
async function logHasRoom({ log, ports }: ServerParts): Promise<void> {
  if (log.health().unwritten <= UNWRITTEN_MAX) return;
  const until = ports.clock.elapsed() + LOG_WAIT_MS_MAX;
  while (log.health().unwritten > UNWRITTEN_MAX && log.health().fault === null && ports.clock.elapsed() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOG_LOOK_MS));
  }
}

type ReadLine = { readonly line: number; readonly parsed: Parsed } | { readonly problem: object };

/** Reads up to so many of the lines that are there, blank ones too, before the first of them is answered. */
function readTogether(
  parts: ServerParts,
  state: StreamState,
  max: number,
): { readonly parsed: readonly ReadLine[]; readonly count: number; readonly tooMany: boolean } {
  const parsed: ReadLine[] = [];
  let count = 0;
  let tooMany = false;
  for (; count < max && state.next < state.lines.length && !tooMany; count++) {
    const text = state.lines[state.next++];
    state.line++;
    tooMany = state.line > LINES_MAX;
    if (!tooMany && text.trim() !== "") parsed.push(readLine(parts, text, state));
  }
  for (const one of parsed) if (!("problem" in one)) expect(parts, one.parsed);
  return { parsed, count, tooMany };
}

function readLine(parts: ServerParts, text: string, { line, caller }: StreamState): ReadLine {
  try {
    // The request itself paid for its first line.
    if (line > 1) parts.access.charge(caller, 1);
    return { line, parsed: parts.parser.parse(parseJson(text, line), parts.ports.clock.now()) };
  } catch (error) {
    return { problem: { line, ...problemOf(error) } };
  }
}

/** A line's reply or problem, as a function so that awaiting it waits only until the next line may follow. */
type LineReply = () => object | Promise<object>;

function answerLine(
  parts: ServerParts,
  { line, parsed }: { readonly line: number; readonly parsed: Parsed },
  { explain }: StreamState,
): LineReply | Promise<LineReply> {
  const problem = (error: unknown): object => ({ line, ...problemOf(error) });
  try {
    const next = explain ? explainedAnswer(parts, parsed) : answer(parts, parsed);
    if (!(next instanceof Promise)) return () => next;
    const reply: Promise<object> = next.catch(problem);
    return mayFollow(parts, parsed) ? () => reply : reply.then((there) => () => there);
  } catch (error) {
    const fault = problem(error);
    return () => fault;
  }
}

function tooManyLines(): SentinelError {
  return new SentinelError("request.body-too-large", `the stream has more than ${LINES_MAX} lines`, {
    hint: "go on in a new request",
  });
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
