// The dashboard's files, read once from where the build put them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { Page, Pages } from "../../server/parts.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const GZIP_LEVEL_MAX = 9;

/** null where nobody built a dashboard: the server answers everything else. `root`: the package's folder. */
export function readPages(root: string): Pages | null {
  const folder = path.join(root, "dist", "ui");
  if (!existsSync(path.join(folder, "index.html"))) return null;
  const pages = new Map<string, Page>();
  for (const name of readdirSync(folder).sort()) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    const bytes = Uint8Array.from(readFileSync(path.join(folder, name)));
    pages.set(name, { type, bytes, gzip: Uint8Array.from(gzipSync(bytes, { level: GZIP_LEVEL_MAX })) });
  }
  return pages;
}
