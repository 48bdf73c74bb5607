// Builds the dashboard, ui/ → dist/ui: one script, one style sheet, an icon and the page that names them by hashes of their content.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FROM = path.join(ROOT, "ui");
const TO = path.join(ROOT, "dist", "ui");
const HASH_LENGTH = 12;

/** Browsers of the last two years. */
const TARGET = ["chrome120", "firefox121", "safari17"];

export async function buildUi() {
  const { outputFiles } = await build({
    entryPoints: [path.join(FROM, "main.tsx")],
    outdir: TO,
    bundle: true,
    minify: true,
    format: "esm",
    target: TARGET,
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    write: false,
    logLevel: "warning",
  });
  rmSync(TO, { recursive: true, force: true });
  mkdirSync(TO, { recursive: true });
  const named = (ending) => {
    const { contents } = outputFiles.find(({ path: file }) => file.endsWith(ending));
    return put(ending, contents);
  };
  const names = {
    SCRIPT: named(".js"),
    STYLE: named(".css"),
    ICON: put(".svg", readFileSync(path.join(FROM, "icon.svg"))),
  };
  const page = readFileSync(path.join(FROM, "index.html"), "utf8");
  writeFileSync(
    path.join(TO, "index.html"),
    page.replace(/%(\w+)%/g, (_, name) => names[name]),
  );
}

function put(ending, contents) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, HASH_LENGTH);
  const name = `desk-${hash}${ending}`;
  writeFileSync(path.join(TO, name), contents);
  return name;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildUi();
