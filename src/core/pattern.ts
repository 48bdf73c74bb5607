// Patterns of given texts: signs of regular expressions taken as they are, and texts that stand alone within longer ones.

/** A text as part of a regular expression that finds it as it is, with or without the flag u. */
export function escapedPattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Finds any of the texts where no letter or digit touches it; of two that begin alike the one that is given first. */
export function wordsPattern(texts: readonly string[]): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${texts.map(escapedPattern).join("|")})(?![\\p{L}\\p{N}])`, "gu");
}
