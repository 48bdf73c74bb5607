// The oracle: every feature computed the slow way, from all that ever arrived; shares nothing with the state but the spec.
import { parseDuration } from "../../src/core/duration.ts";
import { distanceKm } from "../../src/core/place.ts";
import type { Transaction } from "../../src/core/transaction.ts";
import type { DerivedValue } from "../../src/core/window.ts";
import { compileExpression } from "../../src/expression/compile.ts";
import type { ExpressionFeature, FeatureDef, FeatureSpec } from "../../src/features/definition.ts";
import type { FeatureArrival } from "../../src/features/encode.ts";

interface Known {
  readonly transaction: Transaction;
  knownAt: number;
}

/** Remembers everything; exact for keys that are never busy. */
export class Oracle {
  readonly spec: FeatureSpec;
  readonly latenessMs: number;
  watermark = Number.NEGATIVE_INFINITY;
  readonly learned: Transaction[] = [];
  /** By transaction and feature: what was known through the other key when the transaction was learned. */
  private readonly hops = new Map<string, Map<string, number>>();
  private readonly known = { frauds: [] as Known[], genuine: [] as Known[] };

  constructor(spec: FeatureSpec, latenessMs: number) {
    this.spec = spec;
    this.latenessMs = latenessMs;
  }

  learn(event: FeatureArrival): void {
    const tx = event.transaction;
    if (event.kind === "transaction") {
      if (tx.time < this.watermark - this.latenessMs || this.has(tx)) return;
      this.watermark = Math.max(this.watermark, tx.time);
      this.hops.set(tx.id, this.hopsOf(tx));
      this.learned.push(tx);
      return;
    }
    const knownAt = Math.max(event.knownAt, tx.time + 1);
    const [own, other] = event.fraud ? (["frauds", "genuine"] as const) : (["genuine", "frauds"] as const);
    this.known[other] = this.known[other].filter((one) => one.transaction.id !== tx.id || one.knownAt > knownAt);
    const same = this.known[own].find((one) => one.transaction.id === tx.id);
    if (same === undefined) this.known[own].push({ transaction: tx, knownAt });
    else same.knownAt = Math.min(same.knownAt, knownAt);
  }

  private hopsOf(tx: Transaction): Map<string, number> {
    const hops = new Map<string, number>();
    for (const def of this.spec.features) {
      if (def.kind !== "two-hops") continue;
      const after = tx.time - parseDuration(def.within);
      const frauds = this.knownOf("frauds", def.through, tx).filter(({ time }) => time > after && time <= tx.time);
      hops.set(def.name, def.through.some((column) => tx.fields[column] === null) ? Number.NaN : frauds.length);
    }
    return hops;
  }

  /** Too late to be learned: old entries may be gone from the state, so its answer is not promised. */
  tooLate(tx: Transaction): boolean {
    return tx.time < this.watermark - this.latenessMs;
  }

  has(tx: Transaction): boolean {
    return this.learned.some((one) => one.id === tx.id);
  }

  vector(tx: Transaction): number[] {
    const values = new Map<string, number>();
    for (const def of this.spec.features) values.set(def.name, this.feature(def, tx, values));
    return [...values.values()];
  }

