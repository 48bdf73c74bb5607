// The rows of a training: read and judged by the data gate, cut by time, with their vectors; all in memory, or what an engine leaves to this machine.
import type { Verdict } from "../../core/verdict.ts";
import { readAlike } from "../../features/inputs.ts";
import { columnsOfPlan, type FeaturePlan } from "../../features/plan.ts";
import type { Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { aheadText, lackingText } from "../data/plausible.ts";
import {
  checkUniqueIds,
  keepColumns,
  labelsOf,
  readSource,
  reportUnlabelled,
  type Source,
  spanText,
  timesOf,
} from "../data/source.ts";
import { vectorsOf } from "../data/vectors.ts";
import { gateOf } from "../validate.ts";
import type { TrainRows } from "./basis.ts";
import { splitAfter, splitByTime } from "./split.ts";
import type { TrainInput } from "./task.ts";
import { SeenValues, unseenCheck } from "./unseen.ts";

/** What is asked of whoever has the rows. */
export interface RowsInput {
  readonly asked: TrainInput;
  readonly plan: FeaturePlan;
  readonly champion: Scorer | null;
  readonly seed: number;
  /** Cut what the champion has not learned, instead of the whole table. */
  readonly isContinued: boolean;
  lap(name: string): void;
}

/** Rows whose data gate has spoken; their vectors are made when they are asked for, and never where the gate failed. */
export interface OpenedRows {
  readonly data: Verdict;
  take(): Promise<TrainRows>;
}

export type RowsOf = (ports: Ports, input: RowsInput) => Promise<OpenedRows>;

/** The whole table in memory, replayed here. Errors: dataset.*, lifecycle.not-enough-data, ml.one-class. */
export const rowsInMemory: RowsOf = async (ports, { asked, plan, champion, isContinued, lap }) => {
  const { pipeline, recipe, verb } = asked;
  const { report } = ports;
  // A champion that reads a column otherwise gets a table of its own when it is compared.
  const plans = champion !== null && readAlike(plan, champion.plan) ? [plan, champion.plan] : [plan];
  const whole = await readData(ports, pipeline, { path: asked.path, plans, required: [plan], all: true });
  lap("read");
  const data = gateOf(pipeline, whole.table).verdict;
  lap("validate");
  // What only the gate asks about is not carried through the training.
  const source = keepColumns(whole, pipeline, plans.flatMap(columnsOfPlan));
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const split = isContinued
    ? splitAfter(times, labels, champion!.manifest.learnedUpTo)
    : splitByTime(times, labels, pipeline, recipe?.windowMs);
  report.line(`  ${source.table.rows.toLocaleString("en")} transactions, ${spanText(times)}`);
  reportUnlabelled(ports, source, pipeline);
  reportDoubts(ports, source, { pipeline, plan, verb });
  return {
    data,
    async take() {
      const { x, state } = vectorsOf(source.table, { plan, pipeline, report });
      lap("features");
      return {
        source,
        split,
        x,
        state,
        unseen() {
          const learned = new SeenValues(plan);
          learned.add(source.table, { times, rows: split.train.rows });
          return unseenCheck(source.table, { plan, times, learned, evaluate: split.evaluate.rows });
        },
        async vectorsBy(scorer) {
          const alike = readAlike(plan, scorer.plan);
          const { table } = alike ? source : await readAgain(ports, { scorer, pipeline, source });
          return vectorsOf(table, { plan: scorer.plan, pipeline, report }).x;
        },
      };
    },
  };
};

/** The same rows with the columns as another model reads them. */
async function readAgain(
  ports: Ports,
  given: { readonly scorer: Scorer; readonly pipeline: Pipeline; readonly source: Source },
): Promise<Source> {
  const { scorer, pipeline, source } = given;
  return readSource(await ports.dataset(), pipeline, {
    path: source.path,
    plans: [scorer.plan],
    required: [],
    labelled: true,
  });
}

/** Reads what training needs and refuses input that no verdict can be given on. */
export async function readData(
  ports: Ports,
  pipeline: Pipeline,
  given: {
    readonly path: string;
    readonly plans: readonly FeaturePlan[];
    /** Of these, the ones whose keys must be there; all when absent. */
    readonly required?: readonly FeaturePlan[];
    /** With what no feature reads: a suite may ask about it. */
    readonly all?: boolean;
  },
): Promise<Source> {
  const { path, plans, all = false } = given;
  const { required = plans } = given;
  const source = await readSource(await ports.dataset(), pipeline, { path, plans, required, labelled: true, all });
  checkUniqueIds(source, pipeline);
  return source;
}

/** Lines on what the table lacks. Errors: those of {@link aheadText}; what a retraining adds came through a server, which knows its clock. */
function reportDoubts(
  ports: Ports,
  source: Source,
  { pipeline, plan, verb }: { readonly pipeline: Pipeline; readonly plan: FeaturePlan; readonly verb: string },
): void {
  const ahead = verb === "retrain" ? null : aheadText(source, { pipeline, now: ports.clock.now() });
  for (const text of [lackingText(source, plan), ahead]) if (text !== null) ports.report.line(text);
}
