// The dialect of kysely for libsql: one connection, one transaction at a time; statements run at once and never wait inside SQLite.
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type Database from "libsql";

/** libsql aborts the process on other types (booleans), and binds whole numbers and others as doubles. */
type Cell = string | number | null;

/** Statements that are kept ready: those that a server runs again and again, and some of each size of a batch. */
const KEPT_MAX = 100;
/** Characters of one: a long one, of many rows, is prepared anew. */
const KEPT_LENGTH_MAX = 20_000;

export function libsqlDialect(db: Database.Database): Dialect {
  return {
    createDriver: () => new LibsqlDriver(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (sql) => new SqliteIntrospector(sql),
  };
}

class LibsqlDriver implements Driver {
  readonly #db: Database.Database;
  readonly #connection: DatabaseConnection;
  #last: Promise<void> = Promise.resolve();
  #release: () => void = () => {};

  constructor(db: Database.Database) {
    this.#db = db;
    const statements = new Statements(db);
    this.#connection = {
      async executeQuery(query) {
        const result = execute<never>(statements, query);
        // Statements run on the thread that answers: what else waits there comes between two of them.
        await breathe();
        return result;
      },
      streamQuery: noStream,
    };
  }

  async init(): Promise<void> {}

  /** In turn: what one transaction reads is not changed by another of this process. */
  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last;
    let release = (): void => {};
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    this.#release = release;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  /** With the right to write from the beginning: one that is asked for later may be refused when others wrote meanwhile. */
  async beginTransaction(): Promise<void> {
    this.#db.exec("BEGIN IMMEDIATE");
  }

  async commitTransaction(): Promise<void> {
    this.#db.exec("COMMIT");
  }

  async rollbackTransaction(): Promise<void> {
    if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
  }

  async destroy(): Promise<void> {
    this.#db.close();
  }
}

/** Statements that are ready to run, by their text: to prepare one takes longer than to run it. */
class Statements {
  readonly #db: Database.Database;
  readonly #ready = new Map<string, Database.Statement>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /** The longest unused one goes first. */
  of(text: string): Database.Statement {
    const known = this.#ready.get(text);
    if (known !== undefined) this.#ready.delete(text);
    const statement = known ?? this.#db.prepare(text);
    if (text.length <= KEPT_LENGTH_MAX) this.#ready.set(text, statement);
    if (this.#ready.size > KEPT_MAX) this.#ready.delete(this.#ready.keys().next().value!);
    return statement;
  }
}

function execute<Row>(statements: Statements, query: CompiledQuery): QueryResult<Row> {
  const statement = statements.of(query.sql);
  const cells = query.parameters.map(cellOf);
  if (statement.reader) return { rows: statement.all(cells) as Row[] };
  const { changes } = statement.run(cells);
  return { rows: [], numAffectedRows: BigInt(changes) };
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function cellOf(value: unknown): Cell {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  throw new Error(`assertion failed: a ${typeof value} is bound to a statement of the store`);
}

// biome-ignore lint/correctness/useYield: kysely asks for the method; nothing streams, since one connection serves all.
async function* noStream(): AsyncGenerator<never> {
  throw new Error("assertion failed: the embedded store streams nothing");
}
