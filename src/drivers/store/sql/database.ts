// A store's database as its parts use it: reads and whole transactions, tried again while others are in the way, with errors in plain words.
import { setTimeout as sleep } from "node:timers/promises";
import type { CompiledQuery } from "kysely";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import type { Tenant } from "../../../core/tenant.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { Sql, SqlTransaction } from "./tables.ts";
import { scoped } from "./tenant-scope.ts";

/**
 * What a vendor's error means. `busy`: another one writes, try again; `taken`: a unique value is there already; `away`: nobody answers, or not in
 * time; `denied`: we are not let in; `full`: no space; `corrupt`: the data cannot be read; `shape`: tables or columns are not as they should be.
 */
export type Fault = "busy" | "taken" | "away" | "denied" | "full" | "corrupt" | "shape" | "refused";

/** A database of one vendor, opened. */
export interface Vendor {
  readonly kind: "embedded" | "postgres";
  /** For people; never a password. */
  readonly where: string;
  /** Makes the text of statements; what runs one asks for whom. */
  readonly sql: Sql;
  /** Null: no error of the vendor's, so a bug of ours. */
  faultOf(error: unknown): Fault | null;
  read<T>(ask: (sql: Sql) => Promise<T>, options: { readonly tenant: Tenant | null }): Promise<T>;
  /** Runs a transaction; `durable`: it is on the disk when it is done. */
  transaction<T>(change: (sql: SqlTransaction) => Promise<T>, options: WriteOptions): Promise<T>;
  /** One statement that is a transaction of its own, durable; its rows. */
  once<Row>(statement: CompiledQuery, options: { readonly tenant: Tenant | null }): Promise<readonly Row[]>;
  /** Changes whenever somebody else wrote, on whatever connection but {@link transaction}'s; absent where only a question would tell. */
  elsewhere?(): number;
  /** What erasing needs beyond SQL that all vendors have. */
  readonly erasing: Erasing;
  close(): Promise<void>;
}

/** For whom, where the database itself keeps tenants apart too; null: for whoever runs the server. */
export interface WriteOptions {
  readonly durable: boolean;
  readonly tenant: Tenant | null;
}

export interface Erasing {
  /** Before the first row: deleted bytes are overwritten from now on, where the vendor can. */
  begin(): Promise<void>;
  /** Lets sealed entries of a table be changed within this transaction, and afterwards no more. */
  unseal(sql: SqlTransaction, table: string): Promise<void>;
  seal(sql: SqlTransaction, table: string): Promise<void>;
  /** Afterwards no file of these tables has bytes of before. Errors: the vendor's. */
  clean(tables: readonly string[]): Promise<void>;
}

/** How long others may be in the way, and how long to wait between two attempts. */
const BUSY_MS_MAX = 10_000;
const BUSY_MS_PAUSE = 10;

/** The rows of one tenant, in whatever is asked of it. */
export class Database {
  readonly vendor: Vendor;
  readonly tenant: Tenant;
  /** For the text of statements that {@link writeOnce} is given. */
  readonly sql: Sql;
  readonly clock: Pick<Clock, "elapsed">;
  /** Writes of this tenant here that ended, well or not. */
  private writes = 0;

  constructor(vendor: Vendor, { clock, tenant }: { readonly clock: Pick<Clock, "elapsed">; readonly tenant: Tenant }) {
    this.vendor = vendor;
    this.tenant = tenant;
    this.sql = scoped(vendor.sql, tenant);
    this.clock = clock;
  }

  /** Errors: store.unreachable, store.unreadable. */
  read<T>(ask: (sql: Sql) => Promise<T>): Promise<T> {
    const { vendor, tenant } = this;
    return patiently(this, "read", () => vendor.read((sql) => ask(scoped(sql, tenant)), { tenant }));
  }

