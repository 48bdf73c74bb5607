// Transactions as Avro: a record schema made of the pipeline's JSON Schema, and rows as such records.
import { schemaFields } from "../../online/fields.ts";
import { type NameOf, nameFolder } from "../../pipeline/names.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";

interface AvroField {
  readonly name: string;
  readonly type: unknown;
  readonly default?: null;
}

/** What Avro takes as a name; fields called otherwise are left out, and said. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const TIME = { type: "long", logicalType: "timestamp-millis" };

export interface AvroLayout {
  readonly schema: { readonly type: "record"; readonly fields: readonly AvroField[] };
  /** Names that no Avro field can have. */
  readonly left: readonly string[];
  /** A row under whatever names as the record's fields; what the schema does not name is left out. */
  record(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
}

/**
 * A field that need not be there is a union with null, and null by default, so that later schemas may add such fields. Times are
 * milliseconds; a field that may be a text or a whole number is a union of both.
 */
export function avroLayout(pipeline: Pipeline, schema: object): AvroLayout {
  const { columns, name, canonical } = pipeline;
  const { required } = schema as { readonly required?: unknown };
  const needed = new Set<unknown>(Array.isArray(required) ? required : []);
  const known = [...schemaFields(schema)].filter(([field]) => field !== columns.label);
  const fields = known
    .filter(([field]) => NAME.test(field))
    .map(([field, said]): AvroField => {
      const types = [(said as { readonly type?: unknown } | null)?.type].flat();
      const branches = field === columns.time ? [TIME] : branchesOf(types);
      if (needed.has(field) && !types.includes("null")) {
        return { name: field, type: branches.length === 1 ? branches[0] : branches };
      }
      return { name: field, type: ["null", ...branches], default: null };
    });
  const kinds = new Map(
    known.map(([field, said]) => [field, [(said as { readonly type?: unknown } | null)?.type].flat()]),
  );
  const nameOf = nameFolder(canonical, kinds.keys());
  return {
    schema: Object.freeze({ type: "record", name: recordName(name), namespace: "sentinel", fields }),
    left: known.map(([field]) => field).filter((field) => !NAME.test(field)),
    record: (row) => recordOf(row, { fields, nameOf, time: columns.time, kinds }),
  };
}

function branchesOf(types: readonly unknown[]): readonly string[] {
  const branches: string[] = [];
  if (types.includes("string")) branches.push("string");
  if (types.includes("number")) branches.push("double");
  else if (types.includes("integer")) branches.push("long");
  if (types.includes("boolean")) branches.push("boolean");
  return branches.length === 0 ? ["string"] : branches;
}

function recordOf(
  row: Readonly<Record<string, unknown>>,
  as: {
    readonly fields: readonly AvroField[];
    readonly nameOf: NameOf;
    readonly time: string;
    readonly kinds: ReadonlyMap<string, readonly unknown[]>;
  },
): Record<string, unknown> {
  const named = new Map(Object.entries(row).map(([name, value]) => [as.nameOf(name), value]));
  return Object.fromEntries(
    as.fields.map(({ name }) => {
      const value = named.get(name);
      if (value === undefined || value === null) return [name, null];
      if (name === as.time) return [name, typeof value === "string" ? Date.parse(value) : Number(value)];
      return [name, valueAs(as.kinds.get(name) ?? [], value)];
    }),
  );
}

/** A table knows fewer types than JSON: its keys may be numbers where the schema wants texts. */
function valueAs(types: readonly unknown[], value: unknown): unknown {
  const isNumeric = types.includes("number") || types.includes("integer");
  if (typeof value === "number" && !isNumeric) return String(value);
  if (
    typeof value === "number" &&
    !types.includes("number") &&
    !Number.isSafeInteger(value) &&
    types.includes("string")
  ) {
    return String(value);
  }
  if (typeof value === "string" && !types.includes("string") && isNumeric) return Number(value);
  return value;
}

function recordName(pipeline: string): string {
  const words = pipeline.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const name = words.map((word) => word[0].toUpperCase() + word.slice(1)).join("");
  return /^[A-Za-z]/.test(name) ? name : `T${name}`;
}
