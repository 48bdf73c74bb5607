// Compiles the AssemblyScript kernels in src/ml/kernels/assembly and src/features/kernels/assembly to WebAssembly beside them; only when a source is newer.
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** By folder and module: how its memory is. Learning shares it between threads, the others have their own. */
const MODULES = {
  "src/ml/kernels": {
    learn: ["--enable", "simd,threads", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
    walk: ["--enable", "simd", "--initialMemory", "1"],
    explain: ["--initialMemory", "1"],
  },
  "src/features/kernels": {
    read: ["--enable", "simd", "--initialMemory", "1"],
  },
};
const OPTIONS = ["-O3", "--runtime", "stub", "--noAssert", "--use", "abort=", "--importMemory"];

/** What is built, as paths from the root. */
export const KERNELS = Object.entries(MODULES).flatMap(([folder, modules]) =>
  Object.keys(modules).map((name) => `${folder}/${name}.wasm`),
);

/** Brings all of them up to date; the compiler is loaded only when there is something to do. */
export async function buildKernels() {
  for (const [folder, modules] of Object.entries(MODULES)) {
    const sources = path.join(ROOT, folder, "assembly");
    const newest = Math.max(
      ...readdirSync(sources).map((name) => statSync(path.join(sources, name)).mtimeMs),
      statSync(fileURLToPath(import.meta.url)).mtimeMs,
    );
    for (const [name, memory] of Object.entries(modules)) {
      const target = path.join(ROOT, folder, `${name}.wasm`);
      if (existsSync(target) && statSync(target).mtimeMs > newest) continue;
      await compile(name, { memory, sources, target });
    }
  }
}

async function compile(name, { memory, sources, target }) {
  const { default: asc } = await import("assemblyscript/asc");
  let bytes;
  const { error, stderr } = await asc.main([`${name}.ts`, ...OPTIONS, ...memory, "-o", `${name}.wasm`], {
    readFile: (file) => readIfThere(path.resolve(sources, file)),
    writeFile: (_, contents) => {
      bytes = contents;
    },
    listFiles: () => [],
  });
  if (error) throw new Error(`the kernels in ${name}.ts do not compile:\n${stderr.toString()}`);
  // Renamed into place: a reader never sees half a module.
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, target);
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernels();
