// Features of Elliptic: its 93 local and 72 aggregated numbers as they are.
import { declareColumns } from "sentinel-fraud";

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}_${i + 1}`);
const NUMBERS = [...numbered("Local_feature", 93), ...numbered("Aggregate_feature", 72)];
const f = declareColumns(Object.fromEntries(NUMBERS.map((name) => [name, "number" as const])));

export const elliptic = f.spec({ name: "elliptic", version: 1, features: NUMBERS.map((name) => f.column(name)) });
