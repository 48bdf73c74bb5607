// Verdicts: what a gate answers. A "no" is a value with reasons, never an exception.

/** One question a gate asked, with what it saw and what it wanted. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen, ready to print. */
  readonly observed: string;
  /** What was wanted, ready to print. */
  readonly required: string;
  readonly reason?: string;
}

export type GateName = "data" | "training" | "refit" | "logic" | "promotion" | "rollback" | "rule";
export type VerdictWord = "pass" | "fail" | "PROMOTE" | "HOLD" | "REJECT";

export interface Verdict {
  readonly gate: GateName;
  readonly verdict: VerdictWord;
  /** Why, in sentences a person can act on; never empty. */
  readonly reasons: readonly string[];
  readonly checks: readonly Check[];
}

/** pass when every check passed, else fail with the failing checks as reasons. */
export function verdictOf(gate: GateName, checks: readonly Check[]): Verdict {
  const failed = checks.filter((check) => !check.passed);
  const reasons =
    failed.length === 0
      ? [`all ${checks.length} checks passed`]
      : failed.map((check) => check.reason ?? `${check.name}: ${check.observed}, required ${check.required}`);
  return { gate, verdict: failed.length === 0 ? "pass" : "fail", reasons, checks };
}

/** True where the life of a model may go on: pass or PROMOTE. */
export function isYes(verdict: Verdict): boolean {
  return verdict.verdict === "pass" || verdict.verdict === "PROMOTE";
}
