// A pipeline's YAML read by a section: bounded, checked against its schema, every fault with its line.
import { readFileSync, statSync } from "node:fs";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import { messageOf, SentinelError } from "../core/errors.ts";
import { DURATION_PATTERN, type Fields, type Place, SIZE_PATTERN } from "./kind.ts";
import type { Section, ValueOf } from "./section.ts";

/** Forty times the pipeline that `init` writes; the YAML library reads some 100 kB per second of what is written to hold it up. */
export const PIPELINE_BYTES_MAX = 131_072;
const ALIASES_MAX = 20;
/** Brackets within brackets, and columns of indentation. The library calls itself once per level; thousands end the process. */
const NESTING_MAX = 100;
const FAULTS_SHOWN_MAX = 5;
/** Of so many faults the plainest are chosen: looking for the line of one reads a mapping from its beginning. */
const FAULTS_READ_MAX = 200;
/**
 * Most commands read one file and end: compiling for longer than reading takes is waste. The schemas are made from sections, and a test holds
 * them against the schema of schemas.
 */
const AJV_OPTIONS = {
  ...{ allErrors: true, verbose: true, strict: true, allowUnionTypes: true },
  ...{ validateSchema: false, code: { optimize: false } },
} as const;

/** What a section makes of a text, beside the plain content that was written. */
export interface ReadYaml<F extends Fields> {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly value: ValueOf<F>;
  /** For faults that only the reader's caller sees. */
  readonly refuse: Place["refuse"];
}

/** A function that reads texts by a section; `file` is for messages. Errors: pipeline.invalid, with the line. */
export function yamlReader<F extends Fields>(
  section: Section<F>,
  {
    bytesMax = PIPELINE_BYTES_MAX,
    example = "pipelines/card.yaml of a fresh `sentinel init`",
    spelled = null,
  }: {
    readonly bytesMax?: number;
    readonly example?: string;
    /** A member below which numbers are texts as they are written: an id such as 007 is not 7. */
    readonly spelled?: string | null;
  } = {},
): (text: string, file: string) => ReadYaml<F> {
  let compiled: ValidateFunction | null = null;
  return (text, file) => {
    compiled ??= new Ajv2020(AJV_OPTIONS).compile(section.schema);
    const isValid = compiled;
    checkBytes(Buffer.byteLength(text), file, bytesMax);
    const lines = new LineCounter();
    const document = parse(text, lines, file);
    if (spelled !== null) spellNumbers(document, spelled);
    const raw = plain(document, file);
    const lineAt = lineFinder(document, lines);
    if (!isValid(raw)) {
      const faults = plainest((isValid.errors ?? []).slice(0, FAULTS_READ_MAX)).map((fault) =>
        faultWords(fault, lineAt),
      );
      throw invalid(file, {
        what: [...new Set(faults)].slice(0, FAULTS_SHOWN_MAX).join("; "),
        hint: `see ${example} for every key`,
      });
    }
    const refuse: Place["refuse"] = (path, { what, hint }) => {
      throw invalid(file, { what: `${lineAt(path)}${what}`, hint });
    };
    const content = raw as Readonly<Record<string, unknown>>;
    return { raw: content, value: section.read(content, { path: [], refuse }), refuse };
  };
}

function spellNumbers(document: Document.Parsed, name: string): void {
  visit(isMap(document.contents) ? (document.contents.get(name, true) ?? null) : null, {
    Scalar(_, node) {
      if (typeof node.value === "number" && node.source !== undefined) node.value = node.source;
    },
  });
}

/** Refuses a file that is longer than any pipeline, before it is read. */
function checkBytes(bytes: number, file: string, bytesMax = PIPELINE_BYTES_MAX): void {
  if (bytes <= bytesMax) return;
  throw invalid(file, {
    what: `has ${bytes} bytes; a pipeline file may have ${bytesMax}`,
    hint: "keep data out of the pipeline file: tables go below data/, schema and suite into files beside it",
  });
}

/** The text of a file, bounded before it is read. Errors: pipeline.invalid. */
export function readText(file: string): string {
  try {
    checkBytes(statSync(file).size, file);
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw invalid(file, { what: `cannot be read: ${messageOf(error)}`, hint: "put a readable YAML file there" });
  }
}

export function invalid(file: string, fault: { readonly what: string; readonly hint: string }): SentinelError {
  return new SentinelError("pipeline.invalid", `${file}: ${fault.what}`, { hint: fault.hint });
}

function parse(text: string, lines: LineCounter, file: string): Document.Parsed {
  checkNesting(text, file);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const broken = document.errors[0];
  const fault = broken === undefined ? keyFault(document) : { at: broken.pos[0], what: broken.message };
  if (fault === null) return document;
  const { line, col } = lines.linePos(fault.at);
  throw invalid(file, { what: `line ${line}, column ${col}: ${fault.what}`, hint: "fix the YAML at that line" });
}

