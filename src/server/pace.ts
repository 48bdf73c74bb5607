// Pace: how many requests one turn of the event loop takes in, so that those taken in are answered soon however many come.

/**
 * Work waits in sockets until the loop comes round, so a turn's length is what an answer waits. A turn should be no longer than this; an
 * accepted request waits for the turn that is running and its own, 40 ms together.
 */
const TURN_MS_AIM = 20;
/** Turns that are too long for so long without a break are overload; a shorter stretch is a collection of garbage, or a neighbour. */
const STRETCH_MS = 500;
/** At least this share of a turn answers: where refusing alone fills a turn, answering fewer would not shorten it. */
const ANSWERING_MIN = 0.25;
/** A turn with fewer requests is not long because of them; nor are so few clients, each waiting for its answer, an overload. */
const REQUESTS_MIN = 64;
const LIMIT_MIN = 16;
/** The limit at most halves in a turn, and grows by a tenth: it finds the rate, and one long pause is soon made good. */
const FALL_MAX = 0.5;
const RISE = 0.1;
/** Without a refusal for so long the limit is lifted. */
const CALM_MS = 1000;

/**
 * A limit of requests per turn that appears under lasting overload alone (after CoDel, RFC 8289: what counts is a delay that stays, not a
 * queue that comes and goes).
 */
export class Pace {
  private limit = Number.POSITIVE_INFINITY;
  private limitMin = LIMIT_MIN;
  private admitted = 0;
  private refused = 0;
  private longMs = 0;
  private calmMs = 0;

  /** Whether requests are being refused. */
  get limited(): boolean {
    return this.limit !== Number.POSITIVE_INFINITY;
  }

  /** Whether the turn takes one more request in. */
  admit(): boolean {
    if (this.admitted >= this.limit) {
      this.refused++;
      return false;
    }
    this.admitted++;
    return true;
  }

  /** A turn ends that took so long. */
  turn(ms: number): void {
    const { admitted, refused } = this;
    this.admitted = 0;
    this.refused = 0;
    const long = ms > TURN_MS_AIM && admitted + refused >= REQUESTS_MIN;
    if (this.limit === Number.POSITIVE_INFINITY) {
      this.longMs = long ? this.longMs + ms : 0;
      if (this.longMs < STRETCH_MS) return;
      // All of them were answered, so that this is what a turn of the right length answers.
      const fitting = (admitted * TURN_MS_AIM) / ms;
      this.limitMin = Math.max(LIMIT_MIN, Math.round(fitting * ANSWERING_MIN));
      this.setLimit(fitting);
      return;
    }
    this.calmMs = refused > 0 ? 0 : this.calmMs + ms;
    if (this.calmMs >= CALM_MS) {
      this.limit = Number.POSITIVE_INFINITY;
      this.longMs = 0;
      this.calmMs = 0;
    } else if (long) this.setLimit(this.limit * Math.max(FALL_MAX, TURN_MS_AIM / ms));
    else if (refused > 0) this.setLimit(this.limit + Math.max(1, this.limit * RISE));
  }

  private setLimit(limit: number): void {
    this.limit = Math.max(this.limitMin, Math.round(limit));
  }
}
