// One measured life of a feature state, in a process of its own: a million customers for thirty days; prints one line of JSON.
import { compileSpec, layoutOf } from "../src/features/plan.ts";
import type { FeatureSpec } from "../src/features/spec.ts";
import { EventRow, FeatureState } from "../src/features/state.ts";
import { timed } from "./stopwatch.ts";

const DAY_MS = 86_400_000;
const START = Date.UTC(2024, 0, 1);
const LABEL_DAYS = 7;
/** Each has two transactions a day, spread evenly over the day. */
const PER_DAY = 2;
/** One in so many is fraud, as in the reference data. */
const FRAUD_EVERY = 119;

export interface MemoryTask {
  readonly spec: FeatureSpec;
  readonly customers: number;
  readonly terminals: number;
  readonly days: number;
}

const task = JSON.parse(process.argv[2]) as MemoryTask;
const { result: state, measured } = timed(() => live(task));
const heldBytes = process.memoryUsage().rss;
console.log(JSON.stringify({ ...measured, heldBytes, stateBytes: state.stats().bytes, events: state.stats().events }));

function live({ spec, customers, terminals, days }: MemoryTask): FeatureState {
  const state = new FeatureState(layoutOf([compileSpec(spec)]));
  const rowsPerDay = customers * PER_DAY;
  const row = new EventRow(state.tables.length);
  row.numbers = new Float64Array(state.numbers.length);
  const fill = (n: number): void => {
    row.id = String(n);
    row.time = START + Math.floor((n * DAY_MS) / rowsPerDay);
    state.tables.forEach(({ need }, s) => {
      // A step that shares no factor with the number of terminals visits each as often.
      const key = need.key[0] === "customer_id" ? n % customers : (n * 7919) % terminals;
      row.texts[s] = String(key);
      row.slots[s] = state.tables[s].find(row.texts[s]);
    });
    row.numbers.fill(((n * 31) % 20_000) / 100);
  };
  for (let n = 0; n < rowsPerDay * days; n++) {
    fill(n);
    state.learnRow(row);
    const labelled = n - rowsPerDay * LABEL_DAYS;
    if (labelled < 0 || labelled % FRAUD_EVERY !== 0) continue;
    const knownAt = row.time;
    fill(labelled);
    state.learnLabelRow(row, { fraud: true, knownAt });
  }
  return state;
}
