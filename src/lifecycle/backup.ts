// Backup and restore of what a workspace and its tenants keep in models/: one folder, with a list of its files and their hashes.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../core/private.ts";
import { DEFAULT_TENANT, type Tenant } from "../core/tenant.ts";

/** What a backup says of itself. */
export interface BackupManifest {
  readonly format: 1;
  /** When it began: nothing that came later is surely in it. */
  readonly at: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
  /** Stores that are not files of the workspace, each with what saves it. */
  readonly elsewhere: readonly string[];
  /** Whose it is; absent: the first tenant's, with all others' in it. */
  readonly tenant?: Tenant;
}

export interface BackupInput {
  /** The workspace's models/. */
  readonly models: string;
  readonly tenant: Tenant;
  /** The folder that holds the workspaces of other tenants; null: they are not part of it. */
  readonly tenants: string | null;
  /** A folder that does not exist, or is empty. */
  readonly folder: string;
}

const MANIFEST = "backup.json";
/** A workspace has some thousand artifacts; more files than this are somebody else's folder. */
const FILES_MAX = 200_000;
/** Made anew by whoever needs them; a lock of the past would keep others out; the key of receipts stays apart from them. */
const LEFT_OUT = /(^|\/)(locks\/|forget\.key$|.*-(wal|shm|journal)$|.*\.(tmp|partial)$)/;
const DATABASE = /\.db$/;
/** Before the files of another tenant's models/, and its name; no model is called so. */
const OF_TENANT = /^_tenants\/([^/]+)\//;

/**
 * Copies models/ while servers run: snapshots first, then the logs, then the registry, then its artifacts, so that what one names is in what follows:
 * a snapshot that is older than its log is caught up, a version is written before it is named. Errors: cli.usage (the folder), store.unreadable,
 * dataset.unwritable.
 */
export async function backUp(
  { models, folder, tenant, tenants }: BackupInput,
  given: {
    readonly at: number;
    readonly elsewhere: readonly string[];
    readonly copyDatabase: (file: string, to: string) => Promise<void>;
  },
): Promise<BackupManifest> {
  if ((await filesBelow(folder)).length > 0) {
    throw new SentinelError("cli.usage", `--to ${folder} has files already`, {
      hint: "name a new folder for each backup: --to backups/2026-11-30",
    });
  }
  const found = (await filesOf({ models, tenants })).filter((file) => !LEFT_OUT.test(file));
  const placeOf = (file: string): string => placeIn({ models, tenants }, file);
  if (found.length === 0) {
    throw new SentinelError("cli.usage", `${models} has nothing to back up`, {
      hint: "is this the workspace? --workspace DIR",
    });
  }
  const files: BackupManifest["files"][number][] = [];
  for (const file of found.sort((a, b) => stepOf(a) - stepOf(b) || (a < b ? -1 : 1))) {
    const to = path.join(folder, file);
    await mkdir(path.dirname(to), { recursive: true, mode: PRIVATE_FOLDER_MODE });
    if (DATABASE.test(file)) await given.copyDatabase(placeOf(file), to);
    else if (!(await copiedIfThere(placeOf(file), to))) continue;
    await chmod(to, PRIVATE_FILE_MODE);
    files.push({ path: file, ...(await digestOf(to)) });
  }
  const manifest: BackupManifest = {
    format: 1,
    at: new Date(given.at).toISOString(),
    files: files.sort((a, b) => (a.path < b.path ? -1 : 1)),
    elsewhere: given.elsewhere,
    ...(tenant === DEFAULT_TENANT ? {} : { tenant }),
  };
  // Last: a folder without it is no backup.
  await writeFile(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: PRIVATE_FILE_MODE });
  return manifest;
}

/**
 * Puts a backup where nothing is. Every file is compared with its hash before any is in its place. Errors: cli.usage (something is
 * there, or the backup is another tenant's), dataset.unreadable (no backup, or one that was damaged).
 */
