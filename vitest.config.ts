// Test runner settings: generous time limits (no test asserts a time), the package's own name as an alias.
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vitest/config";
import { defineConfig } from "vitest/config";
import { filesOf, workersOf } from "./test/groups.ts";

const SOURCES = fileURLToPath(new URL("./src/", import.meta.url));
const BUILT = fileURLToPath(new URL("./dist/src/", import.meta.url));
const group = process.env.SENTINEL_TESTS;

/** Imports of src/ from anywhere else lead into dist/src/, which node loads as it does for a user. */
function asBuilt(): Plugin {
  return {
    name: "as-built",
    enforce: "pre",
    resolveId(source, importer) {
      const from = importer === undefined ? SOURCES : path.dirname(importer);
      const file = path.resolve(from, source);
      if (!/^[./]/.test(source) || !file.startsWith(SOURCES) || !file.endsWith(".ts")) return null;
      return path.join(BUILT, `${path.relative(SOURCES, file).slice(0, -3)}.js`);
    },
  };
}

export default defineConfig({
  plugins: group === undefined || group === "" ? [] : [asBuilt()],
  resolve: { alias: { "sentinel-fraud": fileURLToPath(new URL("./src/index.ts", import.meta.url)) } },
  test: {
    ...filesOf(group),
    globalSetup: ["test/built.ts"],
    setupFiles: ["test/seed.ts"],
    pool: "forks",
    // Files share a process, one after the other: modules are loaded and compiled once per worker, not once per file.
    isolate: false,
    maxWorkers: workersOf(group),
    server: { deps: { external: [/\/dist\/src\/.*\.js$/] } },
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // What the main process has made of a source is kept from run to run, by the hash of its text.
    experimental: { fsModuleCache: true, fsModuleCachePath: ".cache/vitest" },
  },
});
