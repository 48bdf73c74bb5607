// A DuckDB connection for one piece of work: own limits, no extensions from the network, times in UTC.
import type { DuckDBConnection } from "@duckdb/node-api";

export type Connection = DuckDBConnection;

export interface DuckDbLimits {
  /** Most memory DuckDB's own buffers may take, in its spelling: "2GB". */
  readonly memoryLimit: string;
  readonly threads: number;
  /** Where rows beyond the memory may go for a while; absent or "": nowhere, work that needs more fails. */
  readonly spill?: string;
}

/** Runs `work` on a fresh in-memory database that is closed afterwards. */
export async function withDuckDb<T>(limits: DuckDbLimits, work: (connection: Connection) => Promise<T>): Promise<T> {
  const database = await openDuckDb(limits);
  try {
    return await work(database.connection);
  } finally {
    database.close();
  }
}

/** A fresh in-memory database, for work that ends elsewhere. */
export async function openDuckDb(limits: DuckDbLimits): Promise<{ readonly connection: Connection; close(): void }> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    memory_limit: limits.memoryLimit,
    threads: String(limits.threads),
    // Without this, rows over the memory limit would spill into a folder made in the current one.
    temp_directory: limits.spill ?? "",
  });
  try {
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    return {
      connection,
      close() {
        connection.closeSync();
        instance.closeSync();
      },
    };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

/** A text as an SQL literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as an SQL identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
