// The feature state that partitions leave behind: a file per partition and key, named by what it holds, and one state out of all of them.
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../../core/private.ts";
import type { PartitionReplay } from "../../features/by-key.ts";
import { keyFile, StateOfFiles } from "../../features/key-file.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { FeatureState } from "../../features/state.ts";

const ENDING = ".keys";
/** What one server may take into its memory; the state of more keys belongs into Redis. */
export const STATE_FILES_BYTES_MAX = 2 ** 32;
/** Parts that are written in one go. */
const WRITE_BYTES = 2 ** 20;

/** Writes the keys of a partition; whoever writes them a second time, for a stage that was retried, writes the same file. */
export function writeKeys(folder: string, { state, lastRow }: PartitionReplay): void {
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  const making = path.join(folder, `.${process.pid}-${process.hrtime.bigint()}`);
  const hash = createHash("sha256");
  const file = openSync(making, "wx", PRIVATE_FILE_MODE);
  try {
    let parts: Uint8Array[] = [];
    let size = 0;
    const flush = (): void => {
      const bytes = Buffer.concat(parts);
      hash.update(bytes);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      parts = [];
      size = 0;
    };
    for (const part of keyFile(state, { last: lastRow })) {
      parts.push(part);
      size += part.length;
      if (size >= WRITE_BYTES) flush();
    }
    flush();
  } finally {
    closeSync(file);
  }
  renameSync(making, path.join(folder, `${hash.digest("hex")}${ENDING}`));
}

export interface MergedState {
  readonly state: FeatureState;
  readonly files: number;
  readonly bytes: number;
}

/**
 * Reads the files of a folder, each held against its name, into one state; null where they are more than {@link STATE_FILES_BYTES_MAX}. Errors:
 * state.corrupt.
 */
export function mergeStates(
  folder: string,
  of: {
    readonly plan: FeaturePlan;
    readonly rows: number;
    readonly watermark: number;
    /** The newest transactions, in time order. */
    readonly newest: { readonly ids: readonly string[]; readonly times: Float64Array };
  },
): MergedState | { readonly state: null; readonly files: number; readonly bytes: number } {
  const names = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.endsWith(ENDING)).sort();
  const places = names.map((name) => path.join(folder, name));
  const bytes = places.reduce((sum, place) => sum + statSync(place).size, 0);
  const files = places.length;
  if (bytes > STATE_FILES_BYTES_MAX) return { state: null, files, bytes };
  const merged = new StateOfFiles(of.plan, of);
  for (const [i, place] of places.entries()) {
    const content = readFileSync(place);
    if (`${sha256(content)}${ENDING}` !== names[i]) {
      throw new SentinelError("state.corrupt", `${place} is not what was written: its name is the hash of its bytes`, {
        hint: "remove the folder of the feature table and that of its state, and let both be made again",
      });
    }
    merged.add(content, place);
  }
  return { state: merged.done(of.newest), files, bytes };
}
