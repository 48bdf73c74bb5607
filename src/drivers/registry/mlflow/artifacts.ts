// Files of a bundle on an MLflow server: through its artifact proxy, counted after storing, verified by hash when loaded.
import { type BundleFiles, bundleHashOf } from "../../../core/bundle.ts";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { sha256 } from "../../../core/hash.ts";
import type { FileFault } from "../../../ports/registry.ts";
import { BUNDLE_BYTES_MAX } from "../limits.ts";
import type { MlflowClient } from "./client.ts";
import { type Body, isRefusal } from "./errors.ts";

/** Beside the bundle's files; no bundle may have a file of this name. */
export const FILE_LIST = "sentinel-files.json";
const LIST_BYTES_MAX = 1_000_000;
/** Files on their way at once: a bundle has a few large ones and a dozen small ones. */
const AT_ONCE = 4;

interface Listed {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Stores every file and the list of them, and asks the store what it has now: each file must be there with its length, and the list must
 * come back with its hash. So whatever a dying server, a full disk or a proxy on the way lost is found before anybody sees
 * a version; every byte is compared with its hash when the version is loaded. Gives the bundle's hash.
 */
export async function storeFiles(client: MlflowClient, location: string, files: BundleFiles): Promise<string> {
  // Large ones first, so that none of them is left alone at the end.
  const ordered = [...files].sort(([, a], [, b]) => b.length - a.length);
  const listing = describeFiles(ordered);
  await eachOf(ordered, ([name, bytes]) => client.upload(`${location}/${name}`, bytes));
  const list = await listing;
  const text = new TextEncoder().encode(`${JSON.stringify({ files: list })}\n`);
  await client.upload(`${location}/${FILE_LIST}`, text);
  const own = { name: FILE_LIST, sha256: sha256(text), bytes: text.length };
  const title = "the server";
  await Promise.all([checkStored(client, location, [...list, own]), fetchChecked(client, { ...own, location, title })]);
  return bundleHashOf(list);
}

/** Hashes beside the uploads: not on the thread that feeds them. */
async function describeFiles(files: readonly (readonly [string, Uint8Array])[]): Promise<Listed[]> {
  const list: Listed[] = [];
  for (const [name, bytes] of files) {
    const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
    list.push({ name, sha256: Buffer.from(digest).toString("hex"), bytes: bytes.length });
  }
  return list.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Compares what each folder of the store has with what was sent. A store that tells no lengths is read back. */
async function checkStored(client: MlflowClient, location: string, list: readonly Listed[]): Promise<void> {
  const folders = new Set(list.map(({ name }) => name.slice(0, Math.max(0, name.lastIndexOf("/")))));
  const stored = new Map<string, number | null>();
  await eachOf([...folders], async (folder) => {
    const where = folder === "" ? location : `${location}/${folder}`;
    for (const { name, bytes } of await client.list(where))
      stored.set(folder === "" ? name : `${folder}/${name}`, bytes);
  });
  await eachOf(list, async (entry) => {
    const bytes = stored.get(entry.name);
    if (bytes === undefined) throw damaged(`${entry.name} was sent to the server and is not there`);
    if (bytes === null) await fetchChecked(client, { ...entry, location, title: "the server" });
    else if (bytes !== entry.bytes)
      throw damaged(`${entry.name} is not what was sent to the server: ${bytes} bytes instead of ${entry.bytes}`);
  });
}

/** The files as they were registered. Throws registry.corrupt naming the file that is not. */
export async function loadFiles(
  client: MlflowClient,
  version: { readonly location: string; readonly bundle: string; readonly title: string },
): Promise<BundleFiles> {
  const { location, bundle, title } = version;
  const listed = await fetchFile(client, { location, name: FILE_LIST, title, bytes: LIST_BYTES_MAX });
  const list = parseList(listed.bytes, title);
  if (bundleHashOf(list) !== bundle) throw damaged(`${FILE_LIST} is not the list that ${title} was registered with`);
  const fetched = new Map<string, Uint8Array>();
  await eachOf(list, async (entry) => {
    fetched.set(entry.name, await fetchChecked(client, { ...entry, location, title }));
  });
  return new Map(list.map(({ name }) => [name, fetched.get(name)!]));
}

/** Every file that is not what was registered. */
export async function inspectFiles(
  client: MlflowClient,
  version: { readonly location: string; readonly bundle: string; readonly title: string },
): Promise<FileFault[]> {
  const { location, bundle, title } = version;
  const faults: FileFault[] = [];
  const attempt = async <T>(file: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SentinelError) || error.code !== "registry.corrupt") throw error;
      faults.push({ file, why: error.message });
      return null;
    }
  };
  const list = await attempt(FILE_LIST, async () => {
    const { bytes } = await fetchFile(client, { location, name: FILE_LIST, title, bytes: LIST_BYTES_MAX });
    return parseList(bytes, title);
  });
  if (list === null) return faults;
  if (bundleHashOf(list) !== bundle)
    faults.push({ file: FILE_LIST, why: "it is not the list of the registered bundle" });
  await eachOf(list, async (entry) => {
    await attempt(entry.name, () => fetchChecked(client, { ...entry, location, title }));
  });
  return faults.sort((a, b) => (a.file < b.file ? -1 : 1));
}

