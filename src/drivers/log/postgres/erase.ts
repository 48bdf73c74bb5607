// A person is erased from a log in PostgreSQL: rows in place, then the tables are written anew, so that no dead row holds what was there.
import type pg from "pg";
import type { Erased, Eraser } from "../../../core/erasure.ts";
import { createPool, type PostgresAddress } from "../../store/postgres/pool.ts";
import { ERASE_PAGE_ROWS, ERASED_TABLES, type ErasedTable, erasedCells } from "../sql/erase.ts";
import type { Row } from "../sql/rows.ts";
import { using } from "./end.ts";
import type { LogTable } from "./prune.ts";

/** Writing a table of a hundred gigabytes anew takes about so long. */
const VACUUM_MS_MAX = 3_600_000;

export async function eraseRows(
  pool: pg.Pool,
  table: LogTable,
  how: { readonly eraser: Eraser; readonly write: boolean; readonly address: PostgresAddress },
): Promise<readonly Erased[]> {
  const erased: Erased[] = [];
  for (const of of ERASED_TABLES) {
    let [last, found]: [string | null, number] = ["(0,0)", 0];
    while (last !== null) {
      const after: string = last;
      const page: Page = await using(pool, (client) => erasePage(client, table, { of, after, ...how }));
      found += page.found;
      ({ last } = page);
    }
    erased.push({ what: `log_${of.name}`, found });
  }
  if (how.write) await cleanTables(how.address);
  return erased;
}

interface Page {
  readonly found: number;
  readonly last: string | null;
}

async function erasePage(
  client: pg.ClientBase,
  { schema, log }: LogTable,
  on: { readonly of: ErasedTable; readonly after: string; readonly eraser: Eraser; readonly write: boolean },
): Promise<Page> {
  const names = on.of.columns.map(([name]) => name);
  const { needles } = on.eraser;
  const each = (needles ?? []).map((_, i) => names.map((name) => `strpos(${name}, $${i + 3}) > 0`).join(" OR "));
  const where = needles === null ? "" : `AND (${each.join(" OR ")})`;
  const from = `${schema}.log_${on.of.name}`;
  await client.query("BEGIN");
  const { rows } = await client.query<unknown[]>({
    text: `SELECT ctid::text, ${names.join(", ")} FROM ${from} WHERE log = $1 AND ctid > $2::tid ${where}
      ORDER BY ctid LIMIT ${ERASE_PAGE_ROWS} ${on.write ? "FOR UPDATE" : ""}`,
    values: [log, on.after, ...(needles ?? [])],
    rowMode: "array",
  });
  const set = names.map((name, i) => `${name} = $${i + 2}`).join(", ");
  let found = 0;
  for (const [row, ...cells] of rows as readonly Row[]) {
    const after = erasedCells(on.of, cells, on.eraser);
    if (after === null) continue;
    found++;
    if (on.write) await client.query(`UPDATE ${from} SET ${set} WHERE ctid = $1::tid`, [String(row), ...after]);
  }
  await client.query("COMMIT");
  return { found, last: rows.length < ERASE_PAGE_ROWS ? null : String(rows[rows.length - 1][0]) };
}

/** Each log shares these tables with all others: their writers wait meanwhile. */
async function cleanTables(address: PostgresAddress): Promise<void> {
  const pool = createPool(address, { connectionsMax: 1, statementMsMax: VACUUM_MS_MAX });
  try {
    for (const { name } of ERASED_TABLES) await pool.query(`VACUUM (FULL) ${address.schema}.log_${name}`);
  } finally {
    await pool.end();
  }
}