  private feature(def: FeatureDef, tx: Transaction, values: ReadonlyMap<string, number>): number {
    if (def.kind === "column") return numberOf(tx, def.column);
    if (def.kind === "category") {
      const field = tx.fields[def.column];
      const place = def.values.indexOf(String(field));
      return field === null ? Number.NaN : place < 0 ? def.values.length : place;
    }
    if (def.kind === "time") return timePart(def.part, new Date(tx.time));
    if (def.kind === "difference") return values.get(def.of)! - values.get(def.minus)!;
    if (def.kind === "expression") return expressionOf(def, tx, values);
    if (def.kind === "ratio") {
      const under = values.get(def.denominator)!;
      return under === 0 ? Number.NaN : values.get(def.numerator)! / under;
    }
    if (def.key.some((column) => tx.fields[column] === null)) return Number.NaN;
    const history = "history" in def ? def.history : undefined;
    const before = this.before(def.key, tx, history);
    const ms = (text: string | undefined): number => parseDuration(text ?? "0s");
    const within = (after: number, until: number): Transaction[] =>
      before.filter((one) => one.time > after && one.time <= until);
    if (def.kind === "elapsed") {
      const after = tx.time - ms(def.within);
      const pool = def.since.endsWith("fraud")
        ? this.knownOf("frauds", def.key, tx, history).filter((one) => one.time > after && one.time <= tx.time)
        : within(after, tx.time);
      const times = pool.map((one) => one.time);
      const edge = def.since.startsWith("last") ? Math.max(...times) : Math.min(...times);
      return times.length === 0 ? Number.NaN : (tx.time - edge) / (def.unit === "days" ? 86_400_000 : 1000);
    }
    if (def.kind === "since-fraud") {
      const frauds = this.knownOf("frauds", def.key, tx, history).filter((one) => one.time <= tx.time);
      const last = Math.max(...frauds.map((one) => one.time));
      return last > tx.time - ms(def.within) ? within(last, tx.time - ms(def.delay)).length : Number.NaN;
    }
    if (def.kind === "multiple") {
      const own = def.current === false ? [] : [tx];
      const usual = present([...own, ...within(tx.time - ms(def.usual), tx.time)], def.over);
      const limit = (def.times * sumLatestFirst(usual, def.current !== false)) / usual.length;
      const recent = present([...own, ...within(tx.time - ms(def.window), tx.time)], def.over);
      return usual.length === 0 ? Number.NaN : recent.filter((value) => value > limit).length;
    }
    if (def.kind === "first-seen") {
      const value = textOf(tx, def.column);
      const seen = within(tx.time - ms(def.within), tx.time).some((one) => textOf(one, def.column) === value);
      return value === null ? Number.NaN : Number(!seen);
    }
    if (def.kind === "new-values") {
      const cut = tx.time - ms(def.window);
      const own = def.current === false ? [] : [tx];
      const recent = [...own, ...within(cut, tx.time)].map((one) => textOf(one, def.column));
      const old = within(tx.time - ms(def.within), cut).map((one) => textOf(one, def.column));
      return new Set(recent.filter((value) => value !== null && !old.includes(value))).size;
    }
    if (def.kind === "neighbours") {
      const own = textOf(tx, def.column);
      if (own === null) return Number.NaN;
      const until = tx.time - ms(def.delay);
      const after = until - ms(def.window);
      const others = (list: readonly Transaction[]): Set<string> =>
        new Set(list.map((one) => textOf(one, def.column)).filter((text) => text !== null && text !== own) as string[]);
      const frauds = others(this.knownOf("frauds", def.key, tx).filter(({ time }) => time > after && time <= until));
      const here = others(within(after, until));
      const all = new Set([...here, ...frauds]);
      if (def.measure === "count") return here.size;
      if (def.measure === "frauds") return frauds.size;
      return all.size === 0 ? (def.empty ?? Number.NaN) : frauds.size / all.size;
    }
    if (def.kind === "two-hops") {
      const until = tx.time - ms(def.delay);
      const visits = within(until - ms(def.window), until).map(({ id }) => this.hops.get(id)!.get(def.name)!);
      const known = visits.filter((value) => !Number.isNaN(value));
      return aggregate(def.aggregate, known, { empty: def.empty ?? Number.NaN, currentFirst: false });
    }
    if (def.kind === "fraud-value") {
      const after = tx.time - ms(def.within);
      const frauds = this.knownOf("frauds", def.key, tx).filter(({ time }) => time > after && time <= tx.time);
      const values_ = present(frauds, def.over).map((value) => value + 0);
      if (values_.length === 0) return Number.NaN;
      return def.aggregate === "min" ? Math.min(...values_) : Math.max(...values_);
    }
    if (def.kind === "fraud-run") {
      const inside = ({ time }: Transaction): boolean =>
        time > tx.time - ms(def.within) && time <= tx.time - ms(def.delay);
      const frauds = this.knownOf("frauds", def.key, tx).filter(inside);
      const all = before.filter(inside);
      const at = (list: readonly Transaction[], time: number): number => list.filter((one) => one.time === time).length;
      const times = [...new Set([...frauds, ...all].map(({ time }) => time))].sort((a, b) => b - a);
      // The newest moment with a transaction that is not known as fraud ends the run, its own frauds included.
      const end = times.find((time) => at(frauds, time) < at(all, time)) ?? Number.NEGATIVE_INFINITY;
      const run = frauds.filter(({ time }) => time >= end).map(({ time }) => time);
      if (def.measure === "count") return run.length;
      const unit = def.measure === "days" ? 86_400_000 : 1000;
      return run.length === 0 ? Number.NaN : (tx.time - Math.min(...run)) / unit;
    }
    if (def.kind === "movement") {
      const km = (one: Transaction): number => kmBetween(placeOf(one, def), placeOf(tx, def));
      const last = within(tx.time - ms(def.within), tx.time).find((one) => !Number.isNaN(km(one)));
      if (last === undefined) return Number.NaN;
      return def.measure === "speed" ? km(last) / (Math.max(1000, tx.time - last.time) / 3_600_000) : km(last);
    }
    const delay = ms(def.delay);
    const until = tx.time - delay;
    const after = until - ms(def.window);
    const current = delay === 0 && def.current !== false && history === undefined;
    const inside = within(after, until);
    if (def.kind === "percentile") {
      const values_ = present(current ? [tx, ...inside] : inside, def.over).map((value) => value + 0);
      values_.sort((a, b) => a - b);
      // The smallest that enough do not exceed, by counting.
      const enough = (value: number): boolean =>
        values_.filter((one) => one <= value).length * 100 >= def.percent * values_.length;
      return values_.find(enough) ?? def.empty ?? Number.NaN;
    }
    const count = inside.length + (current ? 1 : 0);
    const labelled = (which: "frauds" | "genuine"): number =>
      this.knownOf(which, def.key, tx, history).filter((one) => one.time > after && one.time <= until).length;
    const empty = def.empty ?? Number.NaN;
    if (def.over === "transactions") return count;
    if (def.over === "frauds" || def.over === "genuine") return labelled(def.over);
    if (def.over === "fraud-rate") return count === 0 ? empty : labelled("frauds") / count;
    if (def.aggregate === "distinct") {
      const seen = (current ? [tx, ...inside] : inside).map((one) => one.fields[def.over]);
      return new Set(seen.filter((value) => value !== null).map(String)).size;
    }
    const { derived } = def;
    const of = (one: Transaction): number =>
      derived === undefined ? numberOf(one, def.over) : derivedOf(derived, one);
    const values_ = (current ? [tx, ...inside] : inside).map(of).filter((value) => !Number.isNaN(value));
    return aggregate(def.aggregate!, values_, { empty, currentFirst: current && !Number.isNaN(of(tx)) });
  }

