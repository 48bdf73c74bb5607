// One finding of `registry verify`: what does not hold, where exactly, in words.

/** Only the places that apply are there: which entry and field, line of the copy, alias, version, file. */
export interface Fault {
  readonly what: "journal" | "copy" | "origin" | "alias" | "version" | "evidence" | "store";
  readonly entry?: number;
  readonly field?: string;
  readonly line?: number;
  readonly alias?: string;
  readonly version?: string;
  readonly file?: string;
  readonly message: string;
}
