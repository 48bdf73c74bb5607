// A simulated scale-out: so many gateways and brains, each one core with a queue, fed by Poisson arrivals; event by event, with measured service times.
import type { Random } from "../src/core/random.ts";
import { Latencies } from "./latencies.ts";

/** Draws one service time, in milliseconds. */
export type Draw = () => number;

export interface Scene {
  /** Transactions per second, as a Poisson process. */
  readonly perSecond: number;
  readonly gateways: number;
  readonly brains: number;
  /** A gateway works on a transaction twice: before it asks a brain, and after. */
  readonly before: Draw;
  readonly brain: Draw;
  readonly after: Draw;
  /** From one pod to another and back, in milliseconds. */
  readonly networkMs: number;
  readonly transactions: number;
  readonly random: Random;
}

export interface Outcome {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Of the time that was simulated, how long the busiest kind of pod was at work. */
  readonly gatewayLoad: number;
  readonly brainLoad: number;
}

/** The first of so many are not counted: the queues begin empty. */
const WARM_UP_SHARE = 0.1;

/** A transaction goes to any gateway; that one asks the brain with the fewest of its own transactions under way, as the pool does. */
export function simulate(scene: Scene): Outcome {
  const { random, transactions, perSecond, gateways, brains, networkMs } = scene;
  const queue = new EventQueue();
  const latencies = new Latencies();
  const gatewayFree = new Float64Array(gateways);
  const brainFree = new Float64Array(brains);
  const underWay = new Int32Array(gateways * brains);
  const begun = new Float64Array(transactions);
  const gatewayOf = new Int32Array(transactions);
  const brainOf = new Int32Array(transactions);
  let [gatewayBusy, brainBusy, now] = [0, 0, 0];
  /** A server takes its work in the order in which it comes; gives when it is done. */
  const serve = (free: Float64Array, which: number, ms: number): number => {
    free[which] = Math.max(now, free[which]) + ms;
    return free[which];
  };
  let arrival = 0;
  const arrive = (number: number): void => {
    if (number === transactions) return;
    arrival += (-Math.log(1 - random.next()) * 1000) / perSecond;
    queue.add(arrival, number * STEPS);
  };
  const run = (number: number, step: number): void => {
    const gateway = gatewayOf[number];
    const brain = brainOf[number];
    if (step === 0) {
      arrive(number + 1);
      begun[number] = now;
      gatewayOf[number] = random.integer(gateways);
      const ms = scene.before();
      gatewayBusy += ms;
      queue.add(serve(gatewayFree, gatewayOf[number], ms), number * STEPS + 1);
    } else if (step === 1) {
      brainOf[number] = leastOf(underWay, { from: gateway * brains, count: brains, first: random.integer(brains) });
      underWay[gateway * brains + brainOf[number]]++;
      queue.add(now + networkMs / 2, number * STEPS + 2);
    } else if (step === 2) {
      const ms = scene.brain();
      brainBusy += ms;
      queue.add(serve(brainFree, brain, ms) + networkMs / 2, number * STEPS + 3);
    } else if (step === 3) {
      underWay[gateway * brains + brain]--;
      const ms = scene.after();
      gatewayBusy += ms;
      queue.add(serve(gatewayFree, gateway, ms), number * STEPS + 4);
    } else if (number >= transactions * WARM_UP_SHARE) latencies.add(now - begun[number]);
  };
  arrive(0);
  for (let next = queue.take(); next !== null; next = queue.take()) {
    now = next.at;
    run(Math.floor(next.what / STEPS), next.what % STEPS);
  }
  return {
    p50Ms: latencies.quantile(0.5),
    p95Ms: latencies.quantile(0.95),
    p99Ms: latencies.quantile(0.99),
    gatewayLoad: gatewayBusy / (now * gateways),
    brainLoad: brainBusy / (now * brains),
  };
}

/** A transaction's arrival, its first work done, its arrival at a brain, its answer there, and its end. */
const STEPS = 5;

function leastOf(
  counts: Int32Array,
  { from, count, first }: { readonly from: number; readonly count: number; readonly first: number },
): number {
  let best = first;
  for (let i = 1; i < count; i++) {
    const one = (first + i) % count;
    if (counts[from + one] < counts[from + best]) best = one;
  }
  return best;
}

/** Events by time: a binary heap. */
class EventQueue {
  private readonly times: number[] = [];
  private readonly whats: number[] = [];

  add(at: number, what: number): void {
    const { times, whats } = this;
    let place = times.length;
    times.push(at);
    whats.push(what);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (times[parent] <= at) break;
      times[place] = times[parent];
      whats[place] = whats[parent];
      place = parent;
    }
    times[place] = at;
    whats[place] = what;
  }

  take(): { readonly at: number; readonly what: number } | null {
    const { times, whats } = this;
    if (times.length === 0) return null;
    const first = { at: times[0], what: whats[0] };
    const [at, what] = [times.pop()!, whats.pop()!];
    const { length } = times;
    let place = 0;
    for (let child = 1; child < length; child = 2 * place + 1) {
      if (child + 1 < length && times[child + 1] < times[child]) child++;
      if (times[child] >= at) break;
      times[place] = times[child];
      whats[place] = whats[child];
      place = child;
    }
    if (length > 0) {
      times[place] = at;
      whats[place] = what;
    }
    return first;
  }
}

/** A draw whose quantiles are those that were measured, straight lines between, scaled to a mean. */
export function drawOf(
  quantiles: readonly (readonly [share: number, ms: number])[],
  { meanMs, random }: { readonly meanMs: number; readonly random: Random },
): Draw {
  let mean = 0;
  for (let i = 1; i < quantiles.length; i++) {
    const [[from, low], [to, high]] = [quantiles[i - 1], quantiles[i]];
    mean += ((low + high) / 2) * (to - from);
  }
  const scale = meanMs / mean;
  return () => {
    const draw = random.next();
    let i = 1;
    while (i < quantiles.length - 1 && draw > quantiles[i][0]) i++;
    const [[from, low], [to, high]] = [quantiles[i - 1], quantiles[i]];
    return scale * (low + ((high - low) * (draw - from)) / (to - from));
  };
}