  /** One transaction; without `durable` a power cut may take it, never half of it. Errors: store.unreachable, store.unwritable. */
  write<T>(change: (sql: SqlTransaction) => Promise<T>, { durable = true } = {}): Promise<T> {
    const { vendor, tenant } = this;
    return this.writing(
      patiently(this, "write", () => vendor.transaction((sql) => change(scoped(sql, tenant)), { durable, tenant })),
    );
  }

  /** One statement that is a durable transaction of its own, which saves asking twice more. Errors: as {@link write}. */
  writeOnce<Row>(statement: CompiledQuery): Promise<readonly Row[]> {
    const { vendor, tenant } = this;
    return this.writing(patiently(this, "write", () => vendor.once<Row>(statement, { tenant })));
  }

  /**
   * A read for those who ask again and again: while nothing was written that could change it, by this tenant here or by anybody elsewhere, its
   * last answer is given and the database is not asked. Where nobody can tell it always is. Errors: as {@link read}.
   */
  kept<T>(ask: (sql: Sql) => Promise<T>): () => Promise<T> {
    let last: { readonly stamp: string; readonly value: T } | null = null;
    return async () => {
      const stamp = this.stamp();
      if (stamp !== null && last?.stamp === stamp) return last.value;
      const value = await this.read(ask);
      // What was written meanwhile has another stamp.
      last = stamp === null ? null : { stamp, value };
      return value;
    };
  }

  /** Null where nobody can tell. */
  private stamp(): string | null {
    try {
      const elsewhere = this.vendor.elsewhere?.();
      return elsewhere === undefined ? null : `${this.writes} ${elsewhere}`;
    } catch {
      // The question itself says what is wrong.
      return null;
    }
  }

  private async writing<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.writes++;
    }
  }

  /** Whether an error says that a unique value is there already. */
  isTaken(error: unknown): boolean {
    return this.vendor.faultOf(error) === "taken";
  }
}

/** Tries again while others are in the way. Errors: store.*, and what says that a unique value is there already. */
export async function patiently<T>(
  { vendor, clock }: { readonly vendor: Vendor; readonly clock: Pick<Clock, "elapsed"> },
  doing: "read" | "write",
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = clock.elapsed() + BUSY_MS_MAX;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof SentinelError) throw error;
      const fault = vendor.faultOf(error);
      // A unique value that is there already is for the caller to name.
      if (fault === null || fault === "taken") throw error;
      if (fault !== "busy" || clock.elapsed() > deadline) throw inPlainWords(vendor.where, { error, fault, doing });
      await sleep(BUSY_MS_PAUSE);
    }
  }
}

/** What a vendor said, as the store's own error. */
export function inPlainWords(
  where: string,
  what: { readonly error: unknown; readonly fault: Fault; readonly doing: "open" | "read" | "write" },
): SentinelError {
  const { error: cause, fault, doing } = what;
  const message = messageOf(cause);
  if (fault === "away" || fault === "denied" || fault === "busy") {
    return new SentinelError("store.unreachable", `the store ${where} does not answer: ${message}`, {
      hint: HINTS[fault],
      cause,
    });
  }
  if (fault === "corrupt" || fault === "shape" || doing === "read") {
    return new SentinelError("store.unreadable", `the store ${where} cannot be read: ${message}`, {
      hint: fault === "shape" ? HINTS.shape : HINTS.corrupt,
      cause,
    });
  }
  return new SentinelError("store.unwritable", `cannot write the store ${where}: ${message}`, {
    hint: fault === "full" ? HINTS.full : HINTS.refused,
    cause,
  });
}

const HINTS = {
  away: "is it running, and reachable from here? What was known goes on; try again when it is back",
  denied: "check user, password and database in SENTINEL_DATABASE_URL, and what the server lets in",
  busy: "another process has been writing for long: see which (`sentinel doctor`), then try again",
  full: "make room on its disk; then try again",
  refused: "check that it may be written to; `sentinel doctor` says which store this is",
  corrupt: "restore it from a backup, or move it away: a new one is made",
  shape: "its tables are not those of this version: `sentinel db status` shows which it has",
} as const;
