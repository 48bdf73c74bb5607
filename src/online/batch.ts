// Batches: many transactions answered in order by one bundle, all or nothing; and how a stream of them leaves others their turn.
import { SentinelError } from "../core/errors.ts";
import { answer, deciderOf } from "./answer.ts";
import { checkSame, type Hold } from "./duplicates.ts";
import type { Engine } from "./engine.ts";
import { explainedAnswer } from "./explained.ts";
import { type FieldFault, faultsOf, invalidRequest } from "./faults.ts";
import type { LiveSet } from "./live.ts";
import type { Parsed } from "./parse.ts";
import type { Reply } from "./reply.ts";

/** Transactions judged before other requests get their turn. */
export const PORTION = 32;
/** Records that may wait for the log before a stream goes on: a stream waits, so that it leaves room for those who cannot. */
const UNWRITTEN_MAX = 8192;
/** How often it looks, and how long it waits at most; then its lines are refused as others are. */
const LOG_LOOK_MS = 2;
const LOG_WAIT_MS_MAX = 10_000;

/**
 * The answers to an array of transactions, in order: by one bundle, all or nothing. `charge` takes from the caller's allowance what the request itself did not pay. Errors: `request.invalid`
 * with the index before each field, `request.body-too-large`, `server.rate-limited`, and those of `answer`.
 */
export async function answerItems(
  engine: Engine,
  items: unknown,
  { explain = false, charge }: { readonly explain?: boolean; readonly charge: (count: number) => void },
): Promise<readonly Reply[]> {
  const all = parseAll(engine, items);
  // The request itself paid for its first item; an empty one gets nothing back.
  charge(Math.max(0, all.length - 1));
  const live = engine.live.current;
  deciderOf(live);
  const byId = new Map<string, Parsed>();
  for (const parsed of all) {
    const { id } = parsed.transaction;
    checkSame(byId.get(id) ?? parsed, parsed);
    byId.set(id, parsed);
  }
  // From the first look to the last answer the ids are this batch's: nobody else may answer one of them in between.
  const hold = await engine.duplicates.hold([...byId.keys()]);
  try {
    for (const parsed of all) if (engine.duplicates.recall(parsed) === undefined) await engine.duplicates.find(parsed);
    const refusal = engine.log.refusal(all.length);
    if (refusal !== null) throw refusal;
    return await answerAll(engine, all, { live, hold, explain });
  } finally {
    hold.release();
  }
}

async function answerAll(
  engine: Engine,
  all: readonly Parsed[],
  on: { readonly live: LiveSet; readonly hold: Hold; readonly explain: boolean },
): Promise<readonly Reply[]> {
  const { live, hold, explain } = on;
  const answers: (Reply | Promise<Reply>)[] = [];
  for (const [index, parsed] of all.entries()) {
    if (index % PORTION === PORTION - 1) await breathe();
    const next = explain ? explainedAnswer(engine, parsed, { live, hold }) : answer(engine, parsed, { live, hold });
    answers.push(mayFollow(engine, parsed) ? handled(next) : await next);
  }
  return Promise.all(answers);
}

/**
 * Whether the next transaction may come before this one's answer is there: where this one is judged and learned, and its answer waits for
 * nothing but the disk. Then the answers of many wait for one commit.
 */
export function mayFollow(engine: Engine, { transaction }: Parsed): boolean {
  const { log, states } = engine;
  return log.durability === "sync" && states.sharing() === null && log.recall(transaction.id) !== null;
}

/** A promise that somebody awaits later: that it fails before is no unhandled rejection. */
function handled<T>(next: T | Promise<T>): T | Promise<T> {
  if (next instanceof Promise) next.catch(() => {});
  return next;
}

function parseAll(engine: Engine, items: unknown): Parsed[] {
  const { batchMax } = engine.pipeline.serve;
  if (!Array.isArray(items))
    throw invalidRequest([{ field: "the document", message: "must be an array" }], "the batch");
  if (items.length > batchMax) {
    throw new SentinelError("request.body-too-large", `the batch has ${items.length} transactions`, {
      hint: `send at most ${batchMax} at once (serve.batch_max), or stream them`,
    });
  }
  const now = engine.ports.clock.now();
  const faults: FieldFault[] = [];
  const all: Parsed[] = [];
  for (const [index, item] of items.entries()) {
    try {
      all.push(engine.parser.parse(item, now));
    } catch (error) {
      const own = faultsOf(error);
      if (own.length === 0) throw error;
      faults.push(...own.map(({ field, message }) => ({ field: `${index}/${field}`, message })));
    }
  }
  if (faults.length > 0) throw invalidRequest(faults, "the batch");
  return all;
}

/** Resolves once the log has written so much of what was answered that more may come, or when waiting does not help. */
export async function logHasRoom({ log, ports }: Engine): Promise<void> {
  if (log.health().unwritten <= UNWRITTEN_MAX) return;
  const until = ports.clock.elapsed() + LOG_WAIT_MS_MAX;
  while (log.health().unwritten > UNWRITTEN_MAX && log.health().fault === null && ports.clock.elapsed() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOG_LOOK_MS));
  }
}

/** Gives other requests their turn. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
