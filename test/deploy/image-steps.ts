// The Dockerfile's own steps without an engine: each stage is a folder, COPY copies, RUN runs, absolute paths lead into the folder.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { DockerfileParser } from "dockerfile-ast";
import { ModifiableInstruction } from "dockerfile-ast/lib/modifiableInstruction.js";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Step {
  readonly keyword: string;
  /** `--from=build` and the like, by name. */
  readonly flags: Readonly<Record<string, string>>;
  /** Everything behind the flags, continued lines joined. */
  readonly text: string;
}

export interface Stage {
  readonly image: string;
  readonly name: string;
  readonly steps: readonly Step[];
}

/** The stages of the Dockerfile, in order. */
export function stagesOf(text: string): readonly Stage[] {
  const stages: { image: string; name: string; steps: Step[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const keyword = instruction.getKeyword();
    const words = instruction.getArguments().map((argument) => argument.getValue());
    if (keyword === "ARG" && stages.length === 0) continue;
    if (keyword === "FROM") {
      stages.push({ image: words[0], name: words[2] ?? "", steps: [] });
      continue;
    }
    const flags =
      instruction instanceof ModifiableInstruction
        ? Object.fromEntries(instruction.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? ""]))
        : {};
    const text = (instruction.getArgumentsContent() ?? "").replace(/\\\n\s*/g, " ");
    stages.at(-1)!.steps.push({ keyword, flags, text });
  }
  return stages;
}

/** What the last stage says of the container: as an engine would read it. */
export interface Container {
  readonly root: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly directory: string;
  readonly command: readonly string[];
  readonly health: readonly string[];
  readonly volumes: readonly string[];
}

/** Takes every step of every stage, each stage in a folder of its own under `dir`. Throws where one fails. */
export function buildImage(text: string, dir: string): Container {
  const stages = stagesOf(text);
  const roots = new Map<string, string>();
  let container: Container | null = null;
  stages.forEach((stage, index) => {
    const root = path.join(dir, stage.name || `stage-${index}`);
    mkdirSync(root, { recursive: true });
    roots.set(stage.name, root);
    container = take(stage, root, roots);
  });
  return container!;
}

function take(stage: Stage, root: string, roots: ReadonlyMap<string, string>): Container {
  let directory = "/";
  let user = { uid: 0, gid: 0 };
  const environment: Record<string, string> = {};
  const said: Record<string, string> = {};
  const inside = (name: string): string => path.join(root, path.posix.resolve(directory, name));
  for (const { keyword, flags, text } of stage.steps) {
    if (keyword === "WORKDIR") {
      directory = path.posix.resolve(directory, text);
      mkdirSync(inside("."), { recursive: true });
    } else if (keyword === "COPY") {
      const words = text.split(/\s+/);
      const target = words.pop()!;
      const source = flags.from === undefined ? null : roots.get(flags.from)!;
      for (const word of words) copy({ word, source, target, into: inside(target), owner: flags.chown });
    } else if (keyword === "RUN") {
      if (text === INSTALL && isInstalledHere(inside("."))) takeModules(inside("node_modules"));
      else run(text, inside("."));
    } else if (keyword === "ENV") {
      for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) environment[name] = value;
    } else if (keyword === "USER") {
      const [uid, gid] = text.split(":").map(Number);
      user = { uid, gid };
    } else said[keyword] = text;
  }
  const list = (words: string | undefined): string[] => (words === undefined ? [] : (JSON.parse(words) as string[]));
  return {
    root,
    environment,
    user,
    directory,
    command: [...list(said.ENTRYPOINT), ...list(said.CMD)],
    health: list(said.HEALTHCHECK?.replace(/^.*?CMD /, "")),
    volumes: list(said.VOLUME),
  };
}

/**
 * The one step that fetches: what it makes stands in this clone, where scripts/install has run the same command on the same two files.
 * SENTINEL_IMAGE=whole runs it here as well, a quarter of a minute of a core.
 */
const INSTALL = "npm ci --include=dev --include=optional --no-audit --no-fund";
const MODULES = path.join(ROOT, "node_modules");

