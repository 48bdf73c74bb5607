// Pulse: decisions by minute and outcome of the last day, sampled from the counters once per second, off the road of answers.
import { DECISIONS, type Decision } from "../core/decision.ts";
import type { Clock } from "../ports/ports.ts";

const MINUTE_MS = 60_000;
/** Minutes that are kept: a day. */
export const PULSE_MINUTES = 1440;
const SAMPLE_MS = 1000;
const OUTCOMES = DECISIONS.length;

/** What was answered since the process began, by decision. */
export type Totals = Readonly<Record<Decision, number>>;

/** Counts of consecutive minutes. */
export interface Minutes {
  /** Begin of the first minute, milliseconds. */
  readonly from: number;
  readonly counts: Readonly<Record<Decision, readonly number[]>>;
}

interface Track {
  readonly last: Float64Array;
  /** A ring: minute by minute one count per decision. */
  readonly ring: Uint32Array;
  /** The newest minute that was counted, in minutes since 1970. */
  newest: number;
}

/** Follows the counters of every pipeline. What other processes answer, those of streams too, is not in it. */
export class Pulse {
  private readonly clock: Clock;
  private readonly read: () => Iterable<readonly [pipeline: string, totals: Totals]>;
  private readonly tracks = new Map<string, Track>();
  private readonly timer: NodeJS.Timeout;
  /** When it began to count, milliseconds. */
  readonly since: number;

  constructor(clock: Clock, read: () => Iterable<readonly [pipeline: string, totals: Totals]>) {
    this.clock = clock;
    this.read = read;
    this.since = clock.now();
    this.timer = setInterval(() => this.sample(), SAMPLE_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Counts what was answered since the last look. */
  sample(): void {
    const minute = Math.floor(this.clock.now() / MINUTE_MS);
    for (const [pipeline, totals] of this.read()) {
      let track = this.tracks.get(pipeline);
      if (track === undefined) {
        if (DECISIONS.every((decision) => totals[decision] === 0)) continue;
        track = { last: new Float64Array(OUTCOMES), ring: new Uint32Array(PULSE_MINUTES * OUTCOMES), newest: minute };
        this.tracks.set(pipeline, track);
      }
      // A clock that was set back counts into the newest minute.
      const at = Math.max(minute, track.newest);
      for (let gone = Math.max(track.newest + 1, at - PULSE_MINUTES + 1); gone <= at; gone++) {
        const place = (gone % PULSE_MINUTES) * OUTCOMES;
        track.ring.fill(0, place, place + OUTCOMES);
      }
      track.newest = at;
      for (const [index, decision] of DECISIONS.entries()) {
        track.ring[(at % PULSE_MINUTES) * OUTCOMES + index] += totals[decision] - track.last[index];
        track.last[index] = totals[decision];
      }
    }
  }

  /** The last `count` minutes, the running one included, of all the pipelines that `sees` lets through. */
  minutes(count: number, sees: (pipeline: string) => boolean): Minutes {
    this.sample();
    const now = Math.floor(this.clock.now() / MINUTE_MS);
    const length = Math.min(count, PULSE_MINUTES);
    const nothing = (): number[] => new Array<number>(length).fill(0);
    const counts = { approve: nothing(), review: nothing(), block: nothing() };
    for (const [pipeline, { ring, newest }] of this.tracks) {
      if (!sees(pipeline)) continue;
      for (let place = 0; place < length; place++) {
        const minute = now - length + 1 + place;
        if (minute > newest || minute <= newest - PULSE_MINUTES) continue;
        for (const [index, decision] of DECISIONS.entries()) {
          counts[decision][place] += ring[(minute % PULSE_MINUTES) * OUTCOMES + index];
        }
      }
    }
    return { from: (now - length + 1) * MINUTE_MS, counts };
  }
}
