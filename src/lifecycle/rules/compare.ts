// The candidate rule set against the live one, on the transactions that both decided; and its promotion by that evidence.
import { DAY_MS } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { canonicalJson, sha256 } from "../../core/hash.ts";
import { type Check, isYes, type Verdict } from "../../core/verdict.ts";
import { type PairedInterval, pairedBootstraps } from "../../evidence/bootstrap.ts";
import { ALERT_RATE, PRECISION, RECALL } from "../../metrics/summed.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { checkFourEyes, ruleLines } from "./change.ts";
import { rulesNow } from "./now.ts";

export interface RulesComparison {
  readonly live: string | null;
  readonly candidate: string;
  /** Transactions that both decided, and those among them that are matured and whose truth is known. */
  readonly pairs: number;
  readonly matured: number;
  readonly frauds: number;
  readonly days: number;
  /** Old enough, but blocked, and nobody said what they were; and those among them that the candidate would approve. */
  readonly unknowable: number;
  readonly unknowableApproved: number;
  /** Counts; rows: the live set's decision, columns: the candidate's; approve, review, block. */
  readonly agreement: readonly (readonly number[])[];
  /** Candidate less live, by entity, of matured pairs; null while there is no fraud among them. */
  readonly alertRate: PairedInterval | null;
  readonly recall: PairedInterval | null;
  readonly precision: PairedInterval | null;
  readonly verdict: Verdict;
}

const DECISIONS = ["approve", "review", "block"] as const;
const APPROVE = 0;
const BLOCK = 2;
/** Pairs that are read, the newest; a million take some hundred megabytes. */
const PAIRS_MAX = 1_000_000;

interface Pair {
  readonly time: number;
  readonly entity: string;
  readonly live: number;
  readonly candidate: number;
  fraud: boolean | null;
  knownAt: number;
}

/** Errors: rules.unknown where there is no candidate, log.unreadable. */
export async function compareRules(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly seed: number },
): Promise<RulesComparison> {
  const { pipeline, seed } = input;
  const { head } = await rulesNow(ports, pipeline);
  if (head.candidate === null) {
    throw new SentinelError("rules.unknown", "there is no candidate rule set", {
      hint: "make one: `sentinel rules apply --candidate`, or add a rule with --candidate",
    });
  }
  const pairs = await pairsOf(ports, pipeline, { live: head.live, candidate: head.candidate });
  const now = ports.clock.now();
  const agreement = DECISIONS.map(() => DECISIONS.map(() => 0));
  for (const { live, candidate } of pairs) agreement[live][candidate]++;
  const newest = pairs.reduce((latest, { time }) => Math.max(latest, time), Number.NEGATIVE_INFINITY);
  const ripe = Math.min(newest, now) - pipeline.labels.maturityMs;
  const old = pairs.filter(({ time }) => time <= ripe);
  // Silence about a transaction that was stopped says nothing: nobody could complain of it.
  const unknown = old.filter(({ fraud, live }) => fraud === null && live === BLOCK);
  const matured = old.filter(
    ({ fraud, live }) => fraud !== null || (live !== BLOCK && pipeline.labels.unreportedIsGenuine),
  );
  const frauds = matured.filter(({ fraud }) => fraud === true).length;
  const days = new Set(matured.map(({ time }) => Math.floor(time / DAY_MS))).size;
  const intervals = frauds === 0 ? null : intervalsOf(matured, { pipeline, seed });
  const [alertRate = null, recall = null, precision = null] = intervals ?? [];
  const unknowableApproved = unknown.filter(({ candidate }) => candidate === APPROVE).length;
  const counted = {
    ...{ pairs: pairs.length, matured: matured.length, frauds, days },
    ...{ unknowable: unknown.length, unknowableApproved },
  };
  const verdict = judge({ ...counted, recall, precision }, pipeline);
  return { live: head.live, candidate: head.candidate, ...counted, agreement, alertRate, recall, precision, verdict };
}

async function pairsOf(
  ports: Ports,
  pipeline: Pipeline,
  sets: { readonly live: string | null; readonly candidate: string },
): Promise<readonly Pair[]> {
  const log = await ports.log();
  await log.flush();
  const { card } = pipeline.columns;
  const byId = new Map<string, Pair>();
  for await (const entry of log.scan(0)) {
    if (entry.kind === "prediction") {
      const { rules, decision, transactionId, time, fields } = entry.record;
      if (rules?.candidate?.set !== sets.candidate || rules.set !== sets.live) continue;
      const entity = String((card === null ? null : fields[card]) ?? transactionId);
      const live = DECISIONS.indexOf(decision);
      const candidate = DECISIONS.indexOf(rules.candidate.decision);
      byId.set(transactionId, { time, entity, live, candidate, fraud: null, knownAt: Number.NEGATIVE_INFINITY });
      if (byId.size > PAIRS_MAX) byId.delete(byId.keys().next().value!);
      continue;
    }
    const { transactionId, fraud, knownAt } = entry.record;
    const pair = byId.get(transactionId);
    if (pair === undefined || pair.knownAt > knownAt) continue;
    pair.fraud = fraud;
    pair.knownAt = knownAt;
  }
  return [...byId.values()];
}

