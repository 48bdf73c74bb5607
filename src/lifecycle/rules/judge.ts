// The rule gate: whether a rule may go live, on its figures; HOLD says how many more hits it takes.
import type { Rule } from "../../core/rule.ts";
import type { Check, Verdict } from "../../core/verdict.ts";
import { wilson } from "../../evidence/proportion.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { RuleFigures } from "./figures.ts";

/** Hits that a HOLD looks ahead for, at most. */
const HITS_AHEAD_MAX = 1_000_000;

/** PROMOTE, HOLD or REJECT, with reasons. `fraudRate`: of all matured rows. */
export function judgeRule(
  rule: Rule,
  figures: RuleFigures,
  on: { readonly pipeline: Pick<Pipeline, "gates" | "decisions">; readonly fraudRate: number },
): Verdict {
  const { gates, decisions } = on.pipeline;
  const { hitsMin } = gates.rule;
  const { precision } = figures;
  if (rule.action === "tag") return verdict("PROMOTE", ["a tag decides nothing"], []);
  const enough: Check = {
    name: "hits",
    passed: precision.rows >= hitsMin,
    observed: `${precision.rows} matured hits`,
    required: `${hitsMin}`,
  };
  if (figures.fires === 0) return verdict("HOLD", ["it never fired on this past"], [enough]);
  if (rule.action === "approve") return judgeApproval(figures, enough, on.fraudRate);
  const wanted = rule.action === "block" ? decisions.blockPrecision : gates.rule.precisionMin;
  const range = `${percent(precision.low)}–${percent(precision.high)}`;
  const right: Check = {
    name: "precision",
    passed: precision.low >= wanted,
    observed: `${percent(precision.value)} (${range})`,
    required: `at least ${percent(wanted)}`,
  };
  const added = figures.beyondModel?.frauds ?? figures.onlyMe;
  const adds: Check = {
    name: "marginal value",
    passed: added > 0,
    observed: `${added} frauds that nothing else catches`,
    required: "at least 1",
  };
  const checks = [enough, right, adds];
  if (!enough.passed) {
    const more = hitsMin - precision.rows;
    return verdict("HOLD", [`${precision.rows} matured hits: ${more} more are needed${inDays(more, figures)}`], checks);
  }
  if (precision.high < wanted) {
    return verdict(
      "REJECT",
      [`its precision is ${range}, below the ${percent(wanted)} that a ${rule.action} rule needs`],
      checks,
    );
  }
  if (!right.passed) {
    const more = hitsAhead(precision, wanted);
    const what = `its precision is ${percent(precision.value)} (${range}), not surely ${percent(wanted)}`;
    const ahead = more === null ? "" : `: about ${more} more hits would decide it${inDays(more, figures)}`;
    return verdict("HOLD", [what + ahead], checks);
  }
  if (!adds.passed) {
    const by = figures.beyondModel === null ? "other rules catch" : "the model and other rules catch";
    return verdict("REJECT", [`every fraud that it finds ${by} too`], checks);
  }
  return verdict(
    "PROMOTE",
    [`precision ${percent(precision.value)} (${range}), and ${added} frauds that nothing else catches`],
    checks,
  );
}

/** An approval must not let frauds through more often than they come anyhow. */
function judgeApproval({ precision, unknowable }: RuleFigures, enough: Check, fraudRate: number): Verdict {
  const range = `${percent(precision.low)}–${percent(precision.high)}`;
  const safe: Check = {
    name: "frauds let through",
    passed: precision.high <= fraudRate,
    observed: `${percent(precision.value)} of its hits (${range})`,
    required: `at most ${percent(fraudRate)}, as of all transactions`,
  };
  const checks = [enough, safe];
  const blind = unknowable > 0 ? [`of ${unknowable} of its hits nobody knows what they would have been`] : [];
  if (!enough.passed) return verdict("HOLD", [`${enough.observed}, ${enough.required} are needed`, ...blind], checks);
  if (precision.low > fraudRate) {
    return verdict("REJECT", [`${range} of what it lets through is fraud, more than of all transactions`], checks);
  }
  if (!safe.passed)
    return verdict("HOLD", [`${safe.observed} are frauds, ${safe.required} is needed`, ...blind], checks);
  return verdict("PROMOTE", [`${percent(precision.value)} of its hits (${range}) are frauds`, ...blind], checks);
}

/** More hits at the same precision until the interval clears the line; null where it stands on the wrong side. */
function hitsAhead({ value, rows }: { readonly value: number; readonly rows: number }, wanted: number): number | null {
  if (value <= wanted) return null;
  for (let more = 1; more <= HITS_AHEAD_MAX; more = Math.ceil(more * 1.2)) {
    if (wilson(value, rows + more).low >= wanted) return more;
  }
  return null;
}

function inDays(more: number, { firesPerDay }: RuleFigures): string {
  return firesPerDay > 0 ? `, about ${Math.ceil(more / firesPerDay)} days` : "";
}

function verdict(word: "PROMOTE" | "HOLD" | "REJECT", reasons: readonly string[], checks: readonly Check[]): Verdict {
  return { gate: "rule", verdict: word, reasons, checks };
}

export function percent(share: number): string {
  if (!Number.isFinite(share)) return "unknown";
  const value = share * 100;
  return `${value.toFixed(value > 0 && value < 1 ? 2 : 1)} %`;
}
