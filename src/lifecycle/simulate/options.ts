// What a simulation may be asked for: sizes, start, seed, rates of compromise; checked once.
import { SentinelError } from "../../core/errors.ts";
import type { DriftScenario } from "./drift.ts";

export interface SimulateOptions {
  readonly customers?: number;
  readonly terminals?: number;
  readonly days?: number;
  /** First day, "YYYY-MM-DD", in UTC. */
  readonly start?: string;
  readonly seed?: number;
  /** New terminals compromised per day (a fraction: one every so many days). */
  readonly compromisedTerminals?: number;
  /** New customers compromised per day (a fraction: one every so many days). */
  readonly compromisedCustomers?: number;
  readonly drift?: readonly DriftScenario[];
}

export interface Settings {
  readonly customers: number;
  readonly terminals: number;
  readonly days: number;
  /** Midnight UTC of the first day, epoch ms. */
  readonly startMs: number;
  readonly seed: number;
  readonly compromisedTerminals: number;
  readonly compromisedCustomers: number;
  readonly drift: readonly DriftScenario[];
}

/** The Handbook's sizes, and the compromises per day that go with them. */
const HANDBOOK = {
  customers: 5_000,
  terminals: 10_000,
  days: 183,
  start: "2018-04-01",
  compromisedTerminals: 2,
  compromisedCustomers: 3,
} as const;
/** However small the world: one new compromise a week, so that even a demonstration has each kind of fraud. */
const COMPROMISES_MIN = 1 / 7;
const PARTIES_MAX = 10_000_000;
const DAYS_MAX = 36_500;

/**
 * Fills in the Handbook's values. Compromises per day default to the Handbook's number in proportion to the customers or
 * terminals, but at least one per week (at most all of them). Raises cli.usage naming the option and its range.
 */
export function settingsOf(options: SimulateOptions): Settings {
  const customers = whole("customers", options.customers ?? HANDBOOK.customers, { min: 1, max: PARTIES_MAX });
  const terminals = whole("terminals", options.terminals ?? HANDBOOK.terminals, { min: 1, max: PARTIES_MAX });
  const days = whole("days", options.days ?? HANDBOOK.days, { min: 1, max: DAYS_MAX });
  const proportion = (handbook: number, share: number): number => Math.max(handbook * share, COMPROMISES_MIN);
  return {
    customers,
    terminals,
    days,
    startMs: midnight(options.start ?? HANDBOOK.start),
    seed: whole("seed", options.seed ?? 0, { min: 0, max: Number.MAX_SAFE_INTEGER }),
    compromisedTerminals: within(
      "compromised-terminals",
      options.compromisedTerminals ?? proportion(HANDBOOK.compromisedTerminals, terminals / HANDBOOK.terminals),
      { min: 0, max: terminals },
    ),
    compromisedCustomers: within(
      "compromised-customers",
      options.compromisedCustomers ?? proportion(HANDBOOK.compromisedCustomers, customers / HANDBOOK.customers),
      { min: 0, max: customers },
    ),
    drift: checkedDrift(options.drift ?? [], days),
  };
}

interface Range {
  readonly min: number;
  readonly max: number;
}

export function whole(option: string, value: number, range: Range): number {
  if (!Number.isSafeInteger(value)) throw usage(option, `${value} is no whole number`, range);
  return within(option, value, range);
}

export function within(option: string, value: number, { min, max }: Range): number {
  if (!(value >= min && value <= max)) throw usage(option, `${value} is out of range`, { min, max });
  return value;
}

function usage(option: string, what: string, { min, max }: Range): SentinelError {
  return new SentinelError("cli.usage", `--${option}: ${what}`, {
    hint: `give --${option} a number from ${min} to ${max}`,
  });
}

function midnight(start: string): number {
  const time = /^\d{4}-\d\d-\d\d$/.test(start) ? Date.parse(`${start}T00:00:00Z`) : Number.NaN;
  // Date.parse takes the 31st of February for a day in March.
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(start)) return time;
  throw new SentinelError("cli.usage", `--start: ${start} is no date`, {
    hint: "give --start a day as YYYY-MM-DD, for example 2018-04-01",
  });
}

function checkedDrift(drift: readonly DriftScenario[], days: number): readonly DriftScenario[] {
  const seen = new Set<string>();
  for (const { name, day, ramp } of drift) {
    whole(`drift ${name}@`, day, { min: 0, max: days - 1 });
    whole(`drift ${name}@${day}/`, ramp, { min: 1, max: DAYS_MAX });
    if (seen.has(name)) {
      throw new SentinelError("cli.usage", `--drift: ${name} is given twice`, { hint: "give each scenario once" });
    }
    seen.add(name);
  }
  return drift;
}
