// Exploration: of what the model blocks, a share by amount is let through by chance, so that blocking can be judged at all.
import type { Decision } from "../core/decision.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import type { RuleOutcome } from "../core/rule.ts";
import type { FieldValue } from "../core/transaction.ts";
import type { ExploreRules } from "../pipeline/decisions.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Explored } from "../ports/log.ts";

/** What a draw needs to know of a transaction. */
export interface Drawable {
  readonly id: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
}

/** What a draw about a transaction that the model blocks came to. */
export interface Draw {
  readonly decision: Decision;
  readonly explored: Explored;
}

/** Draws by a pipeline's rules. */
export interface Explorer {
  /** Names the rules: records of draws by other ones cannot be recomputed by these. */
  readonly rules: string;
  /** About a transaction that the model blocks; null where no band holds its amount: then it stays blocked. */
  draw(transaction: Drawable): Draw | null;
}

/** Hexadecimal digits of a hash that a draw uses: 2^-52 is finer than any share. */
const DIGITS = 13;

/** Null where the pipeline lets nothing through: then answering costs nothing more. */
export function explorerOf({ decisions, columns }: Pick<Pipeline, "decisions" | "columns">): Explorer | null {
  const { explore } = decisions;
  const { amount } = columns;
  if (explore.bands.length === 0 || amount === null) return null;
  const rules = sha256(canonicalJson(explore)).slice(0, 16);
  return {
    rules,
    draw({ id, fields }) {
      const band = bandOf(explore, fields[amount]);
      if (band === null) return null;
      const { share: propensity, upTo } = band;
      const decision = chanceOf(id, explore.seed) < propensity ? explore.answer : "block";
      return { decision, explored: { propensity, upTo, rules } };
    },
  };
}

/** What a draw's decision becomes beside rules: an analyst's review rule that the model's block overruled has its say where the block falls. */
export function drawnBeside(decision: Decision, rules: RuleOutcome | undefined): Decision {
  return decision === "approve" && rules?.overruled !== undefined ? "review" : decision;
}

/** Why a transaction that the model blocks was answered as it was. */
export function exploredWords(decision: Decision, { propensity, upTo }: Explored): string {
  const share = `${Number((100 * propensity).toPrecision(3))} % of the blocked up to an amount of ${upTo} are let through`;
  return decision === "block"
    ? `the model blocks it; ${share} by chance, and this one was not among them`
    : `the model blocks it, and it was let through by chance: ${share}, so that the outcome of blocking can be known`;
}

function bandOf({ bands }: ExploreRules, amount: FieldValue | undefined): ExploreRules["bands"][number] | null {
  if (typeof amount !== "number") return null;
  return bands.find(({ upTo }) => amount <= upTo) ?? null;
}

/** Uniform in [0, 1), by the id and the seed alone. SHA-256, so that who may choose ids cannot choose their luck. */
export function chanceOf(id: string, seed: number, draw = "explore"): number {
  return Number.parseInt(sha256(`${draw} ${seed} ${id}`).slice(0, DIGITS), 16) / 16 ** DIGITS;
}
