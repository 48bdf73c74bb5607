// What a record's bytes say: JSON, or Avro by a schema registry.
import { isUtf8 } from "node:buffer";
import { SentinelError } from "../core/errors.ts";
import { parseJson } from "../online/json.ts";
import type { Schemas } from "../ports/schemas.ts";
import type { Streams } from "../ports/stream.ts";

/** A record as JSON has it; a promise where its schema must be asked for. Throws `request.malformed`, schemas.*. */
export type Decode = (value: Uint8Array) => unknown | Promise<unknown>;

/** Throws `config.invalid` where the pipeline wants Avro and no registry is named, `stream.unsupported` where records are lines. */
export function decoderOf(
  format: "json" | "avro",
  from: { readonly schemas: Schemas | null; readonly streams: Streams },
): Decode {
  if (format === "json") return decodeJson;
  const { schemas, streams } = from;
  if (!streams.binary) {
    throw new SentinelError("stream.unsupported", `stream.format is avro, and ${streams.where} holds lines of text`, {
      hint: "set SENTINEL_KAFKA_BROKERS; or stream.format: json for files",
    });
  }
  if (schemas === null) {
    throw new SentinelError("config.invalid", "stream.format is avro, and no schema registry is named", {
      hint: "set SENTINEL_SCHEMA_REGISTRY_URL, such as http://host:8081",
    });
  }
  return (value) => schemas.decode(value);
}

/** Throws `request.malformed`. */
export function decodeJson(value: Uint8Array): unknown {
  if (!isUtf8(value)) {
    throw new SentinelError("request.malformed", "the record is no UTF-8", {
      hint: "write JSON in UTF-8, without a compression or an encoding of your own; for Avro set stream.format: avro",
    });
  }
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
  return parseJson(text, "the record");
}
