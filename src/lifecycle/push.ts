// Push: everything of the embedded registry moves to a server: runs, versions, evidence, journal, aliases; resumable at any point.
import type { ModelVersion, RegistryTarget } from "../ports/registry.ts";
import { type Moved, PUSHED_FROM, type PushPorts } from "./push/ends.ts";
import { pushJournal } from "./push/journal.ts";
import { pushRuns } from "./push/runs.ts";

export type { Moved } from "./push/ends.ts";

export interface PushInput {
  /** One model with the runs its versions came from; null: all models and all runs. */
  readonly model: string | null;
  readonly actor: string;
  readonly now: number;
  /** Name of the mapping, of the letters a snapshot's name may have. */
  readonly mapping: string;
}

export interface PushResult {
  readonly from: string;
  readonly to: string;
  readonly runs: Moved;
  readonly versions: Moved;
  readonly entries: Moved;
  /** Number here → number there, by model. */
  readonly numbers: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Aliases that the server had already, and kept. */
  readonly kept: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Moves what is not there yet, in order: runs, versions by number, then each journal with its evidence, then the aliases. What was
 * moved carries a tag that says where it came from, so a push that was killed goes on, and a second one finds nothing to do.
 */
export async function push(ports: PushPorts, input: PushInput): Promise<PushResult> {
  const { source, target, mappings } = ports;
  const { experiments, models } = await source.contents();
  const chosen = input.model === null ? models : models.filter((model) => model === input.model);
  const versions = new Map<string, readonly ModelVersion[]>();
  for (const model of chosen) versions.set(model, await source.versions(model));
  const wanted = input.model === null ? null : new Set([...versions.values()].flat().map(({ runId }) => runId));
  const notes: string[] = [];
  if (input.model !== null && chosen.length === 0) notes.push(`there is no model ${input.model} here`);
  const runs = await pushRuns(ports, { experiments, wanted, notes });
  const numbers: Record<string, Record<string, string>> = {};
  const count = { versions: { moved: 0, there: 0 }, entries: { moved: 0, there: 0 } };
  const kept: string[] = [];
  const save = (): Promise<void> =>
    mappings.save(
      input.mapping,
      new TextEncoder().encode(`${JSON.stringify({ to: target.where, runs: runs.ids, versions: numbers }, null, 2)}\n`),
    );
  for (const model of chosen) {
    const own = versions.get(model) ?? [];
    const result = await pushVersions(ports, { ...input, model, versions: own, runs: runs.ids, notes });
    numbers[model] = result.numbers;
    await save();
    count.versions.moved += result.moved;
    count.versions.there += result.there;
    const journal = await pushJournal(ports, { ...input, model, numbers: result.numbers });
    count.entries.moved += journal.moved;
    count.entries.there += journal.there;
    kept.push(...journal.kept.map((alias) => `${alias} of ${model}`));
  }
  await save();
  return { from: source.where, to: target.where, runs: runs.count, ...count, numbers, kept, notes };
}

async function pushVersions(
  { source, target, report }: PushPorts,
  input: {
    readonly model: string;
    readonly now: number;
    readonly actor: string;
    readonly versions: readonly ModelVersion[];
    readonly runs: Readonly<Record<string, string>>;
    readonly notes: string[];
  },
): Promise<Moved & { readonly numbers: Record<string, string> }> {
  const { model, versions, runs, notes } = input;
  const numbers: Record<string, string> = {};
  const known = new Map((await target.versions(model)).map(({ tags, version }) => [tags[PUSHED_FROM], version]));
  let moved = 0;
  let there = 0;
  for (const [done, found] of versions.entries()) {
    report.progress(`versions of ${model}`, done, versions.length);
    const { version, runId, bundle, description, tags, createdAt } = found;
    const origin = `${runId}/${version}`;
    const before = known.get(origin);
    if (before !== undefined) {
      numbers[version] = before;
      there++;
      continue;
    }
    if (bundle === "") {
      notes.push(`${model} version ${version} was not registered by Sentinel and stays here`);
      continue;
    }
    const made = await target.register({
      model,
      runId: runs[runId] ?? (await standInRun(target, { ...input, runId, version })),
      files: await source.load(model, version),
      description,
      tags: { ...tags, [PUSHED_FROM]: origin },
      at: createdAt,
    });
    numbers[version] = made.version;
    moved++;
  }
  report.progress(`versions of ${model}`, versions.length, versions.length);
  return { moved, there, numbers };
}

/** MLflow wants a run for every version; one whose run was deleted here gets an empty one. */
async function standInRun(
  target: RegistryTarget,
  given: {
    readonly model: string;
    readonly version: string;
    readonly runId: string;
    readonly now: number;
    readonly actor: string;
  },
): Promise<string> {
  const { model, version, runId, now, actor } = given;
  const stand = await target.startRun({
    experiment: "sentinel.pushed",
    name: `${model} version ${version}, whose run was deleted`.slice(0, 250),
    startedAt: now,
    user: actor,
    tags: runId === "" ? {} : { [PUSHED_FROM]: runId },
  });
  await target.endRun(stand, "FINISHED", now);
  return stand;
}
