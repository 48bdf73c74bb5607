// The memory that counts of different values share, and the disk they go to when it is full.

/** Files that only this run sees; they are gone when it ends. */
export interface Scratch {
  /** Appends bytes to the file of this name. */
  append(name: string, bytes: Uint8Array): void;
  /** The whole file; empty where nothing was appended. */
  read(name: string): Uint8Array;
  remove(name: string): void;
}

/** Slots of all tables together, 16 to 24 bytes each: under 290 MB. */
export const TALLY_SLOTS_MAX = 12_000_000;

/** Hands out slots of the tables that count different values. */
export class TallyPool {
  readonly scratch: Scratch | null;
  private free: number;
  private named = 0;

  /** Without a `scratch` there is nowhere to go and a table may grow as its column does, which is in memory as well. */
  constructor({
    scratch = null,
    slots = TALLY_SLOTS_MAX,
  }: { readonly scratch?: Scratch | null; readonly slots?: number } = {}) {
    this.scratch = scratch;
    this.free = slots;
  }

  /** Whether a table may have so many more slots. */
  take(slots: number): boolean {
    if (this.free < slots && this.scratch !== null) return false;
    this.free -= slots;
    return true;
  }

  giveBack(slots: number): void {
    this.free += slots;
  }

  /** A name that no other file of the scratch has. */
  newName(): string {
    return `tally-${this.named++}`;
  }
}
