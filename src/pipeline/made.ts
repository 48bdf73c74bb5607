// Pipelines made by a program: a list of typed fields becomes a pipeline file and a JSON Schema, with roles guessed from names unless they are explicit.
import { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { JsonObject } from "../ports/store.ts";
import { CASES } from "./cases.ts";
import { TOPIC } from "./stream.ts";

export const FIELD_TYPES = ["string", "integer", "float", "boolean", "timestamp"] as const;
export type FieldType = (typeof FIELD_TYPES)[number];

/** One field of a transaction, as a program declares it. */
export interface MadeField {
  readonly name: string;
  readonly type: FieldType;
  readonly nullable: boolean;
}

/** Which field plays which role; null: none does. */
export interface MadeRoles {
  /** Without one every transaction receives an id, which its answer names. */
  readonly id: string | null;
  /** Without one the time of arrival counts. */
  readonly time: string | null;
  readonly amount: string | null;
  /** Whose transactions belong together. */
  readonly key: string | null;
}

export interface MadePipeline {
  /** For URLs and files. */
  readonly slug: string;
  readonly fields: readonly MadeField[];
  readonly roles: MadeRoles;
  /** Whether who wrote a rule may not make it live. */
  readonly fourEyes: boolean;
  /** The section `cases` as it would stand in a file; null: its defaults. */
  readonly cases?: JsonObject | null;
  /** Where its transactions come from in a stream; null: from a topic of its name. */
  readonly topic?: string | null;
}

export const NAME_LENGTH_MAX = 200;
export const FIELDS_MAX = 500;
/** Letters, digits and _ (also - and . within), so that a condition can name it. */
export const FIELD_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_.-]{0,99}$";
const SLUG_LENGTH_MAX = 60;
/** Names that JavaScript's own objects have: nothing that a transaction brings is called like them. */
const TAKEN_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** In order of preference. An id names one transaction: user_id, card_id and sensor_id do not. */
const ID_NAMES = [
  "transaction_id",
  "txn_id",
  "tx_id",
  "trans_id",
  "payment_id",
  "order_id",
  "withdrawal_id",
  "deposit_id",
  "transfer_id",
  "event_id",
  "message_id",
  "reading_id",
  "record_id",
  "request_id",
  "id",
];
const TIME_NAMES = [
  "timestamp",
  "transaction_time",
  "event_time",
  "time",
  "datetime",
  "occurred_at",
  "created_at",
  "ts",
];
const AMOUNT_NAMES = ["amount", "transaction_amount", "amount_usd", "amount_eur", "total_amount", "order_amount"];
const KEY_NAMES = [
  "card_id",
  "account_id",
  "user_id",
  "customer_id",
  "client_id",
  "buyer_id",
  "member_id",
  "sensor_id",
  "device_id",
  "wallet_address",
  "customer_email",
  "email",
  "buyer_ip",
  "merchant_id",
];
/** The first that no field has; the id and the time of a pipeline without them, and its label, are called so. */
const SPARE_NAMES = {
  id: ["transaction_id", "sentinel_id"],
  time: ["time", "sentinel_time"],
  label: ["is_fraud", "fraud_label", "sentinel_label"],
} as const;

/** A name as part of a URL and a file: "Payment Transactions" becomes payment-transactions. "" where nothing of it can be written so. */
export function slugOf(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "-")
    .slice(0, SLUG_LENGTH_MAX)
    .replace(/^-+|-+$/g, "");
}

/** Throws `request.invalid` for fields that no pipeline can have. */
export function checkMadeFields(fields: readonly MadeField[]): void {
  if (fields.length === 0 || fields.length > FIELDS_MAX) {
    throw refused(`the schema has ${fields.length} fields`, `list 1 to ${FIELDS_MAX} fields`);
  }
  const seen = new Map<string, string>();
  for (const { name } of fields) {
    if (!new RegExp(FIELD_NAME_PATTERN).test(name) || TAKEN_NAMES.has(name)) {
      throw refused(
        `a field cannot be called ${JSON.stringify(name.slice(0, 100))}`,
        "letters, digits, _, - and ., beginning with a letter or _, 100 at most; not __proto__, constructor or prototype",
      );
    }
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw refused(
        `the schema names ${JSON.stringify(name)} twice${other === name ? "" : ` (also ${JSON.stringify(other)})`}`,
        "upper and lower case are one: give each field a name of its own",
      );
    }
    seen.set(name.toLowerCase(), name);
  }
}

