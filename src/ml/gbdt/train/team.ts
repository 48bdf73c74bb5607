// A team of threads that train together: who owns which share, and where they wait for each other.

export interface Team {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Returns when every member has called it; what each wrote before is then seen by all. */
  wait(): void;
  /**
   * Does the work of each number below `units`, all members together: whoever is free takes the next. Returns when none is left
   * to take, which is before the others are done. All members call it alike, and wait before they share again.
   */
  share(units: number, work: (unit: number) => void): void;
}

/** One thread alone waits for nobody. */
export const ALONE: Team = {
  index: 0,
  count: 1,
  wait: () => {},
  share: (units, work) => {
    for (let unit = 0; unit < units; unit++) work(unit);
  },
};

/** 32-bit numbers in shared memory that a team waits on. */
export const TEAM_SLOTS = 3;
const ARRIVED = 0;
const PHASE = 1;
/** Units taken since the team came together; each member takes one too many a sharing. It may wrap. */
const TAKEN = 2;

/** Looks at the phase before sleeping, for some tenth of a millisecond: waits are shorter than that, and waking a thread costs more. */
const SPINS_MAX = 50_000;

/** A member of a team of threads. Never on the main thread: it sleeps while it waits. */
export function joinTeam(slots: Int32Array, place: { readonly index: number; readonly count: number }): Team {
  const { index, count } = place;
  const wait = (): void => {
    const phase = Atomics.load(slots, PHASE);
    if (Atomics.add(slots, ARRIVED, 1) === count - 1) {
      Atomics.store(slots, ARRIVED, 0);
      Atomics.add(slots, PHASE, 1);
      Atomics.notify(slots, PHASE);
      return;
    }
    for (let spin = 0; spin < SPINS_MAX; spin++) if (Atomics.load(slots, PHASE) !== phase) return;
    while (Atomics.load(slots, PHASE) === phase) Atomics.wait(slots, PHASE, phase);
  };
  let before = 0;
  const take = (): number => (Atomics.add(slots, TAKEN, 1) - before) | 0;
  const share = (units: number, work: (unit: number) => void): void => {
    for (let unit = take(); unit < units; unit = take()) work(unit);
    before = (before + units + count) | 0;
  };
  return { index, count, wait, share };
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A member's share of `total` things, cut at multiples of `unit`: contiguous, in the order of the members. */
export function shareOf(total: number, team: Pick<Team, "index" | "count">, unit = 1): Range {
  const units = Math.ceil(total / unit);
  const cut = (index: number): number => Math.min(total, unit * Math.floor((units * index) / team.count));
  return { from: cut(team.index), to: cut(team.index + 1) };
}
