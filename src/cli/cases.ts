// `sentinel cases list|next|close`: the queue of a running server from a terminal.
import { DISPOSITIONS } from "../core/case.ts";
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { choiceOption, integerOption, textOption } from "./options.ts";
import { askJson } from "./post.ts";
import type { Verb, VerbContext, VerbInput, VerbResult } from "./verb.ts";

const URL_DEFAULT = "http://127.0.0.1:8000";
const SHOWN_DEFAULT = 20;
const SHOWN_MAX = 1000;

/** What a line shows of a case. */
interface Shown {
  readonly id: number;
  readonly pipeline: string | null;
  readonly entity: string;
  readonly status: string;
  readonly severity: string;
  readonly alert_count: number;
  readonly amount: number | null;
  readonly due_at: string;
  readonly overdue: boolean;
  readonly assignee: string | null;
  readonly etag: string;
  readonly labels?: readonly { readonly state: string }[];
}

export const verb: Verb = {
  args: "<what> [id]",
  options: [
    ["--url <url>", `the server (default ${URL_DEFAULT}); SENTINEL_CLIENT_KEY is its key`],
    ["--limit <n>", `with list: so many at most (default ${SHOWN_DEFAULT})`],
    ["--disposition <word>", `with close: ${DISPOSITIONS.join(", ")}`],
    ["--reason <text>", "with close: why"],
    ["--comment <text>", "with close: what else there is to say"],
  ],
  run(context, input) {
    const [what] = input.args;
    if (what === "list") return list(context, input);
    if (what === "next") return next(context, input);
    if (what === "close") return close(context, input);
    throw new SentinelError("cli.usage", `cases ${JSON.stringify(what)} is none of list, next, close`, {
      hint: "see `sentinel cases --help`",
    });
  },
};

async function list(context: VerbContext, input: VerbInput): Promise<VerbResult> {
  const limit = integerOption(input.options, "limit", { low: 1, high: SHOWN_MAX, fallback: SHOWN_DEFAULT });
  const at = `/api/cases?status=open&order=worth&limit=${limit}`;
  const answer = (await ask(context, input, { method: "GET", at })) as { readonly cases: readonly Shown[] };
  if (answer.cases.length === 0) context.output.line("no case is open");
  else context.output.table([["case", "", "entity", "alerts", "amount", "due", ""], ...answer.cases.map(row)]);
  return { yes: true, json: answer };
}

async function next(context: VerbContext, input: VerbInput): Promise<VerbResult> {
  const one = (await ask(context, input, { method: "POST", at: "/api/cases/next" })) as Shown | null;
  if (one === null) context.output.line("no case is free");
  else context.output.table([row(one)]);
  return { yes: one !== null, json: one };
}

async function close(context: VerbContext, input: VerbInput): Promise<VerbResult> {
  const { args, options } = input;
  const [, id] = args;
  const disposition = choiceOption(options, "disposition", DISPOSITIONS);
  const reason = textOption(options, "reason");
  if (id === undefined || !/^[1-9]\d{0,14}$/.test(id) || disposition === undefined || reason === undefined) {
    throw new SentinelError("cli.usage", "cases close needs a case's number, --disposition and --reason", {
      hint: 'sentinel cases close 7 --disposition fraud --reason "card stolen"',
    });
  }
  const comment = textOption(options, "comment") ?? "";
  const { etag } = (await ask(context, input, { method: "GET", at: `/api/cases/${id}` })) as Shown;
  const body = { disposition, reason, comment };
  // The case as it is now: whoever changes it in between is not overruled.
  const one = (await ask(context, input, { method: "POST", at: `/api/cases/${id}/close`, body, etag })) as Shown;
  const written = one.labels?.filter(({ state }) => state === "written").length ?? 0;
  context.output.line(
    one.status === "closed"
      ? `case ${id} is closed as ${disposition}; ${written} ${written === 1 ? "label" : "labels"} written`
      : `case ${id} awaits a second person`,
  );
  return { yes: true, json: one };
}

function row(one: Shown): string[] {
  const { id, severity, pipeline, entity, alert_count: alerts, amount, due_at: due, overdue, assignee } = one;
  return [
    String(id),
    severity,
    visible(`${pipeline ?? ""} ${entity}`),
    String(alerts),
    amount === null ? "" : amount.toFixed(2),
    `${due.slice(0, 16).replace("T", " ")}${overdue ? " (overdue)" : ""}`,
    visible(assignee ?? ""),
  ];
}

async function ask(
  { config }: VerbContext,
  { options }: VerbInput,
  what: { readonly method: "GET" | "POST"; readonly at: string; readonly body?: object; readonly etag?: string },
): Promise<unknown> {
  const url = textOption(options, "url") ?? URL_DEFAULT;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new SentinelError("cli.usage", `--url ${url} is no http or https address`, { hint: `--url ${URL_DEFAULT}` });
  }
  const { at, ...rest } = what;
  return askJson(`${url.replace(/\/+$/, "")}${at}`, { ...rest, refused: "cases.state", key: config.key });
}