/** The roles as they are given, and guessed from names where none is. Throws `request.invalid` for a field that cannot play one. */
export function madeRoles(fields: readonly MadeField[], explicit: Partial<MadeRoles>): MadeRoles {
  const roles: MadeRoles = {
    id: explicit.id === undefined ? guessed(fields, ID_NAMES, ["string", "integer"]) : explicit.id,
    time:
      explicit.time === undefined
        ? (guessed(fields, TIME_NAMES, ["timestamp"]) ?? fields.find(({ type }) => type === "timestamp")?.name ?? null)
        : explicit.time,
    amount: explicit.amount === undefined ? guessed(fields, AMOUNT_NAMES, ["float", "integer"]) : explicit.amount,
    key: explicit.key === undefined ? guessed(fields, KEY_NAMES, ["string", "integer"]) : explicit.key,
  };
  const allowed: Readonly<Record<keyof MadeRoles, readonly FieldType[]>> = {
    id: ["string", "integer"],
    time: ["timestamp"],
    amount: ["float", "integer"],
    key: ["string", "integer"],
  };
  const names = new Map<string, string>();
  for (const [role, name] of Object.entries(roles) as [keyof MadeRoles, string | null][]) {
    if (name === null) continue;
    const field = fields.find((one) => one.name === name);
    if (field === undefined)
      throw refused(`columns.${role}: the schema has no field ${name}`, "name a field of the schema, or null");
    if (!allowed[role].includes(field.type))
      throw refused(`columns.${role}: ${name} is a ${field.type}`, `it must be ${allowed[role].join(" or ")}`);
    const other = names.get(name);
    if (other !== undefined) throw refused(`columns: ${name} is both ${other} and ${role}`, "a field plays one role");
    names.set(name, role);
  }
  return roles;
}

/**
 * The section `cases` of a pipeline that a program makes, by the reader of pipeline files; null where it says nothing. What it names must be
 * fields. Throws `request.invalid`.
 */
export function madeCases(written: JsonObject, fields: readonly MadeField[]): JsonObject | null {
  const { entity, links } = CASES.read(written, {
    path: ["cases"],
    refuse: (_, { what, hint }) => {
      throw refused(what, hint);
    },
  });
  const named = [...(entity === undefined ? [] : [["entity", entity]]), ...links.map((name) => ["links", name])];
  const unknown = named.find(([, name]) => !fields.some((field) => field.name === name));
  if (unknown !== undefined) {
    const [key, name] = unknown;
    const near = nearestName(
      name,
      fields.map((field) => field.name),
    );
    throw refused(
      `cases.${key}: the schema has no field ${JSON.stringify(name)}`,
      near === null ? "name a field of the schema" : `did you mean ${near}?`,
    );
  }
  return Object.keys(written).length === 0 ? null : written;
}

/** A field of one of these names and types, the preferred name first. */
function guessed(fields: readonly MadeField[], names: readonly string[], types: readonly FieldType[]): string | null {
  for (const name of names) {
    const field = fields.find((one) => one.name.toLowerCase() === name && types.includes(one.type));
    if (field !== undefined) return field.name;
  }
  return null;
}

/** Names of id, time and label in the pipeline file: where no field plays the role, one that no field has. */
function columnNames({ fields, roles }: MadePipeline): {
  readonly id: string;
  readonly time: string;
  readonly label: string;
} {
  const inUse = new Set(fields.map(({ name }) => name.toLowerCase()));
  const spare = (names: readonly string[]): string =>
    names.find((name) => !inUse.has(name)) ?? spareOf(names[0], inUse);
  return {
    id: roles.id ?? spare(SPARE_NAMES.id),
    time: roles.time ?? spare(SPARE_NAMES.time),
    label: spare(SPARE_NAMES.label),
  };
}

