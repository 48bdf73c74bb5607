// A transaction in a message: a Struct or the bytes of its JSON, as the same value that a door over HTTP parses.
import { SentinelError } from "../core/errors.ts";
import { invalidRequest } from "../online/faults.ts";
import { parseJsonBytes } from "../online/json.ts";
import type { Message } from "./contract.ts";

/** A google.protobuf.Value. */
interface StructValue {
  readonly kind?: "nullValue" | "numberValue" | "stringValue" | "boolValue" | "structValue" | "listValue";
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly structValue?: StructFields;
  readonly listValue?: { readonly values?: readonly StructValue[] };
}

interface StructFields {
  readonly fields?: Readonly<Record<string, StructValue>>;
}

/** As deep as JSON may be nested. */
const DEPTH_MAX = 64;

/** The transaction of a request, as JSON would bring it. Throws `request.malformed`, `request.invalid` where there is none. */
export function transactionIn(request: Message): unknown {
  const { json, fields } = request as { readonly json?: Uint8Array; readonly fields?: StructFields };
  if (json !== undefined) return parseJsonBytes(json);
  if (fields !== undefined) return structOf(fields, 0);
  throw invalidRequest([{ field: "transaction", message: "is missing: set fields or json" }], "the message");
}

function structOf({ fields = {} }: StructFields, depth: number): Record<string, unknown> {
  if (depth === DEPTH_MAX) throw malformed(`is nested deeper than ${DEPTH_MAX}`, "send flat objects");
  // Without a prototype: a field may be called __proto__.
  const record = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(fields)) record[name] = jsonOf(fields[name], depth);
  return record;
}

function jsonOf(value: StructValue, depth: number): unknown {
  switch (value.kind) {
    case "nullValue":
      return null;
    case "numberValue":
      if (Number.isFinite(value.numberValue)) return value.numberValue;
      throw malformed(
        "holds a number that is not finite",
        "send numbers within ±1.7e308, and null for what is missing",
      );
    case "stringValue":
      return value.stringValue;
    case "boolValue":
      return value.boolValue;
    case "structValue":
      return structOf(value.structValue!, depth + 1);
    case "listValue":
      if (depth + 1 === DEPTH_MAX) throw malformed(`is nested deeper than ${DEPTH_MAX}`, "send flat objects");
      return (value.listValue!.values ?? []).map((one) => jsonOf(one, depth + 1));
    default:
      throw malformed("holds a Value without a kind", "set null_value for what is missing, or leave the field out");
  }
}

function malformed(what: string, hint: string): SentinelError {
  return new SentinelError("request.malformed", `the Struct ${what}`, { hint });
}
