// The schemas port: records whose layout a registry keeps, read and written by a number that each record carries.

/** One version of a subject. */
export interface SchemaVersion {
  readonly version: number;
  /** What records carry. */
  readonly id: number;
  /** Avro, as JSON. */
  readonly schema: unknown;
}

/** Whether a schema may follow those before it, with reasons where not. */
export interface Compatibility {
  readonly compatible: boolean;
  readonly reasons: readonly string[];
}

/** A field as a reader of JSON sees it. */
export interface WrittenField {
  readonly name: string;
  /** What its values are in JSON: string, number, integer, boolean, null, object, array. */
  readonly types: readonly string[];
}

/** Errors: schemas.unreachable, schemas.invalid, config.invalid. */
export interface Schemas {
  readonly where: string;
  /**
   * The record as JSON would have it; a promise only where its schema was not met before. Throws, or rejects with, `request.malformed` for
   * what is no such record.
   */
  decode(bytes: Uint8Array): unknown | Promise<unknown>;
  /** Registers a schema unless it is there, and gives what writes records by it. Throws `schemas.invalid` when it may not follow the last one. */
  encoder(subject: string, schema: unknown): Promise<(value: Readonly<Record<string, unknown>>) => Uint8Array>;
  /** Oldest first; none for a subject that is not there. */
  versions(subject: string): Promise<readonly SchemaVersion[]>;
  /** Asks the registry by its own rule for the subject, and compares with the newest version here, for reasons. */
  check(subject: string, schema: unknown): Promise<Compatibility>;
  /** What JSON readers see of a schema's records. */
  fields(schema: unknown): readonly WrittenField[];
}

/** Where registries keep the schema of a topic's values. */
export function subjectOf(topic: string): string {
  return `${topic}-value`;
}
