// Rounds: what a server does again and again beside the traffic, one after the other, until it is stopped.

/** Does a piece of work in rounds that never overlap: every so often, and whenever somebody asks. The work must not throw. */
export class Rounds {
  /** Once true no round begins; one that is long looks at it too. */
  stopped = false;
  private readonly round: () => Promise<void>;
  private readonly pauseMs: number;
  private turn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;

  constructor(round: () => Promise<void>, pauseMs: number) {
    this.round = round;
    this.pauseMs = pauseMs;
  }

  /** From now on, the first after one pause. The process does not stay alive for it. */
  start(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.next().finally(() => this.start()), this.pauseMs).unref();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
  }

  /** One round that begins after the call. */
  next(): Promise<void> {
    this.turn = this.turn.then(() => (this.stopped ? undefined : this.round()));
    return this.turn;
  }
}
