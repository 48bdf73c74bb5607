// A file system of its own that is soon full, for tests of what happens then.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface TinyDisk {
  readonly dir: string;
  /** Takes what room is left, to the last page. */
  fill(): void;
  /** Gives it back. */
  free(): void;
  dispose(): void;
}

/** Null where this user may not mount one. */
export function tinyDisk(megabytes: number): TinyDisk | null {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-tiny-"));
  try {
    execFileSync("/bin/mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", dir], { stdio: "ignore" });
  } catch {
    rmSync(dir, { recursive: true });
    return null;
  }
  const filler = path.join(dir, "filler");
  return {
    dir,
    fill() {
      try {
        for (let part = 0; part <= megabytes * 256; part++) writeFileSync(filler, new Uint8Array(4096), { flag: "a" });
      } catch {}
    },
    free: () => rmSync(filler, { force: true }),
    dispose() {
      execFileSync("/bin/umount", ["-l", dir]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
