// A text as dateutil cuts it: words, numbers with a point, single spaces and signs.

type State = "start" | "word" | "number" | "dotted word" | "dotted number";

export function dateTokens(text: string): readonly string[] {
  const tokens: string[] = [];
  const letters = [...text.replaceAll("\0", "")];
  for (let at = 0; at < letters.length; ) {
    const { token, end, state, hasLetters } = oneToken(letters, at);
    at = end;
    tokens.push(...parts(token, state, hasLetters));
  }
  return tokens;
}

function oneToken(
  letters: readonly string[],
  from: number,
): { readonly token: string; readonly end: number; readonly state: State; readonly hasLetters: boolean } {
  let token = letters[from];
  if (/\s/u.test(token)) return { token: " ", end: from + 1, state: "start", hasLetters: false };
  let state: State = isLetter(token) ? "word" : isDigit(token) ? "number" : "start";
  let hasLetters = state === "word";
  let at = from + 1;
  if (state === "start") return { token, end: at, state, hasLetters };
  for (; at < letters.length; at++) {
    const letter = letters[at];
    const last = token[token.length - 1];
    if (state === "word") {
      if (letter === ".") state = "dotted word";
      else if (!isLetter(letter)) break;
    } else if (state === "number") {
      if (letter === "." || (letter === "," && token.length >= 2)) state = "dotted number";
      else if (!isDigit(letter)) break;
    } else if (state === "dotted word") {
      hasLetters = true;
      if (isDigit(letter) && last === ".") state = "dotted number";
      else if (letter !== "." && !isLetter(letter)) break;
    } else if (isLetter(letter) && last === ".") state = "dotted word";
    else if (letter !== "." && !isDigit(letter)) break;
    token += letter;
  }
  return { token, end: at, state, hasLetters };
}

/** A token with points that are no decimal point falls apart at them. */
function parts(token: string, state: State, hasLetters: boolean): readonly string[] {
  if (state !== "dotted word" && state !== "dotted number") return [token];
  const points = token.split(".").length - 1;
  const last = token[token.length - 1];
  if (hasLetters || points > 1 || last === "." || last === ",")
    return token.split(/([.,])/).filter((part) => part !== "");
  return [state === "dotted number" && points === 0 ? token.replace(",", ".") : token];
}

function isLetter(letter: string): boolean {
  return /\p{L}/u.test(letter);
}

function isDigit(letter: string): boolean {
  return /[0-9]/.test(letter);
}
