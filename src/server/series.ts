// Series of the hot road: counted in plain numbers, and turned into what Prometheus reads only when it asks.
import { Counter, type LabelValues, type Metric, type Registry } from "prom-client";

/** One series of a histogram. */
export interface Observed {
  observe(value: number): void;
}

/** One series of a counter. */
export interface Counted {
  inc(): void;
}

interface Value<L extends string> {
  readonly metricName: string;
  readonly value: number;
  readonly labels: LabelValues<"le">;
  readonly sharedLabels: LabelValues<L>;
}

/**
 * A histogram as a registry of prom-client holds it. Theirs hashes the labels at each observation, which costs a microsecond; here a series
 * is looked up once and then costs a few additions.
 */
export class SeriesHistogram<L extends string> {
  readonly type = "histogram";
  readonly aggregator = "sum";
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  readonly buckets: readonly number[];
  private readonly series = new Map<string, Series<L>>();

  constructor(
    given: {
      readonly name: string;
      readonly help: string;
      readonly labelNames: readonly L[];
      readonly buckets: readonly number[];
    },
    registry: Registry,
  ) {
    this.name = given.name;
    this.help = given.help;
    this.labelNames = given.labelNames;
    this.buckets = given.buckets;
    // One without labels is there from the start, as prom-client has it.
    if (given.labelNames.length === 0) this.labels({});
    registry.registerMetric(this as unknown as Metric);
  }

  /** The series of these labels; keep it where it is observed often. */
  labels(labels: LabelValues<L>): Observed {
    const key = this.labelNames.map((name) => JSON.stringify(labels[name] ?? null)).join();
    let series = this.series.get(key);
    if (series === undefined) {
      series = new Series(labels, this.buckets);
      this.series.set(key, series);
    }
    return series;
  }

  reset(): void {
    this.series.clear();
    if (this.labelNames.length === 0) this.labels({});
  }

  async get() {
    const shown = await this.getForPromString();
    const values = shown.values.map(({ metricName, value, labels, sharedLabels }) => {
      return { metricName, value, labels: { ...labels, ...sharedLabels } };
    });
    return { ...shown, values };
  }

  /** What a registry writes its page from: a series' own labels stand behind the bucket's and the registry's. */
  async getForPromString() {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.series.values()].flatMap((one) => one.values(name)) };
  }
}

class Series<L extends string> implements Observed {
  private readonly of: LabelValues<L>;
  private readonly bounds: Float64Array;
  /** By bucket, the last for what is above all bounds. */
  private readonly counts: Float64Array;
  /** In an array, because a number that a field holds is made anew at each change. */
  private readonly sum = new Float64Array(1);

  constructor(of: LabelValues<L>, bounds: readonly number[]) {
    this.of = of;
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** What is no number is left out: it would make the sum none for ever. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > bounds[at]) at++;
    this.counts[at]++;
    this.sum[0] += value;
  }

  /** The buckets, each with those below it, then sum and count. */
  values(name: string): Value<L>[] {
    const sharedLabels = this.of;
    let below = 0;
    const rows: Value<L>[] = [];
    for (let at = 0; at < this.counts.length; at++) {
      below += this.counts[at];
      const le = at < this.bounds.length ? this.bounds[at] : "+Inf";
      rows.push({ metricName: `${name}_bucket`, value: below, labels: { le }, sharedLabels });
    }
    rows.push({ metricName: `${name}_sum`, value: this.sum[0], labels: {}, sharedLabels });
    rows.push({ metricName: `${name}_count`, value: below, labels: {}, sharedLabels });
    return rows;
  }
}

/** A counter of prom-client whose series are counted here, and reach it when somebody asks. */
export class SeriesCounter<L extends string> {
  private readonly counter: Counter<L>;
  private readonly series = new Map<string, SeriesCount<L>>();

  constructor(
    given: { readonly name: string; readonly help: string; readonly labelNames: readonly L[] },
    registry: Registry,
  ) {
    this.counter = new Counter({ ...given, registers: [registry], collect: () => this.settle() });
  }

  /** The series of these labels; keep it where it is counted often. */
  labels(labels: LabelValues<L>): Counted {
    const key = JSON.stringify(Object.entries(labels).sort());
    let own = this.series.get(key);
    if (own === undefined) {
      own = {
        labels,
        count: 0,
        settled: 0,
        inc() {
          this.count++;
        },
      };
      this.series.set(key, own);
      // It is there from now on, as one that prom-client looked up.
      this.counter.inc(labels, 0);
    }
    return own;
  }

  /** What was counted since the start, by the values of one label. */
  totals(label: L): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, count, settled } of this.series.values()) {
      const value = String(labels[label] ?? "");
      sums.set(value, (sums.get(value) ?? 0) + count + settled);
    }
    return sums;
  }

  private settle(): void {
    for (const own of this.series.values()) {
      if (own.count > 0) this.counter.inc(own.labels, own.count);
      own.settled += own.count;
      own.count = 0;
    }
  }
}

interface SeriesCount<L extends string> extends Counted {
  readonly labels: LabelValues<L>;
  /** Not yet at prom-client, and there already. */
  count: number;
  settled: number;
}