  /** Learned transactions of the key up to tx's time, latest first; of a learned one, those that stood before it. */
  private before(key: readonly string[], tx: Transaction, history?: readonly string[]): Transaction[] {
    const own = this.learned.findIndex((one) => one.id === tx.id);
    return this.learned
      .map((one, at) => ({ one, at }))
      .filter(
        ({ one, at }) =>
          sameKey({ key, history }, one, tx) && (one.time < tx.time || (one.time === tx.time && (own < 0 || at < own))),
      )
      .sort((a, b) => b.one.time - a.one.time || b.at - a.at)
      .map(({ one }) => one);
  }

  private knownOf(
    which: "frauds" | "genuine",
    key: readonly string[],
    tx: Transaction,
    history?: readonly string[],
  ): Transaction[] {
    return this.known[which]
      .filter((one) => one.knownAt <= tx.time && sameKey({ key, history }, one.transaction, tx))
      .map((one) => one.transaction);
  }
}

/** By the plain way into an expression; what expressions mean is tested against DuckDB. */
function expressionOf(def: ExpressionFeature, tx: Transaction, values: ReadonlyMap<string, number>): number {
  const types: [string, "number" | "text" | "time"][] = [
    ...Object.entries(def.columns ?? {}),
    ...[...values.keys()].map((name): [string, "number"] => [name, "number"]),
  ];
  const compiled = compileExpression(def.sql, { columns: Object.fromEntries(types) });
  const value = compiled.evaluate((column) => {
    const name = compiled.columns[column];
    if (values.has(name)) return values.get(name)!;
    const type = new Map(types).get(name);
    if (type === "time") return tx.time;
    if (type === "number") return numberOf(tx, name);
    const field = tx.fields[name];
    return typeof field === "number" ? String(field) : field;
  });
  return value === null ? Number.NaN : Number(value);
}

