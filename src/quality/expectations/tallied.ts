// Checks that need to know how often each different value occurs, over all rows of a table.
import { figuresOf } from "../columns.ts";
import type { Outcome, Running } from "../definition.ts";
import { KeyTally, MODES_MAX, type ModeKey, type TallyResult } from "../key-tally.ts";
import type { CellKeys } from "../keys.ts";
import type { Rows } from "../rows.ts";
import { FaultSample } from "../sample.ts";
import type { TallyPool } from "../tally-pool.ts";

interface What {
  /** Whether it matters which rows repeat. */
  readonly rows: boolean;
  /** The keys of a batch; `first` in the pass that sees every row for the first time. */
  keysOf(rows: Rows, first: boolean): CellKeys;
  end(result: TallyResult): Outcome | Running;
}

/**
 * Ids mostly come in ascending order, and then no two are the same and nothing has to be remembered. Where that ends in the first
 * batch, its keys are counted from there on; where it ends later, the earlier ones have to come once more.
 */
export function startDistinct(pool: TallyPool, what: What): Running {
  let last = Number.NEGATIVE_INFINITY;
  let keys = 0;
  const firstKeys: ModeKey[] = [];
  let batches = 0;
  let tally: Tally | null = null;
  let broken = false;
  return {
    push(rows) {
      const given = what.keysOf(rows, true);
      batches++;
      if (tally !== null) return tally.add(rows, given);
      if (broken) return;
      const end = ascendsTo(given, last);
      if (Number.isNaN(end)) {
        if (batches > 1) broken = true;
        else {
          tally = new Tally(pool, what);
          tally.add(rows, given);
        }
        return;
      }
      last = end;
      let row = 0;
      for (; row < rows.count && keys < MODES_MAX; row++) {
        if (Number.isNaN(given.first[row])) continue;
        firstKeys.push({ row: rows.sourceRow(row), first: given.first[row] + 0 });
        keys++;
      }
      if (row === 0) keys += figuresOf(given.first).count;
      else for (; row < rows.count; row++) if (!Number.isNaN(given.first[row])) keys++;
    },
    finish() {
      if (tally !== null) return what.end(tally.finish());
      if (!broken) return what.end(allSingle(keys, firstKeys));
      const again = new Tally(pool, what);
      return {
        push: (rows) => again.add(rows, what.keysOf(rows, false)),
        finish: () => what.end(again.finish()),
      };
    },
  };
}

/** The last key where all are numbers above the one before; NaN where one is not, or is half of a hash. */
function ascendsTo({ first, second }: CellKeys, last: number): number {
  let end = last;
  for (let row = 0; row < first.length; row++) {
    const key = first[row];
    if (Number.isNaN(key)) continue;
    if (!(key > end) || second[row] !== 0) return Number.NaN;
    end = key;
  }
  return end;
}

class Tally {
  private readonly tally: KeyTally;

  constructor(pool: TallyPool, what: Pick<What, "rows">) {
    this.tally = new KeyTally(pool, what);
  }

  add(rows: Rows, keys: CellKeys): void {
    this.tally.addAll(keys, (row) => rows.sourceRow(row));
  }

  finish(): TallyResult {
    return this.tally.finish();
  }
}

function allSingle(keys: number, modeKeys: readonly ModeKey[]): TallyResult {
  return { distinct: keys, single: keys, repeated: new FaultSample(), most: keys === 0 ? 0 : 1, modes: keys, modeKeys };
}
