// What a rule did: its hits among the newest answers of the log, who decided, and what became known of them since.
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
  fraud: boolean | null;
  knownAt: number;
}

/** Reads the log's newest entries, and lets others in between. Errors: log.unreadable. */
export async function rulePerformance(
  log: PredictionLog,
  of: { readonly rule: string; readonly card: string | null },
): Promise<RulePerformance> {
  const { rule, card } = of;
  const last = (await log.last()).sequence;
  const from = Math.max(1, last - ENTRIES_MAX + 1);
  const hits = new Map<string, Hit>();
  const days = new Map<string, { fired: number; shadow: number }>();
  const counts = { transactions: 0, fired: 0, shadow: 0, decided: 0, seen: 0 };
  const span = { from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY };
  for await (const entry of log.scan(from)) {
    if (entry.record.sequence > last) break;
    if (++counts.seen % ENTRIES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    if (entry.kind === "label") {
      const hit = hits.get(entry.record.transactionId);
      if (hit !== undefined && entry.record.knownAt >= hit.knownAt) {
        hit.fraud = entry.record.fraud;
        hit.knownAt = entry.record.knownAt;
      }
      continue;
    }
    const { time, rules, transactionId, fields } = entry.record;
    counts.transactions++;
    span.from = Math.min(span.from, time);
    span.to = Math.max(span.to, time);
    const fired = rules?.fired.includes(rule) === true;
    const shadow = rules?.shadow.includes(rule) === true;
    if (!fired && !shadow) continue;
    if (fired) counts.fired++;
    else counts.shadow++;
    if (rules?.rule === rule) counts.decided++;
    const day = new Date(Math.floor(time / DAY_MS) * DAY_MS).toISOString().slice(0, 10);
    const own = days.get(day) ?? { fired: 0, shadow: 0 };
    own[fired ? "fired" : "shadow"]++;
    days.set(day, own);
    const entity = String((card === null ? null : fields[card]) ?? transactionId);
    hits.set(transactionId, { entity, fraud: null, knownAt: Number.NEGATIVE_INFINITY });
  }
  return {
    transactions: counts.transactions,
    from: counts.transactions === 0 ? null : span.from,
    to: counts.transactions === 0 ? null : span.to,
    fired: counts.fired,
    shadow: counts.shadow,
    decided: counts.decided,
    days: [...days].sort(([a], [b]) => (a < b ? -1 : 1)).map(([day, own]) => ({ day, ...own })),
    whole: from === 1,
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
