// Equating: a calibration carried from one model to another that nobody has labels for, by equal shares of the same rows.
import { refuseParameter } from "../../faults.ts";
import { type Calibration, calibrate } from "../apply.ts";

/** Ranks from the top grow by this factor: alerts are rare, so the top is followed closely and the bulk coarsely. */
const RANK_GROWTH = 1.15;

/**
 * Equipercentile equating (Kolen & Brennan 2014, ch. 2): a margin of the new model means what the margin of the same rank on the same
 * rows means under `calibration`. So on these rows both models give the same distribution of probabilities, and a threshold flags the
 * same share of them; which rows they are is the new model's to say. The rows must be new to both models. Labels are not needed.
 * Errors: `ml.parameter-invalid`.
 */
export function equate(
  calibration: Calibration,
  margins: { readonly known: Float64Array; readonly fresh: Float64Array },
): Calibration {
  const { known, fresh } = margins;
  if (known.length < 2 || known.length !== fresh.length)
    refuseParameter("margins", { value: `${known.length}, ${fresh.length}`, wanted: "two or more, the same rows" });
  const from = Float64Array.from(fresh).sort();
  const to = Float64Array.from(known).sort();
  const x: number[] = [];
  const y: number[] = [];
  for (const place of knotPlaces(from.length)) {
    const margin = from[place];
    if (x.at(-1) === margin) continue;
    // Rows of one margin take what the lowest and the highest of their ranks mean, in the middle.
    const [low, high] = [from.indexOf(margin), from.lastIndexOf(margin)];
    x.push(margin);
    y.push((calibrate(calibration, to[low]) + calibrate(calibration, to[high])) / 2);
  }
  return { kind: "isotonic", x, y };
}

/** Ascending places of the knots: the last rows one by one, then ever wider apart, the first row too. */
function knotPlaces(rows: number): number[] {
  const places: number[] = [];
  for (let rank = 0; rank < rows; rank = Math.max(rank + 1, Math.floor(rank * RANK_GROWTH)))
    places.push(rows - 1 - rank);
  if (places.at(-1) !== 0) places.push(0);
  return places.reverse();
}
