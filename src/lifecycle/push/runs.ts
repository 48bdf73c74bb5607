// Runs on their way to a server: found again by the tag that names where they came from, and logged whole before they count.
import type { RunSummary } from "../../ports/registry.ts";
import { type Moved, PUSHED_FROM, type PushPorts } from "./ends.ts";

/** Tag of a run that was logged to its end: the state it had then. A run that goes on here is pushed again when it has ended. */
const PUSHED_STATE = "sentinel.pushed_state";

/** Ids here → ids there. `wanted` null: every run. */
export async function pushRuns(
  { source, target, report }: PushPorts,
  given: {
    readonly experiments: readonly string[];
    readonly wanted: ReadonlySet<string> | null;
    readonly notes: string[];
  },
): Promise<{ readonly ids: Record<string, string>; readonly count: Moved }> {
  const ids: Record<string, string> = {};
  let moved = 0;
  let there = 0;
  for (const experiment of given.experiments) {
    const runs = (await source.runs(experiment)).filter(({ runId }) => given.wanted?.has(runId) ?? true);
    if (runs.length === 0) continue;
    if (runs.length >= LISTED_MAX) given.notes.push(`of ${experiment} the newest ${runs.length} runs are moved`);
    const known = new Map((await target.runs(experiment)).map((run) => [run.tags[PUSHED_FROM], run]));
    for (const [done, run] of runs.entries()) {
      report.progress(`runs of ${experiment}`, done, runs.length);
      const before = known.get(run.runId);
      const whole = before?.tags[PUSHED_STATE] === run.status;
      ids[run.runId] = whole
        ? before.runId
        : await pushRun({ source, target }, { experiment, run, begun: before?.runId });
      if (whole) there++;
      else moved++;
    }
    const tags = await source.experimentTags(experiment);
    if (Object.keys(tags).length > 0) await target.tagExperiment(experiment, tags);
    report.progress(`runs of ${experiment}`, runs.length, runs.length);
  }
  return { ids, count: { moved, there } };
}

/** A registry lists so many runs of an experiment. */
const LISTED_MAX = 10_000;

/** Everything logged again is the same thing: parameters, metrics and datasets that are there already stay as they are. */
async function pushRun(
  { source, target }: Pick<PushPorts, "source" | "target">,
  given: { readonly experiment: string; readonly run: RunSummary; readonly begun: string | undefined },
): Promise<string> {
  const { experiment, run } = given;
  const { params, tags, startedAt, name, status } = run;
  const { metrics, datasets, user } = await source.runHistory(run.runId);
  const from = { [PUSHED_FROM]: run.runId };
  const id =
    given.begun ??
    (await target.startRun({
      experiment,
      name: name === "" ? run.runId : name,
      startedAt,
      user,
      tags: { ...tags, ...from },
    }));
  await target.logRun(id, { params, metrics, tags: { ...tags, ...from }, datasets, at: startedAt });
  if (status !== "RUNNING") await target.endRun(id, status, run.endedAt ?? startedAt);
  await target.logRun(id, { tags: { [PUSHED_STATE]: status }, at: startedAt });
  return id;
}
