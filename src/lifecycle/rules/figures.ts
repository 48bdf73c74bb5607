// The figures of a rule on its past: how often, how right, what only it finds, and what it would cost.
import { DAY_MS } from "../../core/duration.ts";
import type { Rule } from "../../core/rule.ts";
import { clusteredProportion, type EntityCount, type Proportion } from "../../evidence/proportion.ts";
import { bitCount } from "../../rules/mining.ts";
import type { RuleHits } from "./hits.ts";
import type { Past } from "./past.ts";

export interface Overlap {
  readonly rule: string;
  /** Of this rule's hits, how many the other has too. */
  readonly share: number;
  readonly rows: number;
}

export interface RuleFigures {
  readonly id: string;
  readonly fires: number;
  readonly firesPerDay: number;
  /** Entities per day: an analyst looks at an entity once. */
  readonly alertsPerDay: number;
  readonly entities: number;
  /** On matured rows whose truth is known. */
  readonly precision: Proportion;
  readonly recall: Proportion;
  /** Frauds among its hits, and those that no other rule that decides catches. */
  readonly frauds: number;
  readonly onlyMe: number;
  /** Those among them that the model lets through too, and all hits that only this rule adds; null without a model. */
  readonly beyondModel: { readonly frauds: number; readonly hits: number; readonly precision: Proportion } | null;
  readonly money: { readonly frauds: number; readonly onlyMe: number; readonly beyondModel: number | null } | null;
  /** The five rules with the most hits in common. */
  readonly overlap: readonly Overlap[];
  /** Hits too young for their truth, and those whose truth nobody can know: they were blocked, or nobody says. */
  readonly immature: number;
  readonly unknowable: number;
  /** Rows on which it could not be asked. */
  readonly unready: number;
}

const OVERLAP_SHOWN = 5;

/** Figures of every rule; `deciding` are those that decide today, which "only me" is measured against. */
export function figuresOf(
  past: Past,
  on: {
    readonly rules: readonly Rule[];
    readonly hits: readonly RuleHits[];
    readonly maturityMs: number;
    readonly from: number;
    readonly to: number;
  },
): readonly RuleFigures[] {
  const { rules, hits, from, to } = on;
  const days = Math.max(1, (Math.min(to, past.to) - Math.max(from, past.from)) / DAY_MS);
  const maturedTo = past.to - on.maturityMs;
  const marks = new Marks(past, rules, hits);
  const tally = new Tally(past.entities);
  const recallOf = recalls(past, { from, to: Math.min(to, maturedTo) });
  const hasMoney = past.amounts.some(Number.isFinite);
  return rules.map((rule, index) => {
    const own = hits[index];
    tally.clear();
    const beyond = new Map<number, { hits: number; rows: number }>();
    let alerts = 0;
    const sum = { frauds: 0, onlyMe: 0, beyondFrauds: 0, beyondHits: 0, immature: 0, unknowable: 0 };
    const money = { frauds: 0, onlyMe: 0, beyondModel: 0 };
    for (const row of own.rows) {
      const entity = past.entities[row];
      // Rows come in the order of time, so that a day is over once another begins.
      if (tally.isNewOn(entity, Math.floor(past.times[row] / DAY_MS))) alerts++;
      const alone = !marks.decidedByOthers(row, index);
      const unflagged = past.decided === null || isStricter(rule, past.decided[row]);
      if (alone && unflagged) sum.beyondHits++;
      if (past.times[row] > maturedTo) {
        sum.immature++;
        continue;
      }
      const label = past.labels[row];
      if (label > 1) {
        sum.unknowable++;
        continue;
      }
      tally.add(entity, label);
      if (alone && unflagged) add(beyond, entity, label);
      if (label === 0) continue;
      const amount = Number.isFinite(past.amounts[row]) ? past.amounts[row] : 0;
      sum.frauds++;
      money.frauds += amount;
      if (!alone) continue;
      sum.onlyMe++;
      money.onlyMe += amount;
      if (!unflagged) continue;
      sum.beyondFrauds++;
      money.beyondModel += amount;
    }
    const hasModel = past.decided !== null;
    return {
      id: rule.id,
      fires: own.rows.length,
      firesPerDay: own.rows.length / days,
      alertsPerDay: alerts / days,
      entities: tally.entities,
      precision: clusteredProportion(tally.counts()),
      recall: recallOf((entity) => tally.hitsOf(entity)),
      frauds: sum.frauds,
      onlyMe: sum.onlyMe,
      beyondModel: hasModel
        ? { frauds: sum.beyondFrauds, hits: sum.beyondHits, precision: clusteredProportion(beyond.values()) }
        : null,
      money: hasMoney ? { ...money, beyondModel: hasModel ? money.beyondModel : null } : null,
      overlap: marks.overlap(index),
      immature: sum.immature,
      unknowable: sum.unknowable,
      unready: own.unready,
    };
  });
}

/** Whether the rule's action goes further than what the model does by itself. */
function isStricter({ action }: Rule, decided: string): boolean {
  return action === "block" ? decided !== "block" : decided === "approve";
}

