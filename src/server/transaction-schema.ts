// The schemas of what the server takes, as it takes them: the pipeline's own, narrowed by what the parser checks besides.
import { type LabelWords, wordsText } from "../core/label-words.ts";
import { PLAIN_TIME, TIME_MIN, type TimeRule } from "../core/time.ts";
import { ID_LENGTH_MAX } from "../core/transaction.ts";
import { KEYS_MAX, TEXT_LENGTH_MAX } from "../online/parse.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

const ID = {
  anyOf: [
    { type: "string", minLength: 1, maxLength: ID_LENGTH_MAX },
    { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  ],
};
/** As core/time.ts takes it; whether the day exists no pattern can say. */
const ISO =
  "^(199[1-9]|[2-9]\\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])([T ]([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d([.,]\\d{1,9})?)?)?(Z|[+-]([01]\\d|2[0-3])(:?[0-5]\\d)?)?$";
/** A field of a transaction; booleans count as 1 and 0. */
const FIELD = { type: ["string", "number", "boolean", "null"], maxLength: TEXT_LENGTH_MAX };

interface RequestSchemaInput {
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  readonly aheadMaxMs: number;
}

interface SchemaParts {
  readonly properties?: Readonly<Record<string, object>>;
  readonly patternProperties?: Readonly<Record<string, object>>;
}

/** components.schemas of what is sent; `now` bounds the times. */
export function requestSchemas(
  { pipeline, schema, aheadMaxMs }: RequestSchemaInput,
  now: number,
): Readonly<Record<string, object>> {
  const {
    columns,
    written: { timeParts, labelWords },
  } = pipeline;
  const { properties: own = {}, patternProperties } = schema as SchemaParts;
  const time = timeSchema(now + aheadMaxMs, pipeline.times);
  const narrowed = Object.entries(own)
    .filter(([name]) => name !== columns.label)
    .map(([name, given]) => [
      name,
      { allOf: [given, name === columns.id ? ID : name === columns.time ? time : FIELD] },
    ]);
  const patterns = Object.entries(patternProperties ?? {}).map(([name, given]) => [name, { allOf: [given, FIELD] }]);
  return {
    Transaction: {
      ...schema,
      ...(patternProperties === undefined ? {} : { patternProperties: Object.fromEntries(patterns) }),
      // Several fields that hold a time together are the schema's own.
      properties: {
        [columns.id]: ID,
        ...(timeParts === null ? { [columns.time]: time } : {}),
        ...own,
        ...Object.fromEntries(narrowed),
      },
      maxProperties: KEYS_MAX,
    },
    // Features may be kept by more columns; the card is the one that a pipeline names.
    Entity:
      columns.card === null
        ? { not: {} }
        : {
            type: "object",
            required: [columns.card],
            properties: { [columns.card]: { type: ["string", "integer"], minLength: 1, maxLength: TEXT_LENGTH_MAX } },
            additionalProperties: false,
          },
    TransactionId: {
      type: "object",
      required: [columns.id],
      properties: { [columns.id]: ID, against: { type: "string" } },
      additionalProperties: false,
    },
    Feedback: {
      type: "object",
      required: [columns.id, "fraud"],
      properties: {
        [columns.id]: ID,
        fraud: {
          enum: labelValues(labelWords),
          description: `${labelWords === null ? "true or 1: fraud" : `true: fraud; or ${wordsText(labelWords)}`}. Also as is_fraud, label or ${columns.label}.`,
        },
        source: { type: "string", minLength: 1, maxLength: 100, default: "analyst", description: "Who says so." },
        time: {
          anyOf: [time, { type: "null" }],
          description:
            "When it became known, on the clock of event time; not before its transaction. Absent: now, at the newest event time seen. null: nobody knows when, so the transaction's time plus the pipeline's label delay counts.",
        },
      },
    },
  };
}

/** What a label may be: a digit that the pipeline's words read otherwise, or not at all, is none. */
function labelValues(words: LabelWords | null): readonly unknown[] {
  if (words === null) return [true, false, 1, 0];
  const { fraud, genuine, unknown } = words;
  const spoken = (digit: string): boolean =>
    fraud.includes(digit) || genuine.includes(digit) || unknown.includes(digit);
  const ones = !spoken("1") || fraud.includes("1") ? [1] : [];
  const zeros = !spoken("0") || genuine.includes("0") ? [0] : [];
  return [true, false, ...ones, ...zeros, ...fraud, ...genuine];
}

/** Where the pipeline says how its times are written, no pattern here can; the parser checks them. */
function timeSchema(latest: number, rule: TimeRule): object {
  if (rule !== PLAIN_TIME) {
    const written = rule.format === undefined ? `a number of ${rule.unit}, or an ISO 8601 text` : rule.format.text;
    return { type: ["string", "number"], description: `A time as this pipeline declares it: ${written}.` };
  }
  return {
    anyOf: [
      { type: "string", pattern: ISO, maxLength: 40 },
      { type: "integer", minimum: TIME_MIN, maximum: latest },
    ],
    description: `An ISO 8601 time from 1990 on (UTC without a zone) or milliseconds since 1970. Not after ${new Date(latest).toISOString()}: that far may a time be ahead of the server's clock.`,
  };
}
