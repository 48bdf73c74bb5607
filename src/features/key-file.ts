// Key files: the keys that one partition holds at its end as bytes, and states of many partitions brought together as one.
import { SentinelError } from "../core/errors.ts";
import { canonicalJson } from "../core/hash.ts";
import { keysOfState } from "./excerpt.ts";
import { decodeKey } from "./key-blob.ts";
import { type FeaturePlan, keyId, layoutOf, type SeriesNeed } from "./plan.ts";
import { FeatureState } from "./state.ts";

/** What a file says before its keys. */
export interface KeyFileHead {
  readonly format: typeof FORMAT;
  /** What is kept of each key. */
  readonly need: SeriesNeed;
  /** Rows that were learned, and the newest of their times. */
  readonly rows: number;
  readonly watermark: number;
  readonly keys: number;
  /** The number of the last row, which no other partition has. */
  readonly last: number;
}

const FORMAT = "sentinel-keys/1";
const LENGTH_BYTES = 4;

/** All keys of a state of one series, as parts of one file. */
export function* keyFile(state: FeatureState, { last }: Pick<KeyFileHead, "last">): Generator<Uint8Array> {
  const [table] = state.tables;
  const head: KeyFileHead = {
    format: FORMAT,
    need: table.need,
    rows: state.counts.learned,
    watermark: state.watermark,
    keys: table.keys,
    last,
  };
  yield* block(new TextEncoder().encode(JSON.stringify(head)));
  for (const { text, blob } of keysOfState(state)) {
    yield* block(new TextEncoder().encode(text));
    yield* block(blob);
  }
}

function* block(bytes: Uint8Array): Generator<Uint8Array> {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  yield length;
  yield bytes;
}

/** What stands in a file. Errors: state.corrupt. */
export function readKeyFile(
  bytes: Uint8Array,
  name: string,
): { readonly head: KeyFileHead; keys(): Generator<{ readonly text: string; readonly blob: Uint8Array }> } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const next = (): Uint8Array => {
    const from = at + LENGTH_BYTES;
    const to = from > bytes.length ? Number.POSITIVE_INFINITY : from + view.getUint32(at, true);
    if (to > bytes.length) throw corrupt(name, "it is cut short");
    at = to;
    return bytes.subarray(from, to);
  };
  const head = headOf(next(), name);
  const begin = at;
  return {
    head,
    *keys() {
      at = begin;
      const decoder = new TextDecoder();
      for (let key = 0; key < head.keys; key++) {
        const text = decoder.decode(next());
        yield { text, blob: next() };
      }
      if (at !== bytes.length) throw corrupt(name, "it is longer than it says");
    },
  };
}

function headOf(bytes: Uint8Array, name: string): KeyFileHead {
  try {
    const head = JSON.parse(new TextDecoder().decode(bytes)) as KeyFileHead;
    if (head.format === FORMAT) return head;
  } catch {
    // Said below.
  }
  throw corrupt(name, `it is of no format that is known, ${FORMAT}`);
}

function corrupt(name: string, what: string): SentinelError {
  return new SentinelError("state.corrupt", `the feature state in ${name} cannot be read: ${what}`, {
    hint: "remove the folder of the feature table and that of its state, and let both be made again",
  });
}

/**
 * One state out of the files of all partitions, which answers and learns as one that learned all rows would. A key stands in one file; what is past
 * its retention is left out. `ids` are those of the newest transactions, in time order. Errors: state.corrupt, also where rows are missing.
 */
export class StateOfFiles {
  readonly state: FeatureState;
  private readonly plan: FeaturePlan;
  private readonly rows: number;
  private readonly learned = new Map<string, number>();

  /** `rows` are all that were learned, `watermark` is the newest of their times. */
  constructor(plan: FeaturePlan, { rows, watermark }: { readonly rows: number; readonly watermark: number }) {
    this.plan = plan;
    this.rows = rows;
    this.state = new FeatureState(layoutOf([plan]));
    this.state.watermark = watermark;
    this.state.counts.learned = rows;
  }

  add(bytes: Uint8Array, name: string): void {
    const { head, keys } = readKeyFile(bytes, name);
    const id = keyId(head.need.key);
    const table = this.state.tables.find(({ need }) => keyId(need.key) === id);
    if (table === undefined || canonicalJson(table.need) !== canonicalJson(head.need)) {
      throw corrupt(name, "it keeps something else of its keys than the features ask for");
    }
    this.learned.set(id, (this.learned.get(id) ?? 0) + head.rows);
    const oldest = this.state.watermark - table.retentionMs;
    for (const { text, blob } of keys()) {
      if (table.find(text) >= 0) throw corrupt(name, "a key of it stands in another file too");
      const slot = decodeKey(table, text, blob);
      if (table.newestOf(slot) <= oldest) table.forget(text);
    }
  }

  /** The whole state, once all files are in. */
  done(newest: { readonly ids: readonly string[]; readonly times: Float64Array }): FeatureState {
    for (const { key } of this.plan.series) {
      const rows = this.learned.get(keyId(key)) ?? 0;
      if (rows === this.rows) continue;
      throw corrupt(`the files of the key ${key.join(" and ")}`, `they hold ${rows} rows of ${this.rows}`);
    }
    const { state } = this;
    newest.ids.forEach((id, i) => {
      state.ids.advance(Math.floor(newest.times[i]));
      state.ids.add(id);
    });
    return state;
  }
}
