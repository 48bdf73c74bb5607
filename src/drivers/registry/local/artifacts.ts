// The files of versions: stored whole before anybody sees them, verified byte by byte when they are loaded.
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type BundleFiles, bundleHash, bundleHashOf } from "../../../core/bundle.ts";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { sha256 } from "../../../core/hash.ts";
import type { FileFault } from "../../../ports/registry.ts";
import { makeFolder, syncFolder, syncTree, writeDurably } from "../../files/durable.ts";
import { BUNDLE_BYTES_MAX } from "../limits.ts";

/** Beside the folder with the files, so that the list itself is no part of the bundle. */
const LIST = "files.json";

export interface Stored {
  /** Relative to the registry's folder, as MLflow's tables name it. */
  readonly location: string;
  readonly bundle: string;
}

/** Where a logged model's files are; relative, so that the registry's folder can be moved. */
export function locationOf(model: { readonly experiment: number; readonly modelId: string }): string {
  return `./artifacts/${model.experiment}/models/${model.modelId}/artifacts`;
}

/** Stores files under a new id: in a temporary folder first, which gets its name when every byte is on disk. */
export async function storeFiles(
  dir: string,
  model: { readonly experiment: number; readonly modelId: string; readonly files: BundleFiles },
): Promise<Stored> {
  const { modelId, files } = model;
  const location = locationOf(model);
  const incoming = incomingOf(dir, modelId);
  const list = [...files.keys()]
    .sort()
    .map((name) => ({ name, sha256: sha256(files.get(name)!), bytes: files.get(name)!.length }));
  for (const name of files.keys()) {
    const file = path.join(incoming, "artifacts", name);
    await makeFolder(path.dirname(file));
    await writeDurably(file, files.get(name)!);
  }
  await writeDurably(path.join(incoming, LIST), `${JSON.stringify({ files: list }, null, 2)}\n`);
  await syncTree(incoming);
  const final = path.dirname(path.join(dir, location));
  await makeFolder(path.dirname(final));
  await rename(incoming, final);
  await syncFolder(path.dirname(final));
  return { location, bundle: bundleHash(files) };
}

/** Removes what is left of a registration that came to nothing. */
export async function discardFiles(
  dir: string,
  model: { readonly experiment: number; readonly modelId: string },
): Promise<void> {
  await rm(incomingOf(dir, model.modelId), { recursive: true, force: true });
  await rm(path.dirname(path.join(dir, locationOf(model))), { recursive: true, force: true });
}

/** The files as they were registered. Throws registry.corrupt naming the file that is not. */
export async function loadFiles(dir: string, version: Stored & { readonly title: string }): Promise<BundleFiles> {
  const folder = folderOf(dir, version);
  const list = await listOf(path.join(path.dirname(folder), LIST), version.title);
  const files = new Map<string, Uint8Array>();
  for (const entry of list)
    files.set(entry.name, await readChecked(path.join(folder, entry.name), { ...entry, title: version.title }));
  if (bundleHash(files) !== version.bundle) {
    throw damaged(`${path.join(path.dirname(folder), LIST)} is not the list that ${version.title} was registered with`);
  }
  return files;
}

/** Every file that is not what was registered. */
export async function inspectFiles(dir: string, version: Stored & { readonly title: string }): Promise<FileFault[]> {
  const faults: FileFault[] = [];
  const attempt = async <T>(file: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
      faults.push({ file, why: error.message });
      return null;
    }
  };
  const folder = await attempt("", async () => folderOf(dir, version));
  if (folder === null) return faults;
  const list = await attempt(LIST, () => listOf(path.join(path.dirname(folder), LIST), version.title));
  if (list === null) return faults;
  if (bundleHashOf(list) !== version.bundle)
    faults.push({ file: LIST, why: "it is not the list of the registered bundle" });
  for (const entry of list) {
    await attempt(entry.name, () => readChecked(path.join(folder, entry.name), { ...entry, title: version.title }));
  }
  return faults;
}

