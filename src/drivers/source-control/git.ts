// The commit the code comes from, by git.
import path from "node:path";
import type { SourceControl } from "../../ports/ports.ts";

/** A git that says nothing for so long is given up. */
const SILENCE_MS_MAX = 10_000;

/** What the stages of dvc.yaml write themselves: a record of results cannot have made a model. */
const RESULTS = [":(exclude)dvc.lock", ":(exclude)reports"];

/**
 * The state of the repository around `dir`; null outside one, before its first commit, and without git. Dirty means any change
 * against the commit but to results, new files included: they too may have made the model. Nothing but constants and, behind
 * `--`, the name of a file reaches git.
 */
export function createGit(options: { readonly dir: string }): SourceControl {
  return {
    async describe() {
      try {
        const git = await gitIn(options.dir);
        const commit = (await git.raw("rev-parse", "--verify", "HEAD")).trim();
        const changes = await git.raw("status", "--porcelain", "--", ":/", ...RESULTS);
        const branch = (await git.raw("rev-parse", "--abbrev-ref", "HEAD")).trim();
        return { commit, dirty: changes.trim() !== "", branch: branch === "HEAD" ? "" : branch };
      } catch {
        return null;
      }
    },
    async holds(file) {
      try {
        const git = await gitIn(path.dirname(file));
        const name = path.basename(file);
        const tracked = await git.raw("--literal-pathspecs", "ls-files", "--", name);
        const changes = await git.raw("--literal-pathspecs", "status", "--porcelain", "--", name);
        return tracked.trim() !== "" && changes.trim() === "";
      } catch {
        return false;
      }
    },
  };
}

async function gitIn(dir: string) {
  const { simpleGit } = await import("simple-git");
  return simpleGit({ baseDir: dir, timeout: { block: SILENCE_MS_MAX } });
}
