// Pace: how long requests wait to be answered; where that delay stays, how many are taken in so that those answered are answered soon.

/** A wait that is no overload. */
const WAIT_MS_FINE = 40;
/** What requests that are taken in under overload wait; reading them and writing the answers of their turn come on top. */
const WAIT_MS_AIM = 12;
/** Longer waits for so long, and not becoming shorter, is overload; one that shrinks is what a pause left behind. */
const STRETCH_MS = 100;
/** When nothing waited for so long, what waits then begins a stretch of its own: two pauses that are apart are no overload. */
const APART_MS = 1000;
/** Of the longest wait of a stretch: below it the wait is becoming shorter. */
const SHRUNK = 0.75;
/** Under overload a request that has waited for so long is refused: others can still be answered in time, which is within 50 ms. */
const WAIT_MS_MAX = 25;
/** Where reading and refusing take long, still so much of a turn answers. */
const ANSWERING_MIN = 0.25;
/** So few requests are no overload, however slow the machine: that many clients, each waiting for its answer, are always let in. */
const WAITING_MIN = 64;
/** Without a refusal for so long the overload is over. */
const CALM_MS = 1000;
/** How fast the estimate of one answer's time follows; the first guess, and no estimate is below a microsecond. */
const FOLLOW = 0.05;
const ANSWER_MS_GUESS = 0.1;
const ANSWER_MS_MIN = 0.001;

/**
 * Watches how long requests wait in this process between the arrival of their body and their answer (after CoDel, RFC 8289: what counts is
 * a delay that stays, not a queue that comes and goes). Times are milliseconds of a steady clock, given by the caller.
 */
export class Pace {
  private waiting = 0;
  /** The most that waited at once since the last turn ended. */
  private most = 0;
  private refused = false;
  private shedding = false;
  private perAnswerMs = ANSWER_MS_GUESS;
  private turnMs = 0;
  /** Since when requests have waited for longer than is fine without a break, and the longest of these waits. */
  private longSince = Number.NaN;
  private longMs = 0;
  /** When a turn came last. */
  private cameAt = Number.NaN;
  private calmMs = 0;

  /** Whether requests are being refused. */
  get limited(): boolean {
    return this.shedding;
  }

  /** What one answer takes, about. */
  get answerMs(): number {
    return this.perAnswerMs;
  }

  /** Whether one more request is taken in. */
  admit(): boolean {
    if (!this.shedding || this.waiting < this.room()) return true;
    this.refused = true;
    return false;
  }

  /** A request that was taken in waits for its answer from now on. */
  waits(): void {
    this.waiting++;
    if (this.waiting > this.most) this.most = this.waiting;
  }

  /** Its turn has come, `ms` after it began to wait. False: too late, refuse it. */
  comes(ms: number, now: number): boolean {
    this.waiting--;
    if (this.shedding) {
      if (ms <= WAIT_MS_MAX || this.waiting < WAITING_MIN) return true;
      this.refused = true;
      return false;
    }
    this.look(ms, now);
    return true;
  }

  /** So many requests were answered one after the other in so long. */
  answered(count: number, ms: number): void {
    this.perAnswerMs += FOLLOW * (Math.max(ANSWER_MS_MIN, ms / count) - this.perAnswerMs);
  }

  /** A turn of the event loop took so long. */
  turn(ms: number): void {
    this.turnMs = ms;
    this.most = this.waiting;
    if (!this.shedding) return;
    this.calmMs = this.refused ? 0 : this.calmMs + ms;
    this.refused = false;
    if (this.calmMs < CALM_MS) return;
    this.shedding = false;
    this.longSince = Number.NaN;
  }

  private look(ms: number, now: number): void {
    if (now - ms - this.cameAt > APART_MS) this.longSince = Number.NaN;
    this.cameAt = now;
    // Few that wait long are a machine that gives this process no time: who refuses them helps nobody.
    if (ms <= WAIT_MS_FINE || this.most < WAITING_MIN) this.longSince = Number.NaN;
    else if (Number.isNaN(this.longSince)) this.stretch(ms, now);
    else {
      this.longMs = Math.max(this.longMs, ms);
      if (now - this.longSince < STRETCH_MS) return;
      if (ms < SHRUNK * this.longMs) this.stretch(ms, now);
      else {
        this.shedding = true;
        this.calmMs = 0;
      }
    }
  }

  private stretch(ms: number, now: number): void {
    this.longSince = now;
    this.longMs = ms;
  }

  /** How many may wait so that the last of them is answered in time. What a turn reads has waited in its socket for up to a turn. */
  private room(): number {
    const { turnMs } = this;
    if (turnMs > WAIT_MS_MAX) return WAITING_MIN;
    return Math.max(WAITING_MIN, Math.max(WAIT_MS_AIM - turnMs, ANSWERING_MIN * turnMs) / this.perAnswerMs);
  }
}
