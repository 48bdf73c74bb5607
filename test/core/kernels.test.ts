// Loading kernels: what is missing, broken or too large is told with what to do.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { loadKernels, makeMemory } from "../../src/core/kernels.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sentinel-kernels-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a module that is missing or no module says to build", () => {
  const file = path.join(folder, "broken.wasm");
  writeFileSync(file, "not a module");
  for (const name of ["missing.wasm", "broken.wasm"]) {
    const load = () => loadKernels(pathToFileURL(path.join(folder, name)), makeMemory(1, { shared: false }));
    expect(load).toThrow(
      expect.objectContaining({ code: "ml.kernel-unusable", hint: expect.stringContaining("npm run build") }),
    );
    expect(load).toThrow(name);
  }
});

test("a memory is zeroed, at least as large as asked, and refused above 4 GB", () => {
  const memory = makeMemory(70_000, { shared: true });
  expect(memory.buffer.byteLength).toBe(131_072);
  expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  expect(() => makeMemory(2 ** 32 + 1, { shared: true })).toThrow(expect.objectContaining({ code: "ml.memory-short" }));
});
