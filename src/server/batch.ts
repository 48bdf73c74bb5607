// POST /predict/batch: a JSON array, judged whole by one bundle or not at all; or NDJSON, answered line by line as it comes.
import { SentinelError } from "../core/errors.ts";
import { answer, championOf } from "../online/answer.ts";
import { checkSame } from "../online/duplicates.ts";
import { explainedAnswer } from "../online/explained.ts";
import { type FieldFault, faultsOf, invalidRequest } from "../online/faults.ts";
import type { Parsed } from "../online/parse.ts";
import type { Reply } from "../online/reply.ts";
import { chunksOf, mediaType, readLines, readText } from "./body.ts";
import { wantsReasons } from "./explained.ts";
import { parseJson } from "./json.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { problemOf } from "./problem.ts";
import { ANSWER_SCHEMA, EXPLAIN_QUERY, ref } from "./schemas.ts";

const NDJSON = "application/x-ndjson";
/** Transactions judged before other requests get their turn. */
const PORTION = 32;
/** Lines of one stream; a longer one goes on in a new request. */
const LINES_MAX = 1_000_000;

export const batchRoute: Route = {
  method: "POST",
  path: "/predict/batch",
  summary:
    "Scores many transactions in order. An array is answered by one bundle and refused whole if one item is not valid; NDJSON is streamed, and a line that is not valid is answered by a problem in its place.",
  shed: true,
  query: EXPLAIN_QUERY,
  body: { "application/json": { type: "array", items: ref("Transaction") }, [NDJSON]: ref("Transaction") },
  answers: { "application/json": { type: "array", items: ANSWER_SCHEMA }, [NDJSON]: ANSWER_SCHEMA },
  async run(parts, context) {
    const type = mediaType(context.req.raw, ["application/json", NDJSON, "application/ndjson"]);
    return type === "application/json" ? array(parts, context) : lines(parts, context);
  },
};

async function array(parts: ServerParts, context: RequestContext): Promise<Response> {
  const explain = wantsReasons(context);
  const input = { request: context.req.raw, incoming: context.env?.incoming };
  const items = parseJson(await readText(input, parts.pipeline.serve.bodyMaxBytes));
  return jsonResponse(await answerItems(parts, items, { explain }));
}

/**
 * The answers to an array of transactions, in order: by one bundle, all or nothing. Errors: `request.invalid` with the index before
 * each field, `request.body-too-large`, and those of `answer`.
 */
export async function answerItems(
  parts: ServerParts,
  items: unknown,
  { explain = false }: { readonly explain?: boolean } = {},
): Promise<readonly Reply[]> {
  const all = parseAll(parts, items);
  const live = parts.live.current;
  championOf(live);
  const byId = new Map<string, Parsed>();
  for (const parsed of all) {
    const { id } = parsed.transaction;
    checkSame(byId.get(id) ?? parsed, parsed);
    byId.set(id, parsed);
    await parts.duplicates.find(parsed);
  }
  const answers: Reply[] = [];
  for (const [index, parsed] of all.entries()) {
    if (index % PORTION === PORTION - 1) await breathe();
    answers.push(explain ? await explainedAnswer(parts, parsed, live) : await answer(parts, parsed, { live }));
  }
  return answers;
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
  championOf(parts.live.current);
  const chunks = chunksOf({ request: context.req.raw, incoming: context.env?.incoming });
  const source = readLines(chunks, parts.pipeline.serve.bodyMaxBytes);
  const encoder = new TextEncoder();
  const state = { line: 0, explain };
  parts.overload.inFlight++;
  let ended = false;
  const end = (): void => {
    if (!ended) parts.overload.leave();
    ended = true;
  };
  // Pulled by the client's reading: a slow reader slows the scoring, and nothing piles up in between.
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      let { text, done } = await portion(parts, source, state);
      // A pull that gives nothing is not repeated by the stream: blank lines are read on from here.
      while (text === "" && !done) ({ text, done } = await portion(parts, source, state));
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (!done) return;
      end();
      controller.close();
    },
    async cancel() {
      end();
      await source.return(undefined);
    },
  });
  return new Response(body, { headers: { "content-type": NDJSON } });
}

/** The answers to the next lines. A fault of the stream itself ends it with a problem. */
async function portion(
  parts: ServerParts,
  source: AsyncGenerator<string>,
  state: { line: number; readonly explain: boolean },
): Promise<{ readonly text: string; readonly done: boolean }> {
  let text = "";
  try {
    for (let count = 0; count < PORTION; count++) {
      const next = await source.next();
      if (next.done) return { text, done: true };
      state.line++;
      if (state.line > LINES_MAX) throw tooManyLines();
      if (next.value.trim() === "") continue;
      text += `${JSON.stringify(await answerLine(parts, next.value, state))}\n`;
    }
    await breathe();
    return { text, done: false };
  } catch (error) {
    await source.return(undefined);
    return { text: `${text}${JSON.stringify({ line: state.line + 1, ...problemOf(error) })}\n`, done: true };
  }
}

async function answerLine(
  parts: ServerParts,
  text: string,
  { line, explain }: { readonly line: number; readonly explain: boolean },
): Promise<object> {
  try {
    const parsed = parts.parser.parse(parseJson(text, line), parts.ports.clock.now());
    return explain ? await explainedAnswer(parts, parsed) : await answer(parts, parsed);
  } catch (error) {
    return { line, ...problemOf(error) };
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
