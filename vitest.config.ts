// Test runner settings: generous time limits (no test asserts a time), the package's own name as an alias.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { filesOf, workersOf } from "./test/groups.ts";

export default defineConfig({
  resolve: { alias: { "sentinel-fraud": fileURLToPath(new URL("./src/index.ts", import.meta.url)) } },
  test: {
    ...filesOf(process.env.SENTINEL_TESTS),
    globalSetup: ["test/built.ts"],
    setupFiles: ["test/seed.ts"],
    pool: "forks",
    // Files share a process, one after the other: modules are loaded and compiled once per worker, not once per file.
    isolate: false,
    maxWorkers: workersOf(process.env.SENTINEL_TESTS),
    testTimeout: 120_000,
    hookTimeout: 300_000,
    // What the main process has made of a source is kept from run to run, by the hash of its text.
    experimental: { fsModuleCache: true, fsModuleCachePath: ".cache/vitest" },
  },
});
