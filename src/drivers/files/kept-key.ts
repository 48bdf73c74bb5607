// A random key in a file that its owner alone may read, made once.
import { randomBytes } from "node:crypto";
import { link, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import { makePrivateFolder, syncFolder, writeDurably } from "./durable.ts";

const KEY_BYTES = 32;

/** The key of that file, however many ask for it first at once. Errors: workspace.unwritable. */
export async function keptKey(file: string): Promise<string> {
  const known = await readOr(file);
  if (known !== null) return known;
  const draft = `${file}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await makePrivateFolder(path.dirname(file));
    await writeDurably(draft, `${randomBytes(KEY_BYTES).toString("hex")}\n`, PRIVATE_FILE_MODE);
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    await syncFolder(path.dirname(file));
    return (await readOr(file))!;
  } catch (cause) {
    throw new SentinelError("workspace.unwritable", `cannot keep a key in ${file}: ${messageOf(cause)}`, {
      hint: "check that the folder may be written to, or set SENTINEL_FORGET_KEY",
      cause,
    });
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
}

async function readOr(file: string): Promise<string | null> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
