// Pace and what is held back, on a simulated event loop: requests wait in sockets, a turn reads what is there, and time passes only by work.
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { HeldBack } from "../../src/server/held-back.ts";
import { Pace } from "../../src/server/pace.ts";

/** As measured: refusing is hardly cheaper than answering, since most of either is reading the head and writing the answer. */
const ANSWER_MS = 0.05;
const READ_MS = 0.03;
const REFUSAL_MS = 0.03;
const CAPACITY = 1 / (ANSWER_MS + READ_MS);
/** A turn without work still takes so long, as the timer has it. */
const IDLE_MS = 5;
/** Answered in one turn. */
const TURN_MAX = 64;

/** A connection with one request under way at most. */
class Connection {
  readonly destroyed = false;
  paused = false;
  /** Its request is being answered: read, and not there a second time. */
  taken = false;
  sentAt = Number.NaN;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}

interface Seen {
  readonly waits: number[];
  readonly refusals: number[];
}

/** A server's loop and its clients; time goes on from one run to the next. */
class Simulation {
  readonly pace = new Pace();
  readonly heldBack = new HeldBack();
  private readonly connections: Connection[];
  private idle: Connection[];
  private queue: { readonly connection: Connection; readonly at: number }[] = [];
  private now = 0;
  private sampled = 0;

  constructor(connections: number) {
    this.connections = Array.from({ length: connections }, () => new Connection());
    this.idle = [...this.connections];
  }

  /** `rate` requests per ms for so long, in an open loop; `pause` gives what a turn takes besides. */
  run(given: { readonly rate: number; readonly ms: number; readonly pause?: () => number }): Seen {
    const { rate, ms, pause = () => 0 } = given;
    const seen: Seen = { waits: [], refusals: [] };
    const from = this.now;
    let sent = 0;
    while (this.now < from + ms) {
      const begun = this.now;
      if (begun - this.sampled >= IDLE_MS) {
        this.pace.turn(begun - this.sampled);
        this.heldBack.turn(begun - this.sampled, this.pace.answerMs);
        this.sampled = begun;
      }
      for (const due = Math.floor((this.now - from) * rate); sent < due; sent++) {
        // Where all connections are busy the client gives the request up.
        const connection = this.idle.pop();
        if (connection !== undefined) connection.sentAt = from + sent / rate;
      }
      this.read(seen);
      this.answer(seen);
      this.now = Math.max(this.now + pause(), begun + 0.5);
    }
    return seen;
  }

  private read(seen: Seen): void {
    const readable = this.connections.filter(({ paused, taken, sentAt }) => !paused && !taken && sentAt <= this.now);
    for (const connection of readable) {
      const incoming = { socket: connection, readableEnded: true } as unknown as IncomingMessage;
      this.now += READ_MS;
      const old = this.heldBack.isOld(incoming);
      if (!old && this.pace.admit()) {
        this.pace.waits();
        connection.taken = true;
        this.queue.push({ connection, at: this.now });
        continue;
      }
      if (!old) this.heldBack.add(incoming);
      this.now += REFUSAL_MS;
      seen.refusals.push(this.end(connection));
    }
  }

  private answer(seen: Seen): void {
    const turn = this.queue.splice(0, TURN_MAX);
    if (turn.length === 0) return;
    const begun = this.now;
    let judged = 0;
    for (const { connection, at } of turn) {
      const taken = this.pace.comes(begun - at, begun);
      if (taken) judged++;
      this.now += taken ? ANSWER_MS : REFUSAL_MS;
      (taken ? seen.waits : seen.refusals).push(this.end(connection));
    }
    if (judged === turn.length) this.pace.answered(judged, this.now - begun);
  }

  /** The connection is free again; gives how long its request took. */
  private end(connection: Connection): number {
    const took = this.now - connection.sentAt;
    connection.sentAt = Number.NaN;
    connection.taken = false;
    this.idle.unshift(connection);
    return took;
  }
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)];

test.each([1000, 4000])(
  "four times the capacity on %i connections: the accepted wait 50 ms at most, and are many",
  (connections) => {
    const { waits, refusals } = new Simulation(connections).run({ rate: 4 * CAPACITY, ms: 30_000 });
    expect(quantile(waits, 0.99)).toBeLessThan(50);
    // Half of the time goes into refusals.
    expect(waits.length / (30_000 * CAPACITY)).toBeGreaterThan(0.35);
    expect(refusals.length).toBeGreaterThan(0);
    // Who is refused hears of it within the second that Retry-After names, or soon after.
    expect(quantile(refusals, 0.99)).toBeLessThan(1500);
  },
);

test("few clients, each waiting for its answer, are no overload", () => {
  const { waits, refusals } = new Simulation(200).run({ rate: 4 * CAPACITY, ms: 10_000 });
  expect(refusals.length).toBe(0);
  expect(quantile(waits, 0.99)).toBeLessThan(50);
});

test("32 requests at once on a machine that needs ten milliseconds for each are no overload", () => {
  const pace = new Pace();
  for (let now = 0; now < 10_000; now += 320) {
    for (let i = 0; i < 32; i++) {
      expect(pace.admit()).toBe(true);
      pace.waits();
    }
    for (let i = 0; i < 32; i++) expect(pace.comes(10 * i, now + 10 * i)).toBe(true);
    pace.turn(320);
  }
  expect(pace.limited).toBe(false);
});

test("when the load ends nothing is refused any more, within two seconds", () => {
  const simulation = new Simulation(1000);
  simulation.run({ rate: 4 * CAPACITY, ms: 5000 });
  simulation.run({ rate: 0.5 * CAPACITY, ms: 2000 });
  expect([simulation.pace.limited, simulation.heldBack.size]).toEqual([false, 0]);
  expect(simulation.run({ rate: 0.8 * CAPACITY, ms: 10_000 }).refusals.length).toBe(0);
});

test("below capacity nothing is refused, with pauses of a hundred milliseconds now and then", () => {
  const random = new Random(3);
  const pause = (): number => (random.next() < 0.0005 ? 100 * random.next() : 0);
  expect(new Simulation(1000).run({ rate: 0.6 * CAPACITY, ms: 60_000, pause }).refusals.length).toBe(0);
});

test("a slow machine with little to do refuses nobody", () => {
  expect(new Simulation(100).run({ rate: 0.2, ms: 60_000, pause: () => 40 }).refusals.length).toBe(0);
});

test.each([
  [32, false],
  [200, true],
])("%i requests at once that wait 60 ms each for two seconds: refusing is %s", (count, limited) => {
  const pace = new Pace();
  for (let now = 0; now < 2000; now += 60) {
    for (let i = 0; i < count; i++) pace.waits();
    for (let i = 0; i < count; i++) pace.comes(60, now + 60);
    pace.turn(60);
  }
  expect(pace.limited).toBe(limited);
});
