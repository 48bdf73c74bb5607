// A person is erased from a store's tables: rows in place; sealed entries keep their seals and say that they were erased, and the audit says what stands there since.
import { sql as raw } from "kysely";
import type { Erased, Eraser } from "../../../core/erasure.ts";
import { type ErasedContent, erasedEntry } from "../../../core/journal.ts";
import type { ErasureRun, Json } from "../../../ports/store.ts";
import { writeAudit } from "./audit.ts";
import { openKey } from "./case-rows.ts";
import type { Database } from "./database.ts";
import type { SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Rows that one transaction looks at: it is over well before a statement or a waiting writer gives up. */
const PAGE_ROWS = 500;
/** Sealed entries that one entry of the audit names. */
const NAMED_MAX = 200;

/** `text` and `folded`: as texts are kept; `json`: JSON, whoever wrote it; `sealed`: an entry of a chain; `set`: a rule set, named by its hash. */
type ColumnKind = "text" | "folded" | "json" | "storedJson" | "sealed" | "set";

/** What may name a person, by table. Every other table holds numbers and names of pipelines, rules and lists. */
export const ERASED_TABLES: Readonly<Record<string, Readonly<Record<string, ColumnKind>>>> = {
  alerts: { transaction_id: "text", entity: "text", rules: "json", reasons: "json", body: "json" },
  cases: { entity: "text", words: "folded", body: "storedJson", assignee: "text", kept_for: "text" },
  case_alerts: { transaction_id: "text" },
  case_events: { words: "text" },
  case_labels: { transaction_id: "text", why: "json", cause: "text" },
  snoozes: { entity: "text", reason: "text" },
  outbox: { happening: "text", body: "storedJson", cause: "text" },
  dead_letters: { happening: "text", body: "storedJson", cause: "text" },
  ledger: { id: "text", body: "storedJson", answer: "storedJson", later_answer: "storedJson" },
  rule_list_changes: { body: "json" },
  rule_sets: { body: "set" },
  pipelines: { fields: "json", settings: "json" },
  rule_journal: { body: "sealed" },
  audit: { subject_id: "text", body: "sealed" },
};

/** Tables that hold nothing of a person; a test compares both lists with what the migrations make. */
export const UNTOUCHED_TABLES: readonly string[] = [
  "alert_hours",
  "alert_rules",
  "alert_totals",
  "case_positions",
  "counters",
  "rule_lists",
  "rule_numbers",
  "store_version",
  "tenants",
];

export async function eraseFromStore(
  database: Database,
  { eraser, run }: { readonly eraser: Eraser; readonly run: ErasureRun | null },
): Promise<readonly Erased[]> {
  const { vendor } = database;
  const erased: Erased[] = [];
  await vendor.erasing.begin();
  for (const [name, columns] of Object.entries(ERASED_TABLES)) {
    const isSealed = Object.values(columns).includes("sealed");
    const table: Table = { name, columns, isSealed };
    let [last, found]: [Row["handle"] | null, number] = [vendor.kind === "embedded" ? 0 : "(0,0)", 0];
    while (last !== null) {
      const after: Row["handle"] = last;
      const page: Page =
        run === null
          ? await database.read((sql) => look(sql as SqlTransaction, table, { database, eraser, after, run }))
          : await database.write((sql) => look(sql, table, { database, eraser, after, run }));
      found += page.found;
      ({ last } = page);
    }
    erased.push({ what: name, found });
  }
  if (run !== null) await vendor.erasing.clean(Object.keys(ERASED_TABLES));
  return erased;
}

interface Table {
  readonly name: string;
  readonly columns: Readonly<Record<string, ColumnKind>>;
  readonly isSealed: boolean;
}

interface Row {
  readonly handle: number | string;
  readonly cells: Readonly<Record<string, unknown>>;
}

interface Page {
  readonly found: number;
  readonly last: Row["handle"] | null;
}

interface Looking {
  readonly database: Database;
  readonly eraser: Eraser;
  readonly after: Row["handle"];
  readonly run: ErasureRun | null;
}

async function look(sql: SqlTransaction, table: Table, on: Looking): Promise<Page> {
  const rows = await rowsOf(sql, table, on);
  const changed = rows.flatMap((row) => {
    const cells = cellsAfter(table, row.cells, on);
    return cells === null ? [] : [{ ...row, after: cells.values, sealed: cells.sealed }];
  });
  if (on.run !== null && changed.length > 0) {
    const open = table.isSealed ? on.database.vendor.erasing : null;
    await open?.unseal(sql, table.name);
    for (const { handle, after } of changed) await update(sql, table.name, { database: on.database, handle, after });
    await open?.seal(sql, table.name);
    // The counter of the audit is held from here on, so that the newest entry is the newest until the end.
    await noteErased(sql, table.name, { run: on.run, sealed: changed.flatMap(({ sealed }) => sealed ?? []) });
  }
  return { found: changed.length, last: rows.length < PAGE_ROWS ? null : rows[rows.length - 1].handle };
}

async function rowsOf(
  sql: SqlTransaction,
  table: Table,
  { database, eraser, after }: Looking,
): Promise<readonly Row[]> {
  const embedded = database.vendor.kind === "embedded";
  const names = Object.keys(table.columns);
  const also = table.name === "cases" ? ["pipeline", "entity_column", "open_key"] : [];
  const text = (name: string) => (embedded ? raw.ref(name) : raw`${raw.ref(name)}::text`);
  const holds = (name: string, needle: string) =>
    embedded ? raw`instr(${text(name)}, ${needle}) > 0` : raw`strpos(${text(name)}, ${needle}) > 0`;
  // JSON of others may spell a value by escapes.
  const needles = eraser.needles === null ? null : [...eraser.needles, "\\"];
  const conditions = (needles ?? []).flatMap((needle) => names.map((name) => holds(name, needle)));
  const where = needles === null ? raw`1 = 1` : raw`(${raw.join(conditions, raw` or `)})`;
  const beyond = embedded ? raw`rowid > ${after}` : raw`ctid > ${after}::tid`;
  const order = embedded ? raw`rowid` : raw`ctid`;
  const handle = embedded ? raw`rowid` : raw`ctid::text`;
  // biome-ignore lint/suspicious/noExplicitAny: any of the tables, by its name
  const any = sql as any;
  const found = (await any
    .selectFrom(table.name)
    .select([handle.as("handle"), ...[...names, ...also].map((name) => text(name).as(name))])
    .where(raw<boolean>`${beyond} and ${where}`)
    .orderBy(order)
    .limit(PAGE_ROWS)
    .execute()) as readonly Readonly<Record<string, unknown>>[];
  return found.map(({ handle: at, ...cells }) => ({ handle: at as Row["handle"], cells }));
}

async function update(
  sql: SqlTransaction,
  table: string,
  {
    database,
    handle,
    after,
  }: {
    readonly database: Database;
    readonly handle: Row["handle"];
    readonly after: Readonly<Record<string, string | null>>;
  },
): Promise<void> {
  const isIt =
    database.vendor.kind === "embedded" ? raw<boolean>`rowid = ${handle}` : raw<boolean>`ctid = ${handle}::tid`;
  // biome-ignore lint/suspicious/noExplicitAny: any of the tables, by its name
  await (sql as any).updateTable(table).set(after).where(isIt).execute();
}

function cellsAfter(
  { name, columns }: Table,
  cells: Row["cells"],
  { eraser, run }: Looking,
): { readonly values: Readonly<Record<string, string | null>>; readonly sealed: ErasedContent | null } | null {
  const values: Record<string, string | null> = {};
  let sealed: ErasedContent | null = null;
  for (const [column, kind] of Object.entries(columns)) {
    const cell = cells[column];
    if (cell === null || cell === undefined) continue;
    const before = String(cell);
    let after = textAfter(before, kind, eraser);
    if (after === null) continue;
    if (kind === "sealed" && run !== null) {
      sealed = erasedEntry(JSON.parse(after), run.receipt);
      after = JSON.stringify(sealed.entry);
    }
    if (kind === "set" && run !== null) after = JSON.stringify({ ...JSON.parse(after), erased: run.receipt });
    values[column] = after;
  }
  if (name === "cases" && values.entity !== undefined && cells.open_key !== null) {
    const entity = { column: unstored(String(cells.entity_column)), value: unstored(values.entity ?? "") };
    values.open_key = openKey(Number(cells.pipeline), { entity });
  }
  return Object.keys(values).length === 0 ? null : { values, sealed };
}

function textAfter(before: string, kind: ColumnKind, eraser: Eraser): string | null {
  if (kind === "text" || kind === "folded") {
    const plain = unstored(before);
    const after = kind === "text" ? eraser.text(plain) : eraser.folded(plain);
    return after === null ? null : stored(after);
  }
  if (kind !== "storedJson") return eraser.json(before);
  const after = eraser.json(unstored(before));
  return after === null ? null : stored(after);
}

/** Whoever checks a chain finds here what an entry that was erased holds since. */
async function noteErased(
  sql: SqlTransaction,
  table: string,
  { run, sealed }: { readonly run: ErasureRun; readonly sealed: readonly ErasedContent[] },
): Promise<void> {
  for (let from = 0; from < sealed.length; from += NAMED_MAX) {
    const some = sealed.slice(from, from + NAMED_MAX);
    const entries: Json = some.map(({ entry, content }) => [entry.index, entry.hash, content]);
    await writeAudit(sql, {
      at: run.by.at,
      actor: run.by.actor,
      action: "forget.seals",
      subject: "forget",
      subjectId: run.receipt,
      pipeline: null,
      reason: "a person was forgotten: these entries keep their seals, and hold this content since",
      before: null,
      after: { table, entries },
    });
  }
}
