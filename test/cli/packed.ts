// The package as npm would publish it, and the environment of a user who has npm and no project of his own.
import { execFile } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./sentinel.ts";

/** Packs what was built before the tests; `prepack` would build it again under the feet of those that run. */
export async function pack(): Promise<{ readonly folder: string; readonly tarball: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), "sentinel-packed-"));
  const { stdout } = await promisify(execFile)(
    "npm",
    ["pack", "--ignore-scripts", "--json", "--pack-destination", folder],
    { cwd: ROOT, env: userEnvironment() },
  );
  const packed: unknown = JSON.parse(stdout);
  // A list in npm 11, an object by name in npm 12.
  const [{ filename }] = Object.values(packed as Readonly<Record<string, { readonly filename: string }>>);
  return { folder, tarball: path.join(folder, filename) };
}

/** This environment without what `npm test` put into it for its own scripts. */
export function userEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^npm_(config|package|lifecycle|command|execpath|node)/i.test(name) && !/^SENTINEL_|^MLFLOW_/.test(name),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}
