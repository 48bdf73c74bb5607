// Recent ids: which transactions were learned within the lateness, so that a retry counts once.
import { heapBytes } from "./heap-bytes.ts";

/**
 * Ids in two generations of one lateness each: an id is remembered for at least the lateness after it was learned, at most twice as
 * long. When a generation is full the older one is forgotten early and `forgotten` counts.
 */
export class RecentIds {
  forgotten = 0;
  private current = new Set<string>();
  private previous = new Set<string>();
  private generation = Number.NEGATIVE_INFINITY;
  /** Characters of the ids of each generation. */
  private currentLength = 0;
  private previousLength = 0;
  /** The id asked for last: a transaction is read and then learned. */
  private asked: string | null = null;
  private answer = false;
  private readonly lengthMs: number;
  private readonly idsMax: number;

  constructor(options: { readonly lengthMs: number; readonly idsMax: number }) {
    this.lengthMs = Math.max(1, options.lengthMs);
    this.idsMax = options.idsMax;
  }

  get size(): number {
    return this.current.size + this.previous.size;
  }

  get bytes(): number {
    return (
      heapBytes(this.current.size, { words: 2, textLength: this.currentLength }) +
      heapBytes(this.previous.size, { words: 2, textLength: this.previousLength })
    );
  }

  has(id: string): boolean {
    if (id === this.asked) return this.answer;
    this.asked = id;
    this.answer = this.current.has(id) || this.previous.has(id);
    return this.answer;
  }

  add(id: string): void {
    if (this.current.size >= this.generationMax) {
      this.forgotten += this.previous.size;
      this.turn();
    }
    this.asked = null;
    this.current.add(id);
    this.currentLength += id.length;
  }

  /** Tells the latest event time; forgets what is older than needed. */
  advance(watermark: number): void {
    const generation = Math.floor(watermark / this.lengthMs);
    if (generation <= this.generation) return;
    if (generation > this.generation + 1) this.turn();
    this.turn();
    this.generation = generation;
  }

  /** The earliest event time whose ids are remembered when the latest is `watermark` and none was forgotten early. */
  heldFrom(watermark: number): number {
    return (Math.floor(watermark / this.lengthMs) - 1) * this.lengthMs;
  }

  /** Whether transactions at these times, in this order, are never so many that ids are forgotten early. */
  holdsAll(times: Float64Array, order: Int32Array): boolean {
    const most = this.generationMax;
    for (let i = most; i < order.length; i++) {
      if (Math.floor(times[order[i]]) - Math.floor(times[order[i - most]]) < this.lengthMs) return false;
    }
    return true;
  }

  /** Everything remembered now. Ids that are added later come after the first `currentSize`; nothing is ever taken out of a set. */
  content(): {
    readonly generation: number | null;
    readonly forgotten: number;
    readonly current: ReadonlySet<string>;
    readonly currentSize: number;
    readonly previous: ReadonlySet<string>;
  } {
    const { forgotten, current, previous } = this;
    const generation = Number.isFinite(this.generation) ? this.generation : null;
    return { generation, forgotten, current, currentSize: current.size, previous };
  }

  /** The same as JSON. */
  dump(): RecentIdsDump {
    const { generation, forgotten, current, previous } = this.content();
    return { generation, forgotten, current: [...current], previous: [...previous] };
  }

  load(dump: RecentIdsDump): void {
    this.generation = dump.generation ?? Number.NEGATIVE_INFINITY;
    this.forgotten = dump.forgotten;
    this.asked = null;
    this.current = new Set(dump.current);
    this.previous = new Set(dump.previous);
    this.currentLength = dump.current.reduce((sum, id) => sum + id.length, 0);
    this.previousLength = dump.previous.reduce((sum, id) => sum + id.length, 0);
  }

  /** Ids that a generation may hold. */
  private get generationMax(): number {
    return Math.max(1, this.idsMax >> 1);
  }

  private turn(): void {
    this.asked = null;
    this.previous = this.current;
    this.previousLength = this.currentLength;
    this.current = new Set();
    this.currentLength = 0;
  }
}

export interface RecentIdsDump {
  readonly generation: number | null;
  readonly forgotten: number;
  readonly current: readonly string[];
  readonly previous: readonly string[];
}
