// Evidence documents as files named after their hash: what a journal's entry points at.
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { makeFolder, syncFolder, writeDurably } from "../files/durable.ts";

/** Keeps a document; one that is there whole already is left alone. Throws the file system's own errors. */
export async function keepEvidence(dir: string, text: string, newId: () => string): Promise<void> {
  const file = fileOf(dir, sha256(text));
  if ((await readFile(file, "utf8").catch(() => null)) === text) return;
  await makeFolder(path.dirname(file));
  const incoming = `${file}.${newId()}.part`;
  try {
    await writeDurably(incoming, text);
    await rename(incoming, file);
  } catch (error) {
    await rm(incoming, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(path.dirname(file));
}

/** The document as it is found; null when there is none. */
export async function readEvidence(dir: string, hash: string): Promise<string | null> {
  if (!/^[0-9a-f]{64}$/.test(hash)) return null;
  const file = fileOf(dir, hash);
  try {
    if ((await stat(file)).size > EVIDENCE_BYTES_MAX) return "";
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new SentinelError("registry.unreachable", `cannot read ${file}: ${messageOf(error)}`, {
      hint: "check that the file may be read",
      cause: error,
    });
  }
}

/** A document beyond this is no evidence of ours. */
export const EVIDENCE_BYTES_MAX = 64_000_000;

function fileOf(dir: string, hash: string): string {
  return path.join(dir, "evidence", `${hash}.json`);
}
