// The documents against the code: links, verbs, options, keys with their defaults, environment variables, dependencies.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Verb } from "../src/cli/verb.ts";
import { ERROR_GUIDE } from "../src/core/error-guide.ts";
import { ERROR_KINDS } from "../src/core/errors.ts";
import { parsePipeline } from "../src/pipeline/pipeline.ts";
import { PIPELINE } from "../src/pipeline/sections.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const packageJson = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** Read in a few minutes by somebody who has not decided yet. */
const README_BYTES_MAX = 8000;

interface Page {
  readonly file: string;
  readonly text: string;
}

const PAGES: readonly Page[] = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ...readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name.replaceAll("\\", "/")}`),
].map((file) => ({ file, text: read(file) }));

const VERBS = keysOfTable(read("src/cli/main.ts"), "VERBS");
const BENCHES = keysOfTable(read("bench/main.ts"), "BENCHES");

/** The keys of `const NAME: … = { key: …, … };` at the top of a file. */
function keysOfTable(source: string, name: string): string[] {
  const table = new RegExp(`\\nconst ${name}\\b.*= \\{\\n([\\s\\S]*?)\\n\\};`).exec(source)?.[1] ?? "";
  return [...table.matchAll(/^ {2}"?([a-z][\w-]*)"?:/gm)].map((match) => match[1]);
}

/** Links and pictures that point into the repository and at nothing. */
function brokenLinks({ file, text }: Page): string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
  const targets = [...prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)|(?:href|src)="([^"]+)"/g)].map(
    (match) => match[1] ?? match[2],
  );
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [where, fragment] = target.split("#");
    const to = where === "" ? file : path.posix.join(path.posix.dirname(file), decodeURI(where));
    if (!existsSync(path.join(ROOT, to))) return true;
    return fragment !== undefined && to.endsWith(".md") && !anchorsOf(read(to)).includes(fragment);
  });
}

/** Headings as GitHub turns them into anchors. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    match[1]
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The code of a page: fenced blocks and inline code. */
function codeOf(text: string): string {
  const fenced = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].map((match) => match[1]);
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1]);
  return [...fenced, ...inline].join("\n");
}

/** Commands that a page tells people to type and that do not exist. */
function unknownCommands({ text }: Page): string[] {
  const code = codeOf(text);
  const commands = /(?:^|[$;&|(]|npx|then|run) *sentinel +([a-z][\w-]*)/gm;
  const verbs = [...code.matchAll(commands)].map((match) => match[1]).filter((verb) => !VERBS.includes(verb));
  const runs = [...code.matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)].map((match) => match[1]);
  const benches = [...code.matchAll(/\bbench -- ([a-z][\w-]*)/g)].map((match) => match[1]);
  return [
    ...verbs,
    ...runs.filter((name) => packageJson.scripts[name] === undefined).map((name) => `npm run ${name}`),
    ...benches.filter((name) => !BENCHES.includes(name)).map((name) => `bench -- ${name}`),
  ];
}

/** Rows of a page's tables as cells; code marks are taken off the first two. */
function tableRows(text: string): string[][] {
  return [...text.matchAll(/^\|(.+)\|$/gm)].map(([, row]) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));
}

describe("every page", () => {
  test.each(PAGES)("$file: links lead somewhere", (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  test.each(PAGES)("$file: commands exist", (page) => {
    expect(unknownCommands(page)).toEqual([]);
  });

  test("the list of pages has every page, and the first page stays short", () => {
    const list = read("docs/README.md");
    const pages = readdirSync(path.join(ROOT, "docs")).filter((name) => name.endsWith(".md") && name !== "README.md");
    expect(pages.filter((name) => !list.includes(`](${name})`))).toEqual([]);
    expect(Buffer.byteLength(read("README.md"))).toBeLessThan(README_BYTES_MAX);
  });

  test("a broken link and an unknown command are found", () => {
    const text =
      "[a](nowhere.md) [b](README.md#nothing-of-the-kind) [c](README.md)\n```sh\nsentinel fly\nnpm run -s fly\nnpm run -s bench -- fly\n```\n`npx sentinel walk`";
    expect(brokenLinks({ file: "planted.md", text })).toEqual(["nowhere.md", "README.md#nothing-of-the-kind"]);
    expect(unknownCommands({ file: "planted.md", text })).toEqual(["fly", "walk", "npm run fly", "bench -- fly"]);
  });

  /** A table whose first head cell is "benchmark", or that is marked so, holds figures somebody may want to see again. */
  test("benchmark figures name the command that makes them", () => {
    const faultsOf = ({ file, text }: Page): string[] =>
      text
        .split(/^(?=#)/m)
        .filter((section) => /^<!-- benchmark -->$|^\| *benchmark\b/im.test(section))
        .filter((section) => !/npm run (-s )?bench -- \w+/.test(section))
        .map((section) => `${file}: ${section.split("\n")[0]}`);
    expect(PAGES.flatMap(faultsOf)).toEqual([]);
    expect(faultsOf({ file: "planted.md", text: "# Speed\n\n| benchmark | ms |\n| --- | --- |\n" })).toHaveLength(1);
  });
});

describe("docs/cli.md", () => {
  const sections = new Map(
    read("docs/cli.md")
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split("\n")[0], section]),
  );

  test("has a section for every verb, in the order of --help", () => {
    expect(VERBS.length).toBeGreaterThan(10);
    expect(BENCHES.length).toBeGreaterThan(1);
    const documented = [...sections.keys()].filter((name) => name !== "Exit codes");
    expect(documented).toEqual(VERBS);
  });

  test.each(VERBS)("%s: its options, no more and no fewer", async (name) => {
    const { verb } = (await import(path.join(ROOT, "src", "cli", `${name}.ts`))) as { readonly verb: Verb };
    const documented = tableRows(sections.get(name) ?? "")
      .map(([flags]) => flags)
      .filter((flags) => flags.startsWith("`--"));
    expect(documented).toEqual(verb.options.map(([flags]) => `\`${flags}\``));
  });
});

