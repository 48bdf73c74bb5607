// Sum, mean and standard deviation of numbers that come in batches (Chan, Golub & LeVeque 1979, section 2: the pairwise update).
import { figuresOf } from "./columns.ts";

export class Moments {
  count = 0;
  sum = 0;
  private center = Number.NaN;
  /** Sum of squared deviations from the mean. */
  private spread = 0;

  /** NaN is missing. */
  add(values: Float64Array): void {
    const own = present(values);
    if (own.length === 0) return;
    let total = 0;
    let sum = this.sum;
    for (let i = 0; i < own.length; i++) {
      total += own[i];
      sum += own[i];
    }
    this.sum = sum;
    const center = total / own.length;
    let spread = 0;
    for (let i = 0; i < own.length; i++) {
      const gap = own[i] - center;
      spread += gap * gap;
    }
    const count = this.count + own.length;
    if (this.count === 0) {
      this.center = center;
      this.spread = spread;
    } else {
      const gap = center - this.center;
      this.center += (gap * own.length) / count;
      this.spread += spread + (gap * gap * this.count * own.length) / count;
    }
    this.count = count;
  }

  /** NaN without values. */
  mean(): number {
    return this.count === 0 ? Number.NaN : this.sum / this.count;
  }

  /** Sample standard deviation (n − 1); NaN below two values. */
  deviation(): number {
    return this.count < 2 ? Number.NaN : Math.sqrt(this.spread / (this.count - 1));
  }
}

/** The moments of one column that several checks ask for; each batch counts once. */
export class SharedMoments {
  readonly moments = new Moments();
  private last: object | null = null;

  /** `batch` tells the same numbers, which the next check brings as well, from those after them. */
  add(batch: object, values: Float64Array): void {
    if (batch === this.last) return;
    this.last = batch;
    this.moments.add(values);
  }
}

function present(values: Float64Array): Float64Array {
  return figuresOf(values).count === values.length ? values : values.filter((value) => !Number.isNaN(value));
}
