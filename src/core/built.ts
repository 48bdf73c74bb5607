// Modules that start outside of the program that names them: worker threads, and the package as feature files import it.

const FROM_SOURCE = import.meta.url.endsWith(".ts");
const SOURCES = new URL("../", import.meta.url).href;
const BUILT = SOURCES.replace(/src\/$/, "dist/src/");

/**
 * The compiled module that `url` names, from source (tests) and from dist alike: asBuilt(new URL("./worker.js", import.meta.url)). Node 20 runs
 * no TypeScript, and a thread that compiles its modules for itself takes half a second to start. The tests build dist/ before they start.
 */
export function asBuilt(url: URL): URL {
  return FROM_SOURCE ? new URL(url.href.replace(SOURCES, BUILT)) : url;
}
