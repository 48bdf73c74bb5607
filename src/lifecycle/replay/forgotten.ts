// What a replay cannot recompute since a person was forgotten: the person's own transactions, and windows of others that counted the person's values.
import { isPseudonym } from "../../core/erasure.ts";
import type { Transaction } from "../../core/transaction.ts";
import { rolesIn } from "../../features/inputs.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { keyText } from "../../features/state.ts";
import type { PredictionRecord } from "../../ports/log.ts";

/** What was erased of all persons who were forgotten. */
export interface Forgotten {
  /** Columns in which a pseudonym stands for the person. */
  readonly names: ReadonlySet<string>;
  /** Columns that were emptied in the person's transactions. */
  readonly personal: ReadonlySet<string>;
  /** Whether a person was erased from that table since it was learned. */
  isTable(dataPath: string | null): boolean;
}

/** Whether a logged transaction is of a person who was forgotten. */
export function isForgotten({ fields, extra }: Pick<PredictionRecord, "fields" | "extra">): boolean {
  return Object.values(fields).some(isPseudonym) || Object.values(extra).some(isPseudonym);
}

/** Transactions of forgotten persons that a replay keeps. */
const KEPT_MAX = 1_000_000;

export class Taint {
  private readonly forgotten: Forgotten | undefined;
  private readonly seen: Transaction[] = [];
  /** By the columns of a key, the keys that those transactions had; made when first asked for. */
  private readonly keys = new Map<string, { readonly texts: Set<string>; upTo: number }>();

  constructor(forgotten: Forgotten | undefined) {
    this.forgotten = forgotten;
  }

  add(transaction: Transaction): void {
    if (this.seen.length < KEPT_MAX) this.seen.push(transaction);
  }

  /** Whether values differ, and all that do are of features that the forgotten persons' values went into. */
  explains(
    plan: FeaturePlan,
    of: {
      readonly transaction: Transaction;
      readonly names: readonly string[];
      readonly logged: Float32Array;
      readonly replayed: Float32Array;
    },
  ): boolean {
    if (this.seen.length === 0 || of.logged.length !== of.replayed.length) return false;
    const touched = this.touched(plan, of.transaction);
    if (touched.size === 0) return false;
    let differ = 0;
    for (let i = 0; i < of.logged.length; i++) {
      if (Object.is(of.logged[i], of.replayed[i])) continue;
      if (!touched.has(of.names[i])) return false;
      differ++;
    }
    return differ > 0;
  }

  /** Whether some feature of the plan may have counted such a value. */
  reaches(plan: FeaturePlan, transaction: Transaction): boolean {
    return this.seen.length > 0 && this.touched(plan, transaction).size > 0;
  }

  /**
   * A window that is keyed by an emptied column may have lost transactions; one that tells values of an erased column apart counts the pseudonym as
   * another value, where its key is one that a forgotten person had too. All others are as they were.
   */
  private touched(plan: FeaturePlan, transaction: Transaction): ReadonlySet<string> {
    const { names = new Set<string>(), personal = new Set<string>() } = this.forgotten ?? {};
    const found = new Set<string>();
    for (const feature of plan.spec.features) {
      const { key, values } = rolesIn(feature);
      const isEmptied = key.some((column) => personal.has(column) && !names.has(column));
      const isCounted = key.length > 0 && values.some((column) => names.has(column) || personal.has(column));
      if (isEmptied || (isCounted && this.shares(key, transaction))) found.add(feature.name);
    }
    // Ratios, differences and expressions name the features that they are made of, and may name each other.
    for (let before = -1; found.size > 0 && before < found.size; ) {
      before = found.size;
      for (const feature of plan.spec.features) {
        const { name: _own, ...parts } = feature;
        const text = JSON.stringify(parts);
        if ([...found].some((name) => text.includes(JSON.stringify(name)))) found.add(feature.name);
      }
    }
    return found;
  }

  private shares(key: readonly string[], transaction: Transaction): boolean {
    const id = JSON.stringify(key);
    const known = this.keys.get(id) ?? { texts: new Set<string>(), upTo: 0 };
    this.keys.set(id, known);
    for (; known.upTo < this.seen.length; known.upTo++) {
      const text = keyText(key, this.seen[known.upTo]);
      if (text !== null) known.texts.add(text);
    }
    const own = keyText(key, transaction);
    return own !== null && known.texts.has(own);
  }
}
