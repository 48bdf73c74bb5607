// What rules did: their hits among the newest answers of the log, who decided, and what became known of them since.
import { DAY_MS } from "../../core/duration.ts";
import { clusteredProportion, type EntityCount, type Proportion } from "../../evidence/proportion.ts";
import type { PredictionLog } from "../../ports/log.ts";

/** Entries of the log that one look goes back; older answers are a backtest's matter. */
export const ENTRIES_MAX = 100_000;
/** Entries between two breaths. */
const ENTRIES_AT_ONCE = 1000;

export interface RulePerformance {
  /** Answers that were looked at, and their event times; null where there were none. */
  readonly transactions: number;
  readonly from: number | null;
  readonly to: number | null;
  /** Hits that may decide, and hits in shadow. */
  readonly fired: number;
  readonly shadow: number;
  /** Hits where this rule decided. */
  readonly decided: number;
  readonly entities: number;
  /** By day of the event's time, UTC. */
  readonly days: readonly { readonly day: string; readonly fired: number; readonly shadow: number }[];
  /** Of the hits whose truth is known. */
  readonly frauds: number;
  readonly genuine: number;
  readonly precision: Proportion;
  /** False where the log has older answers that were not looked at. */
  readonly whole: boolean;
}

interface Hit {
  readonly entity: string;
  /** No other rule fired, in shadow neither. */
  readonly alone: boolean;
  fraud: boolean | null;
  knownAt: number;
}

/** Reads the log's newest entries, and lets others in between. Errors: log.unreadable. */
export async function rulePerformance(
  log: PredictionLog,
  of: { readonly rule: string; readonly card: string | null },
): Promise<RulePerformance> {
  const { seen, byRule } = await readHits(log, { card: of.card, only: of.rule });
  const { alone: _, caughtAlone: __, ...own } = byRule.get(of.rule) ?? figuresOf(new RuleHits());
  return { ...seen, ...own };
}

/** What one of several rules did, beside the others. */
export interface RuleSummary extends Omit<RulePerformance, "transactions" | "from" | "to" | "whole"> {
  readonly rule: string;
  /** Hits that no other rule had, and those of them that are known to be fraud. */
  readonly alone: number;
  readonly caughtAlone: number;
}

/** Of every rule that fired, in one pass. Errors: log.unreadable. */
export async function rulesPerformance(
  log: PredictionLog,
  of: { readonly card: string | null },
): Promise<
  Pick<RulePerformance, "transactions" | "from" | "to" | "whole"> & { readonly rules: readonly RuleSummary[] }
> {
  const { seen, byRule } = await readHits(log, { card: of.card, only: null });
  return { ...seen, rules: [...byRule].map(([rule, own]) => ({ rule, ...own })) };
}

/** What is gathered of one rule. */
class RuleHits {
  readonly hits = new Map<string, Hit>();
  readonly days = new Map<string, { fired: number; shadow: number }>();
  fired = 0;
  shadow = 0;
  decided = 0;
}

async function readHits(
  log: PredictionLog,
  { card, only }: { readonly card: string | null; readonly only: string | null },
) {
  const last = (await log.last()).sequence;
  const from = Math.max(1, last - ENTRIES_MAX + 1);
  const rules = new Map<string, RuleHits>();
  /** Rules that hit a transaction, for the labels that come after it. */
  const hitBy = new Map<string, readonly string[]>();
  const span = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };
  let transactions = 0;
  let entries = 0;
  for await (const entry of log.scan(from)) {
    if (entry.record.sequence > last) break;
    if (++entries % ENTRIES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    if (entry.kind === "label") {
      const { transactionId, fraud, knownAt } = entry.record;
      for (const rule of hitBy.get(transactionId) ?? []) {
        const hit = rules.get(rule)!.hits.get(transactionId)!;
        if (knownAt < hit.knownAt) continue;
        hit.fraud = fraud;
        hit.knownAt = knownAt;
      }
      continue;
    }
    const { time, rules: outcome, transactionId, fields } = entry.record;
    transactions++;
    span.from = Math.min(span.from, time);
    span.to = Math.max(span.to, time);
    if (outcome === undefined) continue;
    const all = [...outcome.fired, ...outcome.shadow];
    const wanted = only === null ? all : all.filter((rule) => rule === only);
    if (wanted.length === 0) continue;
    const day = new Date(Math.floor(time / DAY_MS) * DAY_MS).toISOString().slice(0, 10);
    const entity = String((card === null ? null : fields[card]) ?? transactionId);
    for (const rule of wanted) {
      const own = rules.get(rule) ?? new RuleHits();
      rules.set(rule, own);
      const how = outcome.fired.includes(rule) ? "fired" : "shadow";
      own[how]++;
      if (outcome.rule === rule) own.decided++;
      const today = own.days.get(day) ?? { fired: 0, shadow: 0 };
      today[how]++;
      own.days.set(day, today);
      const alone = all.length === 1;
      own.hits.set(transactionId, { entity, alone, fraud: null, knownAt: Number.NEGATIVE_INFINITY });
    }
    hitBy.set(transactionId, wanted);
  }
  const nothing = transactions === 0;
  return {
    seen: { transactions, from: nothing ? null : span.from, to: nothing ? null : span.to, whole: from === 1 },
    byRule: new Map([...rules].map(([rule, own]) => [rule, figuresOf(own)])),
  };
}

function figuresOf({ hits, days, fired, shadow, decided }: RuleHits) {
  let alone = 0;
  let caughtAlone = 0;
  for (const hit of hits.values()) {
    if (!hit.alone) continue;
    alone++;
    if (hit.fraud === true) caughtAlone++;
  }
  return {
    fired,
    shadow,
    decided,
    days: [...days].sort(([a], [b]) => (a < b ? -1 : 1)).map(([day, own]) => ({ day, ...own })),
    alone,
    caughtAlone,
    ...truthOf(hits.values()),
  };
}

function truthOf(hits: Iterable<Hit>): Pick<RulePerformance, "entities" | "frauds" | "genuine" | "precision"> {
  const entities = new Set<string>();
  const counts = new Map<string, { hits: number; rows: number }>();
  let frauds = 0;
  let genuine = 0;
  for (const { entity, fraud } of hits) {
    entities.add(entity);
    if (fraud === null) continue;
    const own = counts.get(entity) ?? { hits: 0, rows: 0 };
    own.rows++;
    if (fraud) {
      own.hits++;
      frauds++;
    } else genuine++;
    counts.set(entity, own);
  }
  const known: readonly EntityCount[] = [...counts.values()];
  return { entities: entities.size, frauds, genuine, precision: clusteredProportion(known) };
}
