// Recent ids: which transactions were learned within the lateness, so that a retry counts once.

/**
 * Ids in two generations of one lateness each: an id is remembered for at least the lateness after it was learned, at most twice as
 * long. When a generation is full the older one is forgotten early and `forgotten` counts.
 */
export class RecentIds {
  forgotten = 0;
  private current = new Set<string>();
  private previous = new Set<string>();
  private generation = Number.NEGATIVE_INFINITY;
  private readonly lengthMs: number;
  private readonly idsMax: number;

  constructor(options: { readonly lengthMs: number; readonly idsMax: number }) {
    this.lengthMs = Math.max(1, options.lengthMs);
    this.idsMax = options.idsMax;
  }

  get size(): number {
    return this.current.size + this.previous.size;
  }

  has(id: string): boolean {
    return this.current.has(id) || this.previous.has(id);
  }

  add(id: string): void {
    if (this.current.size >= Math.max(1, this.idsMax >> 1)) {
      this.forgotten += this.previous.size;
      this.turn();
    }
    this.current.add(id);
  }

  /** Tells the latest event time; forgets what is older than needed. */
  advance(watermark: number): void {
    const generation = Math.floor(watermark / this.lengthMs);
    if (generation <= this.generation) return;
    if (generation > this.generation + 1) this.current.clear();
    this.turn();
    this.generation = generation;
  }

  /** Everything remembered, as JSON. */
  dump(): RecentIdsDump {
    const generation = Number.isFinite(this.generation) ? this.generation : null;
    return { generation, forgotten: this.forgotten, current: [...this.current], previous: [...this.previous] };
  }

  load(dump: RecentIdsDump): void {
    this.generation = dump.generation ?? Number.NEGATIVE_INFINITY;
    this.forgotten = dump.forgotten;
    this.current = new Set(dump.current);
    this.previous = new Set(dump.previous);
  }

  private turn(): void {
    this.previous = this.current;
    this.current = new Set();
  }
}

export interface RecentIdsDump {
  readonly generation: number | null;
  readonly forgotten: number;
  readonly current: readonly string[];
  readonly previous: readonly string[];
}
