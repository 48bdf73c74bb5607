// Sentinel's own check on labels: both classes are there, and fraud is as frequent as it should be.
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import { numericValues } from "../rows.ts";

interface LabelCounts {
  labelled: number;
  frauds: number;
  /** Labels that are there and neither 0 nor 1. */
  strange: number;
}

export const LABEL: readonly ExpectationDefinition[] = [
  {
    type: "sentinel_label_rate",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const min = kwargs.optionalNumber("min_value") ?? 0;
      const max = kwargs.optionalNumber("max_value") ?? 1;
      if (min > max) kwargs.wrong("min_value", "at most max_value");
      return (shape) => {
        shape.column(name);
        const counts: LabelCounts = { labelled: 0, frauds: 0, strange: 0 };
        return {
          push: (rows) => countLabels(numericValues(rows, name), counts),
          finish: () => judgeLabels(counts, { min, max }),
        };
      };
    },
  },
];

function judgeLabels(counts: LabelCounts, { min, max }: { readonly min: number; readonly max: number }): Outcome {
  const { labelled, frauds } = counts;
  const rate = labelled === 0 ? null : frauds / labelled;
  const problem = problemOf(counts, { min, max });
  const details = { labelled, frauds, ...(problem === null ? {} : { problem }) };
  return { success: problem === null, result: { observed_value: rate, details } };
}

function problemOf(
  { labelled, frauds, strange }: LabelCounts,
  { min, max }: { readonly min: number; readonly max: number },
): string | null {
  if (strange > 0) return `labels that are neither 0 nor 1: ${strange}`;
  if (labelled === 0) return "no row has a label";
  if (frauds === 0) return `no frauds at all among ${labelled} labelled rows`;
  if (frauds === labelled) return `one class only: all ${labelled} labelled rows are frauds`;
  const rate = frauds / labelled;
  if (rate >= min && rate <= max) return null;
  return `${percent(rate)} of the labelled rows are frauds, wanted are ${percent(min)} to ${percent(max)}`;
}

function countLabels(values: Float64Array, counts: LabelCounts): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) continue;
    counts.labelled++;
    if (value === 1) counts.frauds++;
    else if (value !== 0) counts.strange++;
  }
}

function percent(rate: number): string {
  return `${(rate * 100).toFixed(3).replace(/\.?0+$/, "")} %`;
}