function intervalsOf(
  pairs: readonly Pair[],
  on: { readonly pipeline: Pipeline; readonly seed: number },
): readonly PairedInterval[] {
  const codes = new Map<string, number>();
  const card = Int32Array.from(pairs, ({ entity }) => {
    const known = codes.get(entity) ?? codes.size;
    codes.set(entity, known);
    return known;
  });
  const alerts = {
    a: Uint8Array.from(pairs, ({ live }) => (live > 0 ? 1 : 0)),
    b: Uint8Array.from(pairs, ({ candidate }) => (candidate > 0 ? 1 : 0)),
  };
  const scores = new Float64Array(pairs.length);
  const y = Uint8Array.from(pairs, ({ fraud }) => (fraud === true ? 1 : 0));
  const { resamples } = on.pipeline.gates.promotion;
  const metrics = [ALERT_RATE, RECALL, PRECISION];
  return pairedBootstraps({ y, card, a: scores, b: scores, alerts, metrics, resamples, seed: on.seed });
}

function judge(
  of: {
    readonly matured: number;
    readonly frauds: number;
    readonly days: number;
    readonly unknowableApproved: number;
    readonly recall: PairedInterval | null;
    readonly precision: PairedInterval | null;
  },
  pipeline: Pipeline,
): Verdict {
  const { fraudsMin, daysMin, margin } = pipeline.gates.promotion;
  const checks: Check[] = [
    {
      name: "frauds",
      passed: of.frauds >= fraudsMin,
      observed: `${of.frauds} matured frauds`,
      required: `${fraudsMin}`,
    },
    { name: "days", passed: of.days >= daysMin, observed: `${of.days} days`, required: `${daysMin}` },
  ];
  const missing = checks.filter(({ passed }) => !passed);
  const words = (word: "PROMOTE" | "HOLD" | "REJECT", reasons: readonly string[]): Verdict => ({
    gate: "rule",
    verdict: word,
    reasons,
    checks,
  });
  const both = [of.recall, of.precision].filter((one) => one !== null);
  for (const one of both) {
    const observed = `${one.difference.toFixed(4)} (${one.low.toFixed(4)} to ${one.high.toFixed(4)})`;
    checks.push({ name: one.metric, passed: one.low >= -margin, observed, required: `not below −${margin}` });
  }
  if (missing.length > 0)
    return words(
      "HOLD",
      missing.map(({ observed, required }) => `${observed}, ${required} are needed`),
    );
  const worse = both.filter(({ high }) => high < -margin);
  if (worse.length > 0)
    return words(
      "REJECT",
      worse.map(({ metric, high }) => `${metric} falls by more than ${margin} (at best ${high.toFixed(4)})`),
    );
  // What the live set alone stops leaves no outcome: all of it may have been fraud.
  const { unknowableApproved: blind, frauds } = of;
  const lost = blind / Math.max(1, frauds + blind);
  checks.push({
    name: "blocked without an outcome",
    passed: lost <= margin,
    observed: `${blind} that the candidate would approve`,
    required: `so few that recall falls by ${margin} at most, were all of them frauds`,
  });
  if (lost > margin)
    return words("HOLD", [
      `the live set blocked ${blind} transactions that the candidate would approve, and nobody knows what they would have been: recall may fall by ${lost.toFixed(4)}; label them, or let a share of them through (docs/evidence.md)`,
    ]);
  const unsure = both.filter(({ low }) => !(low >= -margin));
  if (unsure.length > 0)
    return words(
      "HOLD",
      unsure.map(
        ({ metric, low }) => `${metric} may fall by ${Math.abs(low).toFixed(4)}: more matured frauds would decide it`,
      ),
    );
  return words(
    "PROMOTE",
    both.map(
      ({ metric, difference, low, high }) =>
        `${metric} ${difference >= 0 ? "+" : ""}${difference.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`,
    ),
  );
}

/** The candidate set becomes live on PROMOTE, or with a reason to force it. */
export async function promoteRules(
  ports: Ports,
  input: { readonly pipeline: Pipeline; readonly actor: string; readonly forced: string | null; readonly seed: number },
): Promise<RulesComparison & { readonly moved: boolean }> {
  const comparison = await compareRules(ports, input);
  const { verdict, candidate, live } = comparison;
  if (!isYes(verdict) && input.forced === null) return { ...comparison, moved: false };
  const now = await rulesNow(ports, input.pipeline);
  const { store, head } = now;
  if (head.live !== live || head.candidate !== candidate) {
    throw new SentinelError("rules.conflict", "the rules changed while their candidate was judged", {
      hint: "what was judged is not what would go live: compare again, then promote",
    });
  }
  const set = await store.set(candidate);
  const { rules } = set;
  checkFourEyes(rules, { before: now.live.rules, pipeline: input.pipeline, actor: input.actor });
  await store.commit({
    expected: head.revision,
    sets: [],
    live: candidate,
    candidate: null,
    lists: {},
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: "promote",
      reason: isYes(verdict) ? verdict.reasons.join("; ") : (input.forced ?? ""),
      verdict: isYes(verdict) ? verdict.verdict : "FORCED",
      evidence: sha256(canonicalJson({ live, candidate, verdict })),
      changes: [`~ the candidate rule set ${candidate.slice(0, 12)} decides`, ...ruleLines(now.live, set)],
    },
  });
  return { ...comparison, moved: true };
}
