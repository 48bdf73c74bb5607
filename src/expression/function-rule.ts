// What a function of the language takes, gives and does.
import type { Bank, Step } from "./steps.ts";

export interface FunctionRule {
  /** Type of every argument ("one" is any one type, "ordered" numbers or texts), or of each, the last of them for those that follow. */
  readonly takes: "number" | "text" | "time" | "one" | "ordered" | readonly ("number" | "text")[];
  readonly least: number;
  readonly most: number;
  /** "same": the type of the arguments. */
  readonly gives: "number" | "text" | "boolean" | "time" | "same";
  readonly step: (to: number, from: readonly number[], bank: Bank) => Step;
}
