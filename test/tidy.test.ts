// The house rules as a test: layers, rings, one-line purposes, the README map, who may read the environment.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TREES = ["src", "features", "test", "bench", "scripts"];

/** Rank of each capability folder or top file: imports go down only; equals never see each other. */
const RANK: Readonly<Record<string, number>> = {
  core: 0,
  ports: 1,
  config: 2,
  ml: 2,
  expression: 2,
  features: 2,
  quality: 2,
  drift: 2,
  evidence: 2,
  lifecycle: 3,
  drivers: 3,
  server: 4,
  wiring: 4,
  cli: 5,
  index: 6,
};
const EXCEPTIONS = new Set(["features>expression"]);

interface Source {
  readonly file: string;
  readonly text: string;
}

function sources(tree: string, ending = /\.(ts|mjs)$/): Source[] {
  return readdirSync(path.join(ROOT, tree), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .sort()
    .map((file) => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") }));
}

/** Every relative import (static, type, dynamic, re-export, worker URL) as a path from the root. */
function importsOf(source: Source): string[] {
  const pattern = /(?:from\s+|import\s+|import\(\s*|new URL\(\s*)["'](\.{1,2}\/[^"']+)["']/g;
  return [...source.text.matchAll(pattern)].map((match) =>
    path.normalize(path.join(path.dirname(source.file), match[1])).replaceAll("\\", "/"),
  );
}

/** "src/ml/gbdt/grow.ts" → "ml"; "src/ports.ts" → "ports". */
function folderOf(file: string): string {
  return file
    .replace(/^src\//, "")
    .split("/")[0]
    .replace(/\.ts$/, "");
}

/** Sentences about imports that break the layers; empty when the house is in order. */
function layerFaults(all: readonly Source[]): string[] {
  const faults: string[] = [];
  for (const source of all) {
    const from = folderOf(source.file);
    if (RANK[from] === undefined) faults.push(`${source.file}: folder ${from} has no rank`);
    for (const target of importsOf(source)) {
      if (!target.startsWith("src/")) {
        if (!target.endsWith("package.json")) faults.push(`${source.file} imports ${target}, outside src`);
        continue;
      }
      const to = folderOf(target);
      if (from === to || EXCEPTIONS.has(`${from}>${to}`)) continue;
      if (!(RANK[to] < RANK[from])) faults.push(`${source.file} imports ${target}: ${from} may not see ${to}`);
      if (to === "drivers" && from !== "wiring")
        faults.push(`${source.file} imports ${target}: only wiring.ts names drivers`);
    }
  }
  return faults;
}

/** Files that import each other in a ring, as "a → b → a". */
function ringFaults(all: readonly Source[]): string[] {
  const graph = new Map(all.map((source) => [source.file, importsOf(source)]));
  const done = new Set<string>();
  const rings: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file);
    if (at >= 0) {
      rings.push([...trail.slice(at), file].join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return rings;
}

test("imports go downward only", () => {
  expect(layerFaults(sources("src"))).toEqual([]);
});

test("a forbidden import is found", () => {
  const planted = { file: "src/core/planted.ts", text: 'import { trainGbdt } from "../ml/gbdt/train.ts";\n' };
  expect(layerFaults([planted])).toEqual(["src/core/planted.ts imports src/ml/gbdt/train.ts: core may not see ml"]);
  const sideways = { file: "src/drift/planted.ts", text: 'import type { X } from "../quality/suite.ts";\n' };
  expect(layerFaults([sideways])).toHaveLength(1);
  const driver = { file: "src/cli/planted.ts", text: 'const x = await import("../drivers/git.ts");\n' };
  expect(layerFaults([driver])).toHaveLength(1);
});

test("no ring of imports", () => {
  expect(ringFaults(sources("src"))).toEqual([]);
  const ring = [
    { file: "src/core/a.ts", text: 'import "./b.ts";' },
    { file: "src/core/b.ts", text: 'import "./a.ts";' },
  ];
  expect(ringFaults(ring)).toHaveLength(1);
});

test("every file says in its first line what it is for", () => {
  const mute = TREES.flatMap((tree) => sources(tree)).filter(
    ({ text }) => !/^(#![^\n]*\n)?\/\/ [A-Z][^\n]{15,}[.)]\n/.test(text),
  );
  expect(mute.map(({ file }) => file)).toEqual([]);
});

test("only config.ts reads the environment", () => {
  const readers = sources("src").filter(({ file, text }) => file !== "src/config.ts" && /process\.env/.test(text));
  expect(readers.map(({ file }) => file)).toEqual([]);
});

test("banned words are not used as names of files or symbols", () => {
  const banned = /\b\w*(challenger|predictionScore|Utils?\b|Helpers?\b|Manager\b|Service\b|BaseClass)\w*/i;
  const found = sources("src").filter(({ file }) => banned.test(path.basename(file, ".ts")));
  expect(found.map(({ file }) => file)).toEqual([]);
});
