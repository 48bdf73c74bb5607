// Aliases of candidates: `candidate`, and `candidate-NAME` for those that shadow beside it.

export const CANDIDATE = "candidate";

/** Whether the version behind an alias is a candidate: it shadows. */
export function isCandidate(alias: string): boolean {
  return alias.startsWith(CANDIDATE);
}

/** What an alias of a candidate may be called when it is given here. */
export const CANDIDATE_NAME = /^candidate(-[\w-]{1,50})?$/;

/** A version, given as itself or by the alias of a candidate; undefined where no version has that alias. */
export function versionBehind(aliases: Readonly<Record<string, string>>, given: string): string | undefined {
  if (Object.hasOwn(aliases, given)) return aliases[given];
  return isCandidate(given) ? undefined : given;
}
