// The embedded store: one SQLite file, made when absent and brought to this version's tables when it is opened.
import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CompiledQuery, Kysely, sql as raw } from "kysely";
import Database from "libsql";
import { SentinelError } from "../../../core/errors.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../../../core/private.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { StoreTables } from "../../../ports/store.ts";
import { type Erasing, inPlainWords, type Vendor } from "../sql/database.ts";
import { createSqlStores, type SqlStores } from "../sql/driver.ts";
import { migrate, type SchemaPlace, schemaOf } from "../sql/migrate.ts";
import { columnTypes } from "../sql/migration.ts";
import type { Tables } from "../sql/tables.ts";
import { createCheckpointer } from "./checkpoint.ts";
import { libsqlDialect } from "./dialect.ts";
import { faultOf } from "./errors.ts";
import { singleStatements } from "./once.ts";
import { together } from "./together.ts";

/** "SNTS": marks the file as a Sentinel store, so that another program's database is never mistaken for one. */
const APPLICATION_ID = 0x534e5453;
/**
 * How long SQLite itself waits for another writer: it would do so with the whole thread standing still, in which the other one may be at work.
 * Whoever meets a lock tries again a little later instead.
 */
const BUSY_MS_BLOCKING = 0;
/** Checkpoints run elsewhere (checkpoint.ts); 80 MB beside the file is the bound should they fail. */
const WAL_PAGES_MAX = 20_000;
/** Pages that a connection keeps, in KiB: what a filter looks through (ten thousand alerts of about a kilobyte) and the branches of the indexes. */
const CACHE_KIB = 65_536;
/** How long opening tries while other processes are just making the file. */
const OPEN_MS_MAX = 10_000;
const OPEN_MS_PAUSE = 10;
/** How often the file is asked for alone, when it is to be written anew. */
const CLEAN_TRIES_MAX = 1000;

export interface LibsqlStoreOptions {
  readonly file: string;
  readonly clock: Pick<Clock, "elapsed">;
  /** Version to bring the tables to; for tests of what earlier versions left. */
  readonly to?: number;
}

/** Errors: store.unreachable, store.unreadable, store.unwritable, store.schema-new. */
export async function openLibsqlStore({ file, clock, to }: LibsqlStoreOptions): Promise<SqlStores> {
  const { db, sql, place } = await connect(file, clock);
  try {
    await patiently(clock, () => migrate(place, { to }));
  } catch (error) {
    db.close();
    throw inWords(error, file);
  }
  return createSqlStores(vendorOf(file, { db, sql }), { clock, place });
}

/** The tables of an embedded store, whatever version they have. */
export function libsqlTables({ file, clock }: LibsqlStoreOptions): StoreTables {
  const use = async <T>(ask: (place: SchemaPlace) => Promise<T>): Promise<T> => {
    const { db, place } = await connect(file, clock);
    try {
      return await patiently(clock, () => ask(place));
    } catch (error) {
      throw inWords(error, file);
    } finally {
      db.close();
    }
  };
  return { where: file, kind: "embedded", schema: () => use(schemaOf), migrate: () => use((place) => migrate(place)) };
}

interface Connected {
  readonly db: Database.Database;
  readonly sql: Kysely<Tables>;
  readonly place: SchemaPlace;
}

async function connect(file: string, clock: Pick<Clock, "elapsed">): Promise<Connected> {
  const db = await opened(file, clock);
  const sql = new Kysely<Tables>({ dialect: libsqlDialect(db) });
  const place: SchemaPlace = {
    rowSecurity: async () => "none",
    types: columnTypes(null),
    version: async () => pragma(db, "user_version"),
    exclusively: (apply) =>
      sql.transaction().execute(async (inside) => {
        const version = pragma(db, "user_version");
        db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
        const next = await apply(inside, version);
        db.exec(`PRAGMA user_version = ${next}`);
      }),
  };
  return { db, sql, place };
}

