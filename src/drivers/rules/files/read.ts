// Rules as earlier versions kept them, in files of a folder per pipeline: read once, whole, to be taken over into the store.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { type ListChange, type RuleSet, ruleSetHash } from "../../../core/rule.ts";
import type { RulesCopy, RulesEntry } from "../../../ports/rules.ts";

/** Null where there are none. What the journal's last whole line names is what counts. Errors: rules.unreadable. */
export async function readFileRules(of: {
  readonly dir: string;
  readonly pipeline: string;
}): Promise<RulesCopy | null> {
  const folder = path.join(of.dir, of.pipeline);
  const entries = await linesOf<RulesEntry>(path.join(folder, "journal.ndjson"));
  if (entries.length === 0) return null;
  const hashes = new Set(entries.flatMap(({ live, candidate }) => [live.to, candidate.to]));
  const sets: RuleSet[] = [];
  for (const hash of hashes) if (hash !== null) sets.push(await setOf(path.join(folder, "sets", `${hash}.json`), hash));
  const counts: Record<string, number> = {};
  for (const entry of entries) Object.assign(counts, entry.counts ?? {});
  const lists: Record<string, readonly ListChange[]> = {};
  for (const [name, count] of Object.entries(counts)) {
    const file = path.join(folder, "lists", `${name}.ndjson`);
    const changes = await linesOf<ListChange>(file);
    if (changes.length < count) throw unreadable(file, `it has ${changes.length} changes, not ${count}`);
    lists[name] = changes.slice(0, count);
  }
  return { entries, sets, lists };
}

async function setOf(file: string, hash: string): Promise<RuleSet> {
  const set = parsed<RuleSet>((await textOf(file)) ?? "", file);
  if (ruleSetHash(set) !== hash) throw unreadable(file, "its content is not what its hash says");
  return set;
}

/** Whole lines only: one that a killed process left half written never counted. */
async function linesOf<Line>(file: string): Promise<readonly Line[]> {
  const text = (await textOf(file)) ?? "";
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parsed<Line>(line, file));
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw unreadable(file, messageOf(error));
  }
}

function parsed<Value>(text: string, file: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch (error) {
    throw unreadable(file, messageOf(error));
  }
}

function unreadable(file: string, what: string): SentinelError {
  return new SentinelError("rules.unreadable", `${file} cannot be read: ${what}`, {
    hint: "put the folder back from a backup, or move it away if its rules are not wanted any more",
  });
}
