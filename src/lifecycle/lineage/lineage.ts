// Lineage: what a run and a version were made from, by whom and with what; the same tags on both.
import path from "node:path";
import { canonicalJson } from "../../core/hash.ts";
import type { Imported } from "../../online/bundle.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RunDataset } from "../../ports/registry.ts";
import { type DvcEntry, dvcEntryOf } from "../data/dvc.ts";

export interface LineageInput {
  readonly verb: "train" | "retrain" | "import";
  readonly actor: string;
  /** Name of the pipeline and hash of its content. */
  readonly pipeline: { readonly name: string; readonly hash: string };
  /** The table learned from, for an imported model the one it was calibrated and judged on. `hash` is its SHA-256. */
  readonly source: { readonly path: string; readonly hash: string; readonly rows: number };
  /** Of a retraining: the table that the log's transactions were added to, its SHA-256, and how many were added. */
  readonly grownFrom?: { readonly path: string; readonly hash: string; readonly logged: number };
  readonly featureHash: string;
  readonly seed: number;
  readonly parameters: Readonly<Record<string, number | string>>;
  readonly packageVersion: string;
  /** Default: of this process. */
  readonly nodeVersion?: string;
  /** The champion's version when the work began; null without one. */
  readonly parent: string | null;
  /** The file of a model that another library trained. */
  readonly imported?: Pick<Imported, "format" | "file" | "sha256" | "title">;
}

/** Where something comes from. Only in tags and in the run, never in the bundle, whose bytes depend on no machine and no clock. */
export interface Lineage extends LineageInput {
  readonly nodeVersion: string;
  readonly commit: { readonly commit: string; readonly dirty: boolean; readonly branch: string } | null;
  readonly dvc: DvcVersion | null;
}

/** The data's version in DVC. */
export interface DvcVersion {
  readonly entry: DvcEntry;
  /** MD5 of the file that was read. Where it is not the entry's, the data has changed since DVC saw it. */
  readonly md5: string;
  /** The commit whose dvc.lock or .dvc file says the same; "" while it is not committed. `dvc get --rev` finds the data there. */
  readonly rev: string;
}

/** Asks git and DVC's files, and hashes the data for the comparison with them. Tells what it finds in DVC. */
export async function lineageOf(ports: Ports, input: LineageInput): Promise<Lineage> {
  const git = await ports.sourceControl();
  const commit = await git.describe();
  const { report } = ports;
  const onFault = (what: string) => report.line(`  ${what}; the run carries no DVC version`);
  const entry = dvcEntryOf(input.source.path, onFault);
  let dvc: DvcVersion | null = null;
  if (entry !== null) {
    const md5 = await (await ports.dataset()).hash(input.source.path, "md5");
    const isCommitted = commit !== null && md5 === entry.md5 && (await git.holds(entry.file));
    dvc = { entry, md5, rev: isCommitted ? commit.commit : "" };
    report.line(`  ${dvcWords(dvc)}`);
  }
  return { ...input, nodeVersion: input.nodeVersion ?? process.version, commit, dvc };
}

/**
 * The lineage as tags, under MLflow's names where it has one. A fact that is not known has no tag, but `sentinel.parent`, which
 * is empty for the first of its line.
 */
export function lineageTags(lineage: Lineage): Readonly<Record<string, string>> {
  const { source, grownFrom, commit, dvc, imported } = lineage;
  return {
    "mlflow.user": lineage.actor,
    "sentinel.verb": lineage.verb,
    "sentinel.data_hash": source.hash,
    "sentinel.data_path": source.path,
    "sentinel.data_rows": String(source.rows),
    ...(grownFrom === undefined
      ? {}
      : {
          "sentinel.grown_from_hash": grownFrom.hash,
          "sentinel.grown_from_path": grownFrom.path,
          "sentinel.grown_by_rows": String(grownFrom.logged),
        }),
    ...(dvc === null ? {} : dvcTags(dvc)),
    "sentinel.feature_hash": lineage.featureHash,
    "sentinel.pipeline_hash": lineage.pipeline.hash,
    "sentinel.seed": String(lineage.seed),
    "sentinel.parameters": canonicalJson(lineage.parameters),
    "sentinel.parent": lineage.parent ?? "",
    ...(imported === undefined
      ? {}
      : {
          "sentinel.import_format": imported.format,
          "sentinel.import_file": imported.file,
          "sentinel.import_sha256": imported.sha256,
          "sentinel.import_library": imported.title,
        }),
    "sentinel.package_version": lineage.packageVersion,
    "sentinel.node_version": lineage.nodeVersion,
    ...(commit === null
      ? {}
      : {
          "mlflow.source.git.commit": commit.commit,
          "mlflow.source.git.dirty": String(commit.dirty),
          ...(commit.branch === "" ? {} : { "mlflow.source.git.branch": commit.branch }),
        }),
  };
}

/** The table as MLflow's dataset input: by DVC's MD5 where DVC knows these bytes, else by the first 36 letters of the SHA-256. */
export function lineageDataset(lineage: Lineage): readonly RunDataset[] {
  const { source, dvc } = lineage;
  const { name } = lineage.pipeline;
  const context = lineage.imported === undefined ? "training" : "evaluation";
  if (dvc === null || !isCurrent(dvc)) {
    const uri = JSON.stringify({ uri: source.path });
    return [{ name, digest: source.hash.slice(0, 36), sourceType: "local", source: uri, context }];
  }
  const { path: uri, stage } = dvc.entry;
  const where = JSON.stringify({ uri, stage, rev: dvc.rev, sha256: source.hash });
  return [{ name, digest: dvc.md5, sourceType: "dvc", source: where, context }];
}

function dvcTags(dvc: DvcVersion): Readonly<Record<string, string>> {
  const { entry } = dvc;
  if (!isCurrent(dvc)) return { "dvc.state": dvcWords(dvc) };
  return {
    "dvc.md5": dvc.md5,
    "dvc.path": entry.path,
    "dvc.file": path.basename(entry.file),
    ...(entry.stage === "" ? {} : { "dvc.stage": entry.stage }),
    ...(dvc.rev === "" ? {} : { "dvc.rev": dvc.rev }),
    "dvc.state": "current",
  };
}

function dvcWords(dvc: DvcVersion): string {
  const file = path.basename(dvc.entry.file);
  if (!isCurrent(dvc)) return `${file} is behind: it says ${dvc.entry.md5}, the file is ${dvc.md5}`;
  return `DVC knows this data: ${dvc.md5} in ${file}`;
}

function isCurrent({ entry, md5 }: DvcVersion): boolean {
  return entry.md5 === md5;
}