/** By the plain way, as for expressions; what is not finite is missing. */
function derivedOf({ sql, columns }: DerivedValue, tx: Transaction): number {
  const compiled = compileExpression(sql, { columns });
  const value = compiled.evaluate((column) => {
    const name = compiled.columns[column];
    const type = new Map(Object.entries(columns)).get(name);
    if (type === "time") return tx.time;
    if (type === "number") return numberOf(tx, name);
    const field = tx.fields[name];
    return typeof field === "number" ? String(field) : field;
  });
  return value === null || !Number.isFinite(Number(value)) ? Number.NaN : Number(value);
}

function aggregate(
  name: string,
  values: readonly number[],
  how: { readonly empty: number; readonly currentFirst: boolean },
): number {
  const n = values.length;
  if (name === "count") return n;
  const sum = sumLatestFirst(values, how.currentFirst);
  if (name === "sum") return sum;
  if (n === 0 || (name === "std" && n < 2)) return how.empty;
  if (name === "mean") return sum / n;
  if (name === "min") return Math.min(...values);
  if (name === "max") return Math.max(...values);
  return Math.sqrt(values.reduce((total, value) => total + (value - sum / n) ** 2, 0) / (n - 1));
}

/** Earlier values latest first, the transaction's own (first in the list) last: the order floating point sums are defined in. */
function sumLatestFirst(values: readonly number[], currentFirst: boolean): number {
  const ordered = currentFirst ? [...values.slice(1), ...values.slice(0, 1)] : values;
  return ordered.reduce((total, value) => total + value, 0);
}

function present(list: readonly Transaction[], column: string): number[] {
  return list.map((tx) => numberOf(tx, column)).filter((value) => !Number.isNaN(value));
}

function numberOf(tx: Transaction, column: string): number {
  const value = tx.fields[column];
  return typeof value === "number" ? value : Number.NaN;
}

/** Whether the one in the past stands, in the role asked for, where `now` has it. */
function sameKey(
  { key, history = key }: { readonly key: readonly string[]; readonly history?: readonly string[] },
  past: Transaction,
  now: Transaction,
): boolean {
  return key.every((column, at) => {
    const text = textOf(past, history[at]);
    return text !== null && text === textOf(now, column);
  });
}

function textOf(tx: Transaction, column: string): string | null {
  const value = tx.fields[column];
  return value === null || value === undefined ? null : String(value);
}

type Place = readonly [lat: number, lon: number];

function placeOf(tx: Transaction, def: { readonly latitude: string; readonly longitude: string }): Place {
  return [numberOf(tx, def.latitude), numberOf(tx, def.longitude)];
}

/** By the same formula as the product's, since the last bit counts; that it is right is another test. */
function kmBetween([lat, lon]: Place, [otherLat, otherLon]: Place): number {
  return distanceKm(lat, lon, otherLat, otherLon);
}

function timePart(part: string, date: Date): number {
  const hour = date.getUTCHours();
  const day = date.getUTCDay() === 0 ? 7 : date.getUTCDay();
  if (part === "hour") return hour;
  if (part === "dayOfWeek") return day;
  return part === "weekend" ? Number(day >= 6) : Number(hour <= 6);
}
