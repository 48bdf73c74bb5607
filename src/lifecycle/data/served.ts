// Served: the log's newest transactions beside a table's or a training's keys and fields.
import { orderBy, type Table } from "../../core/table.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { type InputReport, InputTally, type TrainedInputs, trainedInputs } from "../../features/trained-inputs.ts";
import { loadInputs } from "../../online/served-inputs.ts";
import { transactionOf } from "../../online/states.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { timesOf } from "./source.ts";

/** Newest transactions of the log that are looked at. */
const ROWS_MAX = 5000;

/** How the log's newest transactions would feed a plan, beside what training kept of its own, or beside `trained`. Errors: log.*. */
export async function servedReport(
  ports: Ports,
  given: {
    readonly pipeline: Pipeline;
    readonly plan: FeaturePlan;
    readonly trained?: TrainedInputs;
    readonly bundle?: string;
  },
): Promise<InputReport> {
  const { pipeline, plan, bundle } = given;
  const trained = given.trained ?? (await loadInputs(ports, { pipeline: pipeline.name, plan }));
  const tally = new InputTally(plan, trained);
  for (const record of await (await ports.log()).recent(ROWS_MAX)) {
    if (bundle === undefined || record.bundle === bundle) tally.add(transactionOf(record));
  }
  return tally.report({ examples: true });
}

/** What a table's columns look like to a plan. */
export function inputsOfTable(
  table: Table,
  given: { readonly pipeline: Pipeline; readonly plan: FeaturePlan; readonly dataHash: string },
): TrainedInputs {
  const { pipeline, plan, dataHash } = given;
  return trainedInputs(table, { plan, order: orderBy(timesOf(table, pipeline)), dataHash });
}