/** A file that somebody else stored; null where there is none. Relative places are the registry's own folder's. */
export async function readForeign(
  dir: string,
  file: { readonly location: string; readonly name: string; readonly max: number },
): Promise<Uint8Array | null> {
  const { location, name, max } = file;
  if (/^[\w+.-]+:/.test(location) && !location.startsWith("file:")) {
    throw new SentinelError(
      "registry.missing",
      `the files of the model are at ${location}, which is not on this machine`,
      {
        hint: "set MLFLOW_TRACKING_URI to the server that keeps them, or give the model's file",
      },
    );
  }
  const folder = location.startsWith("file:") ? fileURLToPath(location) : path.resolve(dir, location);
  try {
    const target = path.join(folder, name);
    const { size } = await stat(target);
    if (size > max) throw damaged(`${target} has ${size} bytes, more than ${max}`);
    return new Uint8Array(await readFile(target));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR")) return null;
    throw cause instanceof SentinelError ? cause : damaged(`cannot read ${name}: ${messageOf(cause)}`, cause);
  }
}

function incomingOf(dir: string, modelId: string): string {
  return path.join(dir, "artifacts", ".incoming", modelId);
}

function folderOf(dir: string, version: Stored & { readonly title: string }): string {
  if (version.bundle === "") {
    throw new SentinelError(
      "registry.no-bundle",
      `${version.title} was not registered by Sentinel: nothing says what its files must be`,
      { hint: "make it servable: sentinel import models:/NAME/VERSION" },
    );
  }
  const folder = path.resolve(dir, version.location);
  const inside = path.relative(path.resolve(dir, "artifacts"), folder);
  if (/^\.\//.test(version.location) && !/^\.\.|^$/.test(inside) && !path.isAbsolute(inside)) return folder;
  throw new SentinelError(
    "registry.corrupt",
    `${version.title} was not registered by Sentinel: nothing says what its files must be`,
    {
      hint: "bring the model in by `sentinel import`, or train one",
    },
  );
}

interface Listed {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** The list is not trusted: a name that leads out of the folder fails like any other damage. */
async function listOf(file: string, title: string): Promise<Listed[]> {
  let bytes = 0;
  try {
    const { files } = JSON.parse(await readFile(file, "utf8")) as { readonly files: readonly Partial<Listed>[] };
    return files.map(({ name, sha256: hash, bytes: size }) => {
      if (typeof name !== "string" || name.split(/[\\/]/).includes("..") || path.isAbsolute(name))
        throw new Error("it lists a wrong name");
      if (typeof hash !== "string" || !Number.isSafeInteger(size)) throw new Error(`it does not describe ${name}`);
      bytes += size as number;
      if (bytes > BUNDLE_BYTES_MAX) throw new Error(`it lists more than ${BUNDLE_BYTES_MAX} bytes`);
      return { name, sha256: hash, bytes: size as number };
    });
  } catch (cause) {
    throw damaged(`${title}: cannot use its list of files ${file}: ${messageOf(cause)}`, cause);
  }
}

async function readChecked(file: string, expected: Listed & { readonly title: string }): Promise<Uint8Array> {
  const { title } = expected;
  try {
    const { size } = await stat(file);
    if (size !== expected.bytes) throw damaged(`${title}: ${file} has ${size} bytes instead of ${expected.bytes}`);
    const bytes = new Uint8Array(await readFile(file));
    if (sha256(bytes) !== expected.sha256) throw damaged(`${title}: ${file} was changed after it was registered`);
    return bytes;
  } catch (cause) {
    if (cause instanceof SentinelError) throw cause;
    throw damaged(`${title}: cannot read ${file}: ${messageOf(cause)}`, cause);
  }
}

function damaged(message: string, cause?: unknown): SentinelError {
  return new SentinelError("registry.corrupt", message, {
    hint: "restore the file from a copy, or roll back to another version with `sentinel rollback`",
    cause,
  });
}