function vendorOf(file: string, { db, sql }: Omit<Connected, "place">): Vendor {
  const checkpointer = createCheckpointer(file);
  const single = singleStatements(file);
  const version = db.prepare("PRAGMA data_version");
  /** What was last set on the connection; null: nothing yet. */
  let isDurable: boolean | null = null;
  return {
    kind: "embedded",
    where: file,
    sql,
    faultOf,
    read: (ask) => ask(sql),
    transaction: together(async (work, { durable }) => {
      await sql.connection().execute((own) => {
        // Only before a transaction begins may this be said.
        if (durable !== isDurable) db.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
        isDurable = durable;
        return own.transaction().execute(work);
      });
      checkpointer.written();
    }),
    async once<Row>(statement: CompiledQuery) {
      const rows = await single.run<Row>(statement);
      checkpointer.written();
      return rows;
    },
    elsewhere: () => (version.all([]) as readonly { readonly data_version: number }[])[0].data_version,
    erasing: erasingOf(db),
    async close() {
      await single.close();
      await checkpointer.close();
      await sql.destroy();
    },
  };
}

function erasingOf(db: Database.Database): Erasing {
  /** Triggers of the table that is open, as they are made again. */
  let triggers: readonly { readonly name: string; readonly sql: string }[] = [];
  return {
    async begin() {
      db.exec("PRAGMA secure_delete = ON");
    },
    // Statements that are written out whole have no tenant: triggers are of all.
    async unseal(scoped, table) {
      const sql = scoped.withoutPlugins();
      const found = await raw<{ readonly name: string; readonly sql: string }>`
        select name, sql from sqlite_master where type = 'trigger' and tbl_name = ${table}`.execute(sql);
      triggers = found.rows;
      for (const { name } of triggers) await raw`drop trigger ${raw.ref(name)}`.execute(sql);
    },
    async seal(sql) {
      for (const trigger of triggers) await raw.raw(trigger.sql).execute(sql.withoutPlugins());
    },
    async clean() {
      for (let tries = 1; ; tries++) {
        try {
          db.exec("VACUUM");
          const [log] = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all([]) as readonly { readonly busy: number }[];
          if (log.busy === 0) return;
          throw Object.assign(new Error("another process reads the store"), { code: "SQLITE_BUSY" });
        } catch (error) {
          if (faultOf(error) !== "busy" || tries === CLEAN_TRIES_MAX) throw error;
          await sleep(OPEN_MS_PAUSE);
        }
      }
    },
  };
}

async function opened(file: string, clock: Pick<Clock, "elapsed">): Promise<Database.Database> {
  let db: Database.Database | undefined;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: PRIVATE_FOLDER_MODE });
    makePrivately(file);
    const made = new Database(file);
    db = made;
    made.exec(`PRAGMA busy_timeout = ${BUSY_MS_BLOCKING}`);
    await patiently(clock, async () => recognise(made, file));
    await patiently(clock, async () => made.exec("PRAGMA journal_mode = WAL"));
    made.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}; PRAGMA cache_size = -${CACHE_KIB}`);
    return made;
  } catch (error) {
    db?.close();
    throw inWords(error, file);
  }
}

/** Other processes may be opening the same file in this moment. */
async function patiently<T>(clock: Pick<Clock, "elapsed">, attempt: () => Promise<T>): Promise<T> {
  const deadline = clock.elapsed() + OPEN_MS_MAX;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (faultOf(error) !== "busy" || clock.elapsed() > deadline) throw error;
      await sleep(OPEN_MS_PAUSE);
    }
  }
}

/** An empty file is a new database, and SQLite gives its companions (-wal, -shm) the database's own mode. */
function makePrivately(file: string): void {
  try {
    closeSync(openSync(file, "wx", PRIVATE_FILE_MODE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Refuses a database of another program. */
function recognise(db: Database.Database, file: string): void {
  const { tables } = db.prepare("SELECT count(*) AS tables FROM sqlite_master").get([]) as { readonly tables: number };
  if (tables === 0 || pragma(db, "application_id") === APPLICATION_ID) return;
  throw new SentinelError("store.unreadable", `${file} is a database of another program`, {
    hint: "move it away: a new store is made",
  });
}

function pragma(db: Database.Database, name: "user_version" | "application_id"): number {
  return (db.prepare(`PRAGMA ${name}`).get([]) as Readonly<Record<string, number>>)[name];
}

function inWords(error: unknown, file: string): unknown {
  const fault = error instanceof SentinelError ? null : faultOf(error);
  return fault === null ? error : inPlainWords(file, { error, fault, doing: "open" });
}
