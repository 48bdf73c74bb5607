// `sentinel inspect FILE`: looks at a stranger's table and writes a first pipeline, features, suite and schema from it.
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { type InspectResult, inspect } from "../lifecycle/inspect.ts";
import { pipelineNames } from "../pipeline/pipeline.ts";
import { textOption } from "./options.ts";
import type { Verb } from "./verb.ts";

const SHOWN_MAX = 60;

export const verb: Verb = {
  args: "<file>",
  options: [
    ["--name <name>", "name of the pipeline and its files (default: the file's)"],
    ["--label <column>", "the column that says what was fraud (default: guessed)"],
    ["--time <column>", "the column that says when (default: guessed)"],
  ],
  async run(context, { args, options }) {
    const { output, config } = context;
    const { workspace } = config;
    const name = textOption(options, "name") ?? nameOf(args[0]);
    if (!/^[\w-]{1,100}$/.test(name)) {
      throw new SentinelError("cli.usage", `--name ${name} has other signs than letters, digits, _ and -`, {
        hint: "name the pipeline with --name payments",
      });
    }
    const [label, time] = [textOption(options, "label"), textOption(options, "time")];
    const result = await inspect(context.ports(), { path: args[0], workspace, name, label, time });
    const { rows, profiles, guesses, fraudRate, features, written } = result;
    output.heading(`${rows.toLocaleString("en")} rows of ${args[0]}`);
    output.table([
      ["column", "type", "role", "different", "missing", "examples"],
      ...profiles
        .slice(0, SHOWN_MAX)
        .map((profile) => [
          visible(profile.name),
          profile.type,
          roleOf(profile.name, guesses),
          String(profile.distinct),
          String(profile.missing),
          visible(profile.examples.join(" · ")),
        ]),
    ]);
    if (profiles.length > SHOWN_MAX) output.line(`  and ${profiles.length - SHOWN_MAX} columns more`);
    output.line(`\n  ${(100 * fraudRate).toFixed(2)} % of the labelled rows are frauds; ${features} features`);
    for (const doubt of guesses.doubts) output.line(`  ? ${visible(doubt)}`);
    for (const file of written) output.line(`  made ${file}`);
    const which = pipelineNames(workspace).length > 1 ? ` --pipeline ${name}` : "";
    output.line(`\nnext:\n  npx sentinel train${which}\n  npx sentinel promote${which}`);
    return { yes: true, json: documentOf(result) };
  },
};

/** The file's name without its endings, or the folder's. */
function nameOf(file: string): string {
  const stem = path.basename(file.split(",")[0]).replace(/[.*?].*$/, "");
  return stem.replace(/[^\w-]+/g, "-").toLowerCase() || "payments";
}

function roleOf(
  name: string,
  { id, time, amount, label, card, keys, categories, numbers }: InspectResult["guesses"],
): string {
  const roles = { id: id.columns, time: time.columns, amount: amount?.columns ?? [], label: label.columns };
  const role = Object.entries(roles).find(([, columns]) => columns.includes(name));
  if (role !== undefined) return role[0];
  if (name === card) return "card";
  if (keys.includes(name)) return "key";
  if (categories.includes(name)) return "category";
  return numbers.includes(name) ? "number" : "–";
}

function documentOf({ profiles, guesses, ...rest }: InspectResult): object {
  const columns = profiles.map(({ name, type, distinct, missing, examples }) => {
    return { name, type, role: roleOf(name, guesses), distinct, missing, examples };
  });
  return { ...rest, columns, doubts: guesses.doubts };
}
