// POST /predict/batch: a JSON array, judged whole by one bundle or not at all; or NDJSON, answered line by line as it comes.
import { SentinelError } from "../core/errors.ts";
import { answer, batchBudgetMs, budgetMs, deciderOf, expect } from "../online/answer.ts";
import { answerItems, breathe, logHasRoom, mayFollow, PORTION } from "../online/batch.ts";
import { explainedAnswer } from "../online/explained.ts";
import { parseJson } from "../online/json.ts";
import type { Parsed } from "../online/parse.ts";
import { problemOf } from "../online/problem.ts";
import { type Reply, replyText } from "../online/reply.ts";
import type { Caller } from "./access.ts";
import { bodyText, chunksOf, type Line, mediaType, readLines, sourceOf } from "./body.ts";
import { encodingOf } from "./encodings.ts";
import { wantsReasons } from "./explained.ts";
import { chargeOf, jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { ANSWER_SCHEMA, EXPLAIN_QUERY, LINE_SCHEMA, ref } from "./schemas.ts";

const NDJSON = "application/x-ndjson";
/** Characters of answers that are sent together where their lines came together: to send costs the system as much as to judge a dozen lines. */
const TOGETHER_LENGTH = 65_536;

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
  const answers = answerItems(parts, items, { explain, charge: chargeOf(parts, context) });
  return jsonResponse(await parts.overload.within(answers, batchBudgetMs(parts)));
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
      let text = "";
      let done = false;
      // A pull that gives nothing is not repeated by the stream: blank lines are read on from here.
      // Another portion joins only where all of it is there: no answer waits for lines that the client may send after it.
      while (!done && (text === "" || (text.length < TOGETHER_LENGTH && isPortionThere(state)))) {
        const more = await portion(parts, source, state);
        text += more.text;
        done = more.done;
      }
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
  lines: readonly Line[];
  next: number;
  /** Number of the last line that was taken. */
  line: number;
  readonly explain: boolean;
  readonly caller: Caller;
}

function isPortionThere({ lines, next }: StreamState): boolean {
  return lines.length - next >= PORTION;
}

/** The answers to the next lines. A fault of the stream itself ends it with a problem. */
async function portion(
  parts: ServerParts,
  source: AsyncGenerator<readonly Line[]>,
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
        const reply = "problem" in one ? () => JSON.stringify(one.problem) : answerLine(parts, one, state);
        // Mostly the answer is there already: no promise is made for it, and nothing else ran meanwhile.
        replies.push(reply instanceof Promise ? await parts.overload.during(() => reply) : reply);
      }
      if (read.tooMany) throw tooManyLines(parts.intake.linesMax);
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
    text += `${there instanceof Promise ? await there : there}\n`;
  }
  if (problem !== null) text += `${JSON.stringify(problem)}\n`;
  return { text, done };
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
  const { linesMax } = parts.intake;
  for (; count < max && state.next < state.lines.length && state.line < linesMax; count++) {
    const text = state.lines[state.next++];
    state.line++;
    if (typeof text !== "string" || text.trim() !== "") parsed.push(readLine(parts, text, state));
  }
  const tooMany = state.line >= linesMax && state.next < state.lines.length;
  for (const one of parsed) if (!("problem" in one)) expect(parts, one.parsed);
  return { parsed, count, tooMany };
}

function readLine(parts: ServerParts, text: Line, { line, caller }: StreamState): ReadLine {
  try {
    // The request itself paid for its first line.
    if (line > 1) parts.access.charge(caller, 1);
    if (typeof text !== "string") throw text;
    return { line, parsed: parts.parser.parse(parseJson(text, line), parts.ports.clock.now()) };
  } catch (error) {
    return { problem: { line, ...problemOf(error) } };
  }
}

/** The JSON of a line's reply or problem, as a function so that awaiting it waits only until the next line may follow. */
type LineReply = () => string | Promise<string>;

function answerLine(
  parts: ServerParts,
  { line, parsed }: { readonly line: number; readonly parsed: Parsed },
  { explain }: StreamState,
): LineReply | Promise<LineReply> {
  const problem = (error: unknown): string => JSON.stringify({ line, ...problemOf(error) });
  try {
    const next = explain ? explainedAnswer(parts, parsed) : answer(parts, parsed);
    if (!(next instanceof Promise)) return () => replyText(next);
    // One with reasons has members that a plain reply has not.
    const spell = (reply: Reply): string => (explain ? JSON.stringify(reply) : replyText(reply));
    const reply = parts.overload.within<Reply>(next, budgetMs(parts)).then(spell).catch(problem);
    return mayFollow(parts, parsed) ? () => reply : reply.then((there) => () => there);
  } catch (error) {
    const fault = problem(error);
    return () => fault;
  }
}

function tooManyLines(linesMax: number): SentinelError {
  return new SentinelError("request.body-too-large", `the stream has more than ${linesMax} lines`, {
    hint: "go on in a new request, from this line on: it was not answered",
  });
}
