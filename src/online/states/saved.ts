// Saved feature states: bytes with where they came from and how far they reach, under a name of pipeline and layout.
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { FeatureState } from "../../features/state.ts";
import type { Ports } from "../../ports/ports.ts";
import type { StateOrigin } from "./origin.ts";

export interface SavedState {
  readonly layout: string;
  readonly origin: StateOrigin;
  /** The last log entry that the state includes. */
  readonly sequence: number;
  /** Newest event time learned; null when nothing was. */
  readonly newestTime: number | null;
  readonly state: FeatureState;
}

const FORMAT = "sentinel-state/1";

/**
 * "train" is what training left, "serve" what a server left. Of a log that forgets its oldest entries a replay begins at an "anchor": one of
 * two states that the server saved while it served, of which one always reaches back at least half of the log.
 */
export type SavedKind = "train" | "serve" | (typeof ANCHORS)[number];
const ANCHORS = ["anchor-0", "anchor-1"] as const;

/**
 * Keeps the feature state at the end of training, so that a server starts warm. `state` has replayed the whole table,
 * labels included; `trainedUpTo` is the event time of its newest transaction.
 */
export async function saveTrainingState(
  ports: Ports,
  input: {
    readonly pipeline: string;
    /** layoutHash of the plan. */
    readonly layout: string;
    readonly state: FeatureState;
    readonly dataHash: string;
    readonly dataPath: string;
    readonly trainedUpTo: number;
  },
): Promise<void> {
  const { pipeline, layout, state, ...origin } = input;
  const saved = { layout, origin: { ...origin, catchUpSequence: 0 }, sequence: 0, newestTime: origin.trainedUpTo };
  const store = await ports.snapshots();
  await store.save(snapshotName("train", { pipeline, layout }), packState(saved, [state.snapshot()]));
}

/** What is saved under that name; null when nothing is, or nothing that can be used (which is reported). */
export async function loadState(
  ports: Ports,
  kind: SavedKind,
  of: { readonly pipeline: string; readonly layout: string },
): Promise<SavedState | null> {
  const name = snapshotName(kind, of);
  const bytes = await (await ports.snapshots()).load(name);
  if (bytes === null) return null;
  try {
    return unpackState(bytes, name);
  } catch (error) {
    ports.report.line(`feature state ${name} is left aside: ${messageOf(error)}`);
    return null;
  }
}

/** Newest event time of what training saved for a layout, without restoring it; null when there is nothing of use. */
export async function trainedNewest(
  ports: Ports,
  of: { readonly pipeline: string; readonly layout: string },
): Promise<number | null> {
  const bytes = await (await ports.snapshots()).load(snapshotName("train", of));
  if (bytes === null) return null;
  try {
    return headOf(bytes).newestTime;
  } catch {
    return null;
  }
}

/** The log entries that anchors of a layout reach, 0 where there is none. */
export async function anchorsOf(
  ports: Ports,
  of: { readonly pipeline: string; readonly layout: string },
): Promise<readonly { readonly kind: SavedKind; readonly sequence: number }[]> {
  const store = await ports.snapshots();
  const found = ANCHORS.map(async (kind) => {
    const bytes = await store.load(snapshotName(kind, of));
    try {
      return { kind, sequence: bytes === null ? 0 : headOf(bytes).sequence };
    } catch {
      return { kind, sequence: 0 };
    }
  });
  return Promise.all(found);
}

/** The name of a snapshot. */
export function snapshotName(kind: SavedKind, of: { readonly pipeline: string; readonly layout: string }): string {
  return `state-${kind}-${sha256(`${of.pipeline}\n${of.layout}`).slice(0, 24)}`;
}

/** Length of the head (4 bytes, little-endian) and head as JSON, then the state's parts. */
export function packState(head: Omit<SavedState, "state">, state: readonly Uint8Array[]): readonly Uint8Array[] {
  const json = new TextEncoder().encode(JSON.stringify({ format: FORMAT, ...head }));
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 4);
  return [bytes, ...state];
}

/** Throws `state.corrupt`. */
export function unpackState(bytes: Uint8Array, name: string): SavedState {
  try {
    const { layout, origin, sequence, newestTime, length } = headOf(bytes);
    return { layout, origin, sequence, newestTime, state: FeatureState.restore(bytes.subarray(4 + length)) };
  } catch (error) {
    throw new SentinelError("state.corrupt", `the feature state ${name} cannot be read: ${messageOf(error)}`, {
      hint: "remove that snapshot; the state is rebuilt from training's snapshot and the prediction log",
      cause: error,
    });
  }
}

/** What stands before the state, and how long it is. */
function headOf(bytes: Uint8Array): Omit<SavedState, "state"> & { readonly length: number } {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (head.format !== FORMAT) throw new Error(`the format is ${JSON.stringify(head.format)}`);
  return { ...(head as Omit<SavedState, "state">), length };
}
