// What a benchmark is: a purpose, and a run that prints what it measures and ends with figures.

export interface BenchOptions {
  /** A table to use instead of the reference file. */
  readonly data?: string;
  /** Of every random draw; equal seeds give equal data and equal models. */
  readonly seed: number;
  /** Timed runs of each side. */
  readonly repeats: number;
  /** Also measure what takes minutes: the memory of a million customers. */
  readonly memory: boolean;
  /** Only the cell of this name, of a bench that has several. */
  readonly cell?: string;
  /** How time grows with the size of the task, instead of the bench's own figures. */
  readonly scaling: boolean;
  /** Beside a judge who knows the simulated world, on simulated data. */
  readonly oracle: boolean;
  /** What each group of features is worth and costs, instead of the bench's own figures. */
  readonly ablation: boolean;
  /** How long a soak lasts. */
  readonly minutes: number;
  /** Predictions in the log of a start, or in an archive; absent: as many as the bench wants. */
  readonly rows?: number;
  /** A file for the picture of what was measured, of a bench that draws one. */
  readonly picture?: string;
  /** A file that keeps what has ended, of a bench that takes hours: called with it again, it goes on where it was cut off. */
  readonly keep?: string;
  /** One line for people. */
  print(line: string): void;
}

/** Numbers by name, nested as the bench sees fit; null where a peer is not installed. */
export interface Figures {
  readonly [name: string]: number | null | Figures;
}

export interface Bench {
  run(options: BenchOptions): Promise<Figures>;
}

/** Middle of the values, the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The value that `share` of the ascending values do not exceed. */
export function quantileOf(ascending: Float64Array, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))];
}
