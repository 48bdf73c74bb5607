// A scratch in memory, for tests of what goes to disk.
import type { Scratch } from "../../src/quality/tally-pool.ts";

export function memoryScratch(): Scratch & { readonly files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    append(name, bytes) {
      const before = files.get(name) ?? new Uint8Array();
      const after = new Uint8Array(before.length + bytes.length);
      after.set(before);
      after.set(bytes, before.length);
      files.set(name, after);
    },
    read: (name) => files.get(name) ?? new Uint8Array(),
    remove: (name) => files.delete(name),
  };
}
