// `sentinel registry list | show VERSION | history | verify | push`: versions, aliases, who was champion when and why; does it hold; to a server.
import { SentinelError } from "../core/errors.ts";
import { movesOf } from "../core/journal.ts";
import { visible } from "../core/visible.ts";
import { lineageRows } from "../lifecycle/lineage/rows.ts";
import { championAt, history, openRegistry } from "../lifecycle/registry.ts";
import type { JournalEntry, ModelVersion } from "../ports/registry.ts";
import { timeOption } from "./options.ts";
import { pushRegistry } from "./registry-push.ts";
import { verify } from "./registry-verify.ts";
import type { Verb, VerbContext, VerbResult } from "./verb.ts";

/** Of the widest label of a lineage, and a gap. */
const LABEL_WIDTH = 15;

export const verb: Verb = {
  args: "<what> [version]",
  options: [
    ["--at <time>", "with history: who was champion at that time"],
    ["--to <uri>", "with push: the MLflow server (default: MLFLOW_TRACKING_URI)"],
    ["--model <name>", "with push: this model and its runs alone (default: all)"],
    ["--no-files", "with verify: leave the versions' files alone"],
  ],
  async run(context, { args, options }) {
    const [what, version] = args;
    if (what === "list") return list(context);
    if (what === "show") return show(context, version);
    if (what === "history") return showHistory(context, timeOption(options, "at"));
    if (what === "verify") return verify(context, options.files !== false);
    if (what === "push") return pushRegistry(context, options);
    throw new SentinelError("cli.usage", `registry knows no ${JSON.stringify(what)}`, {
      hint: "use `registry list`, `registry show VERSION`, `registry history [--at TIME]`, `registry verify` or `registry push`",
    });
  },
};

async function list(context: VerbContext): Promise<VerbResult> {
  const { model } = context.pipeline();
  const { registry } = await openRegistry(context.ports(), model);
  const versions = await registry.versions(model);
  const aliases = await registry.aliases(model);
  const names = (version: string): string =>
    Object.entries(aliases)
      .filter(([, target]) => target === version)
      .map(([alias]) => alias)
      .join(", ");
  const { output } = context;
  output.line(`${model} in ${registry.where}`);
  if (versions.length === 0) output.line("  no versions yet: `sentinel train` makes the first");
  else {
    output.table([
      ["version", "aliases", "made", "bundle", "gates"],
      ...versions.map((version) => [
        version.version,
        names(version.version),
        isoTime(version.createdAt),
        version.bundle.slice(0, 12),
        gatesOf(version),
      ]),
    ]);
  }
  return { yes: true, json: { model, where: registry.where, aliases, versions } };
}

async function show(context: VerbContext, wanted: string | undefined): Promise<VerbResult> {
  const { model } = context.pipeline();
  const { registry } = await openRegistry(context.ports(), model);
  const aliases = await registry.aliases(model);
  const version = wanted === undefined ? aliases.champion : (aliases[wanted] ?? wanted);
  if (version === undefined) {
    throw new SentinelError("lifecycle.no-champion", `${model} has no champion to show`, {
      hint: "name a version: `sentinel registry show 1` (see `sentinel registry list`)",
    });
  }
  const found = await registry.version(model, version);
  const files = await registry.load(model, version);
  const { output } = context;
  output.line(`${model} version ${found.version}, bundle ${found.bundle}`);
  output.line(`made ${isoTime(found.createdAt)}, run ${found.runId}: ${visible(found.description)}`);
  for (const [label, text] of lineageRows(found.tags)) output.line(`  ${label.padEnd(LABEL_WIDTH)}${visible(text)}`);
  output.table([["file", "bytes"], ...[...files].map(([name, bytes]) => [name, String(bytes.length)])]);
  const card = files.get("card.md");
  if (card !== undefined) output.line(`\n${new TextDecoder().decode(card)}`);
  return {
    yes: true,
    json: { ...found, files: Object.fromEntries([...files].map(([name, bytes]) => [name, bytes.length])) },
  };
}

async function showHistory(context: VerbContext, at: number | undefined): Promise<VerbResult> {
  const { model } = context.pipeline();
  if (at !== undefined) return showReign(context, { model, at });
  const { entries, chain, notes } = await history(context.ports(), model);
  const { output } = context;
  output.table([["time", "who", "verb", "alias", "from → to", "verdict", "why"], ...entries.flatMap(historyRows)]);
  output.line(
    chain.ok
      ? `  the chain of ${entries.length} entries is whole`
      : `  THE CHAIN IS BROKEN at entry ${chain.badIndex}: ${chain.why}`,
  );
  for (const note of notes) output.line(`  · ${visible(note)}`);
  return { yes: chain.ok, json: { model, entries, chain, notes } };
}

async function showReign(
  context: VerbContext,
  asked: { readonly model: string; readonly at: number },
): Promise<VerbResult> {
  const { output } = context;
  const reign = await championAt(context.ports(), asked);
  const { model, at, version, entry, chain, notes } = reign;
  output.line(
    entry === null || version === null
      ? `${model} had no champion at ${isoTime(at)}`
      : `version ${version} was champion of ${model} at ${isoTime(at)}: since ${isoTime(entry.at)}, by ${visible(`${entry.actor} (${entry.verb}, ${entry.verdict}): ${entry.reason}`)}`,
  );
  for (const note of notes) output.line(`  · ${visible(note)}`);
  return { yes: chain.ok, json: reign };
}

/** A line for each alias that moved; who, when and why stand in the first. */
function historyRows(entry: JournalEntry): string[][] {
  const { at, actor, verb, verdict, reason, origin } = entry;
  const was = origin === undefined ? [] : movesOf({ ...entry, ...origin });
  return movesOf(entry).map(({ alias, from, to }, place) => {
    const before = was[place] === undefined ? "" : ` (was ${was[place].from ?? "–"} → ${was[place].to ?? "–"})`;
    const move = `${from ?? "–"} → ${to ?? "–"}${before}`;
    if (place > 0) return ["", "", "", alias, move, "", "in the same step"];
    return [isoTime(at), actor, verb, alias, move, verdict, reason.slice(0, 80)];
  });
}

function gatesOf(version: ModelVersion): string {
  const refit = "sentinel.gate.refit" in version.tags ? ["refit"] : [];
  return ["data", "training", ...refit, "logic"]
    .map((gate) => `${gate} ${version.tags[`sentinel.gate.${gate}`] ?? "?"}`)
    .join(", ");
}

function isoTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z`;
}
