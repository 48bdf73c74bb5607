// Topics: which features say the same thing to an analyst, and the stable code of each such thing.
import type { FeatureDef, FeatureSpec } from "../../features/definition.ts";
import { ANOMALY_INPUT } from "./attribution.ts";

/**
 * Codes by feature, such as `TERMINAL_FRAUD_RATE`. The rule: features of one key and one measure share a code, whatever
 * their windows, delays and aggregates; a feature computed of others (ratio, difference) takes its code from the codes of
 * what it is computed of; any other feature stands for itself. Codes hang on columns and measures, never on the numbers
 * in a spec, so that they outlive its tuning.
 */
export function topicsOf(spec: FeatureSpec): ReadonlyMap<string, string> {
  const topics = new Map<string, string>([[ANOMALY_INPUT, "UNUSUAL_TRANSACTION"]]);
  for (const def of spec.features) topics.set(def.name, topicOf(def, topics));
  return topics;
}

function topicOf(def: FeatureDef, earlier: ReadonlyMap<string, string>): string {
  switch (def.kind) {
    case "column":
    case "category":
      return codeOf(def.column);
    case "time":
      return def.part === "hour" || def.part === "night" ? "TIME_OF_DAY" : "DAY_OF_WEEK";
    case "window":
      return `${roleCode(def)}_${windowMeasure(def.over, def.aggregate)}`;
    case "elapsed":
      return `${roleCode(def)}_${def.since.endsWith("fraud") ? "FRAUD_RECENCY" : "TRANSACTION_RECENCY"}`;
    case "since-fraud":
      return `${roleCode(def)}_FRAUD_RECENCY`;
    case "multiple":
      return `${keyCode(def.key)}_${codeOf(def.over)}_BURST`;
    case "percentile":
      return `${keyCode(def.key)}_${codeOf(def.over)}`;
    case "first-seen":
    case "new-values":
      return `${keyCode(def.key)}_NEW_${keyCode([def.column])}`;
    case "neighbours":
      return `${keyCode(def.key)}_${def.measure === "count" ? "" : "FRAUD_"}NEIGHBOURS_${keyCode([def.column])}`;
    case "two-hops":
      return `${keyCode(def.key)}_FRAUDS_THROUGH_${keyCode(def.through)}`;
    case "fraud-value":
      return `${keyCode(def.key)}_FRAUD_${codeOf(def.over)}`;
    case "fraud-run":
      return `${keyCode(def.key)}_FRAUD_RUN`;
    case "movement":
      return `${keyCode(def.key)}_MOVEMENT`;
    case "ratio":
      return composed([earlier.get(def.numerator)!, earlier.get(def.denominator)!]);
    case "difference":
      return composed([earlier.get(def.of)!, earlier.get(def.minus)!]);
    case "expression":
      return codeOf(def.name);
  }
}

/** Reported frauds as a count and as a share are one measure; so are the aggregates of one column. */
function windowMeasure(over: string, aggregate: string | undefined): string {
  if (over === "frauds" || over === "fraud-rate") return "FRAUD_RATE";
  if (over === "transactions" || over === "genuine") return "TRANSACTIONS";
  return aggregate === "distinct" ? `DISTINCT_${keyCode([over])}` : codeOf(over);
}

const VERSUS = "_VS_";

/** The different codes of the parts, in their order: `AMOUNT_VS_CUSTOMER_AMOUNT`; a thing against itself has changed. */
function composed(parts: readonly string[]): string {
  const codes = [...new Set(parts.flatMap((part) => part.split(VERSUS)))];
  return codes.length === 1 ? `${codes[0]}_CHANGE` : codes.join(VERSUS);
}

/** A key in another role is another thing to say. */
function roleCode({ key, history }: { readonly key: readonly string[]; readonly history?: readonly string[] }): string {
  return history === undefined ? keyCode(key) : `${keyCode(key)}_AS_${keyCode(history)}`;
}

function keyCode(key: readonly string[]): string {
  return key.map((column) => codeOf(column.replace(/_id$/i, ""))).join("_");
}

function codeOf(name: string): string {
  return name
    .replace(/([a-z\d])([A-Z])/g, "$1_$2")
    .replace(/\W+/g, "_")
    .toUpperCase();
}
