// The house rules as a test: layers, rings, doors, one-line purposes, the map, who may read the environment.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { filesOf, NOT_PURE_TESTS, OUTSIDE_TESTS, UNIT_TESTS } from "./groups.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The name under which feature files import this package. */
const { name: PACKAGE } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly name: string;
};
const TREES = ["src", "features", "test", "bench", "scripts", "ui"];

/** The floors, from the ground up: imports go down only, and folders of one floor never see each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["core"],
  ["ports"],
  ["expression", "pipeline", "metrics", "config"],
  ["ml", "features", "quality", "drift", "evidence", "rules", "cases"],
  ["online", "drivers", "gateway"],
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

function sources(tree: string, ending = /\.[cm]?[jt]sx?$/): Source[] {
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
/** Such URLs without a text that the layers can be checked by, each with its reason. */
const COMPUTED_URLS: readonly string[] = [
  // The package itself, for feature files to import.
  "src/lifecycle/data/spec-file.ts: RUNNING",
];

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
  return [...new Set(resolved.map((name) => name.replace(/\.([cm]?)js$/, ".$1ts")))];
}

/** Imports of packages: "sentinel-fraud", "node:fs", "hono/cors". */
function packagesOf(source: Source): string[] {
  const pattern = /\b(?:from\s*|import\s*\(?\s*)["'`]([^."'`][^"'`]*)["'`]/g;
  return [...withoutComments(source.text).matchAll(pattern)].map((match) => match[1]);
}

/** What import() or a URL of a module is given when that is no plain text: the layers of such an import cannot be checked. */
function computedImports(source: Source): string[] {
  const code = withoutComments(source.text);
  const pattern = /(?<![\w.])import\(\s*(?!["'][^"']+["']\s*\)|`[^`$]+`\s*\))([^)]{0,60})/g;
  const urls = [...code.matchAll(URL_PATTERN)].map(([, name]) => name.trim());
  return [
    ...[...code.matchAll(pattern)].map((match) => match[1].trim()),
    ...urls.filter(
      (name) => !/["'`]\.{1,2}[^"'`$]*["'`]/.test(name) && !COMPUTED_URLS.includes(`${source.file}: ${name}`),
    ),
  ];
}

