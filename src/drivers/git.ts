// The commit the code comes from, by git.
import type { SourceControl } from "../ports.ts";

/** A git that says nothing for so long is given up. */
const SILENCE_MS_MAX = 10_000;

/**
 * The state of the repository around `dir`; null outside one, before its first commit, and without git. Dirty means any change
 * against the commit, new files included: they too may have made the model. Only constant arguments reach git.
 */
export function createGit(options: { readonly dir: string }): SourceControl {
  return {
    async describe() {
      const { simpleGit } = await import("simple-git");
      try {
        const git = simpleGit({ baseDir: options.dir, timeout: { block: SILENCE_MS_MAX } });
        const commit = (await git.raw("rev-parse", "--verify", "HEAD")).trim();
        const changes = await git.raw("status", "--porcelain");
        return { commit, dirty: changes.trim() !== "" };
      } catch {
        return null;
      }
    },
  };
}
