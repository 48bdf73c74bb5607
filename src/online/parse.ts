// From a client's JSON to a transaction: aliases to canonical names, the pipeline's schema, limits.
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { messageOf, SentinelError } from "../core/errors.ts";
import { type MoneyRule, moneyExample } from "../core/money.ts";
import { composeTime, readTime, timeFault } from "../core/time.ts";
import { emptyFields, type FieldValue, ID_LENGTH_MAX, idOf, type Transaction } from "../core/transaction.ts";
import { type Pattern, schemaPattern } from "../expression/pattern.ts";
import { type NameOf, nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { DIGITS_LOST, type FieldFault, invalidRequest } from "./faults.ts";
import { type FieldOf, fieldLookup, schemaFields } from "./fields.ts";

/** A request's transaction, and the fields no pipeline knows. */
export interface Parsed {
  readonly transaction: Transaction;
  /** False when the client gave no time, so that the time of arrival counts. */
  readonly timed: boolean;
  readonly extra: Readonly<Record<string, unknown>>;
}

export interface TransactionParser {
  /**
   * Throws `request.invalid` with one fault a field. `now` is the time of arrival: it counts where the schema lets the time
   * be left out, and bounds how far ahead an event time may be.
   */
  parse(value: unknown, now: number): Parsed;
}

/** Fields of a request: as many numeric columns as a spec may hold, and two hundred besides. */
export const KEYS_MAX = 1200;
export const TEXT_LENGTH_MAX = 1000;
/** The extra of most requests: without members, and without a prototype. */
const NO_EXTRA: Readonly<Record<string, unknown>> = Object.freeze(Object.create(null));
/** Most requests spell all names as the pipeline does. */
const NONE_SPELLED: ReadonlyMap<string, string> = new Map();
/** Fields no pipeline knows are kept in the log up to so many characters of JSON. */
const EXTRA_LENGTH_MAX = 16_384;

/**
 * A parser for the pipeline's transactions. `schema` names canonical columns. An event time further ahead of the server's clock
 * than `aheadMaxMs` is refused: one such event would move the windows of every key.
 */
export function createParser(options: {
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly aheadMaxMs: number;
  /**
   * Makes the id of a transaction that brings none; null ids and times then count as not sent. Absent: such a transaction is refused.
   */
  readonly makeId?: () => string;
}): TransactionParser {
  const { pipeline, aheadMaxMs, makeId } = options;
  const { columns, times, written } = pipeline;
  const timeField = written.timeParts?.[0] ?? columns.time;
  const valid = compileSchema(options.schema);
  const named = schemaFields(options.schema);
  const fieldIn = fieldLookup(options.schema);
  const isKnown = knownColumns(fieldIn, pipeline);
  const nameOf = nameFolder(pipeline.canonical, named.keys());
  return {
    parse(value, now) {
      const { renamed, spelled } = rename(value, nameOf);
      if (!valid(renamed)) throw invalidRequest((valid.errors ?? []).map((fault) => faultOf(fault, spelled)));
      const faults: FieldFault[] = [];
      const fault = (column: string, message: string): void =>
        void faults.push({ field: spelled.get(column) ?? column, message });
      const id = idOf(renamed[columns.id]) ?? (makeId === undefined ? null : idMade(renamed[columns.id], makeId));
      if (id === null) fault(columns.id, `must be a text of 1 to ${ID_LENGTH_MAX} characters or a whole number`);
      const sent = timeSent(renamed, pipeline);
      const timed = sent !== undefined && (sent !== null || makeId === undefined);
      const time = timed ? readTime(sent, times) : now;
      if (Number.isNaN(time)) fault(timeField, timeMessage(sent, pipeline));
      if (time > now + aheadMaxMs) fault(timeField, "is ahead of the server's clock by more than is allowed");
      const fields = emptyFields();
      let extra = NO_EXTRA as Record<string, unknown>;
      for (const column in renamed) {
        const content = renamed[column];
        if (column === columns.id || column === columns.time) continue;
        if (!isKnown(column)) {
          if (extra === NO_EXTRA) extra = Object.create(null) as Record<string, unknown>;
          extra[spelled.get(column) ?? column] = content;
          continue;
        }
        const field = column === columns.amount ? amountOf(content, written.money) : fieldOf(content);
        if (field === undefined && column === columns.amount && written.money !== null) {
          fault(column, `must be a number, or a text such as ${moneyExample(written.money)}`);
          continue;
        }
        if (field === undefined) fault(column, `must be a number, a text of at most ${TEXT_LENGTH_MAX}, or null`);
        else if (isUnsafe(field) && !mayBeFraction(fieldIn(column))) fault(column, DIGITS_LOST);
        else fields[column] = field;
      }
      if (extra !== NO_EXTRA && JSON.stringify(extra).length > EXTRA_LENGTH_MAX) {
        fault(Object.keys(extra)[0], `and other unknown fields take more than ${EXTRA_LENGTH_MAX} characters`);
      }
      if (faults.length > 0) throw invalidRequest(faults);
      return { transaction: { id: id!, time, fields }, timed, extra };
    },
  };
}

/** An id in the place of one that was not sent; null where something else was. */
function idMade(sent: unknown, makeId: () => string): string | null {
  return sent === undefined || sent === null ? makeId() : null;
}

/** The time as a request sends it, put together where several fields hold it; undefined where there is none. */
function timeSent(
  renamed: Readonly<Record<string, unknown>>,
  { columns, written: { timeParts } }: Pick<Pipeline, "columns" | "written">,
): unknown {
  if (timeParts === null) return renamed[columns.time];
  const parts = timeParts.map((name) => renamed[name]);
  if (parts.every((part) => part === undefined)) return undefined;
  return composeTime(parts.map((part) => (typeof part === "string" || typeof part === "number" ? String(part) : null)));
}

/** An amount by the pipeline's signs: what a table's cell of the same text is. */
function amountOf(value: unknown, money: MoneyRule | null): FieldValue | undefined {
  if (money === null || typeof value !== "string" || value === "") return fieldOf(value);
  const amount = money.read(value);
  return amount === null ? undefined : fieldOf(amount);
}

/** What is wrong with a time, for a client. */
export function timeMessage(value: unknown, { columns, times }: Pick<Pipeline, "columns" | "times">): string {
  const { what, hint } = timeFault(value, { column: columns.time, rule: times });
  return `is ${what}; ${hint}`;
}

function isUnsafe(value: FieldValue): boolean {
  return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
}

/** Whether the schema gives a field as any number: then it is no key, whose last digits tell it from others. */
function mayBeFraction(field: unknown): boolean {
  const type = field !== null && typeof field === "object" ? (field as { readonly type?: unknown }).type : undefined;
  return [type].flat().includes("number");
}

/**
 * What checks schemas themselves, by the schema of schemas. Compiling that takes ten times as long as compiling a pipeline's schema, so the
 * process does it once; the checker keeps nothing of what it has checked.
 */
let schemaChecker: Ajv2020 | undefined;

/** A JSON Schema 2020-12 as a check. Throws `pipeline.invalid`. */
export function compileSchema(schema: object): ValidateFunction {
  try {
    schemaChecker ??= newAjv({ validateSchema: true });
    schemaChecker.validateSchema(schema, true);
    return newAjv({ validateSchema: false }).compile(schema);
  } catch (error) {
    throw new SentinelError("pipeline.invalid", `the transaction schema cannot be used: ${messageOf(error)}`, {
      hint: "fix the JSON Schema that the pipeline's `schema` names (draft 2020-12)",
      cause: error,
    });
  }
}

function newAjv({ validateSchema }: { readonly validateSchema: boolean }): Ajv2020 {
  const code = { regExp: schemaRegex };
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: true, validateSchema, code });
  addFormats.default(ajv);
  return ajv;
}