/** Ways to a file of the source that no rule of imports sees: `require("./x")`, `import.meta.resolve("./x")`, the package by its own name. */
function hiddenImports(source: Source): string[] {
  const asked = /\b(?:require|createRequire\([^)]*\)|import\.meta\.resolve)\(\s*["'`](\.[^"'`]*)["'`]/g;
  return [
    ...[...withoutComments(source.text).matchAll(asked)].map((match) => match[1]),
    ...packagesOf(source).filter((name) => name === PACKAGE || name.startsWith(`${PACKAGE}/`) || name.startsWith("#")),
  ];
}

/** Clients, beside the doors of the same protocol: of HTTP, because thousands of calls per second want agents with limits, which fetch does not have. */
const CALLERS: readonly (readonly [door: string, file: RegExp])[] = [
  ["server", /^src\/drivers\/brain\/http\//],
  ["grpc", /^src\/drivers\/brain\/grpc\//],
];

/** Packages that one folder alone may name, so that what they speak to can be exchanged there. */
const VENDORS: readonly (readonly [folders: readonly string[], packages: RegExp])[] = [
  [
    ["drivers"],
    /^(@duckdb|libsql|kysely|pg|ioredis|kafkajs|avsc|aws4fetch|undici|simple-git|nodemailer|openid-client)(\/|$)/,
  ],
  [["server"], /^(@hono|hono)(\/|$)/],
  [["server", "stream"], /^(prom-client|node:http2?)(\/|$)/],
  [["grpc"], /^@grpc(\/|$)/],
];

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
    for (const what of hiddenImports(source)) faults.push(`${source.file} reaches ${what}: import it by its path`);
    for (const [only, vendor] of VENDORS) {
      const allowed =
        only.includes(from) || CALLERS.some(([door, file]) => only.includes(door) && file.test(source.file));
      const named = allowed ? [] : packagesOf(source).filter((name) => vendor.test(name));
      for (const name of named) faults.push(`${source.file} imports ${name}, which only ${only.join("/ and ")}/ names`);
    }
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
  const queue = [...graph.keys()].filter((file) =>
    /^src\/(online|server|stream|grpc)\/|^src\/cli\/serve\.ts$/.test(file),
  );
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
  for (const known of COMPUTED_URLS) {
    const [file, name] = known.split(": ");
    expect(readFileSync(path.join(ROOT, file), "utf8"), known).toContain(`new URL(${name}, import.meta.url)`);
  }
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
    ["src/core/planted.mts", 'import { x } from "../ml/matrix.ts";'],
    ["src/core/planted.ts", `import type { FeatureSpec } from "${PACKAGE}";`],
    ["src/core/planted.ts", 'const x = createRequire(import.meta.url)("../ml/matrix.js");'],
    ["src/core/planted.ts", 'const x = import.meta.resolve("../ml/matrix.js");'],
    ["src/ml/planted.ts", "new Worker(new URL(WORKER, import.meta.url));"],
    ["src/online/planted.ts", 'import type { Context } from "hono";'],
    ["src/online/planted.ts", 'import { Counter } from "prom-client";'],
    ["src/lifecycle/planted.ts", 'const { default: Database } = await import("libsql");'],
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
  const planted = (file: string, text = 'import { x } from "./states/own.ts";'): string[] =>
    doorFaults([{ file, text }], doors);
  expect(planted("src/online/engine.ts")).toEqual([
    "src/online/engine.ts imports src/online/states/own.ts: enter by src/online/states.ts",
  ]);
  for (const text of [
    'import type { X } from "./states/own.ts";',
    'export * from "./states/own.ts";',
    'let x: import("./states/shared/fill.ts").X;',
    'const module = new URL("./states/own.js", import.meta.url);',
  ])
    expect(planted("src/online/engine.ts", text), text).toHaveLength(1);
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

/** Where a feature state is read or taught past `features/encode.ts`: a second loop that could come to differ. */
function loopFaults({ file, text }: Source): string[] {
  if (file.startsWith("src/features/")) return [];
  return [...withoutComments(text).matchAll(/\b[sS]tate\.(read|learn|learnLabel)\(/g)].map(
    ([what]) => `${file}: ${what}`,
  );
}

test("nobody but features/ drives a feature state by hand", () => {
  expect(sources("src").flatMap(loopFaults)).toEqual([]);
  for (const text of ["held.state.read(plan, tx, out);", "state.learn(tx);", "this.state.learnLabel(label);"])
    expect(loopFaults({ file: "src/online/planted.ts", text }), text).toHaveLength(1);
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
    OUTSIDE_TESTS.some((pattern) =>
      pattern.endsWith("/**") ? file.startsWith(pattern.slice(0, -2)) : file === pattern,
    );
  const needy = sources("test", /\.test\.ts$/).filter(({ text }) =>
    /(mlflow|redis|prometheus|s3)-server\.ts"|\.cache[/"`]/.test(text),
  );
  expect(needy.length).toBeGreaterThan(5);
  expect(needy.map(({ file }) => file).filter((file) => !inGroup(file))).toEqual([]);
});

