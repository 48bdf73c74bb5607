// Writes docs/map.md, the map of src/, from the first line of every file; with --check only says whether it is up to date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAP = path.join(ROOT, "docs", "map.md");

/** Folders of src from the door to the core, as the layers go, and what each is for. A new folder needs a line here. */
const FOLDERS = {
  cli: "the short-running door: a table of verbs, one file per verb",
  grpc: "the gRPC door: one file per method or protocol, each translates to the engine",
  server: "the HTTP door: one file per route family, each translates to the engine",
  stream: "the door of streams: records in, decisions out, exactly once",
  lifecycle: "the verbs: `lifecycle/x.ts` is the operation behind `cli/x.ts`",
  online: "the engine: what answers one transaction and takes labels, whatever door they come through",
  gateway: "in front of servers that score: whom to ask, what to answer meanwhile, the ledger",
  drivers: "what `ports/` asks for: a folder per port, a folder per vendor or format",
  evidence: "is B better than A?",
  drift: "has the world moved?",
  cases: "alerts of one entity that one analyst works: states, due times, the order of the queue",
  rules: "SQL conditions: language, one compiled pass, lanes, lists",
  quality: "is this data fit to train on?",
  features: "from a transaction to a vector, online and offline alike",
  ml: "learning and scoring; knows columns and numbers only",
  metrics: "each figure that judges a model, defined once",
  pipeline: "the pipeline file: keys, types, ranges, defaults",
  expression: "SQL scalar expressions",
  ports: "what Sentinel needs from outside, a file per port",
  core: "nouns that three folders or more share",
};

const HEAD = `# Map of the source

Made from the first line of every file by \`npm run map\`; a test compares. [Architecture](architecture.md) says how the folders lie above each other.

`;

const map = `${HEAD}${renderMap()}`;
const written = existsSync(MAP) ? readFileSync(MAP, "utf8") : "";
if (map === written) process.exit(0);
if (process.argv.includes("--check")) fail("docs/map.md differs from the first lines of the files: npm run map");
writeFileSync(MAP, map);
console.log("docs/map.md is new");

/** Top files as a list, then one folding section a folder. */
function renderMap() {
  const names = readdirSync(path.join(ROOT, "src"), { withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map(({ name }) => name);
  const folders = names.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  for (const folder of folders) if (!(folder in FOLDERS)) fail(`src/${folder} is not named in scripts/map.mjs`);
  const sections = Object.keys(FOLDERS).filter((folder) => folders.includes(folder));
  return [
    ...files.sort().map((file) => item(`src/${file}`, file)),
    "",
    ...sections.flatMap((folder) => section(folder)),
  ]
    .map((line) => `${line}\n`)
    .join("");
}

function section(folder) {
  const files = filesUnder(`src/${folder}`);
  const count = `${files.length} ${files.length === 1 ? "file" : "files"}`;
  const lines = ["<details>", `<summary><b>src/${folder}</b>: ${html(FOLDERS[folder])} (${count})</summary>`, ""];
  let group = "";
  for (const file of files) {
    const inside = path.posix.relative(`src/${folder}`, file);
    const here = path.posix.dirname(inside);
    if (here !== group && here !== ".") lines.push(`- \`${here}/\``);
    group = here;
    lines.push(here === "." ? item(file, inside) : `  ${item(file, path.posix.basename(inside))}`);
  }
  return [...lines, "", "</details>", ""];
}

/** A folder's own files first, then those of its folders. */
function filesUnder(folder) {
  const entries = readdirSync(path.join(ROOT, folder), { withFileTypes: true });
  const names = (wanted) => entries.filter(wanted).map(({ name }) => name);
  const own = names((entry) => entry.isFile() && entry.name.endsWith(".ts")).sort();
  const inner = names((entry) => entry.isDirectory()).sort();
  return [...own.map((name) => `${folder}/${name}`), ...inner.flatMap((name) => filesUnder(`${folder}/${name}`))];
}

function item(file, label) {
  return `- [${label}](../${file}): ${purposeOf(file)}`;
}

/** The first comment line, after a shebang if there is one. */
function purposeOf(file) {
  const found = /^(?:#![^\n]*\n)?\/\/ ([^\n]+)\n/.exec(readFileSync(path.join(ROOT, file), "utf8"));
  if (found === null) fail(`${file} does not say in its first line what it is for`);
  // Outside of code, < would begin HTML and * an emphasis.
  return found[1].replace(/(`[^`]*`)|[<*]/g, (text, code) => code ?? (text === "<" ? "&lt;" : "\\*"));
}

function html(text) {
  return text.replaceAll("<", "&lt;").replace(/`([^`]*)`/g, "<code>$1</code>");
}

function fail(message) {
  console.error(`map: ${message}`);
  process.exit(1);
}
