// A histogram of numbers whose range nobody knows beforehand: equal bins that double their width, two and two, when a number lies outside.

/** An even number, so that neighbours merge in pairs. */
const BINS = 1024;
const INFINITE = Number.POSITIVE_INFINITY;

export class GrowingHistogram {
  private counts = new Float64Array(BINS);
  /** Lower edge of the first bin, and width of each; 0 until two different numbers were seen. */
  private from = Number.NaN;
  private width = 0;
  /** Finite numbers that were added. */
  total = 0;

  /** NaN and infinities are left out. */
  add(values: Float64Array): void {
    if (this.width === 0) this.begin(values);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (!(value < INFINITE && value > -INFINITE)) continue;
      this.total++;
      if (this.width === 0) this.startAt(value);
      if (this.width === 0) {
        this.counts[0]++;
        continue;
      }
      let bin = Math.floor((value - this.from) / this.width);
      while (bin < 0 || bin >= BINS) {
        this.grow(bin < 0);
        bin = Math.floor((value - this.from) / this.width);
      }
      this.counts[bin]++;
    }
  }

  /** Counts in so many equal bins between two limits; what lies outside them is counted on its side. */
  between(
    low: number,
    high: number,
    bins: number,
  ): { readonly counts: Float64Array; readonly below: number; readonly above: number } {
    const counts = new Float64Array(bins);
    let below = 0;
    let above = 0;
    for (let i = 0; i < BINS; i++) {
      if (this.counts[i] === 0) continue;
      const middle = this.width === 0 ? this.from : this.from + (i + 0.5) * this.width;
      const at = high > low ? Math.floor(((middle - low) / (high - low)) * bins) : 0;
      if (at < 0) below += this.counts[i];
      else if (at >= bins && middle > high) above += this.counts[i];
      else counts[Math.min(at, bins - 1)] += this.counts[i];
    }
    return { counts, below, above };
  }

  /** About the value that so large a share lies below: exact to the width of a bin. NaN without numbers. */
  quantile(share: number): number {
    if (this.total === 0) return Number.NaN;
    if (this.width === 0) return this.from;
    const wanted = share * this.total;
    let before = 0;
    for (let i = 0; i < BINS; i++) {
      if (before + this.counts[i] >= wanted && this.counts[i] > 0) {
        return this.from + this.width * (i + (wanted - before) / this.counts[i]);
      }
      before += this.counts[i];
    }
    return this.from + BINS * this.width;
  }

  /** Takes the range of the first numbers, so that the first bins are narrow enough. */
  private begin(values: Float64Array): void {
    let low = INFINITE;
    let high = -INFINITE;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (!(value < INFINITE && value > -INFINITE)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (!(high > low)) return;
    const before = this.total;
    const single = this.from;
    // A width by which the numbers stay apart.
    this.width = Math.max((high - low) / (BINS - 1), Math.max(Math.abs(low), Math.abs(high)) * 2 ** -50);
    this.from = low;
    if (before === 0) return;
    this.counts = new Float64Array(BINS);
    this.put(single, before);
  }

  private put(value: number, count: number): void {
    let bin = Math.floor((value - this.from) / this.width);
    while (bin < 0 || bin >= BINS) {
      this.grow(bin < 0);
      bin = Math.floor((value - this.from) / this.width);
    }
    this.counts[bin] += count;
  }

  private startAt(value: number): void {
    if (Number.isNaN(this.from)) this.from = value;
  }

  private grow(down: boolean): void {
    const merged = new Float64Array(BINS);
    const shift = down ? BINS / 2 : 0;
    for (let i = 0; i < BINS; i++) merged[shift + (i >> 1)] += this.counts[i];
    this.counts = merged;
    if (down) this.from -= BINS * this.width;
    this.width *= 2;
  }
}