function spareOf(name: string, names: ReadonlySet<string>): string {
  for (let count = 2; ; count++) if (!names.has(`${name}_${count}`)) return `${name}_${count}`;
}

/** The pipeline file; JSON, which is YAML too. Rules alone decide, until somebody writes a file of their own with a model. */
export function madeText(made: MadePipeline): string {
  const { slug, roles, fourEyes, cases = null, topic = null } = made;
  const { id, time, label } = columnNames(made);
  return `${JSON.stringify(
    {
      name: slug,
      model: "none",
      source: `data/${slug}.parquet`,
      features: "none",
      schema: `${slug}.schema.json`,
      suite: `${slug}.suite.json`,
      columns: {
        id: roles.id === null ? { from: "row", as: id } : id,
        time,
        ...(roles.amount === null ? {} : { amount: roles.amount }),
        ...(roles.key === null ? {} : { card: roles.key }),
        label,
      },
      ...(fourEyes ? { rules: { four_eyes: true } } : {}),
      ...(cases === null ? {} : { cases }),
      // Only what Kafka takes as a name: another one would keep the whole pipeline from being opened.
      ...(topic !== null && TOPIC.test(topic) ? { stream: { topic } } : {}),
    },
    null,
    2,
  )}\n`;
}

/** JSON Schema 2020-12 of one transaction. An id that is not there is made, a time that is not there is the arrival's. */
export function madeSchema(made: MadePipeline): object {
  const { fields, roles } = made;
  const { id, time } = columnNames(made);
  const properties: Record<string, object> = {};
  if (roles.id === null) properties[id] = { type: ["string", "integer", "null"] };
  if (roles.time === null) properties[time] = { type: ["string", "number", "null"] };
  for (const { name, type, nullable } of fields)
    properties[name] = { type: [...JSON_TYPES[type], ...(nullable ? ["null"] : [])] };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    required: fields.filter(({ nullable }) => !nullable).map(({ name }) => name),
    properties,
  };
}

const JSON_TYPES: Readonly<Record<FieldType, readonly string[]>> = {
  string: ["string"],
  integer: ["integer"],
  float: ["number"],
  boolean: ["boolean"],
  timestamp: ["string", "number"],
};

/** The fields after a change. Nullable ones may be added; anything else would make what is known of the past wrong. Throws `pipeline.schema`. */
export function grownFields(before: readonly MadeField[], after: readonly MadeField[]): readonly MadeField[] {
  checkMadeFields(after);
  const wanted = new Map(after.map((field) => [field.name, field]));
  for (const field of before) {
    const next = wanted.get(field.name);
    if (next === undefined)
      throw ungrowable(
        `field ${field.name} is missing`,
        "fields stay; a field that nobody sends any more may be null if it is nullable",
      );
    if (next.type !== field.type)
      throw ungrowable(
        `field ${field.name} was a ${field.type} and would be a ${next.type}`,
        `add a field of another name, such as ${field.name}_2`,
      );
    if (next.nullable !== field.nullable)
      throw ungrowable(
        `field ${field.name} was ${field.nullable ? "" : "not "}nullable and would ${next.nullable ? "" : "not "}be`,
        "what a field may hold stays as it is",
      );
  }
  const known = new Set(before.map(({ name }) => name));
  const added = after.filter(({ name }) => !known.has(name));
  const strict = added.find(({ nullable }) => !nullable);
  if (strict !== undefined)
    throw ungrowable(
      `field ${strict.name} is new and not nullable`,
      "programs that do not send it yet would be refused: add it as nullable",
    );
  return [...before, ...added];
}

function ungrowable(what: string, hint: string): SentinelError {
  return new SentinelError("pipeline.schema", what, { hint: `${hint}; or make another pipeline` });
}

function refused(what: string, hint: string): SentinelError {
  return new SentinelError("request.invalid", what, { hint });
}
