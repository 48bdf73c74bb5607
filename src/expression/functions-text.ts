// Functions of texts that take numbers or texts beside them, by Spark SQL's names; places count characters from 1.
import type { FunctionRule } from "./function-rule.ts";
import { isMissing, type Step } from "./steps.ts";

/** Texts with characters beyond the sixteen bits of a unit are cut by characters, all others by units. */
const SURROGATE = /[\ud800-\udfff]/;

function slice(text: string, from: number, to: number): string {
  if (to <= from) return "";
  return SURROGATE.test(text) ? [...text].slice(from, to).join("") : text.slice(from, to);
}

function countOf(text: string): number {
  return SURROGATE.test(text) ? [...text].length : text.length;
}

/** From a place on, `length` characters or all: a negative place counts from the end, and 0 is 1, as in Spark. */
function substring(text: string, place: number, length: number): string {
  const at = Math.trunc(place);
  const from = at > 0 ? at - 1 : at < 0 ? countOf(text) + at : 0;
  return slice(text, Math.max(0, from), from + length);
}

function substringStep(to: number, [a, place, length]: readonly number[]): Step {
  return (n, t) => {
    const text = t[a];
    const count = length === undefined ? Number.POSITIVE_INFINITY : Math.trunc(n[length]);
    t[to] = text === null || isMissing(n[place]) || isMissing(count) ? null : substring(text, n[place], count);
  };
}

function ofTextAndNumber(compute: (text: string, count: number) => string): FunctionRule {
  const step: FunctionRule["step"] =
    (to, [a, b]) =>
    (n, t) => {
      const text = t[a];
      t[to] = text === null || isMissing(n[b]) ? null : compute(text, Math.max(0, Math.trunc(n[b])));
    };
  return { takes: ["text", "number"], least: 2, most: 2, gives: "text", step };
}

/** Place of a part in a text, from 1; 0 when it is not there. */
function placeRule(order: "text first" | "part first"): FunctionRule {
  const step: FunctionRule["step"] = (to, from) => {
    const [a, b] = order === "text first" ? from : [from[1], from[0]];
    return (n, t) => {
      const text = t[a];
      const part = t[b];
      n[to] = text === null || part === null ? Number.NaN : placeOf(text, part);
    };
  };
  return { takes: ["text"], least: 2, most: 2, gives: "number", step };
}

function placeOf(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? 0 : countOf(text.slice(0, at)) + 1;
}

/** Longest text that replace() makes: one that grows with every occurrence must stay bounded. */
const REPLACED_LENGTH_MAX = 100_000;

function replaceStep(to: number, [a, from, by]: readonly number[]): Step {
  return (_, t) => {
    const text = t[a];
    const part = t[from];
    const other = t[by];
    if (text === null || part === null || other === null) t[to] = null;
    else t[to] = part === "" ? text : text.replaceAll(part, () => other).slice(0, REPLACED_LENGTH_MAX);
  };
}

/** The n-th piece of a text cut at a mark, from 1, from −1 at the end; an empty text where there is none, NULL for 0. */
function splitPartStep(to: number, [a, mark, number]: readonly number[]): Step {
  return (n, t) => {
    const text = t[a];
    const cut = t[mark];
    const which = Math.trunc(n[number]);
    if (text === null || cut === null || isMissing(which) || which === 0) {
      t[to] = null;
      return;
    }
    const pieces = cut === "" ? [text] : text.split(cut);
    t[to] = pieces[which > 0 ? which - 1 : pieces.length + which] ?? "";
  };
}

/** A text to a text; missing stays missing. */
export function ofText(compute: (value: string) => string): FunctionRule {
  const step: FunctionRule["step"] =
    (to, [a]) =>
    (_, t) => {
      const text = t[a];
      t[to] = text === null ? null : compute(text);
    };
  return { takes: "text", least: 1, most: 1, gives: "text", step };
}

export const TEXT_FUNCTIONS: readonly (readonly [string, FunctionRule])[] = [
  ["instr", placeRule("text first")],
  ["left", ofTextAndNumber((text, count) => slice(text, 0, count))],
  ["locate", placeRule("part first")],
  ["ltrim", ofText((text) => text.replace(/^\p{Zs}+/u, ""))],
  ["replace", { takes: ["text"], least: 3, most: 3, gives: "text", step: replaceStep }],
  [
    "right",
    ofTextAndNumber((text, count) => slice(text, Math.max(0, countOf(text) - count), Number.POSITIVE_INFINITY)),
  ],
  ["rtrim", ofText((text) => text.replace(/(?<!\p{Zs})\p{Zs}+$/u, ""))],
  ["split_part", { takes: ["text", "text", "number"], least: 3, most: 3, gives: "text", step: splitPartStep }],
  ["substring", { takes: ["text", "number"], least: 2, most: 3, gives: "text", step: substringStep }],
];
