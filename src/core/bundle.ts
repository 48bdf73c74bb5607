// The bundle as files: one version of everything that decides, identified by the hash of its contents.
import { SentinelError } from "./errors.ts";
import { sha256 } from "./hash.ts";

/** File name (with / for folders) to bytes. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** SHA-256 over the sorted list of file hashes; two bundles with the same hash decide the same. */
export function bundleHash(files: BundleFiles): string {
  return bundleHashOf([...files].map(([name, bytes]) => ({ name, sha256: sha256(bytes) })));
}

/** The same hash, of files whose own hashes are known. */
export function bundleHashOf(files: readonly { readonly name: string; readonly sha256: string }[]): string {
  const byName = new Map(files.map((file) => [file.name, file.sha256]));
  const lines = [...byName.keys()].sort().map((name) => `${byName.get(name)}  ${name}\n`);
  return sha256(lines.join(""));
}

/** A file every bundle must have. Throws `bundle.corrupt` naming it when it is absent. */
export function bundleFile(files: BundleFiles, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) {
    throw new SentinelError("bundle.corrupt", `the bundle has no file ${name}`, {
      hint: "register the model again with `sentinel train`; the stored version is incomplete",
    });
  }
  return bytes;
}
