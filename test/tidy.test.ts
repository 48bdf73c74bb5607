// The house rules as a test: layers, rings, doors, one-line purposes, the map, who may read the environment.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { SERVICE_TESTS } from "./groups.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The name under which feature files import this package. */
const { name: PACKAGE } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly name: string;
};
const TREES = ["src", "features", "test", "bench", "scripts"];

/** The floors, from the ground up: imports go down only, and folders of one floor never see each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["core"],
  ["ports"],
  ["expression", "pipeline", "metrics", "config"],
  ["ml", "features", "quality", "drift", "evidence", "rules", "cases"],
  ["online", "drivers"],
  ["lifecycle"],
  ["server", "stream", "grpc", "wiring"],
  ["cli"],
  ["index"],
];
const RANK: Readonly<Record<string, number>> = Object.fromEntries(
  FLOORS.flatMap((floor, rank) => floor.map((folder) => [folder, rank])),
);

interface Source {
  readonly file: string;
  readonly text: string;
}

function sources(tree: string, ending = /\.(ts|mjs)$/): Source[] {
  if (!existsSync(path.join(ROOT, tree))) return [];
  return readdirSync(path.join(ROOT, tree), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort()
    .map((file) => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") }));
}

/** A text that names a module: quoted, or a template without anything computed. */
const MODULE_TEXT = /["'`](\.{1,2}\/[^"'`$]+)["'`]/;
const IMPORT_PATTERNS = [
  // Static, type, re-export, side effect; a JSON file with its attribute too.
  new RegExp(`\\b(?:from|import)\\s*${MODULE_TEXT.source}`, "g"),
  // import("./x.ts"), import(`./x.ts`), also in types.
  new RegExp(`\\bimport\\(\\s*${MODULE_TEXT.source}`, "g"),
];
/** `new URL("./worker.ts", import.meta.url)`, for a Worker or a file to read; the name may be one of several, or a mere folder. */
const URL_PATTERN = /\bnew URL\(([^;]*?),\s*import\.meta\.url\s*\)/g;

/** Every relative import as a path from the root. A built `.js` counts as the `.ts` it is made from. */
function importsOf(source: Source, { types = true }: { readonly types?: boolean } = {}): string[] {
  const whole = withoutComments(source.text);
  const code = types ? whole : whole.replace(/^(?:import|export) type [^;]*;/gm, "");
  const found = IMPORT_PATTERNS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]));
  for (const [, names] of code.matchAll(URL_PATTERN)) {
    for (const match of names.matchAll(new RegExp(MODULE_TEXT.source, "g")))
      if (/\w/.test(match[1])) found.push(match[1]);
  }
  const resolved = found.map((name) => path.posix.normalize(path.posix.join(path.posix.dirname(source.file), name)));
  return [...new Set(resolved.map((name) => name.replace(/\.js$/, ".ts")))];
}

/** Imports of packages: "sentinel-fraud", "node:fs", "hono/cors". */
function packagesOf(source: Source): string[] {
  const pattern = /\b(?:from\s*|import\s*\(?\s*)["'`]([^."'`][^"'`]*)["'`]/g;
  return [...withoutComments(source.text).matchAll(pattern)].map((match) => match[1]);
}

/** What import() is given when that is not one plain text: the layers of such an import cannot be checked. */
function computedImports(source: Source): string[] {
  const pattern = /(?<![\w.])import\(\s*(?!["'][^"']+["']\s*\)|`[^`$]+`\s*\))([^)]{0,60})/g;
  return [...withoutComments(source.text).matchAll(pattern)].map((match) => match[1].trim());
}

/** The text without comments that begin a line; a rule's example in a comment is no import. */
function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, "").replace(/^\s*\/\/.*$/gm, "");
}

