// Texts as a message may hold them: UTF-8, which half of a surrogate pair is not; JSON may bring one into an id or an error.

const LONE = /\p{Surrogate}/u;
const ALL_LONE = /\p{Surrogate}/gu;

/** The text with U+FFFD for what is no character, as every decoder of UTF-8 would show it: a strict one would refuse the whole message. */
export function wellFormed(text: string): string {
  return LONE.test(text) ? text.replace(ALL_LONE, "\ufffd") : text;
}
