// `sentinel label FILE`: late labels into the log, through the running server when there is one.
import { messageOf, SentinelError } from "../core/errors.ts";
import { contradictions, readLabels, writeLabels } from "../lifecycle/label.ts";
import { lockOfServer } from "../lifecycle/serve.ts";
import type { LabelDraft } from "../online/label.ts";
import { textOption } from "./options.ts";
import { postJson } from "./post.ts";
import type { Verb } from "./verb.ts";

/** Labels in one request, where `serve.batch_max` allows so many. */
const POSTED_TOGETHER_MAX = 500;

export const verb: Verb = {
  args: "<file>",
  options: [["--url <url>", "of the running server, which then learns the labels at once"]],
  async run(context, { args, options }) {
    const pipeline = context.pipeline();
    const ports = context.ports();
    const labels = await readLabels(ports, pipeline, args[0]);
    const contrary = contradictions(labels);
    if (contrary.contradictoryCount > 0) {
      const [{ transactionId, rows, fraud }] = contrary.contradictory;
      context.output.warn(
        `${contrary.contradictoryCount} of ${labels.length} rows contradict a row before them, and the later row counts: ${JSON.stringify(transactionId)} is ${wordOf(!fraud)} in data row ${rows[0]} and ${wordOf(fraud)} in data row ${rows[1]}; tell them apart by label_known_at, or leave one out`,
      );
    }
    const url = textOption(options, "url");
    const together = Math.min(POSTED_TOGETHER_MAX, pipeline.serve.batchMax);
    const result =
      url === undefined
        ? await offline()
        : await post(labels, { url: feedbackAt(url, pipeline.name), together, key: context.config.key });
    context.output.line(`${result.written} of ${result.read} labels written`);
    if (result.unknownCount > 0) {
      context.output.line(
        `  ${result.unknownCount} are of transactions the log does not know, such as ${result.unknown.slice(0, 5).join(", ")}`,
      );
    }
    return { yes: true, json: { ...result, ...contrary } };

    async function offline() {
      // Servers that share their feature state see there what is written beside them.
      if (ports.shared !== undefined) return writeLabels(ports, pipeline, labels);
      // A running server holds this lock: labels that pass it by would make its features differ from the log's.
      const lock = await lockOfServer(ports, pipeline).catch((error: unknown) => {
        throw new SentinelError("lifecycle.locked", `a server is running on this workspace: ${messageOf(error)}`, {
          hint: "send the labels through it: `sentinel label FILE --url http://127.0.0.1:8000`",
          cause: error,
        });
      });
      try {
        return await writeLabels(ports, pipeline, labels);
      } finally {
        await lock.release();
      }
    }
  },
};

function wordOf(fraud: boolean): string {
  return fraud ? "fraud" : "genuine";
}

/** A server may hold several pipelines, and its default one may be another: the labels' pipeline is named. */
function feedbackAt(url: string, pipeline: string): string {
  return `${url.replace(/\/+$/, "")}/pipelines/${pipeline}/feedback`;
}

interface Door {
  /** Of the pipeline's feedback. */
  readonly url: string;
  /** Labels per request. */
  readonly together: number;
  readonly key: string | null;
}

async function post(labels: readonly LabelDraft[], { url, together, key }: Door) {
  let written = 0;
  const unknown: string[] = [];
  for (let at = 0; at < labels.length; at += together) {
    const body = labels.slice(at, at + together).map(({ transactionId, fraud, knownAt, source }) => ({
      transaction_id: transactionId,
      fraud,
      source,
      time: knownAt === "after-delay" ? null : knownAt,
    }));
    const answer = (await postJson(url, body, {
      refused: "labels.invalid",
      key,
    })) as Feedback;
    written += answer.accepted;
    for (const item of answer.items.filter(({ accepted }) => !accepted)) {
      if (item.code !== "request.not-found") throw refused(item, written);
      unknown.push(item.transaction_id);
    }
  }
  return { read: labels.length, written, unknown: unknown.slice(0, 20), unknownCount: unknown.length };
}

interface Feedback {
  readonly accepted: number;
  readonly items: readonly FeedbackItem[];
}

interface FeedbackItem {
  readonly transaction_id: string;
  readonly accepted: boolean;
  readonly code?: string;
  readonly message?: string;
}

/** A label that the server knows the transaction of and still does not take. */
function refused(item: FeedbackItem, written: number): SentinelError {
  const code = item.code === "labels.invalid" ? "labels.invalid" : "server.overloaded";
  const what = `label of ${JSON.stringify(item.transaction_id)}: ${item.message ?? item.code} (${written} labels are written)`;
  const hint =
    code === "labels.invalid"
      ? "correct the file and run the command again; a label that is written already stays as it is"
      : "run the command again later; a label that is written already stays as it is";
  return new SentinelError(code, what, { hint });
}
