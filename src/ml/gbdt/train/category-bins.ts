// Bins of categories: each frequent category of a column is a bin of its own, all others share the one of missing values.
import { CATEGORY_MAX } from "../../trees.ts";
import { MISSING_BIN } from "./bins.ts";

/** Categories of a column that are distinguished: as many as scoring has codes for. */
const CATEGORIES_MAX = 254;

/** The most frequent categories, those of equal frequency by number: bin b holds the category at place b. */
export function frequentCategories(
  values: Float32Array,
  options: { readonly binsMax: number; readonly rowsMin: number },
): Float32Array {
  const counts = new Int32Array(CATEGORY_MAX + 1);
  for (let r = 0; r < values.length; r++) {
    const category = values[r] >>> 0;
    if (category === values[r] && category <= CATEGORY_MAX) counts[category]++;
  }
  const frequent: number[] = [];
  counts.forEach((count, category) => {
    if (count >= options.rowsMin) frequent.push(category);
  });
  frequent.sort((a, b) => counts[b] - counts[a] || a - b);
  return Float32Array.from(frequent.slice(0, Math.min(CATEGORIES_MAX, options.binsMax - 1)));
}

/** Writes the bin of each value. */
export function binCategories(values: Float32Array, categories: Float32Array, out: Uint8Array): void {
  const bins = new Uint8Array(CATEGORY_MAX + 1).fill(MISSING_BIN);
  categories.forEach((category, bin) => {
    bins[category] = bin;
  });
  for (let r = 0; r < values.length; r++) {
    const category = values[r] >>> 0;
    out[r] = category === values[r] && category <= CATEGORY_MAX ? bins[category] : MISSING_BIN;
  }
}

/** The categories of the bins whose bits are 1, rising. */
export function categoriesIn(bits: Uint32Array, categories: Float32Array): number[] {
  return [...categories].filter((_, bin) => (bits[bin >>> 5] >>> (bin & 31)) & 1).sort((a, b) => a - b);
}
