// What the server loads: no training code, no table engine, from the door down, lazily or not.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Every module that a file's run-time imports reach, static and dynamic; and the packages they name. */
function reach(entry: string): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    const text = readFileSync(path.join(ROOT, file), "utf8");
    const imports = /^(?:import|export)\s+(?!type\b)(?:[^"';]*?\sfrom\s+)?"([^"]+)"|import\(\s*"([^"]+)"/gm;
    for (const [, fixed, lazy] of text.matchAll(imports)) {
      const target = fixed ?? lazy;
      if (target.startsWith(".")) queue.push(path.normalize(path.join(path.dirname(file), target)));
      else packages.add(target);
    }
  }
  return { files, packages };
}

const FORBIDDEN = /\/train\/|^src\/(lifecycle\/train\.ts|drivers|cli|wiring|config)/;

test.each(["src/server/server.ts", "src/online/shadow/worker.ts"])("%s reaches no training code", (entry) => {
  const { files, packages } = reach(entry);
  expect(files.size).toBeGreaterThan(10);
  expect(files).toContain("src/ml/gbdt/score.ts");
  expect([...files].filter((file) => FORBIDDEN.test(file))).toEqual([]);
  expect([...packages].filter((name) => /duckdb|libsql|jiti/.test(name))).toEqual([]);
});

test("the walk does find training code where there is some", () => {
  expect([...reach("test/server/world.ts").files].some((file) => FORBIDDEN.test(file))).toBe(true);
});