function add(counts: Map<number, { hits: number; rows: number }>, entity: number, label: number): void {
  let one = counts.get(entity);
  if (one === undefined) {
    one = { hits: 0, rows: 0 };
    counts.set(entity, one);
  }
  one.rows++;
  one.hits += label;
}

/** Recall by entity: the frauds of each, and how many of them were caught. */
function recalls(
  past: Past,
  span: { readonly from: number; readonly to: number },
): (caughtOf: (entity: number) => number) => Proportion {
  const frauds = new Map<number, number>();
  for (let row = 0; row < past.labels.length; row++) {
    if (past.labels[row] !== 1 || past.times[row] < span.from || past.times[row] > span.to) continue;
    frauds.set(past.entities[row], (frauds.get(past.entities[row]) ?? 0) + 1);
  }
  return (caughtOf) => {
    const counts: EntityCount[] = [];
    for (const [entity, rows] of frauds) counts.push({ hits: caughtOf(entity), rows });
    return clusteredProportion(counts);
  };
}

/** Counts by entity, reused from rule to rule: a fifth of all rows may be hits. */
class Tally {
  private readonly hits: Int32Array;
  private readonly rows: Int32Array;
  private readonly day: Int32Array;
  private touched: number[] = [];

  constructor(entities: Int32Array) {
    let most = 0;
    for (const entity of entities) if (entity > most) most = entity;
    this.hits = new Int32Array(most + 1);
    this.rows = new Int32Array(most + 1);
    this.day = new Int32Array(most + 1).fill(NO_DAY);
  }

  get entities(): number {
    return this.touched.length;
  }

  clear(): void {
    for (const entity of this.touched) {
      this.hits[entity] = 0;
      this.rows[entity] = 0;
      this.day[entity] = NO_DAY;
    }
    this.touched = [];
  }

  isNewOn(entity: number, day: number): boolean {
    const last = this.day[entity];
    if (last === day) return false;
    if (last === NO_DAY) this.touched.push(entity);
    this.day[entity] = day;
    return true;
  }

  add(entity: number, label: number): void {
    this.rows[entity]++;
    this.hits[entity] += label;
  }

  hitsOf(entity: number): number {
    return this.hits[entity];
  }

  *counts(): Generator<EntityCount> {
    for (const entity of this.touched) yield { hits: this.hits[entity], rows: this.rows[entity] };
  }
}

const NO_DAY = -(2 ** 31);

/** Which rules fired on each row: how many that decide, and which of them where it is one alone. */
class Marks {
  private readonly deciders: Uint16Array;
  private readonly lastDecider: Int32Array;
  private readonly rules: readonly Rule[];
  private readonly hits: readonly RuleHits[];
  private readonly rows: number;
  private readonly bits: (Int32Array | undefined)[] = [];

  constructor(past: Past, rules: readonly Rule[], hits: readonly RuleHits[]) {
    this.rules = rules;
    this.hits = hits;
    this.rows = past.times.length;
    this.deciders = new Uint16Array(this.rows);
    this.lastDecider = new Int32Array(this.rows).fill(-1);
    for (const [index, { rows }] of hits.entries()) {
      if (!decides(rules[index])) continue;
      for (const row of rows) {
        this.deciders[row]++;
        this.lastDecider[row] = index;
      }
    }
  }

  /** Whether a deciding rule other than this one fired. */
  decidedByOthers(row: number, index: number): boolean {
    const own = decides(this.rules[index]) ? 1 : 0;
    return this.deciders[row] > own || (this.deciders[row] === 1 && this.lastDecider[row] !== index);
  }

  overlap(index: number): readonly Overlap[] {
    const { rows } = this.hits[index];
    if (rows.length === 0) return [];
    const all: Overlap[] = [];
    for (let other = 0; other < this.hits.length; other++) {
      if (other === index || this.hits[other].rows.length === 0) continue;
      const common = this.common(index, other);
      if (common > 0) all.push({ rule: this.rules[other].id, share: common / rows.length, rows: common });
    }
    return all.sort((a, b) => b.rows - a.rows).slice(0, OVERLAP_SHOWN);
  }

  private common(a: number, b: number): number {
    const [one, other] = [this.bitsOf(a), this.bitsOf(b)];
    let count = 0;
    for (let i = 0; i < one.length; i++) {
      const both = one[i] & other[i];
      if (both !== 0) count += bitCount(both);
    }
    return count;
  }

  /** A bit per row: two rules are compared 32 rows at a time. */
  private bitsOf(index: number): Int32Array {
    let bits = this.bits[index];
    if (bits === undefined) {
      bits = new Int32Array((this.rows >> 5) + 1);
      for (const row of this.hits[index].rows) bits[row >> 5] |= 1 << (row & 31);
      this.bits[index] = bits;
    }
    return bits;
  }
}

/** Rules that decide today; a tag never does, and an approval catches nothing. */
function decides({ stage, action }: Rule): boolean {
  return (stage === "live" || stage === "rollout") && (action === "block" || action === "review");
}
