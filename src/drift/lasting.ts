// Persistence: in which sevenths of the window a movement shows, whether it lasts, and since when.
import { type Compared, compareFeature, type Lasting } from "./feature.ts";
import type { Grids } from "./grid.ts";
import type { DriftPolicy } from "./policy.ts";
import type { DesignEffects } from "./swing.ts";
import { type ColumnTally, columnOf, type Tally } from "./tally.ts";

/** A stretch of the window. */
export interface Stretch {
  /** Epoch ms. */
  readonly from: number;
  readonly to: number;
  readonly tally: Tally;
}

/** A stretch shows a movement from half of what counts in the whole window, beyond what chance gives there. */
const SHOWS_SHARE = 0.5;
/** Expected KS distance of one standard normal root: the mean of the Kolmogorov distribution is 0.87. */
const KOLMOGOROV_MEAN = 0.87;

/** Whether each stretch shows the movement; null where it has too few rows. */
export function showing(
  compared: Compared,
  stretches: readonly { readonly column: ColumnTally; readonly effects: DesignEffects }[],
  policy: DriftPolicy,
): (boolean | null)[] {
  return stretches.map(({ column, effects }) => {
    if (column.rows < policy.rowsMin) return null;
    const drift = compareFeature(compared, column, { ...policy, effects });
    const present = 1 - drift.missing.window;
    const root = Math.sqrt(effects.ordered / Math.max(1, column.rows - column.missing));
    const ks = ((drift.ks?.statistic ?? 0) - KOLMOGOROV_MEAN * root) * present;
    const distance = ((drift.wasserstein?.distance ?? 0) - root) * present;
    return (
      drift.psi - drift.psiExpected >= SHOWS_SHARE * policy.psiFloor ||
      ks >= SHOWS_SHARE * policy.ksMin ||
      distance >= SHOWS_SHARE * policy.wassersteinMin
    );
  });
}

/**
 * Of the newest `persistence` + 1 stretches that can be judged, `persistence` must show it. `since` is the start of the unbroken run of
 * stretches that ends with the newest that shows it.
 */
export function lastingOf(
  shows: readonly (boolean | null)[],
  stretches: readonly Pick<Stretch, "from">[],
  { persistence }: Pick<DriftPolicy, "persistence">,
): Lasting {
  const judgedOnes = shows.flatMap((show, i) => (show === null ? [] : [{ show, from: stretches[i].from }]));
  let last = judgedOnes.length - 1;
  while (last >= 0 && !judgedOnes[last].show) last--;
  let first = last;
  while (first > 0 && judgedOnes[first - 1].show) first--;
  const since = last < 0 ? null : judgedOnes[first].from;
  if (judgedOnes.length < persistence) return { lasting: null, since };
  const newest = judgedOnes.slice(-(persistence + 1));
  return { lasting: newest.filter(({ show }) => show).length >= persistence, since };
}

export function columnStretches(
  stretches: readonly Stretch[],
  grids: Grids,
  of: { readonly column: number; readonly effects: (stretch: Stretch) => DesignEffects },
): { readonly column: ColumnTally; readonly effects: DesignEffects }[] {
  return stretches.map((stretch) => ({
    column: columnOf(stretch.tally, grids, of.column),
    effects: of.effects(stretch),
  }));
}
