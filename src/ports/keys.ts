// The key port: where a workspace keeps what it knows of its service keys.
import type { KeyRecord } from "../core/key.ts";

export interface KeyStore {
  /** All of them, in order of making; none where nobody made one. Errors: config.invalid when they cannot be read. */
  read(): Promise<readonly KeyRecord[]>;
  /** Replaces all of them, whole or not at all. Errors: workspace.unwritable. */
  write(keys: readonly KeyRecord[]): Promise<void>;
}