describe("docs/configuration.md", () => {
  const page = read("docs/configuration.md");
  const rows = tableRows(page);
  const keys = keysOf(PIPELINE.schema, "");

  test("names every key of a pipeline file, and none that is not one", () => {
    const headed = page.slice(page.indexOf("## The pipeline file"));
    const documented = [...headed.matchAll(/^\| `([\w.]+)` \|/gm)].map((match) => match[1]);
    expect(documented.sort()).toEqual([...keys].sort());
  });

  test("has the tables that the sections make", () => {
    expect(() =>
      execFileSync(process.execPath, ["scripts/keys.mjs", "--check"], { cwd: ROOT, stdio: "pipe" }),
    ).not.toThrow();
  });

  test("gives the defaults that the parser takes", () => {
    const required =
      "name: n\nmodel: m\nsource: s\nfeatures: f\nschema: c\nsuite: u\ncolumns: {id: i, time: t, amount: a, card: c, label: l}\n";
    const where = { file: "p.yaml", workspace: "/w" };
    const written = rows
      .filter(([key, value]) => keys.includes(key.replaceAll("`", "")) && value !== "")
      .map(([key, value]) => [key.replaceAll("`", ""), value.replaceAll("`", "")]);
    expect(written.length).toBeGreaterThan(30);
    const { hash: _1, ...spelled } = parsePipeline(required + nestedYaml(written), where);
    const { hash: _2, ...silent } = parsePipeline(required, where);
    expect(spelled).toEqual(silent);
  });

  test("names every variable that the configuration reads, and no other", () => {
    const config = read("src/config.ts");
    const known = new Set([
      ...[...config.matchAll(/environment\.([A-Z0-9_]+)/g)].map((match) => match[1]),
      ...[...config.matchAll(/^ {2}([A-Z]+_[A-Z_]+): "/gm)].map((match) => match[1]),
    ]);
    const documented = rows.map(([name]) => /^`([A-Z0-9_]+)`$/.exec(name)?.[1]).filter((name) => name !== undefined);
    expect(documented.sort()).toEqual([...known].sort());
  });
});

describe("docs/troubleshooting.md", () => {
  const codes = Object.keys(ERROR_KINDS).sort();
  const source = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !/core.error(s|-guide)\.ts$/.test(name))
    .map((name) => read(`src/${name}`))
    .join("\n");
  /** `x.y-z` in code marks, of an area that has codes, that is neither a code nor a key of the pipeline file nor a file. */
  const unknownCodes = ({ text }: Page): string[] => {
    const areas = new Set(codes.map((code) => code.split(".")[0]));
    const keys = keysOf(PIPELINE.schema, "");
    const named = [...text.matchAll(/`([a-z]+)\.([a-z]+(?:-[a-z]+)*)`/g)];
    return named
      .filter(([, area]) => areas.has(area))
      .map(([, area, what]) => `${area}.${what}`)
      .filter((name) => !codes.includes(name) && !keys.some((key) => `${key}.`.startsWith(`${name}.`)))
      .filter((name) => !/\.(json|yaml|ts|db|csv|parquet)$/.test(name));
  };

  test("is made of the tables of codes", () => {
    // The script says what is wrong and what to run.
    execFileSync(process.execPath, [path.join(ROOT, "scripts", "troubleshooting.mjs"), "--check"], { stdio: "pipe" });
  });

  test("names every code once, with its exit code and status, and no other", () => {
    const rows = tableRows(read("docs/troubleshooting.md")).filter(([code]) => code.startsWith("`"));
    expect(rows.map(([code]) => code.replaceAll("`", "")).sort()).toEqual(codes);
    for (const [code, means, todo, exit, http, grpc] of rows) {
      const kind = ERROR_KINDS[code.replaceAll("`", "") as keyof typeof ERROR_KINDS];
      expect([Number(exit), Number(http), grpc], code).toEqual([kind.exit, kind.http, kind.grpc]);
      expect(Math.min(means.length, todo.length), code).toBeGreaterThan(15);
    }
    expect(Object.keys(ERROR_GUIDE).sort()).toEqual(codes);
  });

  test("every code is raised somewhere", () => {
    expect(codes.filter((code) => !source.includes(`"${code}"`))).toEqual([]);
  });

  test("no page names a code that does not exist", () => {
    expect(PAGES.flatMap(unknownCodes)).toEqual([]);
    const text = "`dataset.lost` `dataset.missing` `labels.delay` `bundle.json` `some.thing`";
    expect(unknownCodes({ file: "planted.md", text })).toEqual(["dataset.lost"]);
  });
});

describe("docs/decisions", () => {
  const decisions = PAGES.filter(({ file }) => file.startsWith("docs/decisions/"));

  test("every dependency is decided on somewhere", () => {
    const all = decisions.map(({ text }) => text).join("\n");
    const names = Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies });
    expect(names.filter((name) => !all.includes(`\`${name}\``))).toEqual([]);
  });

  test.each(decisions)("$file says what it saves, what it costs and how to leave it", ({ text }) => {
    const headings = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
    expect(headings).toEqual(["What it saves", "What it costs", "How to leave it"]);
  });
});

