// How a new workspace depends on this package: from where it was itself installed, so that `npm install` finds the same one.
import { readFileSync } from "node:fs";
import path from "node:path";

/** What npm notes of each package that it has installed. */
const INSTALLED = ".package-lock.json";
const MODULES = "node_modules";

/**
 * The version range, text or address for `dependencies`. From a registry (or where another tool than npm installed it) `^version`; from a
 * tarball, a folder or git the same place again; from a clone the clone's folder.
 */
export function dependencySpec(given: {
  readonly name: string;
  readonly version: string;
  readonly dir: string;
  readonly packageRoot: string;
}): string {
  const packageRoot = path.resolve(given.packageRoot);
  const dir = path.resolve(given.dir);
  const modules = path.dirname(packageRoot);
  if (path.basename(modules) !== MODULES) return fileSpec(dir, packageRoot);
  const resolved = resolvedBy(path.join(modules, INSTALLED), `${MODULES}/${path.basename(packageRoot)}`);
  if (resolved === null || /^https?:/.test(resolved)) return `^${given.version}`;
  // npm writes a file's place relative to the folder above node_modules.
  if (resolved.startsWith("file:")) return fileSpec(dir, path.resolve(path.dirname(modules), resolved.slice(5)));
  return resolved;
}

function fileSpec(dir: string, target: string): string {
  return `file:${path.relative(dir, target).replaceAll("\\", "/") || "."}`;
}

function resolvedBy(lockFile: string, key: string): string | null {
  try {
    const lock = JSON.parse(readFileSync(lockFile, "utf8")) as {
      readonly packages?: Readonly<Record<string, { readonly resolved?: unknown }>>;
    };
    const resolved = lock.packages?.[key]?.resolved;
    return typeof resolved === "string" ? resolved : null;
  } catch {
    return null;
  }
}
