// Loads a WebAssembly module that `npm run build` compiled from AssemblyScript, and makes the memory it works on.
import { readFileSync } from "node:fs";
import { messageOf, SentinelError } from "./errors.ts";

/** A memory of WebAssembly; its addresses are offsets into `buffer`. */
export interface KernelMemory {
  readonly buffer: ArrayBufferLike;
}

// What we use of WebAssembly's JavaScript interface; Node's types leave it to the browser's.
declare const WebAssembly: {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => KernelMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;
/** Pages a module of 32-bit addresses can have. */
const PAGES_MAX = 65_536;

/** A zeroed memory. The system gives it real pages as they are written to. Errors: `ml.memory-short`. */
export function makeMemory(bytes: number, options: { readonly shared: boolean }): KernelMemory {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const needed = `${Math.ceil(bytes / 2 ** 20)} MB`;
  if (pages > PAGES_MAX) {
    throw new SentinelError("ml.memory-short", `this takes ${needed} of memory in one piece; 4096 MB is the most`, {
      hint: "use fewer rows, fewer columns or fewer leaves",
    });
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: options.shared });
  } catch (cause) {
    throw new SentinelError("ml.memory-short", `the system does not give ${needed} of memory: ${messageOf(cause)}`, {
      hint: "free memory on this machine, or use fewer rows, fewer columns or fewer leaves",
      cause,
    });
  }
}

/** Compiled modules by address, so that each is read once. There are only a few. */
const compiled = new Map<string, object>();

/** The functions of the module at `url`, working on `memory`; `Kernels` says what the module exports. */
export function loadKernels<Kernels>(url: URL, memory: KernelMemory): Kernels {
  try {
    const module = compiled.get(url.href) ?? new WebAssembly.Module(readFileSync(url));
    compiled.set(url.href, module);
    return new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
  } catch (cause) {
    throw new SentinelError("ml.kernel-unusable", `${url.pathname} cannot be loaded: ${messageOf(cause)}`, {
      hint: "build it with `npm run build`; it needs Node 20 or newer with WebAssembly switched on",
      cause,
    });
  }
}
