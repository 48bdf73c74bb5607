// Init: a workspace from the package's own features, pipelines and stages; an existing file is never overwritten.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../core/errors.ts";
import { dependencySpec } from "./init/dependency.ts";
import { exampleFiles } from "./init/examples.ts";

/** Folders copied from the package as they are. */
const COPIED = ["features", "pipelines"];
/** The stages for DVC and their parameters. */
const COPIED_FILES = ["dvc.yaml", "params.yaml"];
/** Data and models stay out of git; what DVC writes beside data (`dvc add`) belongs into it. */
const GITIGNORE = "data/*\n!data/.gitkeep\n!data/*.dvc\nmodels/*\n!models/.gitkeep\ndvc_plots/\nnode_modules/\n";
/** npm knows somebody else's package as `sentinel`: where ours is not installed, `npx sentinel` must stop and not fetch that one. */
const NPMRC = "; npx runs what package.json has installed, and fetches nothing else\nyes=false\n";
const README = `# A fraud model's workspace, run by Sentinel
\`npm install\` once; then \`npx sentinel doctor\` says what to do next and \`npx sentinel --help\` lists the verbs.
Columns and features stand in features/*.ts (an editor completes them and marks a misspelt column), gates and thresholds in pipelines/*.yaml.
`;
/**
 * For editors; nothing is compiled, the features are loaded as they are. `bundler` finds the package's types whether or not a
 * package.json that was there says `"type": "module"`.
 */
const TSCONFIG = {
  compilerOptions: {
    target: "ES2022",
    lib: ["ES2023"],
    module: "ESNext",
    moduleResolution: "Bundler",
    strict: true,
    isolatedModules: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: [],
    noEmit: true,
  },
  include: ["features"],
};

export interface InitResult {
  readonly dir: string;
  readonly made: readonly string[];
  readonly kept: readonly string[];
  /** This package as the workspace's package.json names it, or would. */
  readonly dependency: { readonly name: string; readonly spec: string };
}

/** Errors: workspace.unwritable, workspace.not-empty (a file where a folder must be), cli.usage (no such example). */
export function init(input: {
  readonly dir: string;
  readonly packageRoot: string;
  /** The public table whose pipeline is wanted in place of the card pipeline and its stages. */
  readonly like?: string;
}): InitResult {
  const { dir, packageRoot, like } = input;
  const example = like === undefined ? null : exampleFiles(packageRoot, like);
  const own = ownPackage(packageRoot);
  const dependency = { name: own.name, spec: dependencySpec({ ...own, dir, packageRoot }) };
  const made: string[] = [];
  const kept: string[] = [];
  const put = (name: string, write: (target: string) => void): void => {
    const target = path.join(dir, name);
    if (existsSync(target)) {
      kept.push(name);
      return;
    }
    mkdirSync(path.dirname(target), { recursive: true });
    write(target);
    made.push(name);
  };
  const putText = (name: string, text: () => string): void => put(name, (target) => writeFileSync(target, text()));
  try {
    const copied =
      example ??
      [...COPIED.flatMap((folder) => filesIn(packageRoot, folder)), ...COPIED_FILES].map((file) => ({
        from: path.join(packageRoot, file),
        to: file,
      }));
    for (const { from, to } of copied) put(to, (target) => copyFileSync(from, target));
    for (const folder of ["data", "models"]) putText(path.join(folder, ".gitkeep"), () => "");
    putText(".gitignore", () => GITIGNORE);
    putText("package.json", () => jsonText(packageJson(own, dependency)));
    putText(".npmrc", () => NPMRC);
    putText("tsconfig.json", () => jsonText(TSCONFIG));
    putText("README.md", () => README);
  } catch (error) {
    throw new SentinelError("workspace.unwritable", `cannot make a workspace in ${dir}: ${messageOf(error)}`, {
      hint: "name a folder you may write to: `sentinel init my-fraud-model`",
      cause: error,
    });
  }
  return { dir, made, kept, dependency };
}

/** Files of a folder, without those of folders in it: the examples are copied by name only. */
function filesIn(packageRoot: string, folder: string): readonly string[] {
  return readdirSync(path.join(packageRoot, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(folder, entry.name))
    .sort();
}

interface OwnPackage {
  readonly name: string;
  readonly version: string;
  readonly engines: Readonly<Record<string, string>>;
}

function ownPackage(packageRoot: string): OwnPackage {
  return JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8")) as OwnPackage;
}

/** Private, so that nobody publishes a bank's features by mistake. */
function packageJson({ engines }: OwnPackage, { name, spec }: InitResult["dependency"]): object {
  return { private: true, type: "module", engines, dependencies: { [name]: spec } };
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