/** Whether a text reads the environment, whatever the spelling. */
function readsEnvironment(text: string): boolean {
  return /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\[\s*["'`]env|\{[^}=;]*\benv\b[^}=;]*\}\s*(=\s*process\b|from\s*["']node:process)/.test(
    withoutComments(text),
  );
}

test("groups name tests that are there, and the inner loop waits for no service", () => {
  const files = sources("test", /\.test\.ts$/).map(({ file }) => file);
  const named = (pattern: string): string[] => {
    const [folder, rest] = [path.posix.dirname(pattern), path.posix.basename(pattern)];
    return files.filter((file) =>
      rest === "**"
        ? file.startsWith(`${folder}/`)
        : path.posix.dirname(file) === folder && (file === pattern || rest === "*.test.ts"),
    );
  };
  for (const pattern of [...OUTSIDE_TESTS, ...UNIT_TESTS, ...NOT_PURE_TESTS])
    expect(named(pattern), pattern).not.toEqual([]);
  const outside = new Set(OUTSIDE_TESTS.flatMap(named));
  expect(UNIT_TESTS.flatMap(named).filter((file) => outside.has(file))).toEqual([]);
  expect(filesOf("unit").exclude).toEqual(expect.arrayContaining([...NOT_PURE_TESTS]));
});

/** The dashboard knows the server by /openapi.json alone, and the server knows of the dashboard that its files are in dist/ui. */
function deskFaults(source: Source): string[] {
  const isDesk = source.file.startsWith("ui/");
  const strays = importsOf(source).filter((target) => (isDesk ? !target.startsWith("ui/") : target.startsWith("ui/")));
  const packages = isDesk ? packagesOf(source).filter((name) => !/^(preact(\/hooks)?|uplot)$/.test(name)) : [];
  return [...strays, ...packages].map((target) => `${source.file} imports ${target}`);
}

test("ui/ and src/ import nothing of each other, and ui/ only what a browser runs", () => {
  expect([...sources("ui"), ...sources("src")].flatMap(deskFaults)).toEqual([]);
  const planted = (file: string, text: string): string[] => deskFaults({ file, text });
  expect(planted("ui/pages/x.tsx", 'import { y } from "../../src/core/y.ts";')).toHaveLength(1);
  expect(planted("src/server/x.ts", 'import type { Y } from "../../ui/api.ts";')).toHaveLength(1);
  expect(planted("ui/x.ts", 'import { readFileSync } from "node:fs";')).toHaveLength(1);
  expect(planted("ui/x.ts", 'import { useState } from "preact/hooks";')).toEqual([]);
});

test("only config.ts reads the environment", () => {
  const readers = sources("src").filter(({ file, text }) => file !== "src/config.ts" && readsEnvironment(text));
  expect(readers.map(({ file }) => file)).toEqual([]);
  for (const text of [
    "process.env.X",
    'process["env"]',
    "const { env } = process;",
    'import { env } from "node:process";',
  ])
    expect(readsEnvironment(text), text).toBe(true);
  expect(readsEnvironment("const { env } = options;\n// process.env")).toBe(false);
});

/** Synonyms of the words of this house (design, Words), and words that name anything. "Prediction score" is two of them in a row. */
const BANNED_WORDS = ["challenger", "staging", "ticket", "utils", "helpers", "manager", "service", "handler", "base"];
const BANNED_PAIRS = ["prediction score"];

/** Participles as names of things: say what the thing is (reply, answer, lock, state). Looked for in src/ only. */
const PARTICIPLES = new Set(["told", "said", "taken", "held", "heard"]);

/** Names that are still to be changed. The list only shrinks: a name that is gone must go from here too. */
const PARTICIPLES_LEFT: readonly string[] = [
  "src/online/answer.ts: held",
  "src/online/explanation.ts: held",
  "src/online/live.ts: held",
  "src/online/shadow.ts: held",
];

/** Names that others gave: XGBoost's base margin, ONNX' base values, simple-git's option, a browser's ServiceWorker, what Kubernetes sets. */
const NAMES_OF_OTHERS =
  /^(baseMargin(Of)?|base_(score|weights|values)|baseDir|[sS]erviceWorker\w*|SENTINEL_(REDIS_)?SERVICE_(HOST|PORT)\w*)$/;

/** "recallAtBudget" → recall, at, budget; "XMLFile" → xml, file; "base64" is one word. */
function wordsOf(name: string): string[] {
  return [...name.matchAll(/[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+/g)].map(([word]) => word.toLowerCase());
}

/** The banned word in a name, whatever its number and place; null when there is none. */
function bannedWordIn(name: string): string | null {
  if (NAMES_OF_OTHERS.test(name)) return null;
  const words = wordsOf(name);
  const alike = (word: string, banned: string): boolean =>
    word === banned || `${word}s` === banned || word === `${banned}s`;
  const text = ` ${words.join(" ")} `;
  return (
    BANNED_WORDS.find((banned) => words.some((word) => alike(word, banned))) ??
    BANNED_PAIRS.find((pair) => text.includes(` ${pair} `) || text.includes(` ${pair}s `)) ??
    null
  );
}

/** Everything a source gives a name: variables, functions, types, their members and parameters. */
function namesDeclared({ text }: Source): Set<string> {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
  const declared = /\b(?:const|let|var|function\*?|class|interface|type|namespace)\s+([A-Za-z_$][\w$]*)/g;
  const member = /(?:\breadonly\s+|\b(?:private|static|async|get|set)\s+|^\s+|[(,{]\s*)([A-Za-z_$][\w$]*)\??\s*[:(]/gm;
  const parted = /\b(?:const|let)\s*[[{]([^=;]*?)[\]}]\s*=/g;
  const found = [...code.matchAll(declared), ...code.matchAll(member)].map(([, name]) => name);
  for (const [, list] of code.matchAll(parted))
    found.push(...[...list.matchAll(/[A-Za-z_$][\w$]*/g)].map(([name]) => name));
  return new Set(found);
}

/** Where the word is the contract's own: a service of gRPC. */
const SERVICES_OF_GRPC = /^(src|test)\/(drivers\/brain\/)?grpc\//;

function bannedNames(source: Source): string[] {
  const folders = source.file.replace(/\.\w+$/, "").split("/");
  const own = SERVICES_OF_GRPC.test(source.file) ? "service" : null;
  return [...folders, ...namesDeclared(source)]
    .filter((name) => bannedWordIn(name) !== null && bannedWordIn(name) !== own)
    .map((name) => `${source.file}: ${name} (${bannedWordIn(name)})`);
}

function participles(source: Source): string[] {
  return [...namesDeclared(source)].filter((name) => PARTICIPLES.has(name)).map((name) => `${source.file}: ${name}`);
}

test("banned words are not used as names of files or symbols", () => {
  // The words planted below are no names.
  const all = TREES.flatMap((tree) => sources(tree)).filter(({ file }) => file !== "test/tidy.test.ts");
  expect(all.flatMap(bannedNames)).toEqual([]);
});

test("no participle is a name, but for those that are left", () => {
  expect(sources("src").flatMap(participles).sort()).toEqual([...PARTICIPLES_LEFT].sort());
  const planted = "const held = 1;\ninterface X {\n  readonly told: string;\n  readonly heldFrom: number;\n}";
  expect(participles({ file: "src/a.ts", text: planted })).toEqual(["src/a.ts: held", "src/a.ts: told"]);
});

test("a banned word is found wherever a name has it", () => {
  const planted = (text: string, file = "src/core/planted.ts"): string[] => bannedNames({ file, text });
  for (const file of ["src/core/utils.ts", "src/helpers/a.ts", "src/ml/base.ts", "src/server/route-handler.ts"])
    expect(planted("", file), file).toHaveLength(1);
  const texts = [
    "const challenger = 1;",
    "export function stagingOf(x: number): number {}",
    "export interface ModelManager {}",
    "type TicketRow = string;",
    "class UserService {}",
    "interface X {\n  readonly predictionScore: number;\n}",
    "const { errorHandler, other } = parts;",
    "function f(eventHandlers: number) {}",
    "class X {\n  private baseClass(): void {}\n}",
    "const parseUtil = () => 1;",
    "const HELPER_MAX = 3;",
  ];
  for (const text of texts) expect(planted(text), text).toHaveLength(1);
  expect(planted("const service = 1;", "src/grpc/planted.ts")).toEqual([]);
  expect(planted("const handler = 1;", "src/grpc/planted.ts")).toHaveLength(1);
  const fine = [
    "const baseline = database + base64 + stageOf;",
    "const registration: ServiceWorkerRegistration = navigator.serviceWorker;",
    "const handled = manage(serviceable, ticketing);",
    "const baseMargin = 0; // a helper for the service",
    "const prediction = score;",
    'const text = "a service";',
  ];
  for (const text of fine) expect(planted(text), text).toEqual([]);
});

/** What a newcomer stumbles over in a comment, and what to write instead. */
const COMMENT_FAULTS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bmend(s|ed|ing)?\b/i, "fix"],
  [/\bheed(s|ed)?\b/i, "say what changes"],
  [/\bseldom\b/i, "rarely"],
  [/\blately\b/i, "recently"],
  [/\b(parted|parts? (them|it|these))\b/i, "split"],
  [/\blets? go\b/i, "release"],
  [/\b(is|are|was|were|be|been) told\b/i, "is reported, receives"],
  [/\b(a|the) (yes|no)\b(?! (branch|side))/i, "PROMOTE, a failed gate"],
  [
    /\b(one|once|twice|so many|at (most|least) \w+|bytes|transactions|compromises|bins|f64|u16|u32|i32|Float32|attribution|entry|µs|MB) an? (row|column|day|second|minute|week|turn|key|series|field|leaf|bin|thread|call|workspace|server|failure|score|verdict)\b/i,
    "per",
  ],
];

/** Files whose comments are still to be rewritten. The list only shrinks: a file without a fault must go from here too. */
const COMMENTS_LEFT: readonly string[] = [];

/** The comments of a source, each with its line; a long one is read as one text. */
function commentsOf(text: string): { readonly line: number; readonly text: string }[] {
  const comments: { line: number; text: string }[] = [];
  let open = false;
  for (const [at, raw] of text.split("\n").entries()) {
    const own = /^\s*(\/\/|\/\*\*?|\*)\s?(.*?)(\*\/)?$/.exec(raw);
    const words = own?.[2] ?? /\s\/\/ (.*)$/.exec(raw)?.[1];
    if (words === undefined) open = false;
    else if (open && own !== null) comments[comments.length - 1].text += ` ${words.trim()}`;
    else {
      comments.push({ line: at + 1, text: words.trim() });
      open = own !== null;
    }
  }
  return comments;
}

function commentFaults({ file, text }: Source): string[] {
  return commentsOf(text).flatMap((comment) =>
    COMMENT_FAULTS.filter(([pattern]) => pattern.test(comment.text)).map(
      ([pattern, instead]) => `${file}:${comment.line}: "${pattern.exec(comment.text)![0]}", better: ${instead}`,
    ),
  );
}

test("comments use no word of the list, but in files that are left", () => {
  const found = sources("src").map((source) => ({ file: source.file, faults: commentFaults(source) }));
  expect(found.filter(({ file }) => !COMMENTS_LEFT.includes(file)).flatMap(({ faults }) => faults)).toEqual([]);
  const clean = COMMENTS_LEFT.filter((file) => !found.some((one) => one.file === file && one.faults.length > 0));
  expect(clean).toEqual([]);
});

test("a dialect word in a comment is found, in code and texts it is not", () => {
  const planted = (text: string): string[] => commentFaults({ file: "src/a.ts", text });
  for (const text of [
    "// Mends the file.",
    "/** Whether it heeds the label. */",
    "/**\n * Written one\n * a row.\n */",
    "const x = 1; // Twice a day.",
    "// What the worker is told.",
    "// Kept on a yes.",
    "/* Lets go of it. */",
  ])
    expect(planted(text), text).toHaveLength(1);
  const fine = [
    'const hint = "one a day";',
    "const seldom = anew;",
    "// One row is a day old.",
    "// Takes the yes branch.",
  ];
  for (const text of fine) expect(planted(text), text).toEqual([]);
});

test("hints say fix, not mend", () => {
  expect(
    sources("src")
      .filter(({ text }) => /["'`][^"'`\n]*\bmend\b/.test(text))
      .map(({ file }) => file),
  ).toEqual([]);
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
