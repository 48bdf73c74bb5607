// Pipelines that a program made, as this machine serves them: the store's record becomes files, which every command reads like others.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FOLDER_MODE } from "../../core/private.ts";
import type { PipelineSettings } from "../../online/declared.ts";
import { type MadePipeline, type MadeRoles, madeSchema, madeText } from "../../pipeline/made.ts";
import { MADE_FOLDER } from "../../pipeline/pipeline.ts";
import type { JsonObject, PipelineRecord } from "../../ports/store.ts";

/** A setting that is not there has its default: an older version did not know it. */
export function settingsOf({ settings }: Pick<PipelineRecord, "settings">): PipelineSettings {
  const columns = (settings.columns ?? {}) as Partial<MadeRoles>;
  const { id = null, time = null, amount = null, key = null } = columns;
  const cases = (settings.cases ?? null) as JsonObject | null;
  return { columns: { id, time, amount, key }, fourEyes: settings.four_eyes === true, cases };
}

/** What the files are made from. */
type MadeRecord = Pick<PipelineRecord, "slug" | "schema" | "settings" | "kafkaTopic">;

export function madeOf(record: MadeRecord): MadePipeline {
  const { columns: roles, fourEyes, cases } = settingsOf(record);
  return { slug: record.slug, fields: record.schema, roles, fourEyes, cases, topic: record.kafkaTopic };
}

/** Writes the pipeline file and its schema, where they differ from what is there. Errors: workspace.unwritable. */
export function writeMade(workspace: string, record: MadeRecord): void {
  const folder = path.join(workspace, MADE_FOLDER);
  const made = madeOf(record);
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    writeWhole(path.join(folder, `${made.slug}.schema.json`), `${JSON.stringify(madeSchema(made), null, 2)}\n`);
    writeWhole(path.join(folder, `${made.slug}.yaml`), madeText(made));
  } catch (error) {
    throw new SentinelError(
      "workspace.unwritable",
      `cannot write pipeline ${made.slug} to ${folder}: ${messageOf(error)}`,
      {
        hint: "check that models/state may be written to and has space left",
        cause: error,
      },
    );
  }
}

function writeWhole(file: string, text: string): void {
  if (textOf(file) === text) return;
  const partial = `${file}.${process.pid}.tmp`;
  writeFileSync(partial, text);
  renameSync(partial, file);
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
