// Windows of rules are warmed from the pipeline's table before the rules may act, as a model's windows are by training.
import { existsSync } from "node:fs";
import { isRemote } from "../../core/remote.ts";
import { covers, type FeaturePlan, layoutOf } from "../../features/plan.ts";
import { replayRows } from "../../features/replay.ts";
import { windowPlan } from "../../online/rules.ts";
import { loadState, saveTrainingState } from "../../online/states.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RuleWindow } from "../../rules/window.ts";
import { readSource } from "../data/source.ts";
import { replayInput } from "../data/vectors.ts";

/**
 * Leaves a feature state for the windows of the rules that are asked, unless the champion's own holds all that they read, or one is there from
 * the very same table. Without a table the windows fill from the log and the traffic.
 */
export async function warmWindows(
  ports: Ports,
  of: {
    readonly pipeline: Pipeline;
    /** Of the rules that are asked. */
    readonly windows: readonly RuleWindow[];
    readonly champion: FeaturePlan | null;
  },
): Promise<void> {
  const { pipeline, champion } = of;
  const plan = windowPlan(of);
  if (plan === null || (champion !== null && covers(layoutOf([champion]), plan))) return;
  if (!pipeline.source.split(",").every((file) => isRemote(file) || /[*?]/.test(file) || existsSync(file))) return;
  const dataset = await ports.dataset();
  const about = { pipeline: pipeline.name, layout: plan.layoutHash };
  const there = await loadState(ports, "train", about);
  if (there !== null && there.origin.dataHash === (await dataset.hash(pipeline.source))) return;
  const source = await readSource(dataset, pipeline, { path: pipeline.source, plans: [plan], labelled: false });
  const { table } = source;
  if (table.rows === 0) return;
  const state = replayRows(replayInput(table, { plan, pipeline, report: ports.report }), () => {});
  await saveTrainingState(ports, {
    ...about,
    state,
    dataHash: source.hash,
    dataPath: pipeline.source,
    trainedUpTo: state.watermark,
  });
}