/** Whether the build's folder asks for what was installed here: the same lock file, and nothing of the package's own that runs at an installation. */
function isInstalledHere(dir: string): boolean {
  if (process.env.SENTINEL_IMAGE === "whole" || !existsSync(path.join(MODULES, ".package-lock.json"))) return false;
  const same = ["package.json", "package-lock.json", ".npmrc"].every((name) =>
    readFileSync(path.join(dir, name)).equals(readFileSync(path.join(ROOT, name))),
  );
  const { scripts } = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const runs = ["preinstall", "install", "postinstall", "prepare"].some((name) => name in scripts);
  return same && !runs && isWhatTheLockSays();
}

/** npm's own record of what it has installed, against the lock file: each package that is there in its version. */
function isWhatTheLockSays(): boolean {
  type Packages = Readonly<Record<string, { readonly version: string; readonly optional?: boolean }>>;
  const packagesOf = (file: string): Packages =>
    (JSON.parse(readFileSync(file, "utf8")) as { readonly packages: Packages }).packages;
  const installed = packagesOf(path.join(MODULES, ".package-lock.json"));
  const { "": _own, ...wanted } = packagesOf(path.join(ROOT, "package-lock.json"));
  const missing = Object.entries(wanted).filter(
    ([name, { version, optional }]) => installed[name]?.version !== version && optional !== true,
  );
  return missing.length === 0 && Object.keys(installed).every((name) => name in wanted);
}

/** Without what other tools keep beside the packages. */
function takeModules(to: string): void {
  copyTree(realpathSync(MODULES), to);
  for (const name of readdirSync(to))
    if (name.startsWith(".") && name !== ".bin" && name !== ".package-lock.json")
      rmSync(path.join(to, name), { recursive: true });
}

/** A folder with all that is in it; between stages the same files, which no step writes into. */
function copyTree(from: string, to: string, flags: readonly string[] = []): void {
  mkdirSync(to, { recursive: true });
  execFileSync("cp", ["-a", ...flags, `${from}/.`, to]);
}

function run(text: string, cwd: string): void {
  // The base image's Node is this one.
  const command = text.replaceAll("/usr/local/bin/node", process.execPath);
  execFileSync("bash", ["-euc", command], { cwd, stdio: "pipe", env: plainEnvironment(), maxBuffer: 1 << 26 });
}

function copy(from: {
  readonly word: string;
  /** The stage's folder; null: the build context. */
  readonly source: string | null;
  readonly target: string;
  readonly into: string;
  readonly owner: string | undefined;
}): void {
  const { word, source, target, into, owner } = from;
  if (source === null) checkContext(word);
  const file = path.join(source ?? ROOT, word);
  const folder = lstatSync(file).isDirectory();
  // As Docker does: a folder's content goes into the target, a file into a target that ends with a slash.
  const to = !folder && /(^|\/)\.?\/?$/.test(target) ? path.join(into, path.basename(word)) : into;
  if (source !== null && folder) copyTree(file, to, ["-l"]);
  else
    cpSync(file, to, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (name) => source !== null || !/\.wasm$|\/node_modules$/.test(name),
    });
  if (owner === undefined || process.getuid?.() !== 0) return;
  const [uid, gid] = owner.split(":").map(Number);
  for (const name of ["", ...(folder ? readdirSync(to, { recursive: true, encoding: "utf8" }) : [])]) {
    chownSync(path.join(to, name), uid, gid);
  }
}

/** A build sees only what .dockerignore lets in. */
function checkContext(word: string): void {
  const lines = readFileSync(path.join(ROOT, ".dockerignore"), "utf8").split("\n");
  if (!lines.includes(`!${word}`)) throw new Error(`${word} is kept out of the build by .dockerignore`);
  if (!existsSync(path.join(ROOT, word))) throw new Error(`${word} is not there`);
}

/** What a RUN sees: nothing of the test runner's. */
function plainEnvironment(): Record<string, string> {
  const { PATH = "", HOME = "", npm_config_registry, npm_config_cache } = process.env;
  const npm = { npm_config_registry, npm_config_cache };
  const given = Object.entries(npm).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { PATH, HOME, ...Object.fromEntries(given) };
}

/** Lets any user look into a folder that only its maker may enter. */
export function openFolder(dir: string): void {
  chmodSync(dir, 0o755);
}
