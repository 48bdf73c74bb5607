// `sentinel lists`: named values with validity times, which rules ask with x IN (SELECT value FROM list).
import { readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { changeList, listEntries, listNames } from "../lifecycle/rules.ts";
import { textOption, timeOption } from "./options.ts";
import type { Verb, VerbContext, VerbInput, VerbResult } from "./verb.ts";

const SHOWN_MAX = 50;

export const verb: Verb = {
  args: "[action] [list] [values...]",
  options: [
    ["--from <time>", "add: on the list from then on, by event time (default now)"],
    ["--to <time>", "add: until then (default for ever); end: the end (default now)"],
    ["--at <time>", "show: who was on the list then (default now)"],
    ["--file <file>", "add, end: values from a file, one per line"],
    ["--reason <text>", "why, for the journal"],
  ],
  async run(context, input) {
    const [action = "list", name] = input.args;
    if (action === "list") return list(context);
    if (name === undefined || name === "") {
      throw new SentinelError("cli.usage", "no list is named", { hint: "as in `sentinel lists show blocked_cards`" });
    }
    if (action === "show") return show(context, input, name);
    if (action === "add" || action === "end") return change(context, input, { name, end: action === "end" });
    throw new SentinelError("cli.usage", `there is no \`sentinel lists ${action}\``, {
      hint: "known: list, show, add, end",
    });
  },
};

async function list(context: VerbContext): Promise<VerbResult> {
  const lists = await listNames(context.ports());
  if (lists.length === 0) context.output.line("no lists yet; make one with `sentinel lists add NAME VALUE`");
  else context.output.table([["list", "values"], ...lists.map(({ name, values }) => [name, String(values)])]);
  return { yes: true, json: lists };
}

async function show(context: VerbContext, { options }: VerbInput, name: string): Promise<VerbResult> {
  const entries = await listEntries(context.ports(), { name, at: timeOption(options, "at") });
  const { output } = context;
  const day = (time: number | null): string => (time === null ? "" : new Date(time).toISOString().slice(0, 19));
  output.line(`${name}: ${entries.length} values`);
  if (entries.length > 0) {
    output.table([
      ["value", "from", "to"],
      ...entries.slice(0, SHOWN_MAX).map(({ value, from, to }) => [visible(value), day(from), day(to)]),
    ]);
  }
  if (entries.length > SHOWN_MAX) output.line(`and ${entries.length - SHOWN_MAX} more; --json has them all`);
  return { yes: true, json: entries };
}

async function change(
  context: VerbContext,
  { args, options }: VerbInput,
  on: { readonly name: string; readonly end: boolean },
): Promise<VerbResult> {
  const file = textOption(options, "file");
  const values = [...args.slice(2), ...(file === undefined ? [] : linesOf(file))];
  if (values.length === 0) {
    throw new SentinelError("cli.usage", "no values are given", {
      hint: `as in \`sentinel lists ${on.end ? "end" : "add"} ${on.name} c-4471\`, or --file with one per line`,
    });
  }
  const [from, to, reason] = [timeOption(options, "from"), timeOption(options, "to"), textOption(options, "reason")];
  const result = await changeList(context.ports(), {
    pipeline: context.pipeline(),
    actor: context.config.actor,
    list: on.name,
    values,
    end: on.end,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(reason === undefined ? {} : { reason }),
  });
  for (const line of result.changes) context.output.line(`  ${visible(line)}`);
  return { yes: true, json: result };
}

function linesOf(file: string): string[] {
  try {
    const lines = readFileSync(file, "utf8").split(/\r?\n/);
    return [...new Set(lines.map((line) => line.trim()).filter((line) => line !== ""))];
  } catch (error) {
    throw new SentinelError("rules.invalid", `${file} cannot be read: ${messageOf(error)}`, {
      hint: "give a text file with one value per line",
    });
  }
}
