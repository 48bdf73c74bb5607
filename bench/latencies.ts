// Latencies in buckets half a percent wide: percentiles of any number of requests in a few kilobytes, and histograms that can be added up.

/** Buckets per doubling: a percentile is at most 0.54 % above the latency it stands for. */
const PER_DOUBLING = 128;
const MICROS_MIN = 0.1;
/** Up to 107 seconds. */
const DOUBLINGS = 30;

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly p9999Ms: number;
  readonly maxMs: number;
}

export class Latencies {
  count = 0;
  private readonly counts = new Float64Array(PER_DOUBLING * DOUBLINGS);
  private highest = 0;

  add(ms: number): void {
    const place = Math.log2(Math.max(1, (ms * 1000) / MICROS_MIN)) * PER_DOUBLING;
    this.counts[Math.min(this.counts.length - 1, Math.floor(place))]++;
    this.count++;
    if (ms > this.highest) this.highest = ms;
  }

  /** The latency that `share` of all do not exceed, in milliseconds; NaN without any. */
  quantile(share: number): number {
    if (this.count === 0) return Number.NaN;
    const wanted = Math.min(this.count, Math.floor(share * this.count) + 1);
    let seen = 0;
    for (let place = 0; place < this.counts.length; place++) {
      seen += this.counts[place];
      if (seen >= wanted) return Math.min(this.highest, (2 ** ((place + 1) / PER_DOUBLING) * MICROS_MIN) / 1000);
    }
    return this.highest;
  }

  percentiles(): Percentiles {
    return {
      count: this.count,
      p50Ms: this.quantile(0.5),
      p90Ms: this.quantile(0.9),
      p99Ms: this.quantile(0.99),
      p999Ms: this.quantile(0.999),
      p9999Ms: this.quantile(0.9999),
      maxMs: this.count === 0 ? Number.NaN : this.highest,
    };
  }
}
