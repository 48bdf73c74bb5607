// The feature table: its columns, their types and what the file says of itself, however many processes write it.
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson } from "../../core/hash.ts";
import type { Column, Table } from "../../core/table.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";

/** The columns before the features. */
export const HEAD = ["transaction_id", "time", "label"] as const;
/** Rows of a batch: whole chunks of a Parquet row group; with a hundred features it takes 100 MB on its way. */
export const BATCH_ROWS = 61_440;

/** DuckDB, Spark and pandas on Arrow tell columns apart without regard to case, or fail on those that differ by it alone. */
export function checkNames(plan: FeaturePlan, more: readonly string[] = []): void {
  const own = [...HEAD, ...more];
  const seen = new Map<string, string>(own.map((name) => [name, name]));
  for (const name of plan.names) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw new SentinelError(
        "features.spec-invalid",
        `the feature table of ${plan.spec.name} cannot hold the columns ${other} and ${name} side by side`,
        { hint: `give the feature ${name} a name that differs by more than case; ${own.join(", ")} are taken` },
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

/** Which features and data the table is made of, for its key-value metadata. */
export function tableMetadata(of: {
  readonly plan: FeaturePlan;
  readonly pipeline: Pipeline;
  readonly dataHash: string;
  readonly packageVersion: string;
}): Readonly<Record<string, string>> {
  const { plan, pipeline } = of;
  return {
    "sentinel.version": of.packageVersion,
    "sentinel.pipeline": pipeline.name,
    "sentinel.features": canonicalJson(plan.spec),
    "sentinel.features.hash": plan.hash,
    "sentinel.data.hash": of.dataHash,
    "sentinel.labels.delay_ms": String(pipeline.labels.delayMs),
  };
}

/** The columns before the features, for the whole table. */
export function headOf(table: Table, columns: Pick<Pipeline["columns"], "id" | "time" | "label">): Table {
  const time = table.columns.get(columns.time)!;
  const asTime: Column = time.kind === "text" ? time : { kind: "time", values: time.values };
  const cells = [table.columns.get(columns.id)!, asTime, table.columns.get(columns.label)!];
  return { rows: table.rows, columns: new Map(HEAD.map((name, i) => [name, cells[i]])) };
}

/** Whether all ids are whole numbers. */
export function areWhole(id: Column): boolean {
  return id.kind === "number" && id.values.every((value) => Number.isNaN(value) || Number.isSafeInteger(value));
}

/** Ids that are whole numbers stay such; the label is 0 or 1. */
export function integersOf(idsAreWhole: boolean): string[] {
  return idsAreWhole ? ["transaction_id", "label"] : ["label"];
}
