// POST /predict/batch: a JSON array, judged whole by one bundle or not at all; or NDJSON, answered line by line as it comes.
import { SentinelError } from "../core/errors.ts";
import { answer, deciderOf } from "../online/answer.ts";
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
  const state = { line: 0, explain, caller: context.get("caller") };
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

/** The answers to the next lines. A fault of the stream itself ends it with a problem. */
async function portion(
  parts: ServerParts,
  source: AsyncGenerator<string>,
  state: { line: number; readonly explain: boolean; readonly caller: Caller },
): Promise<{ readonly text: string; readonly done: boolean }> {
  const replies: (() => object | Promise<object>)[] = [];
  let problem: object | null = null;
  let done = false;
  try {
    for (let count = 0; count < PORTION && !done; count++) {
      const next = await source.next();
      done = next.done === true;
      if (next.done) break;
      state.line++;
      if (state.line > LINES_MAX) throw tooManyLines();
      if (next.value.trim() === "") continue;
      const reply = answerLine(parts, next.value, { ...state });
      // Mostly the answer is there already: no promise is made for it, and nothing else ran meanwhile.
      replies.push(reply instanceof Promise ? await parts.overload.during(() => reply) : reply);
    }
    if (!done) await breathe();
  } catch (error) {
    await source.return(undefined);
    problem = { line: state.line + 1, ...problemOf(error) };
    done = true;
  }
  const lines = await Promise.all(replies.map((reply) => reply()));
  if (problem !== null) lines.push(problem);
  return { text: lines.map((line) => `${JSON.stringify(line)}\n`).join(""), done };
}

/** A line's reply or problem, as a function so that awaiting it waits only until the next line may follow. */
type LineReply = () => object | Promise<object>;

function answerLine(
  parts: ServerParts,
  text: string,
  { line, explain, caller }: { readonly line: number; readonly explain: boolean; readonly caller: Caller },
): LineReply | Promise<LineReply> {
  const problem = (error: unknown): object => ({ line, ...problemOf(error) });
  try {
    // The request itself paid for its first line.
    if (line > 1) parts.access.charge(caller, 1);
    const parsed = parts.parser.parse(parseJson(text, line), parts.ports.clock.now());
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
