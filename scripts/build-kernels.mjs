// Compiles the AssemblyScript kernels in src/ml/kernels/assembly to WebAssembly beside them; only when a source is newer.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCES = path.join(ROOT, "src", "ml", "kernels", "assembly");
const TARGET = path.join(ROOT, "src", "ml", "kernels");

/** By module: how its memory is. Learning shares it between threads, scoring has its own. */
const MODULES = {
  learn: ["--enable", "simd,threads", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
  walk: ["--enable", "simd", "--initialMemory", "1"],
  explain: ["--initialMemory", "1"],
};
const OPTIONS = ["-O3", "--runtime", "stub", "--noAssert", "--use", "abort=", "--importMemory"];

/** What is built, as paths from the root. */
export const KERNELS = Object.keys(MODULES).map((name) => `src/ml/kernels/${name}.wasm`);

/** Brings src/ml/kernels/*.wasm up to date; the compiler is loaded only when there is something to do. */
export async function buildKernels() {
  const newest = Math.max(
    ...readdirSync(SOURCES).map((name) => statSync(path.join(SOURCES, name)).mtimeMs),
    statSync(fileURLToPath(import.meta.url)).mtimeMs,
  );
  for (const [name, memory] of Object.entries(MODULES)) {
    const target = path.join(TARGET, `${name}.wasm`);
    if (existsSync(target) && statSync(target).mtimeMs > newest) continue;
    await compile(name, { memory, target });
  }
}

async function compile(name, { memory, target }) {
  const { default: asc } = await import("assemblyscript/asc");
  let bytes;
  const { error, stderr } = await asc.main([`${name}.ts`, ...OPTIONS, ...memory, "-o", `${name}.wasm`], {
    readFile: (file) => readIfThere(path.resolve(SOURCES, file)),
    writeFile: (_, contents) => {
      bytes = contents;
    },
    listFiles: () => [],
  });
  if (error) throw new Error(`the kernels in ${name}.ts do not compile:\n${stderr.toString()}`);
  mkdirSync(TARGET, { recursive: true });
  // Renamed into place: a reader never sees half a module.
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, target);
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernels();
