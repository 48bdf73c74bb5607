// Which of a model's two classes is fraud: told by their labels, asked where they do not tell, never guessed in silence.
import { unsupportedModel } from "./flatten.ts";

/** The class that counts as fraud, by its place among two, and a sentence that says so. */
export interface FraudClass {
  readonly place: 0 | 1;
  readonly note: string | null;
}

/** Labels that mean fraud beside one that means none, letters and digits only, in lower case. "1" beside "2" means nothing. */
const FRAUD =
  "1 10 true yes y positive pos illicit illegal suspicious anomaly anomalous attack abuse chargeback bad".split(" ");
const GENUINE =
  "0 00 false no n genuine legit legitimate licit legal normal good negative neg benign clean honest ok valid".split(
    " ",
  );

/**
 * `labels` in the model's order, null where it names none; `asked` is what `--fraud-class` says: a label, or 0 or 1 where there
 * are no labels. Without an answer the second class counts where no labels are known, and labels decide where one means fraud
 * and the other does not. Errors: `ml.model-unsupported` where the labels tell nothing, or `asked` is none of them.
 */
export function fraudClassOf(labels: readonly string[] | null, asked: string | undefined): FraudClass {
  if (labels !== null && labels.length !== 2) {
    throw unsupportedModel(
      `the model has ${labels.length} classes: ${shown(labels)}`,
      "Sentinel scores fraud or not: train with two classes",
    );
  }
  const known = labels ?? ["0", "1"];
  if (asked !== undefined) return chosen(known, asked);
  if (labels === null) return { place: 1, note: null };
  const [first, second] = labels.map(meaningOf);
  const place = isFraudBeside(first, second) ? 0 : isFraudBeside(second, first) ? 1 : null;
  if (place === null) {
    throw unsupportedModel(
      `the classes of the model are ${shown(labels)}, and which of them is fraud cannot be told`,
      `name it: --fraud-class ${JSON.stringify(labels[0])} or --fraud-class ${JSON.stringify(labels[1])}`,
    );
  }
  return { place, note: `The class ${JSON.stringify(labels[place])} of ${shown(labels)} counts as fraud.` };
}

function chosen(labels: readonly string[], asked: string): FraudClass {
  const place = labels.indexOf(asked);
  if (place < 0) {
    throw unsupportedModel(
      `--fraud-class ${JSON.stringify(asked)} is no class of the model, whose classes are ${shown(labels)}`,
      `give --fraud-class ${JSON.stringify(labels[0])} or --fraud-class ${JSON.stringify(labels[1])}`,
    );
  }
  return {
    place: place === 0 ? 0 : 1,
    note: `The class ${JSON.stringify(labels[place])} of ${shown(labels)} counts as fraud, as --fraud-class says.`,
  };
}

type Meaning = "says fraud" | "yes" | "no" | "unknown";

/** A label that says fraud needs no other; a mere yes needs its no. */
function isFraudBeside(label: Meaning, other: Meaning): boolean {
  return (label === "says fraud" && other !== "says fraud") || (label === "yes" && other === "no");
}

function meaningOf(label: string): Meaning {
  const plain = label.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  // −1 beside 1 means fraud to an outlier detector and none to a classifier.
  if (label.trim().startsWith("-") && /^\d+$/.test(plain)) return "unknown";
  if (/fraud|scam/.test(plain)) return /^(?:non|not|no|un)/.test(plain) ? "no" : "says fraud";
  if (FRAUD.includes(plain)) return "yes";
  return GENUINE.includes(plain) ? "no" : "unknown";
}

const LABELS_SHOWN = 6;

function shown(labels: readonly string[]): string {
  const some = labels.slice(0, LABELS_SHOWN).map((label) => JSON.stringify(label));
  return `${some.join(", ")}${labels.length > LABELS_SHOWN ? ", …" : ""}`;
}
