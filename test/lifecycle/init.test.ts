// A workspace made by init: nothing is overwritten, its dependency leads back to this package, an editor completes and marks its features.
import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSpec, PACKAGE_NAME } from "../../src/lifecycle/data/spec-file.ts";
import { dependencySpec } from "../../src/lifecycle/init/dependency.ts";
import { init } from "../../src/lifecycle/init.ts";
import { loadPipeline } from "../../src/pipeline/pipeline.ts";
import { pack } from "../cli/packed.ts";
import { edit, ROOT } from "../cli/sentinel.ts";

const TSC = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
const own = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  readonly name: string;
  readonly version: string;
};

let parent: string;
let fresh = 0;

beforeAll(() => {
  parent = mkdtempSync(path.join(tmpdir(), "sentinel-init-"));
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

function makeFresh(): string {
  const dir = path.join(parent, `w${fresh++}`);
  init({ dir, packageRoot: ROOT });
  return dir;
}

const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .sort();

test("the package's name is the same in package.json and where feature files are loaded", () => {
  expect(PACKAGE_NAME).toBe(own.name);
});

test("an existing file is never overwritten, whichever it is", () => {
  const files = filesOf(makeFresh());
  expect(files).toEqual(expect.arrayContaining([".npmrc", "README.md", "package.json", "tsconfig.json"]));
  const dir = path.join(parent, "taken");
  for (const file of files) {
    mkdirSync(path.join(dir, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(dir, file), `mine: ${file}`);
  }
  const result = init({ dir, packageRoot: ROOT });
  expect(result.made).toEqual([]);
  expect([...result.kept].sort()).toEqual(files);
  for (const file of files) expect(readFileSync(path.join(dir, file), "utf8")).toBe(`mine: ${file}`);
});

test("the README has three lines, and package.json is private and depends on this package", () => {
  const dir = makeFresh();
  expect(readFileSync(path.join(dir, "README.md"), "utf8").trimEnd().split("\n")).toHaveLength(3);
  expect(JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8"))).toMatchObject({
    private: true,
    type: "module",
    dependencies: { [own.name]: expect.stringMatching(/^file:|^\^/) },
  });
});

describe("the dependency leads to where this package came from", () => {
  const specFrom = (resolved: string | null): string => {
    const app = path.join(parent, `app${fresh++}`);
    const packageRoot = path.join(app, "node_modules", own.name);
    mkdirSync(packageRoot, { recursive: true });
    const packages = { [`node_modules/${own.name}`]: resolved === null ? {} : { resolved } };
    writeFileSync(path.join(app, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
    return dependencySpec({ ...own, dir: path.join(app, "one", "two"), packageRoot });
  };

  test.each([
    ["a registry", `https://registry.npmjs.org/${own.name}/-/${own.name}-1.tgz`, `^${own.version}`],
    ["a tarball", "file:../out/x.tgz", "file:../../../out/x.tgz"],
    ["git", "git+ssh://git@example.com/x.git#abc", "git+ssh://git@example.com/x.git#abc"],
    ["another tool than npm", null, `^${own.version}`],
  ])("%s", (_, resolved, spec) => {
    expect(specFrom(resolved)).toBe(spec);
  });

  test("a clone", () => {
    const packageRoot = path.join(parent, "clone");
    expect(dependencySpec({ ...own, dir: path.join(parent, "w"), packageRoot })).toBe("file:../clone");
    expect(dependencySpec({ ...own, dir: packageRoot, packageRoot })).toBe("file:.");
  });

  test("npm's notes that are damaged or of another shape", () => {
    for (const notes of ["{", "[]", "null", '{"packages": 3}']) {
      const app = path.join(parent, `app${fresh++}`);
      const packageRoot = path.join(app, "node_modules", own.name);
      mkdirSync(packageRoot, { recursive: true });
      writeFileSync(path.join(app, "node_modules", ".package-lock.json"), notes);
      expect(dependencySpec({ ...own, dir: app, packageRoot }), notes).toBe(`^${own.version}`);
    }
  });
});

test.each([own.name, "sentinel"])("a feature file that imports from %j loads", async (name) => {
  const dir = makeFresh();
  edit(dir, "features/handbook.ts", (text) => text.replaceAll(`from "${own.name}"`, `from '${name}'`));
  const pipeline = loadPipeline(dir, "card");
  const spec = await loadSpec({
    ...pipeline,
    featuresFile: path.join(dir, "features", "handbook.ts"),
    featuresName: "handbook",
  });
  expect(spec.features).toHaveLength(15);
});

describe("with the packed package installed", () => {
  let packed: Awaited<ReturnType<typeof pack>>;
  let dir: string;

  beforeAll(async () => {
    packed = await pack();
    dir = makeFresh();
    // Its types need none of its dependencies.
    const installed = path.join(dir, "node_modules", own.name);
    mkdirSync(installed, { recursive: true });
    execFileSync("tar", ["-xzf", packed.tarball, "-C", installed, "--strip-components=1"]);
  });
  afterAll(() => rmSync(packed.folder, { recursive: true, force: true }));

  /** What the compiler says; empty when it has nothing to say. */
  async function compile(): Promise<string> {
    try {
      await promisify(execFile)(process.execPath, [TSC, "-p", dir], { cwd: dir });
      return "";
    } catch (error) {
      return (error as { readonly stdout: string }).stdout;
    }
  }

  test("a fresh workspace compiles, by its own tsconfig.json and the package's own types", async () => {
    expect(await compile()).toBe("");
  });

  test.each([
    ["a window's key", 'key: "customer_id"', 'key: "custmer_id"'],
    ["a window's column", 'over: "amount", aggregate: "mean"', 'over: "amuont", aggregate: "mean"'],
    ["a plain column", 'f.column("amount")', 'f.column("amout")'],
    ["a key where a number must be", 'f.column("amount")', 'f.column("customer_id")'],
    ["an event word", 'over: "frauds", window, delay', 'over: "fraud", window, delay'],
    ["a unit of time", '["3d", "7d", "14d"]', '["3d", "7d", "14 days"]'],
    ["a declared column", 'amount: "number"', 'amont: "number"'],
  ])("misspelt, %s does not compile, and the file is named", async (_, right, wrong) => {
    const file = path.join(dir, "features", "card.ts");
    const text = readFileSync(file, "utf8");
    try {
      edit(dir, "features/card.ts", (before) => before.replace(right, wrong));
      expect(await compile()).toMatch(/^features\/card\.ts\(\d+,\d+\): error TS/m);
    } finally {
      writeFileSync(file, text);
    }
  });

  test("an editor completes a window's terms, its keys and its columns", async () => {
    const editor = openEditor(dir);
    try {
      await editor.start();
      const start = `import { declareColumns } from "${own.name}";\nconst f = declareColumns({ amount: "number", customer_id: "key" });\n`;
      const terms = await editor.complete(`${start}f.window("x", { ¦ });\n`);
      expect(terms.map((name) => name.replace("?", "")).sort()).toEqual([
        "aggregate",
        "current",
        "delay",
        "empty",
        "history",
        "key",
        "over",
        "window",
      ]);
      expect(await editor.complete(`${start}f.window("x", { key: "¦" });\n`)).toEqual(["amount", "customer_id"]);
      expect(
        await editor.complete(`${start}f.window("x", { key: "customer_id", window: "1d", over: "¦" });\n`),
      ).toEqual(expect.arrayContaining(["amount", "fraud-rate", "frauds", "transactions"]));
      expect(await editor.complete(`${start}f.¦\n`)).toEqual(expect.arrayContaining(["window", "expression", "spec"]));
    } finally {
      editor.close();
    }
  });
});

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly items?: readonly unknown[] };
  readonly result?: { readonly items?: readonly { readonly label: string }[] };
}

/** TypeScript's language server, spoken to as an editor does (Language Server Protocol 3.17). */
function openEditor(dir: string) {
  const child = spawn(process.execPath, [TSC, "--lsp", "--stdio"], { cwd: dir, stdio: ["pipe", "pipe", "ignore"] });
  const waiting = new Map<number, (message: Message) => void>();
  let received = Buffer.alloc(0);
  let ids = 0;
  const send = (message: object): void => {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  };
  const take = (message: Message): void => {
    if (message.method === undefined) waiting.get(message.id!)?.(message);
    // The server's own questions: it gets no settings.
    else if (message.id !== undefined) send({ id: message.id, result: message.params?.items?.map(() => null) ?? null });
  };
  child.stdout.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (;;) {
      const head = received.indexOf("\r\n\r\n");
      const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, Math.max(0, head)).toString())?.[1]);
      if (head < 0 || received.length < head + 4 + length) return;
      take(JSON.parse(received.subarray(head + 4, head + 4 + length).toString()) as Message);
      received = received.subarray(head + 4 + length);
    }
  });
  const ask = (method: string, params: object): Promise<Message> =>
    new Promise((resolve, reject) => {
      const id = ++ids;
      waiting.set(id, resolve);
      child.once("exit", () => reject(new Error("the language server ended")));
      send({ id, method, params });
    });
  return {
    async start(): Promise<void> {
      await ask("initialize", { processId: process.pid, rootUri: pathToFileURL(dir).href, capabilities: {} });
      send({ method: "initialized", params: {} });
    },
    /** What is offered at the mark ¦ of a new feature file. */
    async complete(marked: string): Promise<string[]> {
      const before = marked.slice(0, marked.indexOf("¦")).split("\n");
      const uri = pathToFileURL(path.join(dir, "features", `probe${++ids}.ts`)).href;
      send({
        method: "textDocument/didOpen",
        params: { textDocument: { uri, languageId: "typescript", version: 1, text: marked.replace("¦", "") } },
      });
      const position = { line: before.length - 1, character: before.at(-1)!.length };
      const { result } = await ask("textDocument/completion", { textDocument: { uri }, position });
      return (result?.items ?? []).map(({ label }) => label).sort();
    },
    close: () => child.kill(),
  };
}
