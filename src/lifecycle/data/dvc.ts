// DVC: which version of a data file dvc.lock or a .dvc file names. Read only; DVC itself need not be installed.
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { messageOf } from "../../core/errors.ts";

/** What DVC's files say of one data file. */
export interface DvcEntry {
  /** The dvc.lock or .dvc file that says it, absolute. */
  readonly file: string;
  /** The stage that makes the data; "" in a .dvc file. */
  readonly stage: string;
  /** As written there, relative to `file`. */
  readonly path: string;
  /** MD5 of the data file's bytes. */
  readonly md5: string;
}

/** Folders looked into, upward from the data. */
const LEVELS_MAX = 32;
/** A dvc.lock of 16 MB has tens of thousands of stages; a list of a folder's files may be as long. */
const BYTES_MAX = 16 * 1024 * 1024;

/**
 * The entry of `file`, or null where DVC does not track it: an output in the dvc.lock of its folder or one above, or a .dvc file
 * beside it, up to the folder that holds `.dvc/`. For a file in a tracked folder, DVC's local cache must have the
 * folder's list. Entries of DVC 2 (text files hashed without their carriage returns) and stages with a `wdir` are not
 * read. `onFault` gets a file that cannot be read.
 */
export function dvcEntryOf(file: string, onFault: (what: string) => void): DvcEntry | null {
  const target = path.resolve(file);
  let from = target;
  for (let level = 0; level < LEVELS_MAX; level++) {
    const folder = path.dirname(from);
    const found = entryIn(`${from}.dvc`, target, onFault) ?? entryIn(path.join(folder, "dvc.lock"), target, onFault);
    if (found !== null) return found;
    if (isFolder(path.join(folder, ".dvc")) || folder === from) return null;
    from = folder;
  }
  return null;
}

interface RawOut {
  readonly path?: unknown;
  readonly md5?: unknown;
  readonly hash?: unknown;
}

function entryIn(file: string, target: string, onFault: (what: string) => void): DvcEntry | null {
  if (!isFile(file)) return null;
  try {
    for (const { stage, out } of outsOf(parse(readBounded(file), { schema: "failsafe" }))) {
      if (typeof out.path !== "string" || typeof out.md5 !== "string" || out.hash !== "md5") continue;
      const md5 = md5Of(path.resolve(path.dirname(file), out.path), out.md5, target);
      if (md5 !== null) return { file, stage, path: out.path, md5 };
    }
  } catch (error) {
    onFault(`${file} cannot be read: ${messageOf(error).split("\n")[0]}`);
  }
  return null;
}

/** Read without types, so that no hash of digits becomes a number. Every output that a dvc.lock ({stages: {name: {outs}}}) or a .dvc file ({outs}) lists. */
function outsOf(parsed: unknown): { readonly stage: string; readonly out: RawOut }[] {
  const { stages, outs } = asRecord(parsed);
  const listed = (stage: string, list: unknown) =>
    (Array.isArray(list) ? list : []).map((out) => ({ stage, out: asRecord(out) as RawOut }));
  return [
    ...listed("", outs),
    ...Object.entries(asRecord(stages)).flatMap(([stage, made]) => listed(stage, asRecord(made).outs)),
  ];
}

/** The MD5 of `target` where the output is that file or a folder above it; null otherwise. */
function md5Of(place: string, md5: string, target: string): string | null {
  if (place === target) return /^[0-9a-f]{32}$/.test(md5) ? md5 : null;
  const inside = path.relative(place, target);
  if (!/^[0-9a-f]{32}\.dir$/.test(md5) || inside.startsWith("..") || path.isAbsolute(inside)) return null;
  const list = findUp(place, path.join(".dvc", "cache", "files", "md5", md5.slice(0, 2), md5.slice(2)));
  if (list === null) return null;
  const files = JSON.parse(readBounded(list)) as unknown;
  const relative = inside.split(path.sep).join("/");
  const found = (Array.isArray(files) ? files : []).map(asRecord).find(({ relpath }) => relpath === relative);
  return typeof found?.md5 === "string" ? found.md5 : null;
}

function findUp(from: string, name: string): string | null {
  let folder = from;
  for (let level = 0; level < LEVELS_MAX; level++) {
    if (isFile(path.join(folder, name))) return path.join(folder, name);
    folder = path.dirname(folder);
  }
  return null;
}

function readBounded(file: string): string {
  const { size } = statSync(file);
  if (size > BYTES_MAX) throw new Error(`it has ${size} bytes, at most ${BYTES_MAX} are read`);
  return readFileSync(file, "utf8");
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isFile(file: string): boolean {
  return existsSync(file) && statSync(file).isFile();
}

function isFolder(file: string): boolean {
  return existsSync(file) && statSync(file).isDirectory();
}
