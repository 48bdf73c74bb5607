// The registry's SQLite file: opened at first use, reopened when it was replaced, waited for when it is busy, its errors in plain words.
import { type BigIntStats, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SentinelError } from "../../../core/errors.ts";
import type { Clock } from "../../../ports/ports.ts";
import { makeFolder } from "../../files/durable.ts";
import { inPlainWords, isBusy } from "./errors.ts";
import { addJournalColumn, createJournalTable, createTables, kindOf } from "./schema.ts";
import type { Cell, Row, Sql } from "./sql.ts";

/** How long SQLite itself waits, with the whole process standing still. */
const BUSY_MS_BLOCKING = 50;
/** A commit only waits for readers that are already reading. */
const COMMIT_MS_BLOCKING = 5_000;
/** How long to wait for other writers in all, and between two attempts. */
const BUSY_MS_MAX = 15_000;
const BUSY_MS_PAUSE = 20;

export class RegistryDatabase {
  readonly file: string;
  readonly #dir: string;
  readonly #clock: Clock;
  #open: Connection | null = null;
  #known = false;

  constructor(options: { readonly dir: string; readonly clock: Clock }) {
    this.#dir = options.dir;
    this.file = path.join(options.dir, "mlflow.db");
    this.#clock = options.clock;
  }

  /** Asks the file, or answers `absent` when there is none yet: reading makes no files. */
  async read<T>(ask: (sql: Sql) => T, options: { readonly absent: T }): Promise<T> {
    return this.#patiently("read", async () => {
      const sql = await this.#connection();
      if (sql === null && this.#known) throw this.#gone();
      return sql?.isRegistry() ? ask(sql) : options.absent;
    });
  }

  /** Runs a change as one transaction; makes folder, file and tables when they are missing. */
  async write<T>(change: (sql: Sql) => T): Promise<T> {
    return this.#patiently("write", async () => {
      await makeFolder(this.#dir);
      const sql = (await this.#connection()) ?? (await this.#connect());
      return sql.transaction(() => {
        if (!sql.isRegistry()) createTables(sql, this.#clock.now());
        else if (!sql.has("sentinel_journal")) createJournalTable(sql);
        else if (!sql.has("sentinel_journal", "also")) addJournalColumn(sql);
        return change(sql);
      });
    });
  }

  close(): void {
    this.#open?.close();
    this.#open = null;
  }

  /** The open file; null when there is none. Another file under the same name (restored, replaced) is opened again. */
  async #connection(): Promise<Connection | null> {
    const seen = statOf(this.file);
    const identity = seen === undefined ? "" : `${seen.dev}/${seen.ino}`;
    if (this.#open !== null && this.#open.identity !== identity) this.close();
    if (this.#open !== null) return this.#open;
    return seen === undefined ? null : this.#connect();
  }

  async #connect(): Promise<Connection> {
    const { default: Database } = await import("libsql");
    const database = new Database(this.file);
    const { dev, ino } = statSync(this.file, { bigint: true });
    this.#known = true;
    this.#open = new Connection(database, { file: this.file, identity: `${dev}/${ino}` });
    return this.#open;
  }

  /** A server must not take a volume that went away for a registry without a champion. */
  #gone(): SentinelError {
    return new SentinelError("registry.missing", `the registry ${this.file} was there and is gone`, {
      hint: "mount or restore it; to start an empty one, restart Sentinel",
    });
  }

  /** Tries again while another process has the file; other errors become Sentinel's. */
  async #patiently<T>(doing: "read" | "write", attempt: () => Promise<T>): Promise<T> {
    const deadline = this.#clock.elapsed() + BUSY_MS_MAX;
    for (;;) {
      try {
        return await attempt();
      } catch (cause) {
        if (cause instanceof SentinelError) throw cause;
        if (!isBusy(cause) || this.#clock.elapsed() > deadline)
          throw inPlainWords(cause, { doing, file: this.file, waitedMs: BUSY_MS_MAX });
        await sleep(BUSY_MS_PAUSE);
      }
    }
  }
}

/** undefined where there is no file, also under something that is no folder (which Node 20 throws and 24 does not). */
function statOf(file: string): BigIntStats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false, bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The part of libsql that is used here. */
interface Database {
  prepare(text: string): { all(...values: Cell[]): unknown[]; run(...values: Cell[]): { changes: number } };
  exec(text: string): unknown;
  close(): unknown;
}

class Connection implements Sql {
  readonly identity: string;
  readonly #database: Database;
  readonly #file: string;
  readonly #statements = new Map<string, ReturnType<Database["prepare"]>>();
  /** Of SQLite's count of schema changes, as last seen: MLflow may migrate the file while it is open here. */
  #schema = -1;
  #kind: "empty" | "registry" = "empty";
  readonly #columns = new Map<string, ReadonlySet<string>>();

  constructor(database: Database, options: { readonly file: string; readonly identity: string }) {
    this.#database = database;
    this.#file = options.file;
    this.identity = options.identity;
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS_BLOCKING}`);
  }

  all(text: string, ...values: Cell[]): Row[] {
    return this.#prepared(text).all(...values) as Row[];
  }

  run(text: string, ...values: Cell[]): number {
    return this.#prepared(text).run(...values).changes;
  }

  script(text: string): void {
    this.#database.exec(text);
  }

  has(table: string, column?: string): boolean {
    const columns = this.#columnsOf(table);
    return column === undefined ? columns.size > 0 : columns.has(column);
  }

  scope(table: string): string {
    return this.#columnsOf(table).has("workspace") ? `${table}.workspace = 'default'` : "1";
  }

  isRegistry(): boolean {
    const schema = Number(this.all("PRAGMA schema_version")[0].schema_version);
    if (schema !== this.#schema) {
      this.#columns.clear();
      this.#kind = kindOf(this, this.#file);
      this.#schema = schema;
    }
    return this.#kind === "registry";
  }

  /** Immediate: a change that first reads never has to fail when it then writes. Full sync: done means on disk. */
  transaction<T>(change: () => T): T {
    this.#database.exec("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
    try {
      const result = change();
      this.#database.exec(`PRAGMA busy_timeout = ${COMMIT_MS_BLOCKING}`);
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#schema = -1;
      this.#rollBack();
      throw error;
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS_BLOCKING}`);
    }
  }

  close(): void {
    this.#database.close();
  }

  /** SQLite has rolled back by itself after some errors (disk full); then this fails, and the first error is the one to tell. */
  #rollBack(): void {
    try {
      this.#database.exec("ROLLBACK");
    } catch {}
  }

  #prepared(text: string): ReturnType<Database["prepare"]> {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  #columnsOf(table: string): ReadonlySet<string> {
    let columns = this.#columns.get(table);
    if (columns === undefined) {
      columns = new Set(this.all(`PRAGMA table_info("${table}")`).map(({ name }) => String(name)));
      this.#columns.set(table, columns);
    }
    return columns;
  }
}
