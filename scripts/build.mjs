// Builds dist/ from src/ and bench/ with the TypeScript compiler, dist/ui from ui/ with esbuild; with --if-needed only when a source is newer than dist/.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildKernels, KERNELS } from "./build-kernels.mjs";
import { buildUi } from "./build-ui.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const STAMP = path.join(ROOT, "dist", ".built");
const SOURCES = [
  ...["src", "bench", "ui"],
  ...["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"],
];
const COMMAND = path.join(ROOT, "dist", "src", "cli", "main.js");

if (process.argv.includes("--if-needed") && isFresh()) process.exit(0);
await buildKernels();
rmSync(path.join(ROOT, "dist"), { recursive: true, force: true });
compile();
copyAsTheyAre();
await buildUi();
chmodSync(COMMAND, 0o755);
linkCommand();
writeFileSync(STAMP, "");

function compile() {
  const tsc = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    // The compiler's words go to stderr: what a command prints on stdout stays its own.
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: ROOT, stdio: ["ignore", 2, 2] });
  } catch {
    console.error("build: the TypeScript compiler refused; see its messages above");
    process.exit(1);
  }
}

/** The compiled kernels, and what another program runs, stand beside the code that names them. */
function copyAsTheyAre() {
  for (const file of [...KERNELS, "src/drivers/engine/spark/job.py"]) {
    mkdirSync(path.dirname(path.join(ROOT, "dist", file)), { recursive: true });
    copyFileSync(path.join(ROOT, file), path.join(ROOT, "dist", file));
  }
}

/** The stamp is written last, so a half-finished build is never fresh. Folders count too: a deleted file changes its folder. */
function isFresh() {
  if (![STAMP, ...KERNELS.map((file) => path.join(ROOT, file))].every((file) => existsSync(file))) return false;
  const built = statSync(STAMP).mtimeMs;
  return [...SOURCES, ...testSources()]
    .map((name) => path.join(ROOT, name))
    .filter((name) => existsSync(name))
    .every((name) => newestIn(name) <= built);
}

/** What tests start as processes of their own, and all that they import: the compiler has found it. */
function testSources() {
  const built = path.join(ROOT, "dist", "test");
  const compiled = existsSync(built) ? readdirSync(built, { recursive: true }) : [];
  const children = existsSync(path.join(ROOT, "test")) ? readdirSync(path.join(ROOT, "test"), { recursive: true }) : [];
  return [
    ...compiled.filter((name) => name.endsWith(".js")).map((name) => `test/${name.replace(/\.js$/, ".ts")}`),
    ...children.filter((name) => name.endsWith("-child.ts")).map((name) => `test/${name}`),
  ];
}

function newestIn(name) {
  const stat = statSync(name);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(name).reduce((newest, entry) => Math.max(newest, newestIn(path.join(name, entry))), stat.mtimeMs);
}

/** `npx sentinel` in a clone finds the command here; npm links a package's own command for its dependents only. */
function linkCommand() {
  const modules = path.join(ROOT, "node_modules");
  const link = path.join(modules, ".bin", "sentinel");
  if (process.platform === "win32" || lstatSync(modules).isSymbolicLink()) return;
  rmSync(link, { force: true });
  symlinkSync(path.relative(path.dirname(link), COMMAND), link);
}
