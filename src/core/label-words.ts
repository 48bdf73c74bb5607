// Labels in words: what a label column's cells mean, where a pipeline declares it.

/** What the cells mean, letter by letter. */
export interface LabelWords {
  readonly fraud: readonly string[];
  readonly genuine: readonly string[];
  readonly unknown: readonly string[];
}

/** 1 for fraud, 0 for genuine, NaN where the word says that nobody knows; null when it is none of the words. */
export function labelOfWord(text: string, { fraud, genuine, unknown }: LabelWords): number | null {
  if (fraud.includes(text)) return 1;
  if (genuine.includes(text)) return 0;
  return unknown.includes(text) ? Number.NaN : null;
}

/** For messages: "Yes (fraud), No (genuine)". */
export function wordsText({ fraud, genuine, unknown }: LabelWords): string {
  const say = (words: readonly string[], meaning: string): string[] =>
    words.length === 0 ? [] : [`${words.join(", ")} (${meaning})`];
  return [...say(fraud, "fraud"), ...say(genuine, "genuine"), ...say(unknown, "unknown")].join(", ");
}
