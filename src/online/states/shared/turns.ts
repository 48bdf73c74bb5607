// Turns: within one process, transactions that share a key go one after the other, so that they do not void each other's changes.

export class Turns {
  private readonly tails = new Map<string, Promise<void>>();

  /** Runs `work` when everything that was here before with one of the keys has ended. */
  async run<T>(keys: ReadonlySet<string>, work: () => Promise<T>): Promise<T> {
    const before: Promise<void>[] = [];
    let end!: () => void;
    const own = new Promise<void>((resolve) => {
      end = resolve;
    });
    for (const key of keys) {
      const tail = this.tails.get(key);
      if (tail !== undefined) before.push(tail);
      this.tails.set(key, own);
    }
    try {
      if (before.length > 0) await Promise.all(before);
      return await work();
    } finally {
      for (const key of keys) if (this.tails.get(key) === own) this.tails.delete(key);
      end();
    }
  }
}