/** "src/ml/gbdt/score.ts" → "ml"; "src/wiring.ts" → "wiring". */
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
    for (const what of computedImports(source)) faults.push(`${source.file} imports ${what}: write the path out`);
    if (RANK[from] === undefined) faults.push(`${source.file}: folder ${from} has no rank`);
    for (const target of importsOf(source)) {
      if (!target.startsWith("src/")) {
        if (!target.endsWith("package.json")) faults.push(`${source.file} imports ${target}, outside src`);
        continue;
      }
      const to = folderOf(target);
      if (from === to) continue;
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

/** `X.ts` beside a folder `X/` is its door: whoever is outside the folder enters by it. */
function doorFaults(all: readonly Source[], doors: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  for (const source of all) {
    for (const target of importsOf(source)) {
      const folders = target.split("/").slice(0, -1);
      for (let depth = 2; depth <= folders.length; depth++) {
        const folder = folders.slice(0, depth).join("/");
        const door = `${folder}.ts`;
        const isInside = source.file.startsWith(`${folder}/`) || source.file === door;
        if (doors.has(door) && !isInside) faults.push(`${source.file} imports ${target}: enter by ${door}`);
      }
    }
  }
  return faults;
}

/** What answers transactions carries no code that only learns: nothing that a door or `online/` reaches lies in a folder `train/`. */
function trainFaults(all: readonly Source[]): string[] {
  const graph = new Map(all.map((source) => [source.file, source]));
  const queue = [...graph.keys()].filter((file) => /^src\/(online|server|stream|grpc)\//.test(file));
  const from = new Map(queue.map((file) => [file, file]));
  const faults: string[] = [];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    for (const target of importsOf(graph.get(file) ?? { file, text: "" }, { types: false })) {
      if (from.has(target)) continue;
      from.set(target, file);
      if (/\/train\//.test(target)) faults.push(`${file} imports ${target}, which only learning needs`);
      else queue.push(target);
    }
  }
  return faults;
}

test("imports go downward only", () => {
  expect(layerFaults(sources("src"))).toEqual([]);
});

test("a forbidden import is found, however it is written", () => {
  const planted = { file: "src/core/planted.ts", text: 'import { trainGbdt } from "../ml/gbdt/train/train.ts";\n' };
  expect(layerFaults([planted])).toEqual([
    "src/core/planted.ts imports src/ml/gbdt/train/train.ts: core may not see ml",
  ]);
  const forbidden: readonly (readonly [file: string, text: string])[] = [
    ["src/drift/planted.ts", 'import type { X } from "../quality/suite.ts";'],
    ["src/drift/planted.ts", 'export type { X } from "../quality/suite.ts";'],
    ["src/drift/planted.ts", 'import {\n  type X,\n  y,\n} from "../quality/suite.ts";'],
    ["src/drift/planted.ts", 'let x: import("../quality/suite.ts").X;'],
    ["src/drift/planted.ts", 'import "../quality/suite.ts";'],
    ["src/cli/planted.ts", 'const x = await import("../drivers/git.ts");'],
    ["src/cli/planted.ts", "const x = await import(`../drivers/git.ts`);"],
    ["src/cli/planted.ts", "const x = await import(`../drivers/$" + "{name}.ts`);"],
    ["src/cli/planted.ts", "const x = await import(name);"],
    ["src/ml/planted.ts", 'new Worker(new URL("../server/app.js", import.meta.url));'],
    ["src/ml/planted.ts", 'const url = new URL(built ? "./here.js" : "../server/app.ts", import.meta.url);'],
    ["src/core/planted.ts", 'import limits from "../../pipelines/limits.json" with { type: "json" };'],
    ["src/core/planted.ts", 'import { oracle } from "../../test/features/oracle.ts";'],
    ["src/newcomer/planted.ts", ""],
  ];
  for (const [file, text] of forbidden) expect(layerFaults([{ file, text }]), text).toHaveLength(1);
});

test("an allowed import is let through", () => {
  const text = [
    'import { SentinelError } from "../core/errors.ts";',
    '// import { trainGbdt } from "../lifecycle/train.ts";',
    'const worker = new Worker(new URL("./worker.ts", import.meta.url));',
    'const root = new URL(built ? "../../.." : "../..", import.meta.url);',
    "await jiti.import(file);",
    "const one = import.meta.url;",
  ].join("\n");
  expect(layerFaults([{ file: "src/ml/planted.ts", text }])).toEqual([]);
});

test("feature files see the package and their neighbours only, so that a workspace can be anywhere", () => {
  const faultsOf = (source: Source): string[] => [
    ...packagesOf(source).filter((name) => name !== PACKAGE),
    ...importsOf(source).filter((name) => path.posix.dirname(name) !== "features"),
    ...computedImports(source),
  ];
  expect(sources("features").flatMap(faultsOf)).toEqual([]);
  const planted =
    'import { a } from "../src/index.ts";\nimport { b } from "node:fs";\nimport { c } from "./card.ts";\n';
  expect(faultsOf({ file: "features/planted.ts", text: planted })).toEqual(["node:fs", "src/index.ts"]);
});

const DOORS = new Set(sources("src").map(({ file }) => file));

test("a folder with a door is entered by it", () => {
  expect(doorFaults(sources("src"), DOORS)).toEqual([]);
  const doors = new Set(["src/online/states.ts"]);
  const planted = (file: string): string[] =>
    doorFaults([{ file, text: 'import { x } from "./states/own.ts";' }], doors);
  expect(planted("src/online/engine.ts")).toEqual([
    "src/online/engine.ts imports src/online/states/own.ts: enter by src/online/states.ts",
  ]);
  expect(planted("src/online/states.ts")).toEqual([]);
});

test("doors and online reach no folder train/, however far the way", () => {
  expect(trainFaults(sources("src"))).toEqual([]);
  const planted = [
    { file: "src/server/a.ts", text: 'import { b } from "../ml/b.ts";' },
    { file: "src/ml/b.ts", text: 'export const c = () => import("./gbdt/train/c.ts");' },
    { file: "src/ml/gbdt/train/c.ts", text: "" },
  ];
  expect(trainFaults(planted)).toEqual(["src/ml/b.ts imports src/ml/gbdt/train/c.ts, which only learning needs"]);
  expect(trainFaults([{ file: "src/online/a.ts", text: 'import type { X } from "../ml/train/x.ts";' }])).toEqual([]);
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
    ({ text }) => !/^(#![^\n]*\n)?\/\/ [A-Z`][^\n]{15,}[.?)]\n/.test(text),
  );
  expect(mute.map(({ file }) => file)).toEqual([]);
});

test("a test that starts a service is in the group that waits for it", () => {
  const inGroup = (file: string): boolean =>
    SERVICE_TESTS.some((pattern) =>
      pattern.endsWith("/**") ? file.startsWith(pattern.slice(0, -2)) : file === pattern,
    );
  const needy = sources("test", /\.test\.ts$/).filter(({ text }) =>
    /(mlflow|redis|prometheus)-server\.ts"|\.cache[/"`]/.test(text),
  );
  expect(needy.length).toBeGreaterThan(5);
  expect(needy.map(({ file }) => file).filter((file) => !inGroup(file))).toEqual([]);
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

test("the pages draw the floors that this test holds", () => {
  const built = FLOORS.map((floor) =>
    floor.filter(
      (folder) => existsSync(path.join(ROOT, "src", folder)) || existsSync(path.join(ROOT, "src", `${folder}.ts`)),
    ),
  );
  const drawn = built
    .filter((floor) => floor.length > 0 && floor[0] !== "index")
    .reverse()
    .map((floor) => floor.join("  "))
    .join("\n");
  for (const page of ["docs/architecture.md", "CONTRIBUTING.md"])
    expect(readFileSync(path.join(ROOT, page), "utf8"), page).toContain(`\`\`\`\n${drawn}\n\`\`\``);
});

test("the map is made of these first lines", () => {
  // The script says what is wrong and what to run.
  execFileSync(process.execPath, [path.join(ROOT, "scripts", "map.mjs"), "--check"], { stdio: "pipe" });
});
