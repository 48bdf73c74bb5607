// The objects port: named files in a folder or a bucket, each there whole or not at all.

/** One object: its key below the store's root, with forward slashes. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** Differs where the content does. */
  readonly version: string;
}

/** What an object is made of: a file of this machine, or some bytes. */
export type ObjectBody = { readonly file: string } | { readonly bytes: Uint8Array };

/**
 * Objects below one root. Every write appears whole or not at all, and what was written is there after a power cut. Errors:
 * archive.unreachable (retry may help), archive.unwritable, archive.unreadable.
 */
export interface ObjectStore {
  readonly where: string;
  /** Whether objects that were replaced or removed can still be had: `unknown` where the store does not say so to us. */
  keepsVersions(): Promise<boolean | "unknown">;
  /** All objects whose key begins with `prefix`, in the order of their keys. Two looks at the root agreed about them. */
  list(prefix: string): Promise<readonly StoredObject[]>;
  /** A small object's bytes; null when there is none. */
  read(key: string): Promise<Uint8Array | null>;
  /** Makes an object that is not there; false when it is, which is left as it is. */
  create(key: string, body: ObjectBody): Promise<boolean>;
  /** Puts an object in the place of one of the same key, or of none. */
  replace(key: string, body: ObjectBody): Promise<void>;
  /** Gives an object another name; nothing happens when there is none of the first name. Where the second is there already it stays. */
  move(from: string, to: string): Promise<void>;
  /** Those that are not there are passed by. */
  remove(keys: readonly string[]): Promise<void>;
  /** An object as a file of this machine, to be read only; copied to `folder` where it is none. */
  file(key: string, folder: string): Promise<string>;
  /** Runs with a folder of its own for files on their way, which is removed afterwards; on the store's own disk where it has one. */
  scratch<T>(work: (folder: string) => Promise<T>): Promise<T>;
}
