// Receipts of what was forgotten: what, where, how many; the value itself only as a keyed hash, so that who has the receipt alone learns nothing of it.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { type ErasedHash, pseudonymOf } from "../../core/erasure.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { canonicalJson, sha256 } from "../../core/hash.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../../core/private.ts";

/** One place that was searched. */
export interface ForgottenPlace {
  readonly where: string;
  readonly what: string;
  /** Rows, keys or lines in which the person was found; all of them were erased. */
  readonly found: number;
}

/** A place where something may be left, and what to do about it. */
export interface LeftPlace {
  readonly where: string;
  readonly why: string;
  readonly todo: string;
  /** True: it is another tenant's, and nothing of this one is left there. */
  readonly elsewhere?: true;
}

/** Writes a file whole or not at all, also where the power goes; `mode` of a new file. */
export type WriteFile = (file: string, content: string | Uint8Array, mode: number) => Promise<void>;

/** Where receipts are kept, and what writes them. */
interface ReceiptPlace {
  readonly stateDir: string;
  readonly writeFile: WriteFile;
}

export interface Receipt {
  readonly format: typeof FORMAT;
  readonly id: string;
  readonly begunAt: string;
  readonly at: string;
  readonly actor: string;
  /** The column, by the name that was given, and all names under which it comes. */
  readonly column: string;
  readonly names: readonly string[];
  readonly personal: readonly string[];
  readonly values: readonly ErasedHash[];
  /** Of the key: a check that tells a wrong one from a value that is gone. */
  readonly keyCheck: string;
  readonly places: readonly ForgottenPlace[];
  readonly left: readonly LeftPlace[];
  /** Tables of the workspace that name the person; touched only where that was asked for. */
  readonly data: readonly { readonly file: string; readonly rows: number; readonly erased: boolean }[];
  /** SHA-256 of all but this. */
  readonly hash: string;
}

const FORMAT = "sentinel-receipt/1";
/** Below models/state: where customers' data are, for their owner alone. */
const FOLDER = "forgotten";
const ID = /^forget-[0-9a-f]{16}$/;
const PSEUDONYM_BYTES = 12;
const ID_BYTES = 8;
/** Receipts of one workspace that are read; each is some kilobytes. */
const RECEIPTS_MAX = 100_000;

/** A run that is under way: with it a killed run goes on under the same id and pseudonym. */
export interface Begun {
  readonly id: string;
  readonly at: number;
  readonly pseudonym: string;
  /** Keyed hashes of the values: whether it is about the same person. */
  readonly values: readonly ErasedHash[];
  /** What earlier tries of this run found. */
  readonly places: readonly ForgottenPlace[];
  /** Sealed, and not yet in its place. */
  readonly receipt?: Receipt;
}

/** The run of this person that was begun and not ended, or a new one. */
export async function begin(
  at: ReceiptPlace,
  of: { readonly values: readonly ErasedHash[]; readonly at: number },
): Promise<Begun> {
  const folder = path.join(at.stateDir, FOLDER);
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".begun.json"))) {
    const begun = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as Begun;
    if (begun.values[0]?.hash === of.values[0].hash) return begun;
  }
  const begun: Begun = {
    id: `forget-${randomBytes(ID_BYTES).toString("hex")}`,
    at: of.at,
    pseudonym: pseudonymOf(randomBytes(PSEUDONYM_BYTES)),
    values: of.values,
    places: [],
  };
  await keepBegun(at, begun);
  return begun;
}

export async function keepBegun({ stateDir, writeFile }: ReceiptPlace, begun: Begun): Promise<void> {
  await writeWhole(writeFile, path.join(stateDir, FOLDER, `${begun.id}.begun.json`), `${JSON.stringify(begun)}\n`);
}

/** Writes the receipt; the pseudonym is no part of it, and what a killed run would need goes. Gives its file. */
export async function end({ stateDir, writeFile }: ReceiptPlace, receipt: Receipt): Promise<string> {
  const file = path.join(stateDir, FOLDER, `${receipt.id}.json`);
  await writeWhole(writeFile, file, `${JSON.stringify(receipt, null, 2)}\n`);
  await rm(path.join(stateDir, FOLDER, `${receipt.id}.begun.json`), { force: true });
  return file;
}

export function sealed(receipt: Omit<Receipt, "hash" | "format">): Receipt {
  const open = { format: FORMAT, ...receipt } as const;
  return { ...open, hash: sha256(canonicalJson(open)) };
}

/** By its id or its file. Errors: dataset.missing, dataset.unreadable (it was changed since). */
export function readReceipt(stateDir: string, named: string): Receipt {
  const file = ID.test(named) ? path.join(stateDir, FOLDER, `${named}.json`) : named;
  let receipt: Receipt;
  try {
    receipt = JSON.parse(readFileSync(file, "utf8")) as Receipt;
  } catch (cause) {
    throw new SentinelError("dataset.missing", `there is no receipt ${named}: ${messageOf(cause)}`, {
      hint: `name the file or the id of a receipt; they are in ${path.join(stateDir, FOLDER)}`,
      cause,
    });
  }
  const { hash, ...open } = receipt;
  if (open.format === FORMAT && hash === sha256(canonicalJson(open))) return receipt;
  throw new SentinelError("dataset.unreadable", `${file} is not the receipt that was written`, {
    hint: "its hash is another: it was changed since; take it from a backup",
  });
}

/** All receipts of a workspace; those that cannot be read are passed by. */
export function receiptsOf(stateDir: string): readonly Receipt[] {
  const folder = path.join(stateDir, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => ID.test(name.replace(/\.json$/, "")))
    .slice(0, RECEIPTS_MAX)
    .flatMap((name) => {
      try {
        return [readReceipt(stateDir, path.join(folder, name))];
      } catch {
        return [];
      }
    });
}

/** Errors: workspace.unwritable. */
export async function writeWhole(write: WriteFile, file: string, content: string | Uint8Array): Promise<void> {
  try {
    await write(file, content, PRIVATE_FILE_MODE);
  } catch (cause) {
    throw new SentinelError("workspace.unwritable", `cannot write ${file}: ${messageOf(cause)}`, {
      hint: "check that the folder may be written to and has space left; then run the command again: it goes on",
      cause,
    });
  }
}