/** Dotted names of a schema's leaves: "split.gap". */
function keysOf(schema: object, prefix: string): string[] {
  const { properties, anyOf = [] } = schema as {
    readonly properties?: Readonly<Record<string, object>>;
    readonly anyOf?: readonly object[];
  };
  // A value of several kinds is a key, and so are the keys of those kinds that have some.
  const inner = anyOf.filter((kind) => "properties" in kind).flatMap((kind) => keysOf(kind, prefix));
  if (properties === undefined) return [prefix.slice(0, -1), ...inner];
  return Object.entries(properties).flatMap(([name, inner]) => keysOf(inner, `${prefix}${name}.`));
}

/** [["a.b", "1"], ["a.c", "2"]] → flow mappings in YAML: `a: {b: 1, c: 2}`. */
function nestedYaml(pairs: readonly (readonly string[])[]): string {
  const inner = (items: readonly (readonly string[])[]): string[] => {
    const heads = [...new Set(items.map(([key]) => key.split(".")[0]))];
    return heads.map((head) => {
      const leaf = items.find(([key]) => key === head);
      if (leaf !== undefined) return `${head}: ${leaf[1]}`;
      const below = items
        .filter(([key]) => key.startsWith(`${head}.`))
        .map(([key, value]) => [key.slice(head.length + 1), value]);
      return `${head}: {${inner(below).join(", ")}}`;
    });
  };
  return inner(pairs).join("\n");
}
