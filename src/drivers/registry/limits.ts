// What MLflow takes: names, keys and lengths, refused here with a clear word instead of being cut or refused there.

import type { BundleFiles } from "../../core/bundle.ts";
import { SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { type AliasMove, movesOf } from "../../core/journal.ts";
import type { RunDataset, RunMetric } from "../../ports/registry.ts";

/** MLflow's limits (mlflow/utils/validation.py) and the column widths of the schema's revision, the smaller of the two. */
const KEY_MAX = 250;
const PARAM_VALUE_MAX = 6_000;
const RUN_TAG_VALUE_MAX = 8_000;
const VERSION_TAG_VALUE_MAX = 5_000;
const DESCRIPTION_MAX = 5_000;
const EXPERIMENT_MAX = 256;
const MODEL_MAX = 256;
const RUN_NAME_MAX = 250;
const USER_MAX = 256;
const ALIAS_MAX = 255;
const DATASET = { name: 500, digest: 36, sourceType: 36, source: 65_535, context: 500 } as const;
/** Ours: a call beyond these is a mistake of the caller. */
const ENTRIES_MAX = 100_000;
const JOURNAL_TEXT_MAX = 10_000;
const MOVES_MAX = 10;
const DOCUMENT_TEXT_MAX = 16_000_000;
const FILES_MAX = 1_000;
const FILE_NAME_MAX = 250;
export const BUNDLE_BYTES_MAX = 2 ** 31;

/** Version tag with the bundle's hash. */
/** Tag of a version whose bundle stands beside files of others: the folder of the bundle. */
export const FOLDER_TAG = "sentinel.folder";
export const BUNDLE_TAG = "sentinel.bundle";
/** Version tag with the time of registration, where the store keeps its own. */
export const AT_TAG = "sentinel.at";

type Tags = Readonly<Record<string, string>>;

export function checkRun(input: {
  readonly experiment: string;
  readonly name: string;
  readonly user: string;
  readonly tags: Tags;
}): void {
  checkText("experiment name", input.experiment, { max: EXPERIMENT_MAX });
  checkText("run name", input.name, { max: RUN_NAME_MAX });
  checkText("user", input.user, { max: USER_MAX, empty: true });
  checkPairs("tag", input.tags, { max: RUN_TAG_VALUE_MAX });
}

export function checkLog(what: {
  readonly params?: Tags;
  readonly metrics?: readonly RunMetric[];
  readonly tags?: Tags;
  readonly datasets?: readonly RunDataset[];
}): void {
  checkPairs("parameter", what.params ?? {}, { max: PARAM_VALUE_MAX });
  checkPairs("tag", what.tags ?? {}, { max: RUN_TAG_VALUE_MAX });
  checkCount("metrics", what.metrics?.length ?? 0);
  for (const { key, step = 0, at = 0 } of what.metrics ?? []) {
    checkKey("metric", key);
    checkTime(`the time of metric ${key}`, at);
    if (!Number.isSafeInteger(step)) invalid(`metric ${key} has step ${step}`, "count steps in whole numbers");
  }
  checkCount("datasets", what.datasets?.length ?? 0);
  for (const dataset of what.datasets ?? []) {
    for (const part of ["name", "digest", "sourceType", "source", "context"] as const) {
      checkText(`dataset ${part}`, dataset[part], { max: DATASET[part] });
    }
  }
}

export function checkRegistration(input: {
  readonly model: string;
  readonly files: BundleFiles;
  readonly description: string;
  readonly tags: Tags;
}): void {
  checkModel(input.model);
  checkText("description", input.description, { max: DESCRIPTION_MAX, empty: true });
  checkVersionTags(input.tags);
  checkFiles(input.files);
}

export function checkVersionTags(tags: Tags): void {
  checkPairs("version tag", tags, { max: VERSION_TAG_VALUE_MAX });
  for (const own of [BUNDLE_TAG, AT_TAG, FOLDER_TAG]) {
    if (Object.hasOwn(tags, own)) {
      invalid(
        `the tag ${own} is the registry's own`,
        "choose another key: that one says which bytes the version consists of, and since when",
      );
    }
  }
}

/** Lower case, because MLflow's aliases are case-sensitive on some databases and not on others. */
function checkAlias(alias: string): void {
  if (!/^[a-z0-9_-]+$/.test(alias) || alias.length > ALIAS_MAX) {
    invalid(
      `"${alias.slice(0, 80)}" cannot be an alias`,
      `use up to ${ALIAS_MAX} lower-case letters, digits, dashes and underscores`,
    );
  }
  if (alias === "latest" || /^v\d+$/.test(alias)) {
    invalid(
      `the alias ${alias} is reserved: MLflow reads it as a version`,
      "choose another alias, such as champion or candidate",
    );
  }
}

/** An alias that is nowhere and goes nowhere would leave an entry that tells nothing; one that is named twice has two ends. */
export function checkMoves(step: AliasMove & { readonly also?: readonly AliasMove[] }): void {
  const moves = movesOf(step);
  if (moves.length > MOVES_MAX)
    invalid(`${moves.length} aliases are to move in one step`, `move at most ${MOVES_MAX} at once`);
  const names = new Set<string>();
  for (const { alias, from, to } of moves) {
    checkAlias(alias);
    if (from === null && to === null)
      invalid(`the alias ${alias} goes nowhere`, "name the version it moves to, or from");
    if (names.has(alias)) invalid(`the alias ${alias} is to move twice in one step`, "name each alias once");
    names.add(alias);
  }
}

export function checkJournal(entry: object): void {
  for (const [field, value] of Object.entries(entry)) {
    if (typeof value === "string") checkText(`journal ${field}`, value, { max: JOURNAL_TEXT_MAX, empty: true });
    else if (!Number.isSafeInteger(value))
      invalid(`the journal's ${field} is ${value}`, "give whole milliseconds since 1970");
  }
}

/** The document must be the one the entry names. */
export function checkDocument(document: string, evidence: string): void {
  if (document.length > DOCUMENT_TEXT_MAX)
    invalid(`the evidence has ${document.length} characters`, `keep it under ${DOCUMENT_TEXT_MAX}`);
  if (sha256(document) !== evidence)
    invalid("the evidence is not the document whose hash the entry names", "give the hash of exactly this text");
}

export function checkTime(what: string, at: number): void {
  if (!Number.isSafeInteger(at)) invalid(`${what} is ${at}`, "give whole milliseconds since 1970");
}

function checkModel(model: string): void {
  checkText("model name", model, { max: MODEL_MAX });
  if (/[/:]/.test(model) || /^\.{1,2}$/.test(model)) {
    invalid(`"${model}" cannot name a model`, "leave out slashes and colons: MLflow builds addresses from the name");
  }
}

/** Names that are the same file on every system: relative, with plain characters. */
function checkFiles(files: BundleFiles): void {
  if (files.size === 0 || files.size > FILES_MAX)
    invalid(`the bundle has ${files.size} files`, `give 1 to ${FILES_MAX}`);
  let bytes = 0;
  for (const [name, content] of files) {
    const plain = /^[\w.-]+( ?[\w.-]+)*(\/[\w.-]+( ?[\w.-]+)*)*$/.test(name) && !/(^|\/)\.{1,2}(\/|$)/.test(name);
    if (!plain || name.length > FILE_NAME_MAX) {
      invalid(
        `"${name.slice(0, 80)}" cannot name a file of a bundle`,
        "use letters, digits, dots, dashes and underscores, with / for folders",
      );
    }
    bytes += content.length;
  }
  if (bytes > BUNDLE_BYTES_MAX) invalid(`the bundle has ${bytes} bytes`, `keep it under ${BUNDLE_BYTES_MAX}`);
}

function checkPairs(what: string, pairs: Tags, options: { readonly max: number }): void {
  const entries = Object.entries(pairs);
  checkCount(`${what}s`, entries.length);
  for (const [key, value] of entries) {
    checkKey(what, key);
    checkText(`${what} ${key}`, value, { ...options, empty: true });
  }
}

/** MLflow takes a key as a path that must already be normal. */
function checkKey(what: string, key: string): void {
  const normal = /^[/\p{L}\p{N}_.\- :]+$/u.test(key) && !/^\/|\/$|\/\/|(^|\/)\.{1,2}(\/|$)/.test(key);
  if (normal && key.length <= KEY_MAX) return;
  invalid(
    `"${key.slice(0, 80)}" cannot be the key of a ${what}`,
    `use up to ${KEY_MAX} letters, digits, spaces and _ . - : /`,
  );
}

function checkText(what: string, text: string, options: { readonly max: number; readonly empty?: boolean }): void {
  if (typeof text !== "string") invalid(`the ${what} is a ${typeof text}`, "give a text");
  if (text.trim() === "" && options.empty !== true) invalid(`the ${what} is empty`, "give it a text");
  if (text.length > options.max) {
    invalid(
      `the ${what} has ${text.length} characters; MLflow takes ${options.max}`,
      "shorten it, or put the long text into a file of the bundle",
    );
  }
  // SQLite would end the text there.
  if (text.includes("\u0000")) invalid(`the ${what} holds a NUL character`, "remove that character");
}

function checkCount(what: string, count: number): void {
  if (count > ENTRIES_MAX) invalid(`${count} ${what} at once`, `log at most ${ENTRIES_MAX} in one call`);
}

function invalid(message: string, hint: string): never {
  throw new SentinelError("registry.invalid", message, { hint });
}