/**
 * Ajv keeps patterns by what they are as a text: two of the same text are one. It asks for `code` to print the engine's name in modules
 * that it writes; none are written here.
 */
const schemaRegex = Object.assign(
  (source: string): Pattern & { toString(): string } => {
    const pattern = schemaPattern(source);
    if (pattern !== null) return { test: (text) => pattern.test(text), toString: () => source };
    throw new Error(
      `pattern ${JSON.stringify(source)} could take for ever on a hostile text; write it without look-around and back references`,
    );
  },
  { code: "schemaRegex" },
);

/** A schema's complaint as a fault; `spelled` gives a canonical name back as the client wrote it. */
export function faultOf(fault: ErrorObject, spelled: ReadonlyMap<string, string>): FieldFault {
  const path = fault.instancePath.split("/").slice(1);
  if (fault.keyword === "required") path.push(String(fault.params.missingProperty));
  if (fault.keyword === "additionalProperties") path.push(String(fault.params.additionalProperty));
  const [first = "", ...rest] = path.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const allowed = fault.keyword === "enum" ? `: ${(fault.params.allowedValues as unknown[]).join(", ")}` : "";
  const message = fault.keyword === "required" ? "is missing" : `${fault.message ?? "is not valid"}${allowed}`;
  return { field: [spelled.get(first) ?? first, ...rest].join("/") || "the document", message };
}

/** A client's object under canonical names, without a prototype; and how the client spelled them. */
export function rename(
  value: unknown,
  nameOf: NameOf,
): { readonly renamed: Readonly<Record<string, unknown>>; readonly spelled: ReadonlyMap<string, string> } {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw invalidRequest([{ field: "the document", message: "must be a JSON object" }]);
  }
  const renamed = emptyFields() as Record<string, unknown>;
  let spelled = NONE_SPELLED as Map<string, string>;
  let count = 0;
  // What JSON makes has no inherited members that would be listed.
  for (const key in value) {
    if (++count > KEYS_MAX) {
      throw invalidRequest([{ field: "the document", message: `has more than ${KEYS_MAX} fields` }]);
    }
    const column = nameOf(key);
    if (column in renamed) {
      throw invalidRequest([{ field: key, message: `says the same as ${spelled.get(column) ?? column}; send one` }]);
    }
    renamed[column] = (value as Record<string, unknown>)[key];
    if (column === key) continue;
    if (spelled === NONE_SPELLED) spelled = new Map();
    spelled.set(column, key);
  }
  return { renamed, spelled };
}

/** Columns that become fields. The label is none: a request that carries it must not leak it into a feature. */
function knownColumns(fieldIn: FieldOf, { canonical, columns }: Pipeline): (column: string) => boolean {
  const canonicals = new Set(canonical.values());
  return (column) => column !== columns.label && (canonicals.has(column) || fieldIn(column) !== undefined);
}

/**
 * Binary messages may hold NaN, which is missing, and infinity, which no table may hold and no log keeps. Minus zero becomes zero, because JSON in the log cannot keep it and a replay must see the same bits. An empty text is missing, as it is in a
 * table of text.
 */
function fieldOf(value: unknown): FieldValue | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? null : undefined;
  if (typeof value === "number") return value === 0 ? 0 : value;
  if (typeof value === "boolean") return value;
  if (value === null || value === "") return null;
  return typeof value === "string" && value.length <= TEXT_LENGTH_MAX ? value : undefined;
}
