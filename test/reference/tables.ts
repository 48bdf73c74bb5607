// Models of scripts/reference/foreign_tables.py against their own libraries' answers: what a folder holds, and the largest difference.
import { readFileSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../../src/core/errors.ts";
import type { FeatureDef } from "../../src/features/definition.ts";
import type { CategoryMeaning } from "../../src/lifecycle/import/encoders.ts";
import { type Engine, engineOf } from "../../src/lifecycle/import/engine.ts";
import { readForeign } from "../../src/lifecycle/import/read.ts";
import { sigmoid } from "../../src/ml/gbdt/score.ts";

interface ModelOptions {
  readonly missing?: number;
  readonly isMargin?: boolean;
  readonly rounds?: "all";
  readonly fraudClass?: string;
  readonly categories?: CategoryMeaning;
}

export interface Tables {
  readonly libraries: Readonly<Record<string, string>>;
  readonly models: Readonly<Record<string, { readonly file: string; readonly options: ModelOptions }>>;
  /** File → what its refusal says. */
  readonly refused: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
  readonly features: readonly FeatureDef[];
}

export function readTables(folder: string): Tables {
  return JSON.parse(readFileSync(path.join(folder, "index.json"), "utf8")) as Tables;
}

/** The model of a file bound to the table's features, and all that its import says. */
export function bound(
  folder: string,
  file: string,
  options: ModelOptions = {},
): { readonly engine: Engine; readonly notes: readonly string[] } {
  const { columns: names, features } = readTables(folder);
  const { model } = readForeign(path.join(folder, file), options);
  const columns = (model.names ?? names).map((name) => names.indexOf(name));
  const engine = engineOf(model, { isMargin: false, missing: null, ...options, names, columns, features });
  return { engine, notes: [...model.notes, ...engine.notes] };
}

/** Ours against theirs over all rows of the folder. */
export function compare(folder: string, name: string): { readonly largest: number; readonly distinct: number } {
  const { models, columns } = readTables(folder);
  const { file, options } = models[name];
  const { engine } = bound(folder, file, options);
  const rows = new Float32Array(bytesOf(path.join(folder, "rows.f32")));
  const theirs = new Float64Array(bytesOf(path.join(folder, `${name}.f64`)));
  const width = columns.length;
  let largest = 0;
  for (let r = 0; r < theirs.length; r++) {
    const difference = Math.abs(sigmoid(engine.margin(rows.subarray(r * width, (r + 1) * width))) - theirs[r]);
    if (!(difference <= largest)) largest = difference;
  }
  return { largest, distinct: new Set(theirs).size };
}

export function errorOf(run: () => unknown): SentinelError {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function bytesOf(file: string): ArrayBuffer {
  return new Uint8Array(readFileSync(file)).buffer;
}
