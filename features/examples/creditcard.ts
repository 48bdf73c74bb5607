// Features of ULB's creditcard.csv: the 28 components as they are, the amount, the hour.
import type { FeatureDef } from "sentinel-fraud";
import { declareColumns } from "sentinel-fraud";

const COMPONENTS = Array.from({ length: 28 }, (_, i) => `V${i + 1}`);
const f = declareColumns({
  Amount: "number",
  ...Object.fromEntries(COMPONENTS.map((name) => [name, "number" as const])),
});
/** The number in a column, under the column's own name. */
const column = (name: string): FeatureDef => ({ kind: "column", name, column: name });

export const creditcard = f.spec({
  name: "creditcard",
  version: 1,
  features: [f.column("Amount"), f.time("hour", "hour"), ...COMPONENTS.map(column)],
});
