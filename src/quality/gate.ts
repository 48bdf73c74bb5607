// The data gate: is this data fit? A suite and Sentinel's own requirements over a table, ending in a verdict.
import type { Table } from "../core/table.ts";
import type { Check, Verdict } from "../core/verdict.ts";
import { checkName, observedText, requiredText } from "./describe.ts";
import { type Batches, type Evaluated, evaluateBatches, evaluateTable, type Onlooker } from "./evaluate.ts";
import type { RequiredKind } from "./expectations/schema.ts";
import type { ExpectationResult, ValidationResult } from "./result.ts";
import type { FaultRows } from "./sample.ts";
import { type Expectation, makeExpectation, type Severity, type Suite } from "./suite.ts";
import type { TallyPool } from "./tally-pool.ts";

/** What Sentinel asks beside the suite. Infinity is asked for always; the rest where it is given. */
export interface Requirements {
  /** Columns that must be there, and of which type; `key` is a number or a text. */
  readonly columns?: Readonly<Record<string, RequiredKind>>;
  /** Milliseconds since 1970 UTC; needed by `freshness`. */
  readonly now?: number;
  readonly freshness?: Ask & { readonly column: string; readonly maxAge: string; readonly maxAhead?: string };
  readonly volume?: Ask & { readonly column: string; readonly minRatio?: number; readonly maxRatio?: number };
  readonly labelRate?: Ask & { readonly column: string; readonly min?: number; readonly max?: number };
  readonly timeOrder?: Ask & { readonly column: string };
}

interface Ask {
  readonly severity?: Severity;
}

export interface DataGateResult {
  readonly verdict: Verdict;
  /** The whole validation in Great Expectations' JSON: first the requirements, then the suite in its order. */
  readonly result: ValidationResult;
  /** In the same order, which rows are at fault; null for a check that judges no single row. */
  readonly faults: readonly (FaultRows | null)[];
}

/**
 * Fails when a critical check fails, when one of them cannot be judged for an error in the data, or when any check of any
 * severity is unsupported. A failing `warning` or `info` check is named in the reasons and does not fail the gate.
 * Throws only `quality.suite-invalid`, for requirements that make no sense.
 */
export function dataGate({
  table,
  suite,
  requirements = {},
  pool,
}: GateInput & { readonly table: Table }): DataGateResult {
  const { now = null } = requirements;
  return gateResult(evaluateTable(table, wholeSuite(suite, requirements), { now, pool }));
}

/** The same of a table that comes in batches. Errors: those of reading. */
export async function dataGateOfBatches({
  batches,
  suite,
  requirements = {},
  pool,
  onlooker,
}: GateInput & { readonly batches: Batches; readonly onlooker?: Onlooker }): Promise<DataGateResult> {
  const { now = null } = requirements;
  return gateResult(await evaluateBatches(batches, wholeSuite(suite, requirements), { now, pool, onlooker }));
}

interface GateInput {
  readonly suite: Suite;
  readonly requirements?: Requirements;
  /** Memory of counts of different values; without one they stay in memory. */
  readonly pool?: TallyPool;
}

function wholeSuite(suite: Suite, requirements: Requirements): Suite {
  return { ...suite, expectations: [...requirementExpectations(requirements), ...suite.expectations] };
}

function gateResult({ result, faults }: Evaluated): DataGateResult {
  return { verdict: verdictFor(result), result, faults };
}

function verdictFor(result: ValidationResult): Verdict {
  const failing = result.results.filter(({ success }) => !success);
  const stopping = failing.filter(stopsGate);
  const warnings = failing.filter((one) => !stopsGate(one));
  const count = result.results.length;
  const summary =
    warnings.length === 0
      ? `all ${count} checks passed`
      : `${count - warnings.length} of ${count} checks passed, the others are not critical`;
  return {
    gate: "data",
    verdict: stopping.length === 0 ? "pass" : "fail",
    reasons: [
      ...(stopping.length === 0 ? [summary] : []),
      ...stopping.map(reasonOf),
      ...warnings.map((one) => `${one.expectation_config.severity}: ${reasonOf(one)}`),
    ],
    checks: result.results.map(checkOf),
  };
}

/** What cannot be judged at all fails at any severity: a check nobody ran must not look like one that passed. */
function stopsGate({ expectation_config: { severity }, meta: { status } }: ExpectationResult): boolean {
  return severity === "critical" || status === "unsupported";
}

function checkOf(outcome: ExpectationResult): Check {
  const check = {
    name: checkName(outcome),
    passed: outcome.success,
    observed: observedText(outcome),
    required: requiredText(outcome),
  };
  return outcome.success ? check : { ...check, reason: reasonOf(outcome) };
}

function reasonOf(outcome: ExpectationResult): string {
  const { notes, description } = outcome.expectation_config;
  const why = (description ?? notes ?? "").split("\n")[0];
  const wanted = outcome.meta.status === "failed" ? `; wanted: ${requiredText(outcome)}` : "";
  return `${checkName(outcome)}: ${observedText(outcome)}${wanted}${why === "" ? "" : ` (${why})`}`;
}

function requirementExpectations(requirements: Requirements): readonly Expectation[] {
  const { columns, freshness, volume, labelRate, timeOrder } = requirements;
  return [
    columns && makeExpectation("sentinel_schema", { kwargs: { columns } }),
    makeExpectation("sentinel_no_infinity", { kwargs: {} }),
    freshness &&
      makeExpectation("sentinel_freshness", {
        kwargs: { column: freshness.column, max_age: freshness.maxAge, ...given("max_ahead", freshness.maxAhead) },
        severity: freshness.severity,
      }),
    timeOrder &&
      makeExpectation("sentinel_time_order", { kwargs: { column: timeOrder.column }, severity: timeOrder.severity }),
    volume &&
      makeExpectation("sentinel_volume", {
        kwargs: {
          column: volume.column,
          ...given("min_ratio", volume.minRatio),
          ...given("max_ratio", volume.maxRatio),
        },
        severity: volume.severity,
      }),
    labelRate &&
      makeExpectation("sentinel_label_rate", {
        kwargs: {
          column: labelRate.column,
          ...given("min_value", labelRate.min),
          ...given("max_value", labelRate.max),
        },
        severity: labelRate.severity,
      }),
  ].filter((expectation) => expectation !== undefined);
}

function given(name: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === undefined ? {} : { [name]: value };
}