/**
 * The first key that stands twice in a mapping or is no plain word. The library's own look for equal keys compares each with each,
 * and a mapping as key, as in "? ? ? a", takes it twice as long per level.
 */
function keyFault(document: Document.Parsed): { readonly at: number; readonly what: string } | null {
  const open: unknown[] = [document.contents];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isSeq(node)) open.push(...node.items.slice().reverse());
    if (!isMap(node)) continue;
    const names = new Set<string>();
    for (const { key } of node.items) {
      const at = (key as { readonly range?: readonly number[] } | null)?.range?.[0] ?? node.range?.[0] ?? 0;
      if (!isScalar(key)) return { at, what: "a key must be a plain word" };
      const name = String(key.value);
      if (names.has(name)) return { at, what: `the key ${name} stands twice` };
      names.add(name);
    }
    open.push(
      ...node.items
        .map(({ value }) => value ?? undefined)
        .filter((value) => value !== undefined)
        .reverse(),
    );
  }
  return null;
}

function checkNesting(text: string, file: string): void {
  let depth = 0;
  let deepest = 0;
  for (const character of text) {
    if (character === "[" || character === "{") deepest = Math.max(deepest, ++depth);
    else if (character === "]" || character === "}") depth = Math.max(0, depth - 1);
  }
  if (deepest <= NESTING_MAX && !INDENTED_TOO_FAR.test(text)) return;
  throw invalid(file, { what: `is nested more than ${NESTING_MAX} deep`, hint: "a pipeline needs four levels" });
}

/** Lists of lists and keys of keys may begin on one line: "- - - a". */
const INDENTED_TOO_FAR = new RegExp(`^[ \\t?:-]{${NESTING_MAX + 1}}`, "m");

function plain(document: Document.Parsed, file: string): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    throw invalid(file, { what: messageOf(error), hint: "use fewer YAML aliases" });
  }
  if (value !== null) return value;
  throw invalid(file, { what: "is empty", hint: "copy pipelines/card.yaml of a fresh `sentinel init` and change it" });
}

/** "line 8: " for a path into the document; nothing where the file says nothing there. */
function lineFinder(document: Document.Parsed, lines: LineCounter): (path: Place["path"]) => string {
  return (path) => {
    const node = document.getIn(path, true) as { range?: [number, number, number] } | undefined;
    return node?.range === undefined ? "" : `line ${lines.linePos(node.range[0]).line}: `;
  };
}

/**
 * Of a value that may be of several kinds, the faults of the kind it looks like. Where it looks like none, only the fault that lists
 * them all.
 */
function plainest(faults: readonly ErrorObject[]): readonly ErrorObject[] {
  const choices = faults.filter(({ keyword }) => keyword === "anyOf");
  const hidden = new Set<ErrorObject>();
  for (const choice of choices) {
    const inside = faults.filter(({ schemaPath }) => schemaPath.startsWith(`${choice.schemaPath}/`));
    const branchOf = ({ schemaPath }: ErrorObject): string =>
      schemaPath.slice(choice.schemaPath.length + 1).split("/")[0];
    const unlike = new Set(
      inside
        .filter(({ keyword, instancePath }) => {
          return instancePath === choice.instancePath && (keyword === "type" || keyword === "enum");
        })
        .map(branchOf),
    );
    const alike = inside.filter((fault) => !unlike.has(branchOf(fault)));
    for (const fault of inside) if (!alike.includes(fault)) hidden.add(fault);
    if (alike.length > 0) hidden.add(choice);
  }
  return faults.filter((fault) => !hidden.has(fault));
}

function faultWords(fault: ErrorObject, lineAt: (path: Place["path"]) => string): string {
  const keys = fault.instancePath
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const name = keys.join(".") || "the file";
  const line = lineAt(fault.keyword === "additionalProperties" ? [...keys, fault.params.additionalProperty] : keys);
  if (fault.params.pattern === DURATION_PATTERN)
    return `${line}${name}: ${JSON.stringify(fault.data)} is no duration such as 90s, 15m, 6h or 7d`;
  if (fault.params.pattern === SIZE_PATTERN)
    return `${line}${name}: ${JSON.stringify(fault.data)} is no size such as 64KiB or 1MB`;
  if (fault.keyword === "anyOf") return `${line}${name} must be ${fault.parentSchema?.title}`;
  const extra = fault.keyword === "additionalProperties" ? ` (${fault.params.additionalProperty})` : "";
  const allowed = fault.keyword === "enum" ? ` (${fault.params.allowedValues.join(", ")})` : "";
  return `${line}${name} ${fault.message}${extra}${allowed}`;
}
