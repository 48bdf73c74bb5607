// Holds: ids that a batch will answer, or that a request is answering; whoever comes meanwhile with one of them waits for the end.

/** Ids held by one batch. */
export interface Hold {
  readonly ended: Promise<void>;
  release(): void;
}

/** In one process. Everything is taken in one tick and nothing is held while it waits, so nobody waits for each other in a ring. */
export class Holds {
  private readonly held = new Map<string, Hold>();
  private readonly underWay = new Map<string, Promise<void>>();

  /** Holds all ids once nobody else does. */
  async take(ids: readonly string[]): Promise<Hold> {
    for (;;) {
      const busy = ids
        .map((id) => this.held.get(id)?.ended ?? this.underWay.get(id))
        .find((wait) => wait !== undefined);
      if (busy === undefined) break;
      await busy;
    }
    let end!: () => void;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const hold: Hold = {
      ended,
      release: () => {
        for (const id of ids) if (this.held.get(id) === hold) this.held.delete(id);
        end();
      },
    };
    for (const id of ids) this.held.set(id, hold);
    return hold;
  }

  /** What a request for this id waits for first; null: nothing. `own`: the hold under which it comes. */
  of(id: string, own: Hold | undefined): Promise<void> | null {
    if (this.held.size === 0) return null;
    const hold = this.held.get(id);
    return hold === undefined || hold === own ? null : hold.ended;
  }

  /** A request of this id is being answered over several ticks: a batch waits for its end. */
  during<T>(id: string, answering: Promise<T>): Promise<T> {
    const before = this.underWay.get(id);
    const settled = answering.then(
      () => before,
      () => before,
    );
    this.underWay.set(id, settled);
    return answering.finally(() => {
      if (this.underWay.get(id) === settled) this.underWay.delete(id);
    });
  }
}
