// Saved ids: the filter of a log's ids, kept beside it with the entry up to which it knows all, so that a start reads only what came since.
import { createHash } from "node:crypto";
import { sha256 } from "../../core/hash.ts";
import type { PredictionLog } from "../../ports/log.ts";
import type { SnapshotStore } from "../../ports/ports.ts";
import type { IdFilter } from "./filter.ts";

interface Mark {
  readonly format: string;
  /** The newest prediction whose id, with all before it, is in the filter. */
  readonly sequence: number;
  readonly transactionId: string;
  /** SHA-256 of the filter: a bit that is lost would let an id be answered twice. */
  readonly hash: string;
}

const FORMAT = "sentinel-ids/1";
/** An id has 200 characters at most, so that a longer head is none of ours. */
const HEAD_BYTES_MAX = 4096;
/** About two milliseconds of hashing. */
const PIECE_BYTES = 1 << 20;

/** A filter, the log whose ids it has, and where it is saved. */
interface IdPlace {
  readonly filter: IdFilter;
  readonly log: PredictionLog;
  readonly store: SnapshotStore;
  readonly pipeline: string;
}

/** Saves the filter; nothing to save before the first prediction. `filter` must have every id of the log. Errors: log.*. */
export async function saveIds(of: IdPlace): Promise<void> {
  const { filter, log, store, pipeline } = of;
  const newest = (await log.recent(1)).at(-1);
  if (newest === undefined || newest.sequence === 0) return;
  const { sequence, transactionId } = newest;
  // Whatever was written up to there was added before: the filter may know more, never less.
  const bytes = filter.snapshot();
  const hash = await hashOf(bytes);
  await store.save(nameOf(pipeline), pack({ format: FORMAT, sequence, transactionId, hash }, bytes));
}

/** Fills the filter with what was saved for this very log; gives the last entry that it knows, 0 for nothing. Errors: log.*. */
export async function loadIds(of: IdPlace): Promise<number> {
  const { filter, log, store, pipeline } = of;
  const saved = unpack(await store.load(nameOf(pipeline)));
  if (saved === null) return 0;
  const { sequence, transactionId, hash } = saved.mark;
  // Another log, or an older one put back, has another prediction there, or none.
  if ((await log.find(transactionId))?.sequence !== sequence) return 0;
  if ((await hashOf(saved.bytes)) !== hash) return 0;
  return filter.restore(saved.bytes) ? sequence : 0;
}

/** In pieces, so that requests are answered between them. */
async function hashOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    hash.update(bytes.subarray(from, from + PIECE_BYTES));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return hash.digest("hex");
}

function nameOf(pipeline: string): string {
  return `ids-${sha256(pipeline).slice(0, 24)}`;
}

/** Length of the head (4 bytes, little-endian), head as JSON, filter. */
function pack(mark: Mark, filter: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(mark));
  const bytes = new Uint8Array(4 + json.length + filter.length);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  bytes.set(json, 4);
  bytes.set(filter, 4 + json.length);
  return bytes;
}

/** Null for what is not whole, or of another format: then the log is read. */
function unpack(bytes: Uint8Array | null): { readonly mark: Mark; readonly bytes: Uint8Array } | null {
  if (bytes === null || bytes.length < 4) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (length > HEAD_BYTES_MAX) return null;
  try {
    const mark = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Mark;
    return mark.format === FORMAT ? { mark, bytes: bytes.subarray(4 + length) } : null;
  } catch {
    return null;
  }
}