interface Wanted {
  readonly location: string;
  readonly name: string;
  readonly bytes: number;
  readonly title: string;
}

async function fetchChecked(client: MlflowClient, file: Wanted & { readonly sha256: string }): Promise<Uint8Array> {
  const { bytes, sha256: hash } = await fetchFile(client, file);
  if (bytes.length === file.bytes && hash === file.sha256) return bytes;
  throw damaged(`${file.name} of ${file.title} is not what was stored: ${bytes.length} bytes instead of ${file.bytes}`);
}

async function fetchFile(client: MlflowClient, { location, name, bytes, title }: Wanted): Promise<Body> {
  try {
    return await client.download(`${location}/${name}`, { bytesMax: bytes });
  } catch (cause) {
    if (isRefusal(cause, "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")) throw damaged(`${name} of ${title} is gone`, cause);
    if (cause instanceof SentinelError && cause.code === "registry.corrupt")
      throw damaged(`${name} of ${title} is not what was stored: ${cause.message}`, cause);
    throw cause;
  }
}

/** The list is not trusted: a name that leads out of the folder fails like any other damage. */
function parseList(text: Uint8Array, title: string): Listed[] {
  let sum = 0;
  try {
    const { files } = JSON.parse(new TextDecoder().decode(text)) as { readonly files: readonly Partial<Listed>[] };
    return files.map(({ name, sha256: hash, bytes }) => {
      if (typeof name !== "string" || name === "" || name.split(/[\\/]/).some((part) => part === ".." || part === ""))
        throw new Error("it lists a wrong name");
      if (typeof hash !== "string" || typeof bytes !== "number" || !(bytes >= 0))
        throw new Error(`it does not describe ${name}`);
      sum += bytes;
      if (sum > BUNDLE_BYTES_MAX) throw new Error(`it lists more than ${BUNDLE_BYTES_MAX} bytes`);
      return { name, sha256: hash, bytes };
    });
  } catch (cause) {
    throw damaged(`cannot use ${FILE_LIST} of ${title}: ${messageOf(cause)}`, cause);
  }
}

function damaged(message: string, cause?: unknown): SentinelError {
  return new SentinelError("registry.corrupt", message, {
    hint: "restore the server's artifact store from a copy, or register the model again",
    cause,
  });
}

/** The first fault ends it; what is under way then is waited for. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  const ends = await Promise.allSettled(
    Array.from({ length: AT_ONCE }, () =>
      worker().catch((error: unknown) => {
        waiting.length = 0;
        throw error;
      }),
    ),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