export async function restore({ models, folder, tenant, tenants }: BackupInput): Promise<BackupManifest> {
  const manifest = await manifestIn(folder);
  const { tenant: whose = DEFAULT_TENANT } = manifest;
  if (whose !== tenant) {
    throw new SentinelError("cli.usage", `${folder} is the backup of tenant ${whose}, not of ${tenant}`, {
      hint: whose === DEFAULT_TENANT ? "leave --tenant out" : `say --tenant ${whose}`,
    });
  }
  const there = (await filesOf({ models, tenants })).find((file) => !LEFT_OUT.test(file));
  if (there !== undefined) {
    const [prefix] = OF_TENANT.exec(there) ?? [""];
    const full = path.resolve(placeIn({ models, tenants }, prefix));
    throw new SentinelError("cli.usage", `${full} has files: a restore never mixes two states`, {
      hint: `move them away first: mv ${full} ${full}.lost`,
    });
  }
  for (const { path: file, sha256, bytes } of manifest.files) {
    const there = await digestOf(path.join(folder, file)).catch(() => null);
    if (there?.sha256 === sha256 && there.bytes === bytes) continue;
    throw new SentinelError(
      "dataset.unreadable",
      `${path.join(folder, file)} is ${there === null ? "missing" : "not what was backed up"}`,
      {
        hint: "use another backup: this one was damaged, and nothing of it was restored",
      },
    );
  }
  // Into the folder itself, which may be a volume. Killed in the middle, the next try finds files and says so.
  for (const { path: file } of manifest.files) {
    const to = placeIn({ models, tenants }, file);
    await mkdir(path.dirname(to), { recursive: true, mode: PRIVATE_FOLDER_MODE });
    await copyFile(path.join(folder, file), to);
    await chmod(to, PRIVATE_FILE_MODE);
  }
  return manifest;
}

async function manifestIn(folder: string): Promise<BackupManifest> {
  const file = path.join(folder, MANIFEST);
  try {
    const manifest = JSON.parse(await readFile(file, "utf8")) as BackupManifest;
    const isPlain = (one: string): boolean => !path.isAbsolute(one) && !one.split(/[\\/]/).includes("..");
    if (manifest.format === 1 && manifest.files.every((one) => isPlain(one.path))) return manifest;
    throw new Error(`format ${JSON.stringify(manifest.format)}`);
  } catch (error) {
    throw new SentinelError("dataset.unreadable", `${file} is no list of a backup: ${messageOf(error)}`, {
      hint: "name the folder that `sentinel backup --to` wrote; one without a list was not finished",
      cause: error,
    });
  }
}

/** Files of models/, and of each other tenant's below its own name. */
async function filesOf({ models, tenants }: Pick<BackupInput, "models" | "tenants">): Promise<readonly string[]> {
  const files = [...(await filesBelow(models))];
  if (tenants === null) return files;
  for (const { name } of await foldersIn(tenants)) {
    const own = await filesBelow(path.join(tenants, name, "models"));
    files.push(...own.map((file) => `_tenants/${name}/${file}`));
  }
  return files;
}

/** Where a file of a backup lies in the workspace. */
function placeIn({ models, tenants }: Pick<BackupInput, "models" | "tenants">, file: string): string {
  const [prefix, name] = OF_TENANT.exec(file) ?? [""];
  if (name === undefined || tenants === null) return path.join(models, file);
  return path.join(tenants, name, "models", file.slice(prefix.length));
}

/** Snapshots, logs and stores, the registry, and then what these name. */
function stepOf(one: string): number {
  const file = one.replace(OF_TENANT, "");
  if (file.startsWith("state/snapshots/")) return 0;
  if (!DATABASE.test(file)) return 3;
  return file.startsWith("state/") ? 1 : 2;
}

/** False for a file that was removed meanwhile. */
async function copiedIfThere(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new SentinelError("dataset.unwritable", `${from} cannot be copied to ${to}: ${messageOf(error)}`, {
      hint: "is there room, and may this user read the one and write the other?",
      cause: error,
    });
  }
}

async function foldersIn(folder: string): Promise<readonly { readonly name: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory());
}

/** Paths of the files below a folder, with slashes; none where it is not there. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(path.join(folder, below), { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return [];
        throw error;
      },
    );
    for (const entry of entries) {
      const one = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await walk(one);
      else if (entry.isFile()) files.push(one);
      if (files.length > FILES_MAX) {
        throw new SentinelError("cli.usage", `${folder} has more than ${FILES_MAX} files`, {
          hint: "is it the folder that was meant?",
        });
      }
    }
  };
  await walk("");
  return files;
}

async function digestOf(file: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}
