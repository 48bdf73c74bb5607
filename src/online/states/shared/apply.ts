// One transaction or label against the shared state: read, computed here with the ordinary state machine, applied if nothing moved meanwhile.
import { SentinelError } from "../../../core/errors.ts";
import type { Transaction } from "../../../core/transaction.ts";
import type { Excerpt, ExcerptChange } from "../../../features/excerpt.ts";
import { type Learned, reachOf } from "../../../features/state.ts";
import type { SharedApplied, SharedKeys, SharedPending, SharedRead, SharedStore } from "../../../ports/shared-store.ts";

/** A layout that is being kept up, with the place where its keys of one transaction are computed. */
export interface SharedPart {
  readonly id: string;
  readonly excerpt: Excerpt;
}

/** What the caller believes of the store; a change made under an older belief is refused. */
export interface SharedBelief {
  readonly marker: string;
  readonly version: number;
  readonly sequenceKnown: number;
  readonly parts: readonly SharedPart[];
}

/** What happened. stale: the belief is. seen: the id was learned recently, though its record waits for no log. */
export type SharedResult =
  | { readonly outcome: "applied"; readonly sequence: number }
  | { readonly outcome: "repeated"; readonly pending: SharedPending }
  | { readonly outcome: "seen" | "full" | "stale" | "lost" };

/** One server always gets through, so that this many failures in a row mean far more traffic on one key than it can take. */
const TRIES_MAX = 64;
/** While a layout is being added. */
const PAUSED_MS = 5;
const PAUSES_MAX = 1000;

interface Subject {
  readonly transaction: Transaction;
  /** null for a label. */
  readonly transactionId: string | null;
  /** Called in the tick in which the excerpts hold the transaction, before it is learned: reads vectors and makes the record. */
  readonly record: () => Uint8Array;
  readonly learn: (excerpt: Excerpt) => ExcerptChange;
  /** When it arrived, after `record` was called; null for a label. */
  readonly receivedAt: (() => number) | null;
  /** A transaction that was learned recently is taken all the same: no log knows it. */
  readonly again: boolean;
}

/**
 * Reads the transaction's vectors (in `record`, from the excerpts' states) and learns it, as one step of the order that the sequence gives.
 * `record` may be called several times; the last one counts. Errors: state.contended, state.unreachable, what `record` throws.
 */
export function takeTransaction(
  store: SharedStore,
  belief: () => SharedBelief,
  take: {
    readonly transaction: Transaction;
    readonly record: () => Uint8Array;
    /** When the last record says that it arrived; absent for what is no arrival. */
    readonly receivedAt?: () => number;
    /** Told what became of it, each time it is computed. */
    readonly onLearned?: (learned: Learned) => void;
    readonly again?: boolean;
  },
): Promise<SharedResult> {
  const { transaction, record, receivedAt = () => Number.POSITIVE_INFINITY, onLearned, again = false } = take;
  const learn = (excerpt: Excerpt): ExcerptChange => {
    const change = excerpt.learn(transaction, receivedAt());
    if (change.learned !== "label") onLearned?.(change.learned);
    return change;
  };
  return run(store, belief, { transaction, transactionId: transaction.id, record, learn, receivedAt, again });
}

/** Runs `read` while the excerpts hold the transaction's keys as they are now; null when the belief is stale. */
export async function lookAt<T>(
  store: SharedStore,
  believed: Omit<SharedBelief, "sequenceKnown">,
  look: { readonly transaction: Transaction; readonly read: () => T },
): Promise<{ readonly result: T } | null> {
  const { transaction } = look;
  const layouts = believed.parts.map(({ id, excerpt }) => ({ layout: id, keys: excerpt.keysOf(transaction) }));
  const read = await store.read({ transactionId: transaction.id, layouts });
  if (read.marker !== believed.marker || read.version !== believed.version) return null;
  bring(believed.parts, transaction, { layouts, read });
  return { result: look.read() };
}

/** Learns a label, in its place in the order. Errors: state.contended, state.unreachable. */
export function takeLabel(
  store: SharedStore,
  belief: () => SharedBelief,
  label: {
    readonly transaction: Transaction;
    readonly fraud: boolean;
    readonly knownAt: number;
    readonly record: Uint8Array;
  },
): Promise<SharedResult> {
  const { transaction } = label;
  const learn = (excerpt: Excerpt): ExcerptChange => excerpt.learnLabel(label);
  return run(store, belief, {
    transaction,
    transactionId: null,
    record: () => label.record,
    learn,
    receivedAt: null,
    again: true,
  });
}

async function run(store: SharedStore, belief: () => SharedBelief, subject: Subject): Promise<SharedResult> {
  let paused = 0;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const believed = belief();
    const layouts = believed.parts.map(({ id, excerpt }) => ({
      layout: id,
      keys: excerpt.keysOf(subject.transaction),
    }));
    const read = await store.read({ transactionId: subject.transactionId, layouts });
    if (read.marker !== believed.marker) return { outcome: "lost" };
    if (read.version !== believed.version) return { outcome: "stale" };
    if (read.pending !== null) return { outcome: "repeated", pending: read.pending };
    if (!subject.again && read.contents.some(({ seen }) => seen)) return { outcome: "seen" };
    const applied = await compute(store, believed, { subject, layouts, read });
    if (applied.outcome === "layouts") return { outcome: "stale" };
    if (applied.outcome === "paused") {
      if (++paused > PAUSES_MAX) break;
      tries--;
      await new Promise((resolve) => setTimeout(resolve, PAUSED_MS));
    } else if (applied.outcome !== "conflict") return applied as SharedResult;
  }
  throw new SentinelError("state.contended", `the keys of transaction ${subject.transaction.id} change too fast`, {
    hint: "many transactions at once touch one key: send fewer at a time, or through fewer servers",
  });
}

/** From the first line to the call of apply in one tick: the excerpts hold one transaction at a time. */
function compute(
  store: SharedStore,
  believed: SharedBelief,
  given: { readonly subject: Subject; readonly layouts: readonly SharedKeys[]; readonly read: SharedRead },
): Promise<SharedApplied> {
  const { subject, layouts, read } = given;
  const { transaction } = subject;
  bring(believed.parts, transaction, { layouts, read });
  const record = subject.record();
  const reach = subject.receivedAt === null ? 0 : reachOf(transaction.time, subject.receivedAt());
  const parts = believed.parts.map(({ id, excerpt }, p) => {
    const { blobs, watermarkMax, learned } = subject.learn(excerpt);
    const { seen, blobs: before } = read.contents[p];
    return {
      layout: id,
      learnedAt: learned === "learned" ? reach : null,
      watermarkMax,
      seen,
      keys: layouts[p].keys.map((key, k) => ({ ...key, version: before[k].version, bytes: blobs[k] })),
    };
  });
  const { marker, version, sequenceKnown } = believed;
  return store.apply({ marker, version, sequenceKnown, transactionId: subject.transactionId, record, parts });
}

function bring(
  parts: readonly SharedPart[],
  transaction: Transaction,
  given: { readonly layouts: readonly SharedKeys[]; readonly read: SharedRead },
): void {
  parts.forEach(({ excerpt }, p) => {
    const { watermark, seen, blobs } = given.read.contents[p];
    excerpt.bring(transaction, given.layouts[p].keys, { watermark, seen, blobs: blobs.map(({ bytes }) => bytes) });
  });
}
