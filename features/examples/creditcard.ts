// Features of ULB's creditcard.csv: the 28 components as they are, the amount, the hour.
import { declareColumns } from "sentinel-fraud";

const COMPONENTS = Array.from({ length: 28 }, (_, i) => `V${i + 1}`);
const f = declareColumns({
  Amount: "number",
  ...Object.fromEntries(COMPONENTS.map((name) => [name, "number" as const])),
});

export const creditcard = f.spec({
  name: "creditcard",
  version: 1,
  features: [f.column("Amount"), f.time("hour", "hour"), ...COMPONENTS.map((name) => f.column(name))],
});
