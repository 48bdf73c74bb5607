// Pipelines of the platform as operations: make one, add fields, set its status; each is one change with its audit entry.
import { SentinelError } from "../../core/errors.ts";
import { settingsJson } from "../../online/declared.ts";
import {
  checkMadeFields,
  grownFields,
  type MadeField,
  type MadeRoles,
  madeCases,
  madeRoles,
  NAME_LENGTH_MAX,
  slugOf,
} from "../../pipeline/made.ts";
import type { ChangedBy, JsonObject, PipelinePatch, PipelineRecord, PipelineStatus, Store } from "../../ports/store.ts";
import { settingsOf } from "./made.ts";

export interface NewPipeline {
  readonly name: string;
  readonly kafkaTopic: string | null;
  readonly schema: readonly MadeField[];
  readonly columns: Partial<MadeRoles>;
  readonly fourEyes: boolean;
  /** The section `cases` of a pipeline file. */
  readonly cases: JsonObject;
}

/** Endings -2, -3, … that a name like many others may get. */
const SLUG_TRIES_MAX = 100;

/**
 * Makes a pipeline that rules alone decide. `isTaken`: names that servers have from elsewhere. Errors: request.invalid, pipeline.exists,
 * pipeline.schema, store.*.
 */
export async function createPipeline(
  store: Store,
  wanted: NewPipeline,
  { isTaken, ...by }: ChangedBy & { readonly isTaken: (slug: string) => boolean },
): Promise<PipelineRecord> {
  const name = wanted.name.trim();
  if (name === "" || name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name)) {
    throw new SentinelError("request.invalid", "the name of a pipeline is no text", {
      hint: `1 to ${NAME_LENGTH_MAX} characters, such as "Payment Transactions"`,
    });
  }
  checkMadeFields(wanted.schema);
  const columns = madeRoles(wanted.schema, wanted.columns);
  const cases = madeCases(wanted.cases, wanted.schema);
  const slug = await freeSlug(store, name, isTaken);
  try {
    return await store.pipelines.create(
      {
        slug,
        name,
        source: "api",
        kafkaTopic: wanted.kafkaTopic,
        schema: wanted.schema,
        settings: settingsJson({ columns, fourEyes: wanted.fourEyes, cases }),
      },
      by,
    );
  } catch (error) {
    if (!(error instanceof SentinelError) || error.code !== "store.conflict") throw error;
    throw new SentinelError("pipeline.exists", `there is a pipeline ${JSON.stringify(name)} already`, {
      hint: "give the new one another name; GET /api/pipelines lists those that are there",
      cause: error,
    });
  }
}

/** A slug that is free; a name made of digits alone would be isTaken for a number. */
async function freeSlug(store: Store, name: string, isTaken: (slug: string) => boolean): Promise<string> {
  const plain = slugOf(name);
  const wanted = plain === "" || /^\d+$/.test(plain) ? `pipeline${plain === "" ? "" : `-${plain}`}` : plain;
  for (let count = 1; count <= SLUG_TRIES_MAX; count++) {
    const slug = count === 1 ? wanted : `${wanted}-${count}`;
    if (!isTaken(slug) && (await store.pipelines.findBySlug(slug)) === null) return slug;
  }
  throw new SentinelError("pipeline.exists", `${SLUG_TRIES_MAX} pipelines are called like ${JSON.stringify(name)}`, {
    hint: "give the new one a name that differs in letters or digits",
  });
}

export interface PipelineChange {
  readonly name?: string;
  readonly kafkaTopic?: string | null;
  /** All fields, as they shall be. */
  readonly schema?: readonly MadeField[];
  /** Fields that come to those that are there. */
  readonly addFields?: readonly MadeField[];
  readonly fourEyes?: boolean;
  /** The whole section `cases`, as it shall be. */
  readonly cases?: JsonObject;
}

/** Errors: request.invalid, pipeline.schema for what is no growth, pipeline.invalid for a pipeline of a file, request.changed, store.*. */
export async function changePipeline(
  store: Store,
  record: PipelineRecord,
  { change, ...by }: ChangedBy & { readonly change: PipelineChange },
): Promise<PipelineRecord> {
  if (record.source === "file") {
    throw new SentinelError("pipeline.schema", `pipeline ${record.slug} comes from a file`, {
      hint: `change pipelines/${record.slug}.yaml and the files beside it; its status and its rules can be changed here`,
    });
  }
  const { name, kafkaTopic, schema, addFields } = change;
  const wanted = schema ?? (addFields === undefined ? undefined : [...record.schema, ...addFields]);
  const grown = wanted === undefined ? record.schema : grownFields(record.schema, wanted);
  const settings = settingsOf(record);
  const { fourEyes = settings.fourEyes } = change;
  const cases = change.cases === undefined ? settings.cases : madeCases(change.cases, grown);
  const patch: PipelinePatch = {
    ...(name === undefined ? {} : { name }),
    ...(kafkaTopic === undefined ? {} : { kafkaTopic }),
    ...(wanted === undefined ? {} : { schema: grown }),
    ...(change.fourEyes === undefined && change.cases === undefined
      ? {}
      : { settings: settingsJson({ ...settings, fourEyes, cases }) }),
  };
  return update(store, record, { patch, ...by });
}

/** The status holds in every process within a second. */
export function setStatus(
  store: Store,
  record: PipelineRecord,
  { status, ...by }: ChangedBy & { readonly status: PipelineStatus },
): Promise<PipelineRecord> {
  return update(store, record, { patch: { status }, ...by });
}

async function update(
  store: Store,
  record: PipelineRecord,
  { patch, ...by }: ChangedBy & { readonly patch: PipelinePatch },
): Promise<PipelineRecord> {
  try {
    return await store.pipelines.update(record.id, { expected: record.version, patch }, by);
  } catch (error) {
    if (!(error instanceof SentinelError) || error.code !== "store.stale") throw error;
    throw new SentinelError("request.changed", `somebody else changed pipeline ${record.slug} meanwhile`, {
      hint: "read it again and repeat the change if it is still wanted",
      cause: error,
    });
  }
}
