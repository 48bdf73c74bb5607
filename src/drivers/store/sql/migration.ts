// A migration: one step of the tables, written once for both databases.
import { type Kysely, sql as raw } from "kysely";

/** Words of column types that differ between the databases. */
export interface ColumnTypes {
  readonly kind: "embedded" | "postgres";
  /** Of PostgreSQL; null: embedded. */
  readonly schema: string | null;
  /** Whole numbers to 2^53. */
  readonly whole: ReturnType<typeof raw>;
  readonly real: ReturnType<typeof raw>;
  /** JSON that the database may look into. */
  readonly json: ReturnType<typeof raw>;
  /** The full name of something that is made here, for statements that are written out. */
  readonly named: (name: string) => ReturnType<typeof raw>;
}

export interface Migration {
  readonly name: string;
  /** Tables are named plainly: a migration never sees what later ones make of them. */
  // biome-ignore lint/suspicious/noExplicitAny: a migration works on tables as they were then, which have no types.
  up(sql: Kysely<any>, types: ColumnTypes): Promise<void>;
}

/** Types of an embedded database; with a PostgreSQL schema those of PostgreSQL. */
export function columnTypes(schema: string | null): ColumnTypes {
  if (schema === null) {
    return {
      kind: "embedded",
      schema,
      whole: raw`integer`,
      real: raw`real`,
      json: raw`text`,
      named: (name) => raw`${raw.id(name)}`,
    };
  }
  const named = (name: string) => raw`${raw.id(schema, name)}`;
  return { kind: "postgres", schema, whole: raw`bigint`, real: raw`double precision`, json: raw`jsonb`, named };
}
