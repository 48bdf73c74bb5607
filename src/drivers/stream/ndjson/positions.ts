// The positions of a group in files: one small file that a rename replaces, with how long each output was when it was written.
import { readFile, rename } from "node:fs/promises";
import path from "node:path";
import { SentinelError } from "../../../core/errors.ts";
import { syncFolder, writeDurably } from "../../files/durable.ts";
import { fileError } from "./errors.ts";

export interface GroupPositions {
  readonly format: typeof FORMAT;
  /** Files of the input, relative to the folder of the positions; a file's place is its partition's number for ever. */
  readonly files: readonly string[];
  /** By partition: bytes of the input that are done with. */
  readonly positions: Readonly<Record<string, number>>;
  /** By topic: bytes of the output that are committed. */
  readonly lengths: Readonly<Record<string, number>>;
}

const FORMAT = "sentinel-positions/1";
export const NO_POSITIONS: GroupPositions = { format: FORMAT, files: [], positions: {}, lengths: {} };

export function positionsFile(folder: string, of: { readonly group: string; readonly topic: string }): string {
  return path.join(folder, `.${of.group}.${of.topic}.positions.json`);
}

/** Errors: stream.invalid for a file that is none of ours. */
export async function loadPositions(file: string): Promise<GroupPositions> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return NO_POSITIONS;
    throw fileError(error, `read ${file}`);
  }
  try {
    const found = JSON.parse(text) as GroupPositions;
    if (found.format === FORMAT) return found;
  } catch {
    // Said below, with what to do.
  }
  throw new SentinelError("stream.invalid", `${file} holds no positions of a stream`, {
    hint: "put it back from a backup; without it the input is read again from its beginning, and its outputs are written again",
  });
}

let saves = 0;

export async function savePositions(file: string, positions: GroupPositions): Promise<void> {
  const partial = `${file}.${process.pid}.${saves++}.tmp`;
  await writeDurably(partial, JSON.stringify(positions));
  await rename(partial, file);
  await syncFolder(path.dirname(file));
}
