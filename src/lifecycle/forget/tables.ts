// A person in the tables of a workspace: those of retrainings are made again without the person, those under data/ only where that was asked for.
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import type { Eraser } from "../../core/erasure.ts";
import type { Dataset } from "../../ports/dataset.ts";
import type { ForgottenPlace } from "./receipt.ts";

/** A table that names the person. */
export interface DataTable {
  /** Below the workspace. */
  readonly file: string;
  readonly rows: number;
  readonly erased: boolean;
}

const TABLE = /\.(parquet|csv|tsv|ndjson|jsonl)(\.gz)?$/i;
/** What drivers and files.ts look after. */
const OTHERS = /^data\/(stream|archive)\/|(^|\/)date=[^/]*\//;
const RETRAINED = /^data\/retrain\//;
/** Tables of a workspace. */
const TABLES_MAX = 100_000;

/** Whether a file is a table under data/. */
export function isTable(workspace: string, file: string): boolean {
  const below = path.relative(workspace, file).split(path.sep).join("/");
  return below.startsWith("data/") && !OTHERS.test(below) && TABLE.test(below);
}

export async function eraseFromTables(
  workspace: string,
  on: {
    readonly dataset: Dataset;
    readonly eraser: Eraser;
    readonly names: { readonly names: ReadonlySet<string>; readonly personal: ReadonlySet<string> };
    readonly write: boolean;
    readonly data: boolean;
  },
): Promise<{ readonly places: readonly ForgottenPlace[]; readonly data: readonly DataTable[] }> {
  const places: ForgottenPlace[] = [];
  const data: DataTable[] = [];
  for (const full of tablesBelow(path.join(workspace, "data")).filter((file) => isTable(workspace, file))) {
    const file = path.relative(workspace, full).split(path.sep).join("/");
    const isOurs = RETRAINED.test(file);
    const erases = isOurs || on.data;
    const rows = await on.dataset.erase(full, { ...on.names, eraser: on.eraser, write: on.write && erases });
    if (rows === 0) continue;
    if (erases) places.push({ where: file, what: "rows", found: rows });
    if (!isOurs) data.push({ file, rows, erased: on.data });
  }
  return { places, data };
}

function tablesBelow(folder: string): readonly string[] {
  const found: string[] = [];
  const walk = (below: string): void => {
    let names: readonly string[];
    try {
      names = readdirSync(below);
    } catch {
      return;
    }
    for (const name of [...names].sort()) {
      const file = path.join(below, name);
      if (found.length >= TABLES_MAX) return;
      if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) walk(file);
      else if (TABLE.test(name)) found.push(file);
    }
  };
  walk(folder);
  return found;
}
